"""The frozen records that travel the one way from the plan to the store.

`RunSpec` is what a run is; `RunResult` is what became of it; `ProbeSpec` and `ProbeResult` are the
same of a probe.  `None` means "does not apply" or "not known", never 0.
"""

from bench.records.lengths import Amount, Boost, Pace, Unit
from bench.records.probes import PROBE_VERSION, ProbeResult, ProbeRow, ProbeSpec, Quantity
from bench.records.rows import (
    FINISHED,
    SCHEMA_VERSION,
    CurveRow,
    Direction,
    MetricRow,
    RunResult,
    RunRow,
    Status,
    TimingRow,
    identity,
)
from bench.records.specs import AGREE, RECIPE_VERSION, Evaluation, Part, RunSpec
from bench.records.work import CHECKPOINT, Checkpoints, Emit, Group, Placement, Progress

__all__ = [
    "AGREE",
    "CHECKPOINT",
    "FINISHED",
    "PROBE_VERSION",
    "RECIPE_VERSION",
    "SCHEMA_VERSION",
    "Amount",
    "Boost",
    "Checkpoints",
    "CurveRow",
    "Direction",
    "Emit",
    "Evaluation",
    "Group",
    "MetricRow",
    "Pace",
    "Part",
    "Placement",
    "ProbeResult",
    "ProbeRow",
    "ProbeSpec",
    "Progress",
    "Quantity",
    "RunResult",
    "RunRow",
    "RunSpec",
    "Status",
    "TimingRow",
    "Unit",
    "identity",
]
