"""Initialisations: what is done to a module's weights after it is constructed.

Each takes the module and a generator, and writes the weights of linear and convolutional layers in
place; batch norm keeps weight 1 and bias 0 unless said otherwise.
"""

from __future__ import annotations

import torch
from torch import nn

_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def torch_default(module: nn.Module, generator: torch.Generator) -> None:
    """Nothing: torch's layers drew Kaiming-uniform weights (a = √5) when they were constructed."""


def glorot_uniform(module: nn.Module, generator: torch.Generator) -> None:
    """Uniform on ±√(6 / (fan_in + fan_out)), zero biases (Glorot & Bengio 2010, eq. 16)."""
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            _zero_bias(layer)


def normal_002(module: nn.Module, generator: torch.Generator) -> None:
    """N(0, 0.02²) weights, zero biases (Radford et al. 2016, section 4)."""
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            nn.init.normal_(layer.weight, std=0.02, generator=generator)
            _zero_bias(layer)


def _zero_bias(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
