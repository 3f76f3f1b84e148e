"""What every statistic here stands on: samples, Welch's intervals, exact ranks."""

from bench.stats.base.ranks import mann_whitney_p, smallest_p, win_share
from bench.stats.base.records import (
    Better,
    Contrast,
    Grounds,
    Interval,
    Sample,
    Scale,
    Verdict,
    from_scale,
    scale_for,
)
from bench.stats.base.welch import Moments, Welch, mean_interval, moments

__all__ = [
    "Better",
    "Contrast",
    "Grounds",
    "Interval",
    "Moments",
    "Sample",
    "Scale",
    "Verdict",
    "Welch",
    "from_scale",
    "mann_whitney_p",
    "mean_interval",
    "moments",
    "scale_for",
    "smallest_p",
    "win_share",
]
