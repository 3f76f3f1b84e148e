"""The fully connected pair of the usual WGAN tutorials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from bench.networks.base import Critic, Network, Widths, require_range


@dataclass(frozen=True)
class MLP(Network):
    """Generator 100-128-256-784, ReLU, tanh; critic 784-256-128-1, LeakyReLU 0.2.

    On 28×28 images that is 247,440 and 233,985 parameters.
    """

    generator_widths: Widths = (128, 256)
    critic_widths: Widths = (256, 128)
    slope: Annotated[float, Ge(0.0)] = 0.2

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to (B, *shape) in [−1, 1]."""
        require_range("mlp", self.range, shape)
        layers: list[nn.Module] = []
        width = self.latent_dim
        for wider in self.generator_widths:
            layers += [nn.Linear(width, wider), nn.ReLU()]
            width = wider
        layers += [nn.Linear(width, math.prod(shape)), nn.Tanh(), nn.Unflatten(1, shape)]
        return nn.Sequential(*layers)

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps (B, *shape) to (B,)."""
        require_range("mlp", self.range, shape)
        return _Critic(math.prod(shape), self.critic_widths, self.slope)


class _Critic(Critic):
    def __init__(self, inputs: int, widths: tuple[int, ...], slope: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.LeakyReLU(slope)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.squeeze(1)
