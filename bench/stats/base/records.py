"""The records of this package: what goes into a comparison and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.errors import NotComparable

Scale = Literal["log", "raw"]
"""`log`: geometric means and ratios; `raw`: means and differences."""

Better = Literal["higher", "lower"]
Verdict = Literal["better", "equal", "worse", "not_enough_evidence"]
Grounds = Literal["interval", "no_spread", "diverged", "too_few_finished", "not_positive"]

_SWAPPED: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}

BOUNDED_UNITS = frozenset({"classes", "count", "modes", "probability", "share"})
"""Units of metrics that have a ceiling: a ratio of such values says little near it."""

_WIDEST = 700.0
"""A larger logarithm would not come back as a finite number, which JSON needs."""


@dataclass(frozen=True)
class Sample:
    """What one variant reached: a value for each seed that finished; diverged seeds are counted.

    A diverged run has no value, so it is never one of `values`.  Raises `NotComparable` for a
    value that is not finite.
    """

    variant: str
    values: tuple[float, ...]
    diverged: int = 0

    def __post_init__(self) -> None:
        """Refuse what no statistic could be computed from."""
        for value in self.values:
            if not math.isfinite(value):
                raise NotComparable(
                    f"variant {self.variant!r}: a finished run has the value {value}, expected a "
                    "finite number; a run without one counts as diverged"
                )
        if self.diverged < 0:
            raise ValueError(f"diverged: {self.diverged}, expected 0 or more")

    @property
    def runs(self) -> int:
        """Finished and diverged runs together."""
        return len(self.values) + self.diverged

    def on(self, scale: Scale) -> NDArray[np.float64] | None:
        """The finished values on a scale; None where a value has no logarithm."""
        values = np.array(self.values, dtype=np.float64)
        if scale == "raw":
            return values
        return np.log(values) if (values > 0).all() else None

    def placed(self, better: Better) -> NDArray[np.float64]:
        """All runs, the best highest: a diverged run lies below every finished one."""
        signed = np.array(self.values, dtype=np.float64) * (1.0 if better == "higher" else -1.0)
        return np.concatenate([signed, np.full(self.diverged, -np.inf)])


@dataclass(frozen=True)
class Interval:
    """A confidence interval around `centre`, from `n` observations; `level` is 0.95 for 95 %."""

    centre: float
    low: float
    high: float
    level: float
    n: int


@dataclass(frozen=True)
class Contrast:
    """What can be said of variant `a` against variant `b` on one metric.

    None stands where nothing can be computed: no interval with fewer than two finished runs on a
    side or with a value that has no logarithm, no ranks without a run on either side.
    """

    a: str
    b: str
    scale: Scale
    effect: float | None
    """The ratio a / b of geometric means on `log`, the difference a − b of means on `raw`."""
    low: float | None
    high: float | None
    level: float
    """The level of the interval: 1 minus the α that Holm's procedure left to this pair."""
    margin: float
    better: Better
    p_value: float | None
    """The smallest α that would give a verdict; at margin 0 Welch's two-sided p-value."""
    p_holm: float | None
    """The same for the whole family: at most 1 − `level` of the family where there is a verdict."""
    beats: float | None
    """The probability that a run of `a` beats one of `b`; ties half, diverged runs lose."""
    mann_whitney_p: float | None
    """The exact two-sided p-value of `beats`, diverged runs included."""
    smallest_p: float | None
    """The least that `mann_whitney_p` could be with this many runs."""
    verdict: Verdict
    """Of `a` against `b`."""
    grounds: Grounds
    """What the verdict rests on, or why there is none.

    `interval`: the rule above.  `no_spread`: neither sample has any.  `diverged`: diverged runs
    hold back what the interval alone would have said, or are themselves what decides.
    `too_few_finished`: fewer than two on a side.  `not_positive`: a value has no logarithm.
    """
    seeds_needed: int | None
    """Finished seeds a side that would probably (80 %) give a verdict, where there is none."""
    n_a: int
    """Finished runs of `a`."""
    n_b: int
    diverged_a: int
    diverged_b: int

    def mirrored(self) -> Contrast:
        """The same contrast seen from `b`."""
        return replace(
            self,
            a=self.b,
            b=self.a,
            effect=self._swap(self.effect),
            low=self._swap(self.high),
            high=self._swap(self.low),
            beats=None if self.beats is None else 1 - self.beats,
            verdict=_SWAPPED.get(self.verdict, self.verdict),
            n_a=self.n_b,
            n_b=self.n_a,
            diverged_a=self.diverged_b,
            diverged_b=self.diverged_a,
        )

    def _swap(self, effect: float | None) -> float | None:
        if effect is None:
            return None
        return 1 / effect if self.scale == "log" else -effect


def scale_for(values: Iterable[float], *, unit: str = "") -> Scale:
    """The scale of a metric: `raw` if it is bounded or has a value without a logarithm, else `log`.

    `values` are those of all variants together, since a scale is shared by what is compared.  A
    margin is read on the scale (relative on `log`, in the metric's unit on `raw`): a comparison
    whose declared margin is relative asks for `log` itself, and is told where that cannot be.
    """
    if unit in BOUNDED_UNITS:
        return "raw"
    return "log" if all(value > 0 for value in values) else "raw"


def from_scale(value: float, scale: Scale) -> float:
    """Back from a scale: a mean of logarithms to a geometric mean, a difference to a ratio."""
    if scale == "raw":
        return value
    return math.exp(max(-_WIDEST, min(_WIDEST, value)))
