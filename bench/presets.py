"""The named recipes, in the shape of a variant's table; a suite's own keys override them.

A preset says what its recipe is known for and leaves the rest to the suite: a suite that asks for
another `latent_dim` of the same network gets it.  The budget is always the suite's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

Preset = Mapping[str, Any]


def _frozen(**table: Any) -> Preset:
    return MappingProxyType(table)


MLP_GAN: Preset = _frozen(
    objective="gan",
    network={"name": "mlp"},
    optimizer={"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999]},
    schedule={"name": "constant"},
    critic_steps=1,
    init="torch",
)
"""The tutorial MLP under the DCGAN paper's optimiser settings (Radford et al. 2016, section 4)."""

MLP_WGAN: Preset = _frozen(
    objective="wgan",
    clip=0.01,
    network={"name": "mlp"},
    optimizer={"name": "rmsprop", "lr": 5e-5},
    schedule={"name": "constant"},
    critic_steps=5,
    init="torch",
)
"""Arjovsky et al. 2017, algorithm 1, on the tutorial MLP."""

MLP_WGAN_GP: Preset = _frozen(
    objective="wgan_gp",
    penalty_weight=10.0,
    network={"name": "mlp"},
    optimizer={"name": "adam", "lr": 1e-4, "betas": [0.5, 0.9]},
    schedule={"name": "constant"},
    critic_steps=5,
    init="torch",
)
"""Gulrajani et al. 2017, on the tutorial MLP; betas (0.5, 0.9) as in their MNIST code."""

# Keras's defaults differ from torch's: Glorot initialisation, RMSprop's rho (alpha) 0.9, eps 1e-7.
# Keras puts RMSprop's eps under the root, torch beside it: 1e-7 there acts like about 3e-4 here
# where gradients are tiny.  The rate, the decay and the number are Keras's, the placing is torch's.
_KERAS_ADAM = {"name": "adam", "lr": 1e-4, "betas": [0.9, 0.999], "eps": 1e-7}
_KERAS_RMSPROP = {"name": "rmsprop", "lr": 5e-5, "alpha": 0.9, "eps": 1e-7}

KERAS_DCGAN: Preset = _frozen(
    objective="gan",
    network={"name": "dcgan", "dropout": 0.3},
    optimizer=_KERAS_ADAM,
    schedule={"name": "constant"},
    critic_steps=1,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""The Keras MNIST tutorial's DCGAN; it trains for 50 epochs."""

KERAS_WGAN_GP: Preset = _frozen(
    objective="wgan_gp",
    penalty_weight=10.0,
    network={"name": "dcgan", "dropout": 0.0},
    optimizer=_KERAS_RMSPROP,
    schedule={"name": "constant"},
    critic_steps=5,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""The same pair without dropout under the penalty: five critic steps, each on a fresh batch."""

DCGAN_WGAN: Preset = _frozen(
    objective="wgan",
    clip=0.01,
    network={"name": "dcgan", "dropout": 0.0},
    optimizer=_KERAS_RMSPROP,
    schedule={"name": "constant"},
    critic_steps=5,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""`KERAS_WGAN_GP` with clipping for the penalty, and nothing else changed."""
