"""The convolutional pair for MNIST of the WGAN-GP authors' `gan_mnist.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge
from torch import Tensor, nn

from bench.errors import DataError
from bench.networks.base import Count, Critic, Network


@dataclass(frozen=True)
class GulrajaniMNIST(Network):
    """Dense 4·4·256, transposed 5×5 convolutions 128, 64, 1, sigmoid; critic 64, 128, 256, dense 1.

    Every convolution has stride 2, and the 8×8 after the first is cut to 7×7.  No batch norm: the
    critic carries a gradient penalty, and the generator of their WGAN-GP has none either.  On
    28×28 images that is 1,554,177 and 1,030,145 parameters.  Strides are padded as in `dcgan`.
    """

    latent_dim: Count = 128
    slope: Annotated[float, Ge(0.0)] = 0.2

    range = (0.0, 1.0)

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to (B, C, 28, 28) in [0, 1]."""
        channels = _channels(shape)
        return nn.Sequential(
            nn.Linear(self.latent_dim, 4 * 4 * 256),
            nn.ReLU(),
            nn.Unflatten(1, (256, 4, 4)),
            _up(256, 128),
            nn.ReLU(),
            _Cut(7),
            _up(128, 64),
            nn.ReLU(),
            _up(64, channels),
            nn.Sigmoid(),
        )

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps (B, C, 28, 28) to (B,)."""
        return _Critic(_channels(shape), self.slope)


class _Critic(Critic):
    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (64, 128, 256):
            layers += [nn.Conv2d(channels, width, 5, 2, padding=2), nn.LeakyReLU(slope)]
            channels = width
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, 1))

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        scores: Tensor = self.layers(x)
        return scores.squeeze(1)


class _Cut(nn.Module):
    """The upper left corner of each image."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : self.size, : self.size]


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, 2, padding=2, output_padding=1)


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 3 or shape[1:] != (28, 28):
        raise DataError(
            f"network gulrajani_mnist: the data have shape {shape}, expected (C, 28, 28); use "
            "network 'mlp'"
        )
    return shape[0]
