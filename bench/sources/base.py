"""What a source of samples is, and the form that samples are brought into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bench import seeding
from bench.errors import DataError, RequestError
from bench.records import RunSpec

Shape = tuple[int, ...]
"""Of one sample: channels, height and width of an image; the dimensions (D,) of a point."""
FLOATS = ("float32", "float64")
"""What coordinates of points may be."""


@dataclass(frozen=True)
class Source(ABC):
    """Samples to judge."""

    name: str
    """As a person finds it again."""

    @property
    @abstractmethod
    def form(self) -> str:
        """What kind of source it is."""

    @property
    def spec(self) -> RunSpec | None:
        """What was declared of the run that they come from, where they come from one."""
        return None

    @abstractmethod
    def samples(self, shape: Shape, count: int | None, device: torch.device) -> Tensor:
        """uint8 images (count, *shape), or float32 points (count, D); for None all there are.

        Raises `DataError` for samples of another form, `RequestError` for more than there are.
        """


def taken(name: str, there: int, count: int | None) -> int:
    """How many samples are judged: `count`, or all that are there."""
    if there == 0:
        raise DataError(f"{name}: holds no samples")
    if count is not None and not 1 <= count <= there:
        raise RequestError(
            f"{name}: asked for {count:,} samples, found {there:,}; expected 1 to {there:,}"
        )
    return there if count is None else count


def shuffled(there: int) -> Tensor:
    """An order for `there` samples, always the same one.

    What was made elsewhere is often sorted by class, and some metrics look at the first ones alone.
    """
    return torch.randperm(there, generator=seeding.generator(0, "evaluate/order"))


def require_type(name: str, found: str, shape: Shape) -> None:
    """Raise `DataError` unless numbers of the type `found` can be samples of that shape."""
    if is_points(shape):
        if found not in FLOATS:
            raise DataError(f"{name}: found {found}, expected points of {' or '.join(FLOATS)}")
    elif found != "uint8":
        mend = "; multiply and round first" if "float" in found else ""
        raise DataError(f"{name}: found {found}; expected uint8, 0 to 255{mend}")


def formed(name: str, found: Tensor, shape: Shape) -> Tensor:
    """Samples as uint8 images (N, *shape) or float32 points (N, D); raises `DataError`."""
    return _points(name, found, shape) if is_points(shape) else _images(name, found, shape)


def is_points(shape: Shape) -> bool:
    """Whether a sample of that shape is a point; else it is an image."""
    return len(shape) == 1


def _images(name: str, found: Tensor, shape: Shape) -> Tensor:
    """Three equal channels are grey, but grey is no colour: no image is changed to fit."""
    images = found.unsqueeze(1) if found.ndim == 3 else found
    here = tuple(images.shape[1:])
    if here == shape:
        return images
    if here == (*shape[1:], shape[0]):
        raise DataError(f"{name}: found images {here}; channels come second, expected {shape}")
    if here == (3, *shape[1:]) and shape[0] == 1:
        grey = images[:, :1]
        if torch.equal(images, grey.expand_as(images)):
            return grey.contiguous()
        raise DataError(f"{name}: found colour images {here}, expected grey ones {shape}")
    if here == (1, *shape[1:]):
        raise DataError(f"{name}: found grey images {here}, expected colour ones {shape}")
    raise DataError(f"{name}: found samples {here}, expected images {shape} as in the data set")


def _points(name: str, found: Tensor, shape: Shape) -> Tensor:
    here = tuple(found.shape[1:])
    if here != shape:
        raise DataError(f"{name}: found samples {here}, expected points {shape} as in the data set")
    points = found.float()
    lost = int((~points.isfinite().all(dim=1)).sum())
    if lost:
        told = f"{lost:,} of {len(points):,} points are not finite"
        raise DataError(f"{name}: {told}; a generator that makes such points has diverged")
    return points
