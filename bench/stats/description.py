"""One variant on its own: where its seeds lie, and how often it diverges."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from scipy.stats import binomtest

from bench.stats.base import Interval, Sample, Scale, from_scale, mean_interval, moments


@dataclass(frozen=True)
class Description:
    """A variant's finished values and its rate of divergence.

    `interval` is the t-interval of the mean on the scale: around the geometric mean on `log`,
    around the mean on `raw`; None with fewer than two finished values, or where one has no
    logarithm.  `diverged_rate` is Wilson's interval around the observed share of diverged runs.
    """

    variant: str
    n: int
    """Finished runs."""
    diverged: int
    median: float | None
    interval: Interval | None
    diverged_rate: Interval


def describe(sample: Sample, *, scale: Scale, level: float = 0.95) -> Description:
    """The description of a sample; no value is invented for a diverged run."""
    return Description(
        variant=sample.variant,
        n=len(sample.values),
        diverged=sample.diverged,
        median=float(median(sample.values)) if sample.values else None,
        interval=_mean(sample, scale, level),
        diverged_rate=wilson(sample.diverged, sample.runs, level),
    )


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927, JASA 22).

    Of no trial at all it is [0, 1] around ½, which is what Wilson's formula tends to.
    """
    if n == 0:
        return Interval(0.5, 0.0, 1.0, level, 0)
    bounds = binomtest(successes, n).proportion_ci(level, method="wilson")
    return Interval(successes / n, float(bounds.low), float(bounds.high), level, n)


def _mean(sample: Sample, scale: Scale, level: float) -> Interval | None:
    values = sample.on(scale)
    if values is None or len(values) < 2:
        return None
    of = moments(values)
    centre, low, high = (from_scale(x, scale) for x in (of.mean, *mean_interval(of, level)))
    return Interval(centre, low, high, level, of.n)
