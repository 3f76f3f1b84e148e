"""What a regression check is made of: what is compared, what was measured, what was found.

The fields of `Reading` and `CheckRow`, in order, are the columns of the two tables of checks.

Format history of these tables (`CHECK_VERSION`):

    1  the first
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bench.records.specs import RunSpec

CHECK_VERSION = 1

Guard = Literal["step_time", "peak_memory", "compile_time"]
"""What may have grown.  Each is a case of its own, with a margin of its own."""
UNITS: dict[Guard, str] = {"step_time": "ms", "peak_memory": "bytes", "compile_time": "s"}
Side = Literal["base", "head"]
Mode = Literal["against", "baseline", "record", "calibrate"]
CheckVerdict = Literal["regressed", "fine", "inconclusive", "missing", "crashed", "not_comparable"]
"""Of a case: `missing` and `crashed` are of the side that `CheckRow.side` names."""


@dataclass(frozen=True)
class Subject:
    """A variant under check on one device: what both sides train, and which of it is guarded."""

    name: str
    """The variant's, with the device's type where the suite has several."""
    specs: tuple[RunSpec, ...]
    """One group: its members in order."""
    device: str
    """The physical device."""
    guarded: tuple[Guard, ...]


@dataclass(frozen=True)
class Fingerprint:
    """The hardware and software that a time belongs to; times of two are never compared."""

    cpu: str | None
    cores: int
    os: str
    """The system and its machine type, without the kernel's build."""
    python: str
    torch: str
    gpu: str | None
    gpu_count: int | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    clock_policy: str
    """How the clocks are governed: the CPU's governor and boost, or the GPU's limits."""


@dataclass(frozen=True)
class Clocks:
    """A GPU at one moment; null where the driver does not tell."""

    sm_mhz: int | None = None
    memory_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    throttle: str | None = None
    """Why the clocks are held back, as the driver names it; empty where they are not."""


@dataclass(frozen=True)
class Reading:
    """What one fresh process measured of one subject in one round."""

    check_id: str
    round: int
    """From 1 on."""
    attempt: int
    """2 for the repetition of a round whose clocks moved."""
    side: Side
    subject: str
    first: bool
    """Whether this side was timed before the other one."""
    started_at: str
    """ISO 8601, UTC."""
    steps: int
    """Generator iterations in a block."""
    step_ms: tuple[float, ...]
    """A generator iteration, a member's share, in each timed block in turn."""
    reference_ms: tuple[float, ...]
    """The reference kernel beside each block; empty where two revisions are compared."""
    compile_seconds: float | None
    """From an empty cache; null where that is not guarded."""
    peak_memory_bytes: int | None
    engine: str
    """Which was used; `eager` where nothing can be compiled here."""
    moved: str | None = None
    """What the clocks did meanwhile, if they moved: then the reading counts for nothing unless it
    is the repetition."""
    before: Clocks = Clocks()
    after: Clocks = Clocks()


@dataclass(frozen=True)
class CheckRow:
    """What was found of one case: a quantity of a subject."""

    check_id: str
    suite: str
    mode: Mode
    started_at: str
    """Of the check; ISO 8601, UTC."""
    subject: str
    quantity: Guard
    device: str
    verdict: CheckVerdict
    side: Side | None
    """The one that is missing or crashed."""
    error: str | None
    base: str | None
    """The revision as asked for; of a stored baseline its commit's first digits."""
    base_commit: str | None
    head: str | None
    head_commit: str | None
    head_committed_at: str | None
    """ISO 8601: by which revisions are put in order."""
    head_subject: str | None
    """The first line of the commit's message."""
    margin: float
    """Relative: 0.05 is 5 %."""
    alpha: float
    """The probability of each wrong verdict at the margin, at most."""
    looks: tuple[int, ...]
    """Rounds after which a verdict was planned."""
    rounds: int
    """Used for the verdict."""
    ratio: float | None
    """Head over base, of geometric means."""
    low: float | None
    high: float | None
    """The interval of the ratio that the verdict is read off."""
    detectable: float | None
    """The relative growth that a check like this one finds with a power of 80 %."""
    spread: float | None
    """Standard deviation of a round's log ratio."""
    base_value: float | None
    """Median over the rounds, in the quantity's unit."""
    head_value: float | None
    cpu: str | None
    cores: int
    os: str
    python: str
    torch: str
    gpu: str | None
    gpu_count: int | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    clock_policy: str
    bench_version: str
    spec_id: str | None = None
    """The `run_id` of its group's first member: what was trained."""
    check_version: int = CHECK_VERSION

    @property
    def unit(self) -> str:
        """Of the two values."""
        return UNITS[self.quantity]


@dataclass(frozen=True)
class CheckResult:
    """One check: a row a case, and every reading behind them."""

    rows: tuple[CheckRow, ...]
    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()
    """What else a reader must know, a line each."""


@dataclass(frozen=True)
class Baseline:
    """What a revision took on one machine, for later revisions to be held against."""

    suite: str
    commit: str
    recorded_at: str
    """ISO 8601, UTC."""
    fingerprint: Fingerprint
    reference_version: int
    """Of the kernel that its steps are timed beside."""
    specs: Mapping[str, str]
    """Subject → the `run_id` of its group's first member: what was trained."""
    readings: tuple[Reading, ...]
