"""One run's course as a number: when it reached a target, how much it varied at the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LATE = 0.2
"""The share of training at its end that counts as late."""
LEAST_LATE = 3
"""Values below which a variance is not worth the name."""


def time_to_target(
    amounts: Sequence[float], reached: Sequence[bool], consecutive: int
) -> float | None:
    """The amount at the first of so many evaluations in a row that are at the target.

    `amounts` in order; None where the target was not held so long, which censors the run.
    """
    row = 0
    for place, good in enumerate(reached):
        row = row + 1 if good else 0
        if row == consecutive:
            return amounts[place - consecutive + 1]
    return None


def restricted(times: Sequence[float | None], limit: float) -> tuple[tuple[float, ...], int]:
    """Times counted up to a limit, and how many were not done by then.

    Their mean is the restricted mean (Royston & Parmar 2013, BMC Med. Res. Methodol. 13:152):
    it needs no model of what lies beyond the limit, and says nothing of it.
    """
    counted = tuple(limit if time is None else min(time, limit) for time in times)
    return counted, sum(time is None or time > limit for time in times)


def late(amounts: Sequence[float], values: Sequence[float], end: float) -> tuple[float, ...]:
    """The values of the last fifth of a training that ends at `end`."""
    # a rounded fifth must not lose the evaluation that lies on it
    start = (1 - LATE) * end * (1 - 1e-9)
    return tuple(v for amount, v in zip(amounts, values, strict=True) if amount >= start)


def late_variance(values: Sequence[float]) -> float | None:
    """The unbiased variance; None of fewer than three values."""
    return float(np.var(values, ddof=1)) if len(values) >= LEAST_LATE else None


def late_spread(values: Sequence[float]) -> float | None:
    """The standard deviation over the mean; None of fewer than three values, or around 0."""
    variance = late_variance(values)
    mean = float(np.mean(values)) if values else 0.0
    return None if variance is None or mean == 0 else float(np.sqrt(variance)) / abs(mean)
