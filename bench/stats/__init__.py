"""Statistics: intervals, verdicts and rates, from plain numbers; no torch, no tables.

One seed is one observation.  Seeds are not paired across variants, and no bootstrap is used where
it is known to undercover: see `comparison` for the rules a verdict follows.
"""

from bench.stats.base import (
    Better,
    Contrast,
    Grounds,
    Interval,
    Sample,
    Scale,
    Verdict,
    scale_for,
)
from bench.stats.comparison import contrast, family
from bench.stats.correlation import (
    correlation_inside,
    correlation_interval,
    correlations_beyond,
    spearman,
)
from bench.stats.description import Description, describe, wilson
from bench.stats.edges import Basis, Claimed, Finding, beyond, inside
from bench.stats.rates import Rate, newcombe, rate_inside, rates_beyond
from bench.stats.search import BestOf, best_of
from bench.stats.sequential import Judgement, Plan
from bench.stats.standing import between, unbeaten, winner
from bench.stats.targets import (
    late,
    late_spread,
    late_variance,
    restricted,
    time_to_target,
)

__all__ = [
    "Basis",
    "BestOf",
    "Better",
    "Claimed",
    "Contrast",
    "Description",
    "Finding",
    "Grounds",
    "Interval",
    "Judgement",
    "Plan",
    "Rate",
    "Sample",
    "Scale",
    "Verdict",
    "best_of",
    "between",
    "beyond",
    "contrast",
    "correlation_inside",
    "correlation_interval",
    "correlations_beyond",
    "describe",
    "family",
    "inside",
    "late",
    "late_spread",
    "late_variance",
    "newcombe",
    "rate_inside",
    "rates_beyond",
    "restricted",
    "scale_for",
    "spearman",
    "time_to_target",
    "unbeaten",
    "wilson",
    "winner",
]
