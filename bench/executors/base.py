"""What the executors share: the seam, the places to run at, and one answer for every run."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from bench.errors import DeviceError, RunTimeout
from bench.records import Emit, Group, Placement, Progress, RunResult, Status, Work


class Executor(Protocol):
    """Runs groups, and answers with exactly one result a run, a group at a time.

    `devices` are the physical ones that groups may use (`cpu`, `cuda:0`, …); `workers` caps how
    many groups run at once (as many as fit, where None); `timeout` is a limit in seconds for
    each group.  `work` is a module-level function.  Closing the iterator, or an exception in it
    (Ctrl-C), ends everything it started.
    """

    def __call__(  # noqa: PLR0913, D102 - described above; all but two by name alone
        self,
        work: Work,
        groups: Sequence[Group],
        *,
        devices: tuple[str, ...],
        workers: int | None,
        timeout: float | None,
        on_progress: Emit,
    ) -> Iterator[RunResult]: ...


@dataclass(frozen=True)
class Clock:
    """A group's time limit in seconds, counted from when this was made."""

    timeout: float | None
    start: float = field(default_factory=time.monotonic)

    @property
    def remaining(self) -> float | None:
        """Seconds left, perhaps negative; None without a limit."""
        if self.timeout is None:
            return None
        return self.start + self.timeout - time.monotonic()

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        remaining = self.remaining
        return remaining is not None and remaining <= 0

    @property
    def verdict(self) -> str:
        """What is said of a run that the limit ended."""
        return f"not finished after {self.timeout:g} s (--timeout)"


def places(
    groups: Sequence[Group], devices: tuple[str, ...], workers: int | None
) -> list[Placement]:
    """Where groups can run at once: one place a GPU, and on the CPU one a core.

    Every place gets an equal share of the cores as threads.
    Raises `DeviceError` when a group needs a device that is not among them.
    """
    chosen: list[str] = []
    for kind in sorted({group.specs[0].device for group in groups}):
        matching = [device for device in devices if device.partition(":")[0] == kind]
        if not matching:
            raise DeviceError(f"no {kind!r} among the devices to run on: {', '.join(devices)}")
        wanted = sum(group.specs[0].device == kind for group in groups)
        room = cores() * matching if kind == "cpu" else matching
        chosen += room[: min(wanted, workers or len(room))]
    threads = max(1, cores() // max(1, len(chosen)))
    return [Placement(device, threads) for device in chosen]


def attempt(work: Work, group: Group, placement: Placement, emit: Emit) -> list[RunResult]:
    """The work's results; what escapes from it becomes the status of every run of the group."""
    try:
        return complete(group, work(group, placement, emit))
    except RunTimeout as error:
        return every(group, "timeout", str(error))
    except Exception as error:  # the boundary: a fault in one group must not end the others
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return every(group, "failed", f"{type(error).__name__}: {error} ({where})")


def complete(group: Group, results: Sequence[RunResult]) -> list[RunResult]:
    """One result for each of the group's runs, in its order; one that is missing has failed."""
    found = {result.run.run_id: result for result in results}
    return [
        found.get(spec.run_id)
        or RunResult.without_rows(group.suite, spec, "failed", "the work gave no result for it")
        for spec in group.specs
    ]


def every(group: Group, status: Status, error: str) -> list[RunResult]:
    """The same end for every run of a group."""
    return [RunResult.without_rows(group.suite, spec, status, error) for spec in group.specs]


def shared(results: Sequence[RunResult], workers: int) -> list[RunResult]:
    """The results, with how many groups shared the machine."""
    return [replace(result, run=replace(result.run, workers=workers)) for result in results]


def starting(group: Group) -> Progress:
    """What the driver says for a group that cannot speak for itself yet."""
    return Progress(group.label, "starting")


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a container or taskset left
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
