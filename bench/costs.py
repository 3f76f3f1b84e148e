"""What a run costs, as something a suite can compare: numbers of its row, not of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunCost:
    """A column of `run.parquet` that a suite may name as its primary metric.

    One value a group, since its members were measured together: where they ran as one stack, they
    are one observation, however many there are.
    """

    column: str
    label: str
    unit: str
    better: Literal["higher", "lower"]
    inverse: str
    """What one over it is called: of two times, people say how many times faster one is."""
    gain: str
    loss: str
    """A variant with the better value is `gain`, one with the worse value `loss`."""


RUN_COSTS: dict[str, RunCost] = {
    "step_ms": RunCost("solo_step_ms", "step time", "ms", "lower", "speed", "faster", "slower"),
}
"""Name → cost.  `step_ms`: a generator iteration, its critic steps included, a member's share,
measured with nothing beside it; a run that was not timed alone has none."""
