"""What a machine's own noise does to a check: both sides the same code, so every finding is wrong.

Checks are put together from the measured rounds and judged by the plan itself.  A check is drawn
as runs of consecutive rounds, since what a round shares with the next one must stay in; of each run
the sides are swapped or not, by chance, since neither is other than its partner.  So the noise is
symmetric, and held against the margin from a true growth of just the margin it gives either wrong
verdict equally often.

The interval is of the measuring: the rounds are drawn again, in the same runs, and all is
reckoned anew from each draw (a nested bootstrap, its percentiles).  Runs of one round would give a
narrower one, and would be blind to what rounds share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1

import numpy as np

from bench.gate.verdicts import log_ratios
from bench.records import Guard, Reading
from bench.stats import Plan
from bench.stats.base import mean_interval, moments
from bench.stats.sequential import POWER

RUN = 4
"""Rounds drawn together, the first of them an odd one: so each side is first in half of them."""
_CHECKS = 20_000
_DRAWS, _CHECKS_EACH = 200, 1_000
_LEVEL = 0.95


@dataclass(frozen=True)
class Noise:
    """What checks of one case come to on this machine where nothing has changed."""

    subject: str
    quantity: Guard
    margin: float
    """Relative."""
    rounds: int
    """Measured."""
    spread: float
    """Standard deviation of a round's log ratio."""
    offset: float
    """Mean log ratio: what one side takes longer though its code is the same."""
    offset_low: float
    """95 %, as of all that follows."""
    offset_high: float
    alarm_rate: float
    """The share of checks that find `regressed` where the growth is just the margin; by symmetry
    also the share that find `fine`.  The plan allows for its α."""
    alarm_low: float
    alarm_high: float
    smallest_margin: float
    """Relative: the least at which a revision that changed nothing is found fine four times in
    five; infinite where none is."""
    smallest_low: float
    smallest_high: float
    checks: int
    """Put together from the rounds for the rates."""


def noise(
    readings: Sequence[Reading], subject: str, guard: Guard, plan: Plan, margin: float
) -> Noise:
    """The noise of a case, from both sides' readings of the same code.

    Raises `ValueError` for fewer rounds than those of the plan's last look.
    """
    sample = log_ratios(readings, subject, guard)
    if len(sample) < plan.looks[-1]:
        raise ValueError(f"{len(sample)} rounds: the last look is after {plan.looks[-1]}")
    of = moments(sample)
    low, high = mean_interval(of, _LEVEL)
    draw = np.random.default_rng(0)
    alarms, smallest = _rates(sample, plan, _CHECKS, draw)
    again = [_rates(_redrawn(sample, draw), plan, _CHECKS_EACH, draw) for _ in range(_DRAWS)]
    ends = (1 - _LEVEL) / 2, (1 + _LEVEL) / 2
    # at a rank that was drawn, not between two: a smallest margin may be infinite
    bounds = np.quantile(np.array(again), ends, axis=0, method="nearest")
    return Noise(
        subject=subject,
        quantity=guard,
        margin=margin,
        rounds=of.n,
        spread=of.variance**0.5,
        offset=of.mean,
        offset_low=low,
        offset_high=high,
        alarm_rate=alarms,
        alarm_low=min(float(bounds[0, 0]), alarms),
        alarm_high=max(float(bounds[1, 0]), alarms),
        smallest_margin=smallest,
        smallest_low=min(float(bounds[0, 1]), smallest),
        smallest_high=max(float(bounds[1, 1]), smallest),
        checks=_CHECKS,
    )


def drawn(sample: np.ndarray, number: int, rounds: int, draw: np.random.Generator) -> np.ndarray:
    """Checks put together from measured rounds: (number, rounds)."""
    runs = _runs(sample, (number, -(-rounds // RUN)), draw)
    signs = draw.choice([-1.0, 1.0], (*runs.shape[:2], 1))
    return np.asarray((sample[runs] * signs).reshape(number, -1)[:, :rounds])


def _rates(
    sample: np.ndarray, plan: Plan, number: int, draw: np.random.Generator
) -> tuple[float, float]:
    """How often a check at the margin finds wrongly, and the smallest margin.

    About 0 in place of the margin: intervals move along with the rounds they are of.
    """
    low, high = plan.bounds(drawn(sample, number, plan.looks[-1], draw))
    wrong = [_first(low > 0, high < 0), _first(high < 0, low > 0)]
    # what the edge must lie above for `fine`: at the first look, or not below it and at the last
    least = np.minimum(high[:, 0], np.maximum(low[:, 0], high[:, -1]))
    smallest = np.quantile(least, POWER, method="higher")
    return float(np.mean(wrong)), float(expm1(max(0.0, smallest)))


def _first(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether a check ends with the one verdict and not with the other; (check, look) each."""
    return np.asarray(one[:, 0] | (one[:, -1] & ~other[:, 0]))


def _redrawn(sample: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """As many rounds, drawn anew."""
    runs = _runs(sample, (-(-len(sample) // RUN),), draw)
    return np.asarray(sample[runs].ravel()[: len(sample)])


def _runs(sample: np.ndarray, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Which rounds make up so many runs: (*shape, RUN); after the last round comes the first."""
    starts = 2 * draw.integers(0, len(sample) // 2, shape)
    return np.asarray((starts[..., None] + np.arange(RUN)) % len(sample))
