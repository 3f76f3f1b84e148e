"""What executors run, where, and what it says of itself meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.records.lengths import Amount
from bench.records.rows import RunResult, Status
from bench.records.specs import RunSpec

CHECKPOINT = "checkpoint.safetensors"
"""A checkpoint's file, in the folder of a group under way."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a group under way is kept, and how often; no part of what its result is."""

    folder: str
    """`results/<suite>/.<run_id of the first member>.partial`."""
    every: Amount

    @property
    def file(self) -> Path:
        """Where the latest one lies."""
        return Path(self.folder, CHECKPOINT)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone and are trained as one stack; the unit of work."""

    suite: str
    specs: tuple[RunSpec, ...]
    solo: bool = False
    """Whether its step is timed with nothing beside it: the first group of each variant."""
    checkpoints: Checkpoints | None = None
    """None: a group that is killed starts anew."""

    @property
    def leader(self) -> str:
        """The `run_id` of its first run, by which the whole group is known."""
        return self.specs[0].run_id

    @property
    def device(self) -> str:
        """The device's type."""
        return self.specs[0].device

    @property
    def threads(self) -> int:
        """CPU threads."""
        return self.specs[0].threads

    @property
    def label(self) -> str:
        """`variant/seed` of a group of one, `variant/first-last` of a larger one."""
        first, last = self.specs[0], self.specs[-1]
        return first.label if len(self.specs) == 1 else f"{first.label}-{last.seed}"

    def complete(self, results: Sequence[RunResult]) -> list[RunResult]:
        """One result for each of its runs, in its order; one that is missing has failed."""
        found = {result.run.run_id: result for result in results}
        return [
            found.get(spec.run_id)
            or RunResult.without_rows(self.suite, spec, "failed", "the work gave no result for it")
            for spec in self.specs
        ]

    def every(self, status: Status, error: str) -> list[RunResult]:
        """The same end for each of its runs."""
        return [RunResult.without_rows(self.suite, spec, status, error) for spec in self.specs]


@dataclass(frozen=True)
class Placement:
    """Where a group runs: one device, and its share of the CPU threads."""

    device: str = "cpu"
    threads: int = 1
    turnstile: str | None = None
    """A folder all groups of the run share, for the locks by which one is timed alone; None
    where one group runs at a time."""


@dataclass(frozen=True)
class Progress:
    """What a running group says of itself, a few times a second at most."""

    label: str
    phase: Literal["starting", "compiling", "training", "evaluating", "note"]
    step: int = 0
    """Generator steps done."""
    steps: int = 0
    """Generator steps of the whole run."""
    images_per_second: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The latest value of each metric (the first member's)."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """What real data gets of each, where that is known."""
    note: str = ""
    """A line for the user, in phase `note`."""


Emit = Callable[[Progress], None]
"""Hears how far a task is."""
