"""Points as they are: their coordinates are the features, and the nearest mode their class."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.datasets.base import Images, Points
from bench.errors import DataError
from bench.extractors.base import Classes, Extractor, FeatureBank

SIGMAS = 3.0
"""A point is of high quality within so many standard deviations of the nearest mode."""


@dataclass(frozen=True)
class Coordinates(Extractor):
    """No network at all; modes where the data have any (VEEGAN, PacGAN)."""

    centres: Tensor | None = None
    """(modes, D)."""
    sigma: float | None = None
    """The standard deviation of a mode, in every direction."""

    name = "points"
    layer = "coordinates"
    preprocessing = "none"
    fits = None

    def sha256(self) -> str:
        """Of the modes, which stand in for weights; of nothing where there are none."""
        centres = b"" if self.centres is None else self.centres.numpy().tobytes()
        return hashlib.sha256(centres + repr(self.sigma).encode()).hexdigest()

    def fitted(self, dataset: str, data: Images | Points) -> Extractor:
        """With the modes of that data; raises `DataError` for images."""
        if isinstance(data, Images):
            raise DataError(
                f"extractor 'points' is made for points, and {dataset!r} has images; name an "
                "extractor made for them"
            )
        return replace(self, centres=data.centres, sigma=data.sigma)

    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, None]:
        """The points themselves (N, D); raises `DataError` for another type or shape."""
        wide = None if self.centres is None else self.centres.shape[1]
        found = tuple(samples.shape)
        if samples.dtype != torch.float32 or len(found) != 2 or wide not in (None, found[1]):
            raise DataError(
                f"found {samples.dtype} samples of shape {found}, expected float32 points "
                f"(N, {wide or 'D'})"
            )
        return samples.cpu(), None

    def classes(self, bank: FeatureBank) -> Classes:
        """The nearest mode of each point; in name only where it is more than 3 σ away."""
        if self.centres is None or self.sigma is None:
            raise ValueError("the data have no modes of known place and width")
        centres = self.centres.double()
        parts = torch.split(bank.features.double(), 10_000)
        nearest = [torch.cdist(part, centres).min(dim=1) for part in parts]
        distance = torch.cat([each.values for each in nearest])
        label = torch.cat([each.indices for each in nearest])
        return Classes(label, (distance <= SIGMAS * self.sigma).float(), len(centres))


POINTS = Coordinates()
