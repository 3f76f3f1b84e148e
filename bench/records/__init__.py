"""The frozen records that travel the one way from the plan to the store.

`RunSpec` is what a run is; `RunResult` is what became of it; `ProbeSpec` and `ProbeResult` are the
same of a probe.  `None` means "does not apply" or "not known", never 0.
"""

from bench.records.checks import (
    CHECK_VERSION,
    UNITS,
    Baseline,
    CheckResult,
    CheckRow,
    CheckVerdict,
    Clocks,
    Fingerprint,
    Guard,
    Mode,
    Reading,
    Side,
    Subject,
)
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
    "CHECK_VERSION",
    "FINISHED",
    "PROBE_VERSION",
    "RECIPE_VERSION",
    "SCHEMA_VERSION",
    "UNITS",
    "Amount",
    "Baseline",
    "Boost",
    "CheckResult",
    "CheckRow",
    "CheckVerdict",
    "Checkpoints",
    "Clocks",
    "CurveRow",
    "Direction",
    "Emit",
    "Evaluation",
    "Fingerprint",
    "Group",
    "Guard",
    "MetricRow",
    "Mode",
    "Pace",
    "Part",
    "Placement",
    "ProbeResult",
    "ProbeRow",
    "ProbeSpec",
    "Progress",
    "Quantity",
    "Reading",
    "RunResult",
    "RunRow",
    "RunSpec",
    "Side",
    "Status",
    "Subject",
    "TimingRow",
    "Unit",
    "identity",
]
