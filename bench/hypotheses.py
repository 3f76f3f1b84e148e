"""What a suite claims, as it is declared; `bench.claims` judges it.

A claim is about one number a run (or, of a probe, one number a seed), and says of it one of

    better, than       one variant's is better than another's, by more than `margin`
    higher, than       the same of a number that has no better end
    lower, than
    above and below    it lies beyond a bound, or between two: of `variant`, or of every one
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from bench.records import CurveRow

SCORE_GAP_PER_SLOPE = "score_gap_per_slope"
"""The held-out score gap over the critic's median slope, the Lipschitz constant it stands for."""

CURVES: tuple[str, ...] = (
    *(field.name for field in fields(CurveRow) if field.default is None),
    SCORE_GAP_PER_SLOPE,
)
"""Numbers of the training curves that a claim may be about."""

Of = Literal[
    "final",
    "best",
    "change",
    "late_variance",
    "late_spread",
    "trend",
    "correlation",
    "time_to_target",
    "collapse",
]
"""How the number of a run is read from `metric`:

    final, best      its value at the last, or the best, evaluation
    change           its last value over its first
    late_variance    its variance over the evaluations of the last fifth of training
    late_spread      the root of that over their mean
    trend            Spearman's correlation with the progress of training
    correlation      Spearman's correlation with `against`, within the run or across runs
    time_to_target   along `axis`, the first of `consecutive` evaluations at `target` or better
    collapse         whether it ends worse than `target`: a rate
"""

Axis = Literal["generator_steps", "critic_steps", "images", "cost"]


@dataclass(frozen=True)
class Claim:
    """The table `[[claim]]`."""

    text: Annotated[str, MinLen(1)]
    """The claim in words."""
    metric: str
    """A metric of the evaluations, a column of `curves`, a cost of runs, or a quantity of the
    probe; also `score_gap_per_slope`, the held-out score gap over the critic's median slope."""
    better: str | None = None
    higher: str | None = None
    lower: str | None = None
    than: str | None = None
    variant: str | None = None
    """Of a claim about a bound; None: every variant."""
    above: float | None = None
    below: float | None = None
    margin: Annotated[float, Ge(0.0)] = 0.0
    """Relative where ratios are compared, in the number's unit where differences are; of a metric
    without a ceiling a ratio is meant, and nothing is decided where a value has none."""
    of: Of = "final"
    target: float | None = None
    axis: Axis = "images"
    consecutive: Annotated[int, Ge(1), Le(1000)] = 2
    against: str | None = None
    """Of a correlation: another metric or column, or across runs a number of their
    declaration, such as `objective.clip`."""
    across: bool = False
    """Whether a correlation is across runs, at their last evaluations, instead of within each."""
    probe: str | None = None
    """The probe whose quantity `metric` is; `better`, `than`, `variant` name its series."""
    at: Annotated[float, Gt(-1e300)] | None = None
    """Where along the probe's axis; None: at its end."""
