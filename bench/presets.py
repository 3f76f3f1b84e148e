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
    return MappingProxyType({"schedule": {"name": "constant"}, **table})


def _on_mlp(**table: Any) -> Preset:
    return _frozen(network={"name": "mlp"}, init="torch", **table)


def _adam(lr: float, *betas: float, **options: float) -> Mapping[str, Any]:
    return {"name": "adam", "lr": lr, "betas": list(betas), **options}


def _rmsprop(lr: float, **options: float) -> Mapping[str, Any]:
    return {"name": "rmsprop", "lr": lr, **options}


MLP_GAN = _on_mlp(objective="gan", optimizer=_adam(2e-4, 0.5, 0.999), critic_steps=1)
"""The tutorial MLP under the DCGAN paper's optimiser settings (Radford et al. 2016, section 4)."""

MLP_WGAN = _on_mlp(objective="wgan", clip=0.01, optimizer=_rmsprop(5e-5), critic_steps=5)
"""Arjovsky et al. 2017, algorithm 1, on the tutorial MLP."""

MLP_WGAN_GP = _on_mlp(
    objective="wgan_gp", penalty_weight=10.0, optimizer=_adam(1e-4, 0.5, 0.9), critic_steps=5
)
"""Gulrajani et al. 2017, on the tutorial MLP; betas (0.5, 0.9) as in their MNIST code."""

MLP_WGAN_LP = _on_mlp(
    objective="wgan_lp", penalty_weight=10.0, optimizer=_adam(1e-4, 0.5, 0.9), critic_steps=5
)
"""`MLP_WGAN_GP` with the one-sided penalty (Petzka et al. 2018), and nothing else changed."""

MLP_HINGE_SN = _on_mlp(
    objective="hinge", spectral_norm=True, optimizer=_adam(2e-4, 0.0, 0.9), critic_steps=5
)
"""Hinge with spectral normalisation, and what Miyato et al. 2018 train their ResNets with."""

MLP_GAN_R1 = _on_mlp(
    objective="gan_r1", penalty_weight=10.0, optimizer=_rmsprop(1e-4, alpha=0.99), critic_steps=1
)
"""Mescheder et al. 2018: γ = 10 and the optimiser of their images."""

MLP_LSGAN = _on_mlp(objective="lsgan", optimizer=_adam(2e-4, 0.5, 0.999), critic_steps=1)
"""`MLP_GAN` with least squares (Mao et al. 2017, who take β₁ = 0.5 too), nothing else changed."""

MLP_DRAGAN = _on_mlp(
    objective="dragan", penalty_weight=10.0, optimizer=_adam(1e-4, 0.5, 0.9), critic_steps=1
)
"""Kodali et al. 2017, as in their notebook of an MLP on MNIST, whose batches are of 128."""

MLP_RPGAN = _on_mlp(
    objective="rpgan_r1r2", penalty_weight=1.0, optimizer=_adam(2e-4, 0.0, 0.9), critic_steps=1
)
"""Huang et al. 2024: what their schedules of γ and β₂ on stacked MNIST begin with."""

# Keras's defaults differ from torch's: Glorot initialisation, RMSprop's rho (alpha) 0.9, eps 1e-7.
# Keras puts RMSprop's eps under the root, torch beside it: 1e-7 there acts like about 3e-4 here
# where gradients are tiny.  The rate, the decay and the number are Keras's, the placing is torch's.
_KERAS_RMSPROP = _rmsprop(5e-5, alpha=0.9, eps=1e-7)

KERAS_DCGAN = _frozen(
    objective="gan",
    network={"name": "dcgan", "dropout": 0.3},
    optimizer=_adam(1e-4, 0.9, 0.999, eps=1e-7),
    critic_steps=1,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""The Keras MNIST tutorial's DCGAN; it trains for 50 epochs."""

KERAS_WGAN_GP = _frozen(
    objective="wgan_gp",
    penalty_weight=10.0,
    network={"name": "dcgan", "dropout": 0.0},
    optimizer=_KERAS_RMSPROP,
    critic_steps=5,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""The same pair without dropout under the penalty: five critic steps, each on a fresh batch."""

KERAS_WGAN_GP_AS_PUBLISHED = _frozen(**{**KERAS_WGAN_GP, "critic_steps": 1, "batch_repeats": 5})
"""`KERAS_WGAN_GP` in the article's own loop: five critic steps in a row see the same real batch,
and the generator is updated after each of them."""

DCGAN_WGAN = _frozen(
    objective="wgan",
    clip=0.01,
    network={"name": "dcgan", "dropout": 0.0},
    optimizer=_KERAS_RMSPROP,
    critic_steps=5,
    init="glorot_uniform",
    training={"batch_size": 256},
)
"""`KERAS_WGAN_GP` with clipping for the penalty, and nothing else changed."""

GULRAJANI_MNIST = _frozen(
    objective="wgan_gp",
    penalty_weight=10.0,
    network={"name": "gulrajani_mnist"},
    optimizer=_adam(1e-4, 0.5, 0.9),
    critic_steps=5,
    init="gulrajani",
    training={"batch_size": 50},
)
"""`gan_mnist.py` of the WGAN-GP authors; it trains for 200,000 generator steps."""

GULRAJANI_CIFAR = _frozen(
    objective="wgan_gp",
    penalty_weight=10.0,
    network={"name": "resnet"},
    optimizer=_adam(2e-4, 0.0, 0.9),
    schedule={"name": "linear", "to": 0.0},
    critic_steps=5,
    init="gulrajani",
    training={"batch_size": 64},
)
"""Their `gan_cifar_resnet.py` without labels; it trains for 100,000 generator steps.

Their generator's batches are twice as large as the critic's; here both have 64.
"""

ARJOVSKY = _frozen(
    objective="wgan",
    clip=0.01,
    network={"name": "dcgan"},
    optimizer=_rmsprop(5e-5),
    critic_steps=5,
    critic_boost={"steps": 100, "first": 25, "every": 500},
    init="normal_0.02",
    training={"batch_size": 64},
)
"""The WGAN authors' `main.py`: 100 critic steps before each of the first 25 generator steps and
every 500th; on the pair for 28×28 images instead of theirs for 64×64."""

TOY_WGAN_GP = _frozen(
    objective="wgan_gp",
    penalty_weight=0.1,
    network={"name": "toy"},
    optimizer=_adam(1e-4, 0.5, 0.9),
    critic_steps=5,
    init="he_uniform",
    training={"batch_size": 256},
)
"""`gan_toy.py` of the WGAN-GP authors; it trains for 100,000 generator steps.  Their last layers
start from another variance, 2 over inputs and outputs together."""

TOY_WGAN = _frozen(
    objective="wgan",
    clip=0.01,
    network={"name": "toy"},
    # TensorFlow's decay and eps; it puts eps under the root, where 1e-10 acts like 1e-5 here
    optimizer=_rmsprop(5e-5, alpha=0.9, eps=1e-10),
    critic_steps=5,
    init="he_uniform",
    training={"batch_size": 256},
)
"""The same file's mode with clipping."""

TOY_GAN = _frozen(
    objective="gan",
    network={"name": "toy"},
    optimizer=_adam(2e-4, 0.5, 0.999),
    critic_steps=1,
    init="he_uniform",
    training={"batch_size": 256},
)
"""The standard GAN on that pair, which the file has not; its optimiser is `gan_mnist.py`'s."""

PACGAN_GAN = _frozen(
    objective="gan",
    network={"name": "pacgan"},
    optimizer=_adam(1e-4, 0.8, 0.999),
    critic_steps=1,
    init="normal_0.02",
    training={"batch_size": 100},
)
"""The GAN of PacGAN's synthetic experiments (Lin et al. 2018): 400,000 steps, in their code of both
networks at once and on the same generated points; here the critic's come first."""

PACGAN2 = _frozen(**{**PACGAN_GAN, "packing": 2, "training": {"batch_size": 200}})
"""The same with points judged in pairs: 100 pairs a batch, as many steps."""
