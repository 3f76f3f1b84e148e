"""A claim and its runs → its verdict, by the rules of `bench.stats.edges`.

Claims are judged one by one, each at its own level of 95 %: there is no correction for how many a
suite has.  A bound on several variants is supported if each keeps it, and refuted if any does not;
its intervals have the level that keeps both verdicts at 95 %, by Bonferroni's inequality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TypedDict

from bench.claims.base import Judgement, Side
from bench.claims.measures import as_distance, measured
from bench.claims.outcomes import ends, pairs, times
from bench.claims.tables import Tables
from bench.hypotheses import CURVES, Claim
from bench.stats import (
    Better,
    Claimed,
    Finding,
    Rate,
    Sample,
    Scale,
    beyond,
    correlation_inside,
    correlations_beyond,
    inside,
    rate_inside,
    rates_beyond,
    scale_for,
    spearman,
)
from bench.stats.edges import nothing, ranked

LEVEL = 0.95

POSITIVE = (
    "penalty", "critic_grad_norm", "generator_grad_norm", "lipschitz_p50", "lipschitz_max",
)  # fmt: skip
"""Columns of `curves` that are compared by their ratio; the others have a sign, or a ceiling."""


def judge(claim: Claim, tables: Tables) -> Judgement:
    """The judgement of a claim whose names are those of the tables."""
    names = named(claim, tables)
    if claim.of == "time_to_target":
        return _of_times(claim, tables, names)
    if claim.of == "collapse":
        return _of_rates(claim, ends(claim, tables, names))
    if claim.of == "correlation" and claim.across:
        return _of_correlations(claim, pairs(claim, tables, names))
    sides = measured(claim, tables, names)
    scale = _scale(claim, tables, sides)
    return _of_values(claim, sides, scale, toward(claim, tables.direction(claim.metric)))


def named(claim: Claim, tables: Tables) -> tuple[str, ...]:
    """The variants, or the probe's series, that a claim is about; the favoured one first."""
    if claim.than is not None:
        ahead = claim.better or claim.higher or claim.lower
        assert ahead is not None  # the suite was refused without one
        return ahead, claim.than
    if claim.variant is not None:
        return (claim.variant,)
    if claim.probe is not None:
        rows = tables.probes
        mine = rows[(rows["probe"] == claim.probe) & (rows["quantity"] == claim.metric)]
        return tuple(map(str, mine["series"].unique()))
    return tables.variants


def toward(claim: Claim, direction: str) -> Better:
    """Towards which end a comparison claims that its first variant lies."""
    if claim.higher is not None:
        return "higher"
    if claim.lower is not None or claim.of not in ("final", "best", "change"):
        return "lower"  # less variance, sooner, fewer collapses
    return "higher" if direction == "higher" else "lower"


def _scale(claim: Claim, tables: Tables, sides: Sequence[Side]) -> Scale:
    """Ratios of positive numbers; differences of bounded ones, of those with a sign, and of
    distances to what real data gets."""
    values = [value for side in sides for value in side.numbers]
    if claim.of in ("correlation", "trend"):
        return "raw"
    if claim.of not in ("final", "best"):
        return scale_for(values)
    signed = claim.metric in CURVES and claim.metric not in POSITIVE
    if signed or as_distance(claim, tables):
        return "raw"
    # of an unbiased KID one value at or below 0 must not turn 10 % into 0.1 of its unit
    relative = claim.margin > 0 and claim.probe is None and any(value > 0 for value in values)
    return scale_for([] if relative else values, unit=tables.unit(claim.metric))


def _of_values(claim: Claim, sides: tuple[Side, ...], scale: Scale, to: Better) -> Judgement:
    samples = [Sample(side.name, side.numbers, side.diverged) for side in sides]
    if claim.than is None:
        terms = _bounds(claim, sides)
        bounded = [_possible(claim, inside(each, scale=scale, **terms)) for each in samples]
        return _bounded(claim, sides, bounded)
    found = beyond(
        *samples,
        toward=to,
        margin=claim.margin,
        scale=scale,
        level=LEVEL,
        losing=claim.better is not None,
    )
    return _compared(claim, to, _possible(claim, found), sides)


def _possible(claim: Claim, found: Finding) -> Finding:
    """A finding whose interval ends where correlations do."""
    if claim.of not in ("correlation", "trend") or found.low is None or found.high is None:
        return found
    most = 1.0 if claim.than is None else 2.0
    return replace(found, low=max(-most, found.low), high=min(most, found.high))


def _compared(claim: Claim, to: Better, found: Finding, sides: tuple[Side, ...]) -> Judgement:
    """A comparison with its edge."""
    sign = 1.0 if to == "higher" else -1.0
    edge = (1 + claim.margin) ** sign if found.scale == "log" else sign * claim.margin
    return Judgement(claim, found.verdict, (found,), sides, edge, to)


def _of_times(claim: Claim, tables: Tables, names: Sequence[str]) -> Judgement:
    """By restricted times; a run that missed the target counts as the last of all by rank."""
    if claim.than is None:
        found = [times(claim, tables, (name,)) for name in names]
        sides = tuple(own[0][0] for own in found)
        terms = _bounds(claim, sides)
        findings = [_time_inside(claim, side, terms) for side in sides]
        known = [(limit, gap) for _, limit, gap in found if limit is not None]
        limit, gap = known[0] if len(found) == len(known) == 1 else (None, None)
        return replace(_bounded(claim, sides, findings), limit=limit, resolution=gap)
    both, limit, gap = times(claim, tables, names)
    judged = _compared(claim, toward(claim, "lower"), _time_beyond(claim, *both), both)
    return replace(judged, limit=limit, resolution=gap)


def _time_inside(claim: Claim, side: Side, terms: _Bounds) -> Finding:
    """A bound on a time; that it is less than something is not told by runs that missed it."""
    found = inside(Sample(side.name, side.numbers), scale=scale_for(side.numbers), **terms)
    above, supported = claim.above, found.verdict == "supported"
    sooner = above is not None and found.high is not None and found.high <= above
    if side.missed and ((supported and claim.below is not None) or sooner):
        return found.held("missed")
    return found


def _time_beyond(claim: Claim, a: Side, b: Side) -> Finding:
    scale, to = scale_for((*a.numbers, *b.numbers)), toward(claim, "lower")
    if a.values and b.values and all(side.missed == len(side.values) for side in (a, b)):
        return nothing("unreached", scale, LEVEL)
    one, other = Sample(a.name, a.numbers), Sample(b.name, b.numbers)
    found = beyond(one, other, toward=to, margin=claim.margin, scale=scale, level=LEVEL)
    if found.verdict == "not_enough_evidence":
        return found
    # the verdict says of one of the two that it is sooner, or not so much later
    sooner = a if (found.verdict == "supported") == (to == "lower") else b
    seen = [Sample(s.name, s.numbers if s is sooner else s.since) for s in (a, b)]
    if beyond(*seen, toward=to, margin=claim.margin, scale=scale, level=LEVEL).verdict != (
        found.verdict
    ):
        return found.held("grid")  # the other was not looked at often enough
    if not sooner.missed:
        return found
    early, late = (one, other) if to == "lower" else (other, one)
    checked = ranked(found, early.placed("lower"), late.placed("lower"))
    return checked if checked.verdict == found.verdict else checked.held("missed")


def _of_rates(claim: Claim, sides: tuple[Side, ...]) -> Judgement:
    rates = [Rate(int(sum(side.numbers)), len(side.values)) for side in sides]
    if claim.than is None:
        terms = _bounds(claim, sides)
        return _bounded(claim, sides, [rate_inside(rate, **terms) for rate in rates])
    to = toward(claim, "lower")
    found = rates_beyond(*rates, toward=to, margin=claim.margin, level=LEVEL)
    return _compared(claim, to, found, sides)


def _of_correlations(claim: Claim, sides: tuple[Side, ...]) -> Judgement:
    """Across runs: of each variant's own where two are compared or one is named; of several the
    means, since the runs of one recipe are no independent evidence of what holds across recipes.
    """
    if claim.than is None:
        x, y = _points(sides)
        found = correlation_inside(
            spearman(x, y), len(x), above=claim.above, below=claim.below, level=LEVEL
        )
        return Judgement(claim, found.verdict, (found,), sides)
    a, b = ((spearman(side.numbers, side.against), len(side.values)) for side in sides)
    to = toward(claim, "higher")
    found = correlations_beyond(a, b, toward=to, margin=claim.margin, level=LEVEL)
    return _compared(claim, to, found, sides)


def _points(sides: Sequence[Side]) -> tuple[Sequence[float], Sequence[float]]:
    """What is correlated: the runs of the one side, or the means of several."""
    if len(sides) == 1:
        return sides[0].numbers, sides[0].against
    known = [side for side in sides if side.values]
    return [fmean(s.numbers) for s in known], [fmean(s.against) for s in known]


class _Bounds(TypedDict):
    """What `inside` and `rate_inside` are asked."""

    above: float | None
    below: float | None
    level: float


def _bounds(claim: Claim, sides: Sequence[Side]) -> _Bounds:
    level = 1 - (1 - LEVEL) / max(1, len(sides))
    return {"above": claim.above, "below": claim.below, "level": level}


def _bounded(claim: Claim, sides: tuple[Side, ...], findings: Sequence[Finding]) -> Judgement:
    """All of several: one that breaks the bound refutes it for all."""
    verdicts = {found.verdict for found in findings}
    verdict: Claimed = "not_enough_evidence"
    if "refuted" in verdicts:
        verdict = "refuted"
    elif verdicts == {"supported"}:
        verdict = "supported"
    return Judgement(claim, verdict, tuple(findings), sides)
