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
from bench.stats.description import Description, describe, wilson
from bench.stats.standing import between, unbeaten, winner

__all__ = [
    "Better",
    "Contrast",
    "Description",
    "Grounds",
    "Interval",
    "Sample",
    "Scale",
    "Verdict",
    "between",
    "contrast",
    "describe",
    "family",
    "scale_for",
    "unbeaten",
    "wilson",
    "winner",
]
