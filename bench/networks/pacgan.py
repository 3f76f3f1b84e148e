"""The pair for points of PacGAN's synthetic experiments (Lin, Khetan, Fanti & Oh 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from bench.networks.base import Count, Critic, Network, Widths, require_range

_EPS = 1e-4
"""Of batch norm in the library that the authors used; torch's is 1e-5."""


@dataclass(frozen=True)
class PacGAN(Network):
    """Generator 2-400-400-400-400-2, batch norm and ReLU; critic of three maxout layers of 200.

    A layer that batch norm follows has no biases, as in the authors' code; a maxout unit is the
    largest of `pieces` linear ones.  For single points in the plane that is 484,802 and 405,201
    parameters; a critic of packs of m points has 2000 more for each further one.
    """

    latent_dim: Count = 2
    generator_widths: Widths = (400, 400, 400, 400)
    critic_widths: Widths = (200, 200, 200)
    pieces: Annotated[Count, Ge(2)] = 5

    range = None

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to points (B, D)."""
        require_range("pacgan", self.range, shape)
        (dimensions,) = shape
        layers: list[nn.Module] = []
        inputs = self.latent_dim
        for width in self.generator_widths:
            # no running statistics: vmap accepts none, and evaluation estimates its own
            norm = nn.BatchNorm1d(width, eps=_EPS, track_running_stats=False)
            layers += [nn.Linear(inputs, width, bias=False), norm, nn.ReLU()]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, dimensions))

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps points (B, D) to (B,)."""
        require_range("pacgan", self.range, shape)
        (dimensions,) = shape
        return _Critic(dimensions, self.critic_widths, self.pieces)


class _Critic(Critic):
    def __init__(self, inputs: int, widths: tuple[int, ...], pieces: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers.append(_Maxout(inputs, width, pieces))
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.squeeze(1)


class _Maxout(nn.Module):
    """The largest of `pieces` linear units, for each output (Goodfellow et al. 2013)."""

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs * pieces)
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        units: Tensor = self.linear(x)
        return units.reshape(len(x), -1, self.pieces).amax(2)
