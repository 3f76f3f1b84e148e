"""Rates, such as how often a variant collapses: intervals, and claims about them.

Every verdict needs two things: the interval (Wilson's of a rate, Newcombe's of a difference) lies
clear of the edge, and an exact test at the edge agrees, since both intervals undercover at few
runs: 4 of 4 would put Wilson's above one half, which a fair coin does one time in sixteen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom, binomtest, fisher_exact

from bench.stats.base import Better, Interval
from bench.stats.description import wilson
from bench.stats.edges import UNDECIDED, Finding, against, between, nothing

Array = NDArray[np.float64]

_GRID = 201
"""Rates at which an exact test looks for the one that makes it err most often."""
_POWER = 0.8
_MOST = 1000


@dataclass(frozen=True)
class Rate:
    """How many of so many runs."""

    count: int
    n: int


def newcombe(a: Rate, b: Rate, level: float = 0.95) -> Interval:
    """The interval of the difference of two rates, a − b (Newcombe 1998, Stat. Med. 17: 873–890,
    method 10: of Wilson's two, without continuity correction).

    Raises `ValueError` where a rate has no run.
    """
    if not a.n or not b.n:
        raise ValueError(f"rates of {a.n} and {b.n} runs: expected at least one of each")
    x, y = wilson(a.count, a.n, level), wilson(b.count, b.n, level)
    low, high = difference((x.centre, x.low, x.high), (y.centre, y.low, y.high))
    return Interval(x.centre - y.centre, low, high, level, a.n + b.n)


def difference(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float]:
    """The interval of a − b, each given as (estimate, low, high): how far both may be off at once
    (Zou & Donner 2008; Zou 2007, Psychol. Methods 12, for correlations)."""
    centre = a[0] - b[0]
    low = centre - math.hypot(a[0] - a[1], b[2] - b[0])
    return low, centre + math.hypot(a[2] - a[0], b[0] - b[1])


def rates_beyond(
    a: Rate, b: Rate, *, toward: Better, margin: float, level: float = 0.95
) -> Finding:
    """Whether the rate of `a` lies beyond that of `b` by more than the margin.

    The exact test is the unconditional one that orders outcomes by Newcombe's limit (Chan & Zhang
    1999): its p-value is the largest over all pairs of rates that lie the margin apart.  A verdict
    that implies a difference also needs Fisher's test, whose `p_value` is told.
    """
    if not a.n or not b.n:
        return nothing("too_few", "raw", level)
    found = newcombe(a, b, level)
    more, less = (a, b) if toward == "higher" else (b, a)
    low, high = (found.low, found.high) if toward == "higher" else (-found.high, -found.low)
    verdict = against(low, high, margin)
    counts = np.array([[rate.count, rate.n - rate.count] for rate in (a, b)])
    told = Finding(
        verdict=verdict,
        basis="interval",
        scale="raw",
        effect=found.centre,
        low=found.low,
        high=found.high,
        level=level,
        p_value=float(fisher_exact(counts).pvalue),
    )
    if verdict != UNDECIDED and not _agreed(told, more, less, margin):
        told = told.held("exact")
    if told.verdict == UNDECIDED:
        needed = _needed([a, b], abs(_plus(more) - _plus(less) - margin), level)
        told = replace(told, seeds_needed=needed)
    return told


def rate_inside(
    rate: Rate, *, above: float | None, below: float | None, level: float = 0.95
) -> Finding:
    """Whether a rate lies above a bound, below one, or between two."""
    if not rate.n:
        return nothing("too_few", "raw", level)
    found = wilson(rate.count, rate.n, level)
    least, most = -1.0 if above is None else above, 2.0 if below is None else below
    verdict = between((found.low, found.high), least, most)
    told = Finding(verdict, "interval", "raw", found.centre, found.low, found.high, level)
    if verdict != UNDECIDED and not _clear(rate, least, most, verdict == "supported", level):
        told = told.held("exact")
    if told.verdict == UNDECIDED:
        distance = min(abs(_plus(rate) - least), abs(_plus(rate) - most))
        told = replace(told, seeds_needed=_needed([rate], distance, level))
    return told


def _agreed(found: Finding, more: Rate, less: Rate, margin: float) -> bool:
    """Whether the exact tests agree; Fisher's too, where the verdict implies a difference."""
    alpha = 1 - found.level
    implied = found.verdict == "supported" or margin == 0
    if implied and found.p_value is not None and found.p_value > alpha:
        return False
    return _size(more, less, margin, found.level, found.verdict) <= alpha / 2


def _clear(rate: Rate, least: float, most: float, within: bool, level: float) -> bool:
    """Whether the exact binomial test at each bound agrees that the rate lies within, or not."""

    def p(bound: float, side: Better) -> float:
        if not 0 <= bound <= 1:  # no rate lies beyond it
            return 0.0
        if side == "higher":
            return float(binomtest(rate.count, rate.n, bound, "greater").pvalue)
        return float(binomtest(rate.count, rate.n, bound, "less").pvalue)

    alpha = (1 - level) / 2
    if within:
        return p(least, "higher") <= alpha and p(most, "lower") <= alpha
    under = p(least, "lower") if least >= 0 else 1.0
    over = p(most, "higher") if most <= 1 else 1.0
    return min(under, over) <= alpha


def _size(more: Rate, less: Rate, margin: float, level: float, verdict: str) -> float:
    """How often, at worst, rates `margin` apart give an outcome at least as far to that side."""
    low, high = _limits(more.n, less.n, level)
    place = more.count, less.count
    far = low >= low[place] - 1e-12 if verdict == "supported" else high <= high[place] + 1e-12
    lesser = np.linspace(0.0, max(0.0, 1.0 - margin), _GRID)
    x = binom.pmf(np.arange(more.n + 1)[None, :], more.n, np.minimum(1, lesser + margin)[:, None])
    y = binom.pmf(np.arange(less.n + 1)[None, :], less.n, lesser[:, None])
    return float(np.einsum("gi,ij,gj->g", x, far.astype(float), y).max())


def _limits(n: int, m: int, level: float) -> tuple[Array, Array]:
    """Newcombe's limits of every outcome, (n + 1, m + 1)."""
    (p, p_low, p_high), (q, q_low, q_high) = _wilson(n, level), _wilson(m, level)
    centre = p[:, None] - q[None, :]
    low = centre - np.hypot((p - p_low)[:, None], (q_high - q)[None, :])
    return low, centre + np.hypot((p_high - p)[:, None], (q - q_low)[None, :])


def _wilson(n: int, level: float) -> tuple[Array, Array, Array]:
    """Wilson's interval of 0, 1, …, n of n."""
    z, p = float(ndtri((1 + level) / 2)), np.arange(n + 1) / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return p, middle - half, middle + half


def _plus(rate: Rate) -> float:
    """A rate to plan with, never 0 or 1: with two more runs, one of them a yes (Laplace)."""
    return (rate.count + 1) / (rate.n + 2)


def _needed(rates: list[Rate], distance: float, level: float) -> int | None:
    """Runs (a side) with which an interval would probably keep clear of an edge so far away."""
    spread = sum(_plus(rate) * (1 - _plus(rate)) for rate in rates)
    if distance == 0:
        return None
    quantiles = float(ndtri((1 + level) / 2) + ndtri(_POWER))
    needed = math.ceil(spread * (quantiles / distance) ** 2)
    more = max(needed, min(rate.n for rate in rates) + 1)
    return more if more <= _MOST else None
