"""Spearman's rank correlation, its interval, and claims about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from bench.stats.base import Better, Interval
from bench.stats.edges import UNDECIDED, Finding, against, between, nothing
from bench.stats.rates import difference

LEAST = 4
"""Observations below which a correlation has no interval."""
_MOST = 1000


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Pearson's correlation of the ranks, ties sharing theirs (Spearman 1904).

    None where one of the two does not vary, or with fewer than three pairs, whose correlation would
    be ±1 whatever they are.  Raises `ValueError` for two different lengths.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values: expected pairs")
    if len(x) < 3:
        return None
    one, other = (rankdata(values) - (len(x) + 1) / 2 for values in (x, y))
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return None if size == 0 else max(-1.0, min(1.0, float((one * other).sum()) / size))


def correlation_interval(r: float, n: int, level: float = 0.95) -> Interval | None:
    """Of Spearman's correlation of n independent pairs: Fisher's z with the standard error
    √((1 + r²/2) / (n − 3)) of Bonett & Wright (2000, Psychometrika 65: 23–28).

    None with fewer than four pairs.  Of ±1, which has no finite z, the interval ends there and
    starts as far off as that of n pairs of which two neighbours are swapped.
    """
    if n < LEAST:
        return None
    inner = 1 - 12 / (n * (n**2 - 1))  # 1 − 6 Σd² / (n (n² − 1)) with Σd² = 2
    z = math.atanh(max(-inner, min(inner, r)))
    half = float(ndtri((1 + level) / 2)) * math.sqrt((1 + r**2 / 2) / (n - 3))
    low, high = math.tanh(z - half), math.tanh(z + half)
    return Interval(r, -1.0 if r == -1 else low, 1.0 if r == 1 else high, level, n)


def correlation_inside(
    r: float | None, n: int, *, above: float | None, below: float | None, level: float = 0.95
) -> Finding:
    """Whether a correlation across n runs lies above a bound, below one, or between two."""
    interval = None if r is None else correlation_interval(r, n, level)
    if interval is None or r is None:
        return replace(nothing("too_few", "raw", level), effect=r)
    least, most = -2.0 if above is None else above, 2.0 if below is None else below
    verdict = between((interval.low, interval.high), least, most)
    told = Finding(verdict, "interval", "raw", r, interval.low, interval.high, level)
    if verdict != UNDECIDED:
        return told
    edges = [edge for edge in (least, most) if abs(edge) < 1]
    return replace(told, seeds_needed=_needed(r, edges, level))


def correlations_beyond(
    a: tuple[float | None, int],
    b: tuple[float | None, int],
    *,
    toward: Better,
    margin: float,
    level: float = 0.95,
) -> Finding:
    """Whether one correlation (and its number of runs) lies beyond another by more than the
    margin: Zou's (2007) interval of the difference of two independent ones."""
    told = nothing("too_few", "raw", level)
    if a[0] is None or b[0] is None:
        return told
    told = replace(told, effect=a[0] - b[0])
    x, y = correlation_interval(a[0], a[1], level), correlation_interval(b[0], b[1], level)
    if x is None or y is None:
        return told
    low, high = difference((x.centre, x.low, x.high), (y.centre, y.low, y.high))
    along = (low, high) if toward == "higher" else (-high, -low)
    return replace(told, verdict=against(*along, margin), basis="interval", low=low, high=high)


def _needed(r: float, edges: Sequence[float], level: float) -> int | None:
    """Runs with which an interval would probably keep clear of the nearest edge."""
    gaps = [abs(math.atanh(max(-0.999, min(0.999, r))) - math.atanh(edge)) for edge in edges]
    if not gaps or min(gaps) == 0:
        return None
    quantiles = float(ndtri((1 + level) / 2) + ndtri(0.8))
    needed = math.ceil((1 + r**2 / 2) * (quantiles / min(gaps)) ** 2) + 3
    return needed if needed <= _MOST else None
