"""Points, drawn when they are asked for: distributions whose every number is known.

Two papers use a ring and a grid under the same names and other numbers; both are here, each under
a name of its own.  Of perfect samples, 1 − exp(−9/2) = 98.9 % lie within 3 σ of their mode in the
plane, and 99.73 % on the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from bench import seeding
from bench.datasets.base import Dataset, Points, Split

Number = Annotated[int, Ge(1), Le(10_000_000)]
Size = Annotated[float, Gt(0.0), Le(1e6)]
Deviation = Annotated[float, Ge(0.0), Le(1e6)]
Scale = Annotated[float, Ge(1e-6), Le(1e6)]

_SEED = 0
"""Of the data, whatever the seed of a run: every run sees the same points."""


@dataclass(frozen=True)
class Ring(Dataset):
    """Equally likely Gaussians on a circle, as in `gan_toy.py` (Gulrajani et al. 2017, figure 3).

    Centres lie on a circle of `radius`, the first at angle 0; each point is a centre plus noise of
    deviation `sigma` in either direction, the whole divided by `scale`.
    """

    modes: Number = 8
    radius: Size = 2.0
    sigma: Deviation = 0.02
    scale: Scale = 1.414
    samples: Number = 100_000
    """Training points."""
    test_samples: Number = 10_000

    kind = "points"
    shape = (2,)

    def load(self, split: Split) -> Points:
        """The same points every time; the two splits are different draws."""
        angles = torch.arange(self.modes, dtype=torch.float64) * (2 * math.pi / self.modes)
        centres = self.radius * torch.stack([angles.cos(), angles.sin()], dim=1)
        count = self.samples if split == "train" else self.test_samples
        return _mixture(centres, self.sigma, self.scale, count, f"ring/{split}")


@dataclass(frozen=True)
class RingPacGAN(Ring):
    """The ring in PacGAN's numbers (Lin et al. 2018): radius 1 and variance 10⁻⁴, not scaled."""

    radius: Size = 1.0
    sigma: Deviation = 0.01
    scale: Scale = 1.0


@dataclass(frozen=True)
class Grid(Dataset):
    """Equally likely Gaussians on a square grid, as in `gan_toy.py` (Gulrajani et al. 2017).

    Centres are {−4, −2, 0, 2, 4}² by default: `side` of them in a row, `spacing` apart, around 0.
    """

    side: Annotated[int, Ge(1), Le(100)] = 5
    spacing: Size = 2.0
    sigma: Deviation = 0.05
    scale: Scale = 2.828
    samples: Number = 100_000
    """Training points."""
    test_samples: Number = 10_000

    kind = "points"
    shape = (2,)

    def load(self, split: Split) -> Points:
        """The same points every time; mode `side` · i + j is the i-th from the left, the j-th from
        below."""
        places = self.spacing * (torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2)
        centres = torch.cartesian_prod(places, places)
        count = self.samples if split == "train" else self.test_samples
        return _mixture(centres, self.sigma, self.scale, count, f"grid/{split}")


@dataclass(frozen=True)
class GridPacGAN(Grid):
    """The grid in PacGAN's numbers (Lin et al. 2018): the same centres and width, not scaled."""

    scale: Scale = 1.0


@dataclass(frozen=True)
class Gaussian1D(Dataset):
    """N(`mean`, `sigma`²) on the line: one mode, and every distance to it in closed form."""

    mean: Annotated[float, Ge(-1e6), Le(1e6)] = 0.0
    sigma: Deviation = 1.0
    samples: Number = 100_000
    """Training points."""
    test_samples: Number = 10_000

    kind = "points"
    shape = (1,)

    def load(self, split: Split) -> Points:
        """The same points (N, 1) every time; the two splits are different draws."""
        centre = torch.tensor([[self.mean]], dtype=torch.float64)
        count = self.samples if split == "train" else self.test_samples
        return _mixture(centre, self.sigma, 1.0, count, f"gaussian_1d/{split}")


@dataclass(frozen=True)
class SwissRoll(Dataset):
    """A spiral (t cos t, t sin t), t uniform on [3π/2, 9π/2], blurred: no modes to count.

    scikit-learn's `make_swiss_roll` without its axis along the roll, over 7.5, as in `gan_toy.py`
    (Gulrajani et al. 2017); `noise` is the deviation in either direction before the division.
    """

    noise: Deviation = 0.25
    scale: Scale = 7.5
    samples: Number = 100_000
    """Training points."""
    test_samples: Number = 10_000

    kind = "points"
    shape = (2,)
    known_modes: ClassVar[bool] = False

    def load(self, split: Split) -> Points:
        """The same points every time; the two splits are different draws."""
        count = self.samples if split == "train" else self.test_samples
        draw = seeding.generator(_SEED, f"swiss_roll/{split}")
        turns = torch.rand(count, generator=draw, dtype=torch.float64)
        blur = torch.randn((count, 2), generator=draw, dtype=torch.float64)
        t = 1.5 * math.pi * (1 + 2 * turns)
        spiral = t[:, None] * torch.stack([t.cos(), t.sin()], dim=1)
        return Points(((spiral + self.noise * blur) / self.scale).float())


def _mixture(centres: Tensor, sigma: float, scale: float, count: int, stream: str) -> Points:
    """`count` points of equally likely Gaussians about centres (modes, D), over `scale`."""
    draw = seeding.generator(_SEED, stream)
    labels = torch.randint(len(centres), (count,), generator=draw)
    noise = torch.randn((count, centres.shape[1]), generator=draw, dtype=torch.float64)
    points = (centres[labels] + sigma * noise) / scale
    return Points(points.float(), labels, (centres / scale).float(), sigma / scale)
