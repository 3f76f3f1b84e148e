"""What a metric is: a function of two banks of features to one number, with a unit and a
direction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bench.datasets.base import Kind
from bench.extractors.base import FeatureBank
from bench.records import Direction

IMAGES: tuple[Kind, ...] = ("images",)
POINTS: tuple[Kind, ...] = ("points",)


@dataclass(frozen=True)
class Metric:
    """One number about samples, judged against a reference.

    `compute(samples, reference)` raises `ValueError`, with the reason, where the number is not
    defined.
    """

    compute: Callable[[FeatureBank, FeatureBank], float]
    unit: str
    better: Direction
    k: int | None = None
    """Of nearest neighbours, where the number depends on one."""
    against: Literal["test", "train"] = "test"
    """The split that is the reference."""
    at_most: int | None = None
    """How many samples it looks at, and at how many of the reference: the first of each."""
    least: int = 1
    """With fewer samples it has no value."""
    by_class: bool = False
    """Whether it needs an extractor whose classes are the data's."""
    kinds: tuple[Kind, ...] = ("images", "points")
    """What samples it is defined for."""


def need(least: int, found: int, purpose: str, whose: str = "") -> None:
    """Raise `ValueError` unless there are enough samples, of those that are judged or `whose`."""
    if found < least:
        samples = f"samples {whose}".strip()
        raise ValueError(f"{purpose} needs at least {least:,} {samples}, found {found:,}")
