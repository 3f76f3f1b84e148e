"""The fully connected pair for points, as in `gan_toy.py` (Gulrajani et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from bench.networks.base import Count, Critic, Network, Widths, require_range


@dataclass(frozen=True)
class Toy(Network):
    """Generator 2-512-512-512-2, critic 2-512-512-512-1, ReLU, and nothing after the last layer.

    For points in the plane that is 527,874 and 527,361 parameters.
    """

    latent_dim: Count = 2
    generator_widths: Widths = (512, 512, 512)
    critic_widths: Widths = (512, 512, 512)

    range = None

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to points (B, D)."""
        require_range("toy", self.range, shape)
        (dimensions,) = shape
        return _layers(self.latent_dim, self.generator_widths, dimensions)

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps points (B, D) to (B,)."""
        require_range("toy", self.range, shape)
        (dimensions,) = shape
        return _Critic(dimensions, self.critic_widths)


class _Critic(Critic):
    def __init__(self, inputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = _layers(inputs, widths, 1)

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.squeeze(1)


def _layers(inputs: int, widths: tuple[int, ...], outputs: int) -> nn.Sequential:
    """Linear layers of these widths, ReLU between them."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))
