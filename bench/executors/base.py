"""What the executors share: the seam, the places to run at, and one answer for every run."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.errors import DeviceError, RunTimeout, failure
from bench.records import Emit, Group, Placement, Progress, RunResult, Status, Work

_ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_UNHEARD = (signal.SIG_IGN, None)


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
    """Where groups can run: one place a GPU, and on the CPU as many as there are cores for the
    threads of each (those of the group that has most); of each kind at most `workers`.

    The threads of a group are its own, one where it does not say, however many cores there are.
    Their number decides the order in which sums are rounded, and so the result; a result must not
    depend on what runs beside it, on `--workers` or on what was finished before.  Where there are
    groups enough, a process a core beats a process with all of them for every network measured.
    Raises `DeviceError` when a group needs a device that is not among them.
    """
    chosen: list[Placement] = []
    for kind in sorted({group.specs[0].device for group in groups}):
        matching = [device for device in devices if device.partition(":")[0] == kind]
        if not matching:
            raise DeviceError(f"no {kind!r} among the devices to run on: {', '.join(devices)}")
        own = [group.specs[0].threads for group in groups if group.specs[0].device == kind]
        room = max(1, cores() // max(own)) * matching if kind == "cpu" else matching
        at = room[: min(len(own), workers or len(room))]
        chosen += [Placement(device, threads=max(own)) for device in at]
    return chosen


def placed(group: Group, place: Placement) -> Placement:
    """The place as this group takes it: with its own threads."""
    return replace(place, threads=group.specs[0].threads)


def at_once(found: Sequence[Placement], workers: int | None) -> int:
    """How many groups run at the same time: one a place, and `workers` over all devices."""
    return min(len(found), workers or len(found))


def attempt(work: Work, group: Group, placement: Placement, emit: Emit) -> list[RunResult]:
    """The work's results; what escapes from it becomes the status of every run of the group."""
    try:
        return complete(group, work(group, placement, emit))
    except RunTimeout as error:
        return every(group, "timeout", str(error))
    except Exception as error:  # the boundary: a fault in one group must not end the others
        return every(group, "failed", failure(error))


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


@contextmanager
def uninterrupted() -> Iterator[None]:
    """What would end the driver is heard at the end of the block; Ctrl-C never by a process
    started in it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):
        yield  # Python interrupts its main thread alone; Windows has nothing of the kind
        return
    heard: list[int] = []
    before = {each: signal.getsignal(each) for each in _ENDING}
    before = {each: handler for each, handler in before.items() if handler not in _UNHEARD}
    for each in before:
        signal.signal(each, lambda number, _: heard.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a new process inherits it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for each, handler in before.items():
            signal.signal(each, handler)
        if heard:
            signal.raise_signal(heard[0])


def starting(group: Group) -> Progress:
    """What the driver says for a group that cannot speak for itself yet."""
    return Progress(group.label, "starting")


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a container or taskset left
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
