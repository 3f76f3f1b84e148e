"""The residual pair for 32×32 images of the WGAN-GP paper (Gulrajani et al. 2017, appendix F)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from bench.errors import DataError
from bench.networks.base import Count, Critic, Network


@dataclass(frozen=True)
class ResNet(Network):
    """Dense 4·4·128 and three residual blocks up; critic of two blocks down and two on a level.

    As in the authors' `gan_cifar_resnet.py` without labels: batch norm in the generator alone,
    nearest-neighbour upsampling, mean pooling, 3×3 convolutions and 1×1 ones in the shortcuts, a
    first block of the critic that pools before its shortcut.  With a `width` of 128 and three
    channels that is 1,204,483 and 1,053,825 parameters.
    """

    latent_dim: Count = 128
    width: Count = 128

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to (B, C, 32, 32) in [−1, 1]."""
        channels, width = _channels(shape), self.width
        return nn.Sequential(
            nn.Linear(self.latent_dim, 4 * 4 * width),
            nn.Unflatten(1, (width, 4, 4)),
            *(_up(width) for _ in range(3)),
            _norm(width),
            nn.ReLU(),
            _convolution(width, channels),
            nn.Tanh(),
        )

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps (B, C, 32, 32) to (B,)."""
        return _Critic(_channels(shape), self.width)


class _Critic(Critic):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _first(channels, width), _down(width), _level(width), _level(width), nn.ReLU()
        )
        self.score = nn.Linear(width, 1)

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        scores: Tensor = self.score(self.blocks(x).mean((2, 3)))
        return scores.squeeze(1)


class _Residual(nn.Module):
    """The sum of two ways."""

    def __init__(self, way: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.way, self.shortcut = way, shortcut

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.way(x)
        kept: Tensor = self.shortcut(x)
        return kept + changed


def _up(width: int) -> nn.Module:
    """Twice the height and width."""
    way = nn.Sequential(
        _norm(width),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        _convolution(width, width),
        _norm(width),
        nn.ReLU(),
        _convolution(width, width),
    )
    return _Residual(way, nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 1)))


def _first(channels: int, width: int) -> nn.Module:
    """Half the height and width, from the image itself: no ReLU before it."""
    way = nn.Sequential(
        _convolution(channels, width), nn.ReLU(), _convolution(width, width), nn.AvgPool2d(2)
    )
    return _Residual(way, nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, width, 1)))


def _down(width: int) -> nn.Module:
    """Half the height and width."""
    way = nn.Sequential(_within(width), nn.AvgPool2d(2))
    return _Residual(way, nn.Sequential(nn.Conv2d(width, width, 1), nn.AvgPool2d(2)))


def _level(width: int) -> nn.Module:
    """The same height and width."""
    return _Residual(_within(width), nn.Identity())


def _within(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(), _convolution(width, width), nn.ReLU(), _convolution(width, width)
    )


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _norm(width: int) -> nn.BatchNorm2d:
    # no running statistics: vmap accepts none, and evaluation estimates its own
    return nn.BatchNorm2d(width, track_running_stats=False)


def _channels(shape: tuple[int, ...]) -> int:
    if len(shape) != 3 or shape[1:] != (32, 32):
        raise DataError(
            f"network resnet: the data have shape {shape}, expected (C, 32, 32); use network 'mlp'"
        )
    return shape[0]
