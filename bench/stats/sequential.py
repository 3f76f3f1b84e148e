"""A mean held against an edge at planned looks: error and power of the whole plan, exactly.

The sample is a round's log ratio, taken as normal with unknown spread.  After each planned look the
t-interval of the mean is held against the edge: wholly above it, or wholly below it, ends the
check; anything else goes on to the next look, and after the last one is inconclusive.

**Error**: α one-sided, on either side of the edge, over all looks together.  The first of two looks
spends α (n₁/n₂)² of it, the power family of Kim & DeMets (1987), "Design and analysis of group
sequential tests based on the type I error spending rate function", Biometrika 74, with ρ = 2; the
critical value of the last look follows from the joint distribution of the two t statistics, which
share their first rounds.  It is integrated here, not approximated by normals, which at eight rounds
would spend half as much again.  That the first look may also have ended the check on the other side
is not counted on, so that the error holds whatever is done with the first verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from scipy.optimize import brentq
from scipy.special import chdtr, chdtri, ndtr, ndtri, stdtr, stdtrit

from bench.stats.base import Moments, Welch, moments

Judged = Literal["regressed", "fine", "inconclusive"]
POWER = 0.8
_NODES = 48
_SPENDING = 2.0
_LEAST, _MOST = 1e-4, 0.4
"""Errors that can be planned: between them the critical values are found for any looks."""
_WIDTH = 8.5
"""Standard deviations of a normal beyond which there is nothing."""


@dataclass(frozen=True)
class Judgement:
    """What can be said of a mean at one look; all on the scale of the sample."""

    verdict: Judged
    mean: float
    low: float
    high: float
    spread: float
    """Standard deviation of the sample."""
    rounds: int
    detectable: float
    """The mean that the whole plan would find beyond the edge with a power of 80 %."""


@dataclass(frozen=True)
class Plan:
    """One or two looks, by the number of rounds before each, and the error they share."""

    looks: tuple[int, ...] = (8, 16)
    alpha: float = 0.025
    """One-sided."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for looks, or an error, that cannot be planned."""
        apart = np.diff(self.looks, prepend=0)
        if len(self.looks) not in {1, 2} or apart.min() < 2:
            raise ValueError(f"{self.looks}: expected one look or two, of 2 rounds at least apart")
        if not _LEAST <= self.alpha <= _MOST:
            raise ValueError(f"alpha {self.alpha}: expected {_LEAST} to {_MOST}")

    @property
    def critical(self) -> tuple[float, ...]:
        """The t quantile of each look."""
        return _critical(self.looks, self.alpha)

    def reach(self, effect: float) -> float:
        """The probability of finding a mean that lies `effect` standard deviations beyond the edge.

        At 0 it is the error.
        """
        return _reach(self.looks, self.critical, effect)

    @property
    def detectable(self) -> float:
        """How many standard deviations beyond the edge are found with a power of 80 %."""
        return _detectable(self.looks, self.alpha)

    def judge(self, sample: np.ndarray, edge: float) -> Judgement:
        """The verdict on the mean of a sample, which must be of a planned look's size.

        Raises `ValueError` otherwise: looking in between is what makes wrong verdicts common.
        """
        if len(sample) not in self.looks:
            raise ValueError(f"{len(sample)} rounds: the looks are planned after {self.looks}")
        look, of = self.looks.index(len(sample)), moments(sample)
        deviation = math.sqrt(of.variance)
        half = self.critical[look] * deviation / math.sqrt(of.n)
        low, high = of.mean - half, of.mean + half
        enough = deviation > 0 or _alike_enough(of.n, _shares(self.looks, self.alpha)[look])
        return Judgement(
            verdict=_against(low, high, edge) if enough else "inconclusive",
            mean=of.mean,
            low=low,
            high=high,
            spread=deviation,
            rounds=of.n,
            detectable=edge + self.detectable * deviation,
        )

    def bounds(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The intervals that `judge` gives at every look, (sample, look), of many samples at once.

        `samples`: a row each, of the last look's size.  They are unbounded where `judge` gives no
        verdict whatever the edge.
        """
        if samples.shape[1] != self.looks[-1]:
            raise ValueError(f"{samples.shape[1]} rounds: the last look is after {self.looks[-1]}")
        means, halves = np.empty((2, len(samples), len(self.looks)))
        shares = _shares(self.looks, self.alpha)
        rounds = np.ascontiguousarray(samples.T)  # sums over a short last axis are slow
        for look, (n, quantile) in enumerate(zip(self.looks, self.critical, strict=True)):
            seen = rounds[:n]
            alike = seen.min(axis=0) == seen.max(axis=0)
            half = quantile * seen.std(axis=0, ddof=1) / math.sqrt(n)
            means[:, look] = np.where(alike, seen[0], seen.mean(axis=0))
            none = 0.0 if _alike_enough(n, shares[look]) else math.inf
            halves[:, look] = np.where(alike, none, half)
        return means - halves, means + halves

    def judge_against(self, sample: np.ndarray, stored: np.ndarray, edge: float) -> Judgement:
        """The same of the difference of two samples, of which the stored one does not grow.

        Their looks share the stored sample and more, so the error is divided among them
        (Bonferroni) and not spent by the joint distribution.
        """
        if len(sample) not in self.looks:
            raise ValueError(f"{len(sample)} rounds: the looks are planned after {self.looks}")
        shares = _shares(self.looks, self.alpha)
        share = shares[self.looks.index(len(sample))]
        welch = Welch(moments(sample), moments(stored))
        low, high = welch.interval(1 - 2 * share)
        last = Welch(Moments(welch.a.mean, welch.a.variance, self.looks[-1]), welch.b)
        beyond = 0.0
        if welch.error > 0:
            quantile = float(stdtrit(last.freedom, 1 - shares[-1]))
            beyond = (quantile + float(stdtrit(last.freedom, POWER))) * last.error
        enough = welch.error > 0 or _alike_enough(len(sample), share)
        return Judgement(
            verdict=_against(low, high, edge) if enough else "inconclusive",
            mean=welch.difference,
            low=low,
            high=high,
            spread=math.sqrt(welch.a.variance),
            rounds=len(sample),
            detectable=edge + beyond,
        )


def _against(low: float, high: float, edge: float) -> Judged:
    if low > edge:
        return "regressed"
    return "fine" if high < edge else "inconclusive"


def _alike_enough(rounds: int, share: float) -> bool:
    """Whether so many rounds without any spread are a verdict: as a sign test, since no t is."""
    return 0.5**rounds <= share


def _shares(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The error each look spends."""
    if len(looks) == 1:
        return (alpha,)
    first = alpha * (looks[0] / looks[1]) ** _SPENDING
    return first, alpha - first


@cache
def _critical(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    shares = _shares(looks, alpha)
    first = float(stdtrit(looks[0] - 1, 1 - shares[0]))
    if len(looks) == 1:
        return (first,)
    nominal = float(stdtrit(looks[1] - 1, 1 - alpha))

    def left(quantile: float) -> float:
        return _only_last(looks, first, quantile, 0.0) - shares[1]

    return first, float(brentq(left, nominal * 0.9, nominal * 2, xtol=1e-6))


def _reach(looks: tuple[int, ...], critical: tuple[float, ...], effect: float) -> float:
    n = looks[0]
    first = float(_student_above(critical[0], n - 1, effect * math.sqrt(n)))
    if len(looks) == 1:
        return first
    return first + _only_last(looks, critical[0], critical[1], effect)


def _student_above(quantile: float, freedom: int, shift: float) -> float:
    """P(T > quantile) of the noncentral t, by the same integration as what follows."""
    if shift == 0:
        return float(stdtr(freedom, -quantile))
    nodes, weights = _uniform()
    chi = np.sqrt(chdtri(freedom, 1 - nodes) / freedom)
    return float(weights @ ndtr(shift - quantile * chi))


@cache
def _detectable(looks: tuple[int, ...], alpha: float) -> float:
    plan = Plan(looks, alpha)
    enough = plan.critical[-1] + 3  # at two rounds too; more at no other plan
    return float(brentq(lambda effect: plan.reach(effect) - POWER, 0.0, enough, xtol=1e-6))


def _only_last(looks: tuple[int, ...], first: float, last: float, effect: float) -> float:
    """P(T₁ ≤ first, T₂ > last) of means `effect` standard deviations above the edge.

    Stage means z₁/√n₁ and z₂/√k of unit spread, sums of squares w₁ and w₂: of all n₂ rounds the
    sum of squares is w₁ + w₂ + (n₁k/n₂)(m₁ − m₂)², so for given z₁, w₁, z₂ the second event is one
    on w₂ alone.
    """
    n, total = looks
    more = total - n
    nodes, weights = _uniform()
    w1 = chdtri(n - 1, 1 - nodes)[:, None, None]
    upper = first * np.sqrt(w1 / (n - 1)) - effect * math.sqrt(n)  # of z₁ about its mean
    share, z1 = _normal_below(upper, nodes[None, :, None])
    z2 = ndtri(nodes)[None, None, :]
    m1 = effect + z1 / math.sqrt(n)
    m2 = effect + z2 / math.sqrt(more)
    mean = (n * m1 + more * m2) / total
    room = (total - 1) * total * mean**2 / last**2 - w1 - n * more / total * (m1 - m2) ** 2
    inside = np.where((mean > 0) & (room > 0), chdtr(more - 1, np.maximum(room, 0.0)), 0.0)
    inner = np.einsum("ijk,j,k->i", inside * share, weights, weights)
    return float(weights @ inner)


def _normal_below(upper: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P(z ≤ upper), and z at the nodes of its distribution below it."""
    share = ndtr(np.clip(upper, -_WIDTH, _WIDTH))
    return share, ndtri(np.clip(share * nodes, 1e-300, 1 - 1e-16))


@cache
def _uniform() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, 1): Gauss–Legendre, drawn together towards the ends.

    With x²(3 − 2x) for x, since the quantiles that are taken at the nodes are infinite at the ends.
    """
    x, w = np.polynomial.legendre.leggauss(_NODES)
    x = (x + 1) / 2
    return x**2 * (3 - 2 * x), 3 * x * (1 - x) * w
