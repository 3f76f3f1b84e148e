"""Initialisations: what is done to a module's weights after it is constructed.

Each takes the module and a generator, and writes the weights of linear and convolutional layers in
place; batch norm keeps weight 1 and bias 0 unless said otherwise.
"""

from __future__ import annotations

from math import prod

import torch
from torch import nn

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
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


def he_uniform(module: nn.Module, generator: torch.Generator) -> None:
    """Uniform weights of variance 2 / fan_in, zero biases (He et al. 2015, equation 10).

    That is the `he` of Gulrajani et al.'s dense layers.  The fan-in of a transposed convolution is
    what reaches one output, its inputs over the square of the stride.
    """
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            fan_in, _ = _fans(layer)
            _uniform(layer, 2.0 / fan_in, generator)


def gulrajani(module: nn.Module, generator: torch.Generator) -> None:
    """As the layers of the WGAN-GP authors' `tflib` start when not told otherwise.

    Uniform weights, zero biases; variance 2 / (fan_in + fan_out) in dense layers and 1×1
    convolutions (their shortcuts), 4 / (fan_in + fan_out) in the other convolutions, whose fans
    know of strides.  The last convolution of their residual generator alone has half of that.
    """
    for layer in module.modules():
        if isinstance(layer, _WEIGHTED):
            gain = 2.0 if isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1) else 4.0
            _uniform(layer, gain / sum(_fans(layer)), generator)


def _fans(layer: Weighted) -> tuple[float, float]:
    """How many inputs reach an output, and how many outputs an input."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    area, thinned = prod(layer.kernel_size), prod(layer.stride)
    inputs, outputs = (n // layer.groups * area for n in (layer.in_channels, layer.out_channels))
    if isinstance(layer, nn.ConvTranspose2d):
        return inputs / thinned, outputs
    return inputs, outputs / thinned


def _uniform(layer: Weighted, variance: float, generator: torch.Generator) -> None:
    bound = (3.0 * variance) ** 0.5
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    _zero_bias(layer)


def _zero_bias(layer: Weighted) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
