"""A claim held against the edge it names: beyond it, on its other side, or too near to tell.

**The verdict** is read off one two-sided interval at `level`, so that either wrong verdict, taken
alone, has a probability of (1 − level) / 2 at most:

    supported            the whole interval lies beyond the edge, on the claimed side
    refuted              the whole interval lies on the other side: a tie refutes a claim of "more"
    not_enough_evidence  else

**Diverged runs** have no value.  Of a claim about what is *better* each is a loss: a verdict that
speaks for a variant with diverged runs also needs the exact rank test, in which they come last, to
favour it; with fewer than two finished runs on a side only Fisher's exact test of how many diverged
can decide.  Of a number without a better end nobody knows on which side they would lie, so the rank
test must favour the verdict with all of them placed against it.  Of a bound, a diverged run has not
kept it: nothing is supported with one.

**Without any spread** an interval is a point and proves nothing; a verdict then needs as many seeds
as an exact test needs to reach its level: of ranks between two samples, of signs against a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

import numpy as np
from scipy.stats import fisher_exact

from bench.stats.base import (
    Better,
    Moments,
    Sample,
    Scale,
    Welch,
    from_scale,
    mann_whitney_p,
    mean_interval,
    moments,
    smallest_p,
    win_share,
)

Claimed = Literal["supported", "refuted", "not_enough_evidence"]
Basis = Literal[
    "interval",
    "no_spread",
    "diverged",
    "too_few",
    "not_positive",
    "exact",
    "missed",
    "grid",
    "unreached",
]
"""What a verdict rests on, or what holds it back.

`exact`: the interval lies clear of the edge, but an exact test of the counts does not reach its
level.  `missed`: runs that never reached the target.  `unreached`: none did.  The others: as
`Contrast.grounds` says.
"""
UNDECIDED: Claimed = "not_enough_evidence"


@dataclass(frozen=True)
class Finding:
    """What can be said of a claim, and the interval that it rests on."""

    verdict: Claimed
    basis: Basis
    scale: Scale
    effect: float | None
    """A ratio on `log` or a difference on `raw`; of a bound, the (geometric) mean."""
    low: float | None
    high: float | None
    level: float
    seeds_needed: int | None = None
    """Seeds (a side) that would probably, with 80 % power, decide; None: no telling, or decided."""
    p_value: float | None = None
    """Two-sided, of the exact test that a verdict on counts or ranks also needs."""

    def held(self, basis: Basis) -> Finding:
        """The same without its verdict."""
        return replace(self, verdict=UNDECIDED, basis=basis)


def beyond(  # noqa: PLR0913 - two samples and the five terms of the claim
    a: Sample,
    b: Sample,
    *,
    toward: Better,
    margin: float,
    scale: Scale,
    level: float = 0.95,
    losing: bool = True,
) -> Finding:
    """Whether `a` lies beyond `b`, towards `toward`, by more than the margin.

    `losing`: whether diverged runs are losses, as of a claim that says `better`.
    """
    x, y = a.on(scale), b.on(scale)
    if x is None or y is None:
        return nothing("not_positive", scale, level)
    if min(len(x), len(y)) < 2:
        return _of_divergence(a, b, scale, level) if losing else nothing("too_few", scale, level)
    welch, sign = Welch(moments(x), moments(y)), 1.0 if toward == "higher" else -1.0
    edge = math.log1p(margin) if scale == "log" else margin
    low, high = welch.interval(level)
    found = Finding(
        verdict=against(min(sign * low, sign * high), max(sign * low, sign * high), edge),
        basis="interval",
        scale=scale,
        effect=from_scale(welch.difference, scale),
        low=from_scale(low, scale),
        high=from_scale(high, scale),
        level=level,
    )
    if welch.error == 0:
        found = _if_enough(found, lambda n: smallest_p(n, n) or 1.0, smallest_p(len(x), len(y)))
    elif found.verdict == UNDECIDED:
        needed = _more_seeds(welch, sign * welch.difference - edge, level)
        found = replace(found, seeds_needed=needed)
    return _with_diverged(found, a, b, toward, losing)


def against(low: float, high: float, edge: float) -> Claimed:
    """Where an interval lies that should lie above an edge."""
    if low > edge:
        return "supported"
    return "refuted" if high <= edge else UNDECIDED


def inside(
    sample: Sample, *, above: float | None, below: float | None, scale: Scale, level: float = 0.95
) -> Finding:
    """Whether the mean (on `log` the geometric one) lies above a bound, below one, or between."""
    values = sample.on(scale)
    if values is None:
        return nothing("not_positive", scale, level)
    if len(values) < 2:
        return nothing("too_few", scale, level)
    of = moments(values)
    low, high = mean_interval(of, level)
    least = -math.inf if above is None else _there(above, scale)
    most = math.inf if below is None else _there(below, scale)
    found = Finding(
        verdict=between((low, high), least, most),
        basis="interval",
        scale=scale,
        effect=from_scale(of.mean, scale),
        low=from_scale(low, scale),
        high=from_scale(high, scale),
        level=level,
    )
    if of.variance == 0:
        found = _if_enough(found, _sign_p, _sign_p(of.n))
    elif found.verdict == UNDECIDED:
        distance = min(abs(of.mean - least), abs(of.mean - most))
        alone = Welch(of, Moments(0.0, 0.0, of.n))  # a bound is a sample without any spread
        found = replace(found, seeds_needed=_more_seeds(alone, distance, level))
    if found.verdict == "supported" and sample.diverged:
        return found.held("diverged")
    return found


def between(interval: tuple[float, float], least: float, most: float) -> Claimed:
    """Where an interval lies that should lie between two bounds."""
    low, high = interval
    if low > least and high < most:
        return "supported"
    return "refuted" if high <= least or low >= most else UNDECIDED


def nothing(basis: Basis, scale: Scale, level: float) -> Finding:
    """A finding without an interval."""
    return Finding(UNDECIDED, basis, scale, None, None, None, level)


def ranked(found: Finding, x: np.ndarray, y: np.ndarray) -> Finding:
    """The finding if the exact rank test of placed values (the best highest) favours it too.

    `x` are those of the variant that a support would speak for.
    """
    share, p = win_share(x, y), mann_whitney_p(x, y)
    favoured = share is not None and (share > 0.5 if found.verdict == "supported" else share < 0.5)
    found = replace(found, p_value=p)
    if favoured and p is not None and p <= 1 - found.level + 1e-12:
        return found
    return found.held("diverged")


def _with_diverged(found: Finding, a: Sample, b: Sample, toward: Better, losing: bool) -> Finding:
    if found.verdict == UNDECIDED:
        return found
    supported = found.verdict == "supported"
    if losing:
        doubtful = a.diverged if supported else b.diverged
        return ranked(found, a.placed(toward), b.placed(toward)) if doubtful else found
    if not a.diverged and not b.diverged:
        return found
    x, y = a.placed(toward), b.placed(toward)
    one, other = (x, y) if supported else (y, x)
    other[np.isneginf(other)] = np.inf
    return ranked(found, *((one, other) if supported else (other, one)))


def _of_divergence(a: Sample, b: Sample, scale: Scale, level: float) -> Finding:
    """What diverged runs alone decide."""
    found = nothing("too_few", scale, level)
    if not a.diverged and not b.diverged:
        return found
    counts = np.array([[len(of.values), of.diverged] for of in (a, b)])
    p = float(fisher_exact(counts).pvalue)
    if p > 1 - level:
        return replace(found, p_value=p)
    fewer = a.diverged * b.runs < b.diverged * a.runs
    return replace(found, verdict="supported" if fewer else "refuted", basis="diverged", p_value=p)


def _if_enough(found: Finding, smallest: Callable[[int], float], reached: float | None) -> Finding:
    """A finding without any spread: its verdict if an exact test could reach the level."""
    alpha = 1 - found.level + 1e-12
    if reached is not None and reached <= alpha:
        return replace(found, basis="no_spread")
    needed = next(n for n in count(2) if smallest(n) <= alpha)
    return replace(found.held("no_spread"), seeds_needed=needed)


def _sign_p(n: int) -> float:
    """The least two-sided p-value of a sign test."""
    return float(2.0 ** (1 - n))


def _more_seeds(welch: Welch, distance: float, level: float) -> int | None:
    """Seeds a side with which an interval would probably keep clear of an edge so far away."""
    if not math.isfinite(distance):
        return None
    a, b = replace(welch.a, mean=abs(distance)), replace(welch.b, mean=0.0)
    return Welch(a, b).seeds_needed(0.0, level)


def _there(bound: float, scale: Scale) -> float:
    """A bound on a scale; one that no positive number reaches lies below all of them."""
    if scale == "raw":
        return bound
    return math.log(bound) if bound > 0 else -math.inf
