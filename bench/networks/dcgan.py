"""The convolutional pair of the Keras DCGAN tutorial, for 28×28 images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Lt
from torch import Tensor, nn

from bench.errors import DataError
from bench.networks.base import Critic, Network

_EPS = 1e-3
"""Keras's default for batch norm; torch's is 1e-5."""


@dataclass(frozen=True)
class DCGAN(Network):
    """Dense 7·7·256, transposed 5×5 convolutions 128, 64, 1; critic of 5×5 convolutions 64, 128.

    LeakyReLU slopes and batch-norm eps are Keras's (0.3, 1e-3), not torch's.  `dropout` is the
    critic's; the tutorial has 0.3 for the standard GAN, and none under a gradient penalty.
    Keras pads a strided convolution by 1 before and 2 after, torch here by 2 on both sides: the
    same shapes, the grid shifted by one pixel.
    """

    slope: Annotated[float, Ge(0.0)] = 0.3
    dropout: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to (B, C, 28, 28) in [−1, 1]."""
        channels = _channels(shape)

        def norm(module: nn.Module, width: int) -> list[nn.Module]:
            kind = nn.BatchNorm1d if isinstance(module, nn.Linear) else nn.BatchNorm2d
            # no running statistics: vmap accepts none, and evaluation estimates its own
            return [
                module,
                kind(width, eps=_EPS, track_running_stats=False),
                nn.LeakyReLU(self.slope),
            ]

        def up(inputs: int, outputs: int, stride: int) -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(
                inputs, outputs, 5, stride, padding=2, output_padding=stride - 1, bias=False
            )

        return nn.Sequential(
            *norm(nn.Linear(self.latent_dim, 7 * 7 * 256, bias=False), 7 * 7 * 256),
            nn.Unflatten(1, (256, 7, 7)),
            *norm(up(256, 128, 1), 128),
            *norm(up(128, 64, 2), 64),
            up(64, channels, 2),
            nn.Tanh(),
        )

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps (B, C, 28, 28) to (B,)."""
        return _Critic(_channels(shape), self.slope, self.dropout)


class _Critic(Critic):
    def __init__(self, channels: int, slope: float, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(channels, 64, 5, 2, padding=2), nn.Conv2d(64, 128, 5, 2, padding=2)]
        )
        self.activation = nn.LeakyReLU(slope)
        self.score = nn.Linear(128 * 7 * 7, 1)
        if dropout:
            self.mask_shapes = ((64, 14, 14), (128, 7, 7))
            self.keep_probability = 1.0 - dropout

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        for i, convolution in enumerate(self.convolutions):
            x = self.activation(convolution(x))
            if keep:
                x = x * (keep[i].to(x.dtype) / self.keep_probability)
        scores: Tensor = self.score(x.flatten(1))
        return scores.squeeze(1)


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 3 or shape[1:] != (28, 28):
        raise DataError(
            f"network dcgan: the data have shape {shape}, expected (C, 28, 28); use network 'mlp'"
        )
    return shape[0]
