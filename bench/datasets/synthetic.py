"""Points in the plane, drawn when they are asked for: distributions whose every number is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor

from bench import seeding
from bench.datasets.base import Dataset, Points, Split

Number = Annotated[int, Ge(1), Le(10_000_000)]
Size = Annotated[float, Gt(0.0), Le(1e6)]

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
    sigma: Annotated[float, Ge(0.0), Le(1e6)] = 0.02
    scale: Annotated[float, Ge(1e-6), Le(1e6)] = 1.414
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


def _mixture(centres: Tensor, sigma: float, scale: float, count: int, stream: str) -> Points:
    """`count` points of equally likely Gaussians about centres (modes, D), over `scale`."""
    draw = seeding.generator(_SEED, stream)
    labels = torch.randint(len(centres), (count,), generator=draw)
    noise = torch.randn((count, centres.shape[1]), generator=draw, dtype=torch.float64)
    points = (centres[labels] + sigma * noise) / scale
    return Points(points.float(), labels, (centres / scale).float(), sigma / scale)
