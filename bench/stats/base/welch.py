"""Student's and Welch's intervals, and how many seeds a Welch interval would need.

Welch (1947), "The generalization of Student's problem when several different population
variances are involved", Biometrika 34; degrees of freedom by Satterthwaite (1946).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv, ndtr, stdtr, stdtrit

Array = NDArray[np.float64]

MOST_SEEDS = 1000
"""No plan asks for more seeds a side than this."""

_QUANTILES = (np.arange(64) + 0.5) / 64


@dataclass(frozen=True)
class Moments:
    """Mean, unbiased variance and number of the values of one variant, on its scale."""

    mean: float
    variance: float
    n: int


def moments(values: Array) -> Moments:
    """The moments of at least two values; equal values have exactly no variance."""
    if values.min() == values.max():
        # A rounded mean of equal values would leave a variance of 1e-34, and a verdict on it.
        return Moments(float(values[0]), 0.0, len(values))
    return Moments(float(values.mean()), float(values.var(ddof=1)), len(values))


def mean_interval(sample: Moments, level: float) -> tuple[float, float]:
    """Student's t-interval of the mean."""
    quantile = float(stdtrit(sample.n - 1, (1 + level) / 2))
    half = quantile * math.sqrt(sample.variance / sample.n)
    return sample.mean - half, sample.mean + half


@dataclass(frozen=True)
class Welch:
    """Two independent samples, and the difference of their means (a − b)."""

    a: Moments
    b: Moments

    @property
    def difference(self) -> float:
        """The estimated difference of the means."""
        return self.a.mean - self.b.mean

    @property
    def error(self) -> float:
        """The standard error of the difference; 0 if neither sample has any spread."""
        return math.sqrt(self.a.variance / self.a.n + self.b.variance / self.b.n)

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom; needs some spread."""
        of_a, of_b = self.a.variance / self.a.n, self.b.variance / self.b.n
        share_a, share_b = of_a / (of_a + of_b), of_b / (of_a + of_b)
        return 1 / (share_a**2 / (self.a.n - 1) + share_b**2 / (self.b.n - 1))

    def interval(self, level: float) -> tuple[float, float]:
        """The t-interval of the difference; without any spread it is the difference itself."""
        if self.error == 0:
            return self.difference, self.difference
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.difference - half, self.difference + half

    def p_value(self, margin: float) -> float:
        """The smallest α at which the interval would lie on one side of ±margin, or between.

        At margin 0 this is the two-sided p-value of Welch's test.
        """
        distance = abs(abs(self.difference) - margin)
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(2 * stdtr(self.freedom, -distance / self.error))

    def power(self, margin: float, level: float) -> float:
        """The chance that new samples of these sizes decide, if these moments were the truth.

        Decide means: their interval at `level` lies where the difference lies, beyond the margin
        or within it.  Averaged over the estimated error, whose square is taken as χ²/df times the
        true one (Satterthwaite), at 64 quantiles: good to 0.001.
        """
        true = abs(self.difference)
        estimated = np.sqrt(2 * gammaincinv(self.freedom / 2, _QUANTILES) / self.freedom)
        half = float(stdtrit(self.freedom, (1 + level) / 2)) * estimated
        if true > margin:
            return float(ndtr((true - margin) / self.error - half).mean())
        upper = ndtr((margin - true) / self.error - half)
        lower = ndtr((-margin - true) / self.error + half)
        return float(np.maximum(0, upper - lower).mean())

    def seeds_needed(self, margin: float, level: float, power: float = 0.8) -> int | None:
        """The fewest seeds a side that would decide with this power; None above `MOST_SEEDS`.

        It takes the observed difference and spread for the true ones, so it is a plan and not a
        promise: at few seeds both are rough.
        """
        if self.error == 0:
            return None
        enough, too_few = MOST_SEEDS, 1
        if self._at(enough).power(margin, level) < power:
            return None
        while enough - too_few > 1:
            middle = (enough + too_few) // 2
            if self._at(middle).power(margin, level) < power:
                too_few = middle
            else:
                enough = middle
        return enough

    def _at(self, n: int) -> Welch:
        return Welch(replace(self.a, n=n), replace(self.b, n=n))
