"""Two variants against each other, and all of a suite's at once.

**The verdict** on a pair at error rate α is read off one interval, Welch's at level 1 − α:

    better, worse        the whole interval lies beyond the margin, on that side
    equal                the whole interval lies within the margin
    not_enough_evidence  else

A false verdict of any of the three kinds needs an interval that misses the true difference, so a
pair goes wrong with probability α at most.  The margin is the largest difference that is called
equal: relative on `log` (0.10: a ratio between 1/1.1 and 1.1), in the metric's unit on `raw`.

**Diverged runs** have no value, so no interval knows of them.  They count against a variant:

- a verdict in favour of a variant with diverged runs also needs the exact rank test, in which a
  diverged run loses to every finished one, to favour it at the same α;
- two variants are never called equal while either has diverged runs;
- where a variant has fewer than two finished runs, only divergence itself can decide: the variant
  that diverges more often is worse if Fisher's exact test of the counts is significant.

**Without any spread** in either sample (all seeds hold 10 of 10 modes) the interval is a point
and proves nothing; its verdict stands only with enough seeds for the exact rank test to reach α.

**A family** is every pair of a suite's variants on one metric, or, where each has a baseline, every
variant with its baseline (pairs that share one are not independent, which Holm's does not ask).
Holm's (1979) step-down procedure gives the pair with the smallest p-value α/k, the next α/(k − 1),
and so on until one does not decide; that one and the rest share their level.  A pair's p-value is
the smallest α that would give it a verdict.  Each pair shows its interval at its own level, so an
interval and a verdict never contradict each other, except where `grounds` says that diverged runs
or missing spread hold a verdict back.  Holm's proof is about one hypothesis a pair; that a wrong
verdict of any of the three kinds is as rare is simulated in the tests, with differences around the
margin and far off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, count

import numpy as np
from scipy.stats import fisher_exact

from bench.stats.base import (
    Better,
    Contrast,
    Grounds,
    Sample,
    Scale,
    Verdict,
    Welch,
    from_scale,
    mann_whitney_p,
    moments,
    smallest_p,
    win_share,
)

_UNDECIDED: Verdict = "not_enough_evidence"


def contrast(  # noqa: PLR0913 - two samples and the four terms of their comparison
    a: Sample, b: Sample, *, better: Better, margin: float, scale: Scale, level: float = 0.95
) -> Contrast:
    """`a` against `b`, on their own: no correction for other pairs."""
    return family((a, b), better=better, margin=margin, scale=scale, level=level)[0]


def family(  # noqa: PLR0913 - what is compared, and the five terms of it
    samples: Sequence[Sample],
    *,
    better: Better,
    margin: float,
    scale: Scale,
    level: float = 0.95,
    against: Mapping[str, str] | None = None,
) -> tuple[Contrast, ...]:
    """Every pair of the samples, in their order; the chance of a wrong one is at most 1 − `level`.

    With `against` (variant → baseline) only these pairs.  Raises `ValueError` for a margin below 0,
    a level outside (0, 1), a variant given twice, or one in `against` of which there is no sample.
    """
    names = [sample.variant for sample in samples]
    if len(set(names)) < len(names):
        raise ValueError(f"variants {names}: expected each once")
    if absent := {name for pair in (against or {}).items() for name in pair} - set(names):
        raise ValueError(f"against {sorted(absent)}: expected some of {names}")
    if not margin >= 0 or not 0 < level < 1:
        raise ValueError(f"margin {margin}, level {level}: expected margin ≥ 0, 0 < level < 1")
    of = dict(zip(names, samples, strict=True))
    chosen = combinations(samples, 2) if against is None else _paired(of, against)
    pairs = [_Pair(a, b, better, margin, scale) for a, b in chosen]
    return tuple(
        pair.contrast(*shares) for pair, shares in zip(pairs, _holm(pairs, 1 - level), strict=True)
    )


def _paired(of: Mapping[str, Sample], against: Mapping[str, str]) -> list[tuple[Sample, Sample]]:
    """Each variant with its baseline."""
    return [(of[name], of[baseline]) for name, baseline in against.items()]


@dataclass(frozen=True)
class _Pair:
    """All that is known of two samples before it is settled at which α they are judged."""

    a: Sample
    b: Sample
    better: Better
    margin: float
    scale: Scale

    @cached_property
    def welch(self) -> Welch | None:
        """The two means; None where one of them, or its spread, is not there."""
        a, b = self.a.on(self.scale), self.b.on(self.scale)
        if a is None or b is None or self.too_few:
            return None
        return Welch(moments(a), moments(b))

    @property
    def too_few(self) -> bool:
        """Whether a side has fewer than two finished runs."""
        return min(len(self.a.values), len(self.b.values)) < 2

    @property
    def edge(self) -> float:
        """The margin as a distance on the scale."""
        return math.log1p(self.margin) if self.scale == "log" else self.margin

    @cached_property
    def beats(self) -> float | None:
        """The probability that a run of `a` beats one of `b`."""
        return win_share(self.a.placed(self.better), self.b.placed(self.better))

    @cached_property
    def rank_p(self) -> float | None:
        """The exact p-value of `beats`."""
        return mann_whitney_p(self.a.placed(self.better), self.b.placed(self.better))

    @cached_property
    def leaning(self) -> Verdict:
        """The verdict on the observed values, were they the whole truth."""
        if self.welch is None:
            fewer = self.a.diverged * self.b.runs < self.b.diverged * self.a.runs
            return "better" if fewer else "worse"
        if abs(self.welch.difference) <= self.edge:
            return "equal"
        higher = self.welch.difference > 0
        return "better" if higher == (self.better == "higher") else "worse"

    @cached_property
    def p_of_values(self) -> float | None:
        """The smallest α at which the finished values alone would give a verdict."""
        if self.welch is None:
            return None
        if self.welch.error == 0:
            return smallest_p(self.welch.a.n, self.welch.b.n)
        return self.welch.p_value(self.edge)

    @cached_property
    def p_value(self) -> float | None:
        """The smallest α that would give a verdict, diverged runs considered."""
        if self.too_few:
            return self.p_of_divergence
        if self.p_of_values is None or not self.doubtful:
            return self.p_of_values
        if self.leaning == "equal" or self.beats is None or self.rank_p is None:
            return None
        agree = self.beats > 0.5 if self.leaning == "better" else self.beats < 0.5
        return max(self.p_of_values, self.rank_p) if agree else None

    @property
    def p_of_divergence(self) -> float | None:
        """Fisher's exact p-value of the counts; None if no run diverged."""
        if not self.a.diverged and not self.b.diverged:
            return None
        counts = np.array([[len(of.values), of.diverged] for of in (self.a, self.b)])
        return float(fisher_exact(counts).pvalue)

    @property
    def doubtful(self) -> bool:
        """Whether diverged runs speak against what the finished values say."""
        against_a = self.leaning in ("better", "equal") and self.a.diverged > 0
        return against_a or (self.leaning in ("worse", "equal") and self.b.diverged > 0)

    def decided(self, alpha: float) -> bool:
        """Whether there is a verdict at this α."""
        return self.p_value is not None and self.p_value <= alpha

    def grounds(self, alpha: float) -> Grounds:
        """What the verdict, or its absence, rests on."""
        if self.too_few:
            return "diverged" if self.decided(alpha) else "too_few_finished"
        if self.welch is None or self.p_of_values is None:
            return "not_positive"
        if self.p_of_values <= alpha and not self.decided(alpha):
            return "diverged"
        return "no_spread" if self.welch.error == 0 else "interval"

    def seeds_needed(self, alpha: float) -> int | None:
        """A plan for more seeds; None if there is a verdict, or no telling."""
        if self.decided(alpha) or self.welch is None or self.doubtful:
            return None
        if self.welch.error == 0:
            return next(n for n in count(2) if (smallest_p(n, n) or 1) <= alpha)
        return self.welch.seeds_needed(self.edge, 1 - alpha)

    def interval(self, alpha: float) -> tuple[float, float, float] | tuple[None, None, None]:
        """The effect and its interval."""
        if self.welch is None:
            return None, None, None
        low, high = self.welch.interval(1 - alpha)
        effect = from_scale(self.welch.difference, self.scale)
        return effect, from_scale(low, self.scale), from_scale(high, self.scale)

    def contrast(self, alpha: float, p_holm: float | None) -> Contrast:
        """The whole contrast, judged at this α."""
        effect, low, high = self.interval(alpha)
        return Contrast(
            a=self.a.variant,
            b=self.b.variant,
            scale=self.scale,
            effect=effect,
            low=low,
            high=high,
            level=1 - alpha,
            margin=self.margin,
            better=self.better,
            p_value=self.p_value,
            p_holm=p_holm,
            beats=self.beats,
            mann_whitney_p=self.rank_p,
            smallest_p=smallest_p(self.a.runs, self.b.runs),
            verdict=self.leaning if self.decided(alpha) else _UNDECIDED,
            grounds=self.grounds(alpha),
            seeds_needed=self.seeds_needed(alpha),
            n_a=len(self.a.values),
            n_b=len(self.b.values),
            diverged_a=self.a.diverged,
            diverged_b=self.b.diverged,
        )


def _holm(pairs: Sequence[_Pair], alpha: float) -> list[tuple[float, float | None]]:
    """For every pair the α it is judged at, and its p-value adjusted to the family."""
    p_values = [1.0 if pair.p_value is None else pair.p_value for pair in pairs]
    order = sorted(range(len(pairs)), key=p_values.__getitem__)
    shares = [0.0] * len(pairs)
    adjusted = [0.0] * len(pairs)
    share, largest, going_on = alpha, 0.0, True
    for left, index in zip(range(len(pairs), 0, -1), order, strict=True):
        if going_on:
            share = alpha / left
            going_on = p_values[index] <= share
        largest = max(largest, min(1.0, left * p_values[index]))
        shares[index], adjusted[index] = share, largest
    return [
        (share, None if pair.p_value is None else p)
        for pair, share, p in zip(pairs, shares, adjusted, strict=True)
    ]
