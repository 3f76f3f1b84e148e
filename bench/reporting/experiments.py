"""What a report says of a suite's search and of its probes, as frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.records import Direction
from bench.search import Tried
from bench.stats import BestOf, Scale


@dataclass(frozen=True)
class Tuning:
    """The search of one variant."""

    variant: str
    trials: tuple[Tried, ...]
    """By number."""
    curve: tuple[BestOf, ...]
    """The best of k trials for every k; none before all of them have ended, or without a score."""
    winner: Tried | None
    """By which the variant is compared; None where that is not settled."""
    declared: Mapping[str, Any]
    """What the variant has by itself for each of the drawn keys."""


@dataclass(frozen=True)
class Searched:
    """An equal-budget search: what its trials reached, and which setting each variant won by."""

    label: str
    """What trials are judged by."""
    better: Direction
    scale: Scale
    seeds: tuple[int, ...]
    """Of every trial."""
    tunings: tuple[Tuning, ...]
    """In the order of the file."""
    sentences: tuple[str, ...]

    @property
    def variants(self) -> tuple[str, ...]:
        """Those that were tuned."""
        return tuple(each.variant for each in self.tunings)


@dataclass(frozen=True)
class ProbePoint:
    """One place along the axis of a probe's quantity, over the seeds."""

    x: float
    values: tuple[tuple[int, float], ...]
    """(seed, value), by seed; where a value is defined."""
    median: float | None
    low: float | None
    """The least and the greatest of the seeds' values."""
    high: float | None
    exact: float | None
    """What theory says it is; of seeds that differ, the median."""


@dataclass(frozen=True)
class ProbeSeries:
    """One line of a panel: a variant, an objective."""

    name: str
    points: tuple[ProbePoint, ...]
    """By x."""


@dataclass(frozen=True)
class ProbePanel:
    """One quantity of a probe."""

    quantity: str
    label: str
    x: str
    """What the axis counts."""
    log_x: bool
    log_y: bool
    aim: float | None
    note: str
    series: tuple[ProbeSeries, ...]


@dataclass(frozen=True)
class Probed:
    """What one probe measured."""

    name: str
    title: str
    about: str
    options: Mapping[str, Any]
    variants: tuple[str, ...]
    """Of the suite, that it is about."""
    seeds: tuple[int, ...]
    """Those that have been measured."""
    missing: tuple[int, ...]
    """Those that were declared and have not been."""
    panels: tuple[ProbePanel, ...]

    @property
    def series(self) -> tuple[str, ...]:
        """Every line of any panel, in order."""
        names = (line.name for panel in self.panels for line in panel.series)
        return tuple(dict.fromkeys(names))
