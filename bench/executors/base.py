"""What the executors share: the seam, the places to run at, and one answer for every run."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, TypeVar

from bench.errors import DeviceError, RunTimeout, failure
from bench.records import Emit, Placement, Progress, Status

_ENDING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_UNHEARD = (signal.SIG_IGN, None)


class Outcome(Protocol):
    """What becomes of a run, or of a seed of a probe."""

    def among(self, workers: int) -> Self:
        """The same, with how many tasks shared the machine where that is of account."""


R = TypeVar("R", bound=Outcome)


class Task(Protocol[R]):
    """What runs whole, at one place: a group of runs, or a seed of a probe."""

    @property
    def leader(self) -> str:
        """Its name among all, which can name a file."""

    @property
    def label(self) -> str:
        """How a person names it."""

    @property
    def device(self) -> str:
        """The type of device that it needs."""

    @property
    def threads(self) -> int:
        """The CPU threads that it takes."""

    def complete(self, results: Sequence[R]) -> list[R]:
        """Exactly the results that it must have, in order."""

    def every(self, status: Status, error: str) -> list[R]:
        """The same end for all of it."""


Labour = Callable[[Any, Placement, Emit], Sequence[R]]
"""Does one task, whole, and answers with its results."""


class Executor(Protocol):
    """Runs tasks, and answers with exactly the results that each must have, a task at a time.

    `devices` are the physical ones that tasks may use (`cpu`, `cuda:0`, …); `workers` caps how
    many tasks run at once (as many as fit, where None); `timeout` is a limit in seconds for
    each.  `work` is a module-level function.  Closing the iterator, or an exception in it
    (Ctrl-C), ends everything it started.
    """

    def __call__(  # noqa: PLR0913, D102 - described above; all but two by name alone
        self,
        work: Labour[R],
        tasks: Sequence[Task[R]],
        *,
        devices: tuple[str, ...],
        workers: int | None,
        timeout: float | None,
        on_progress: Emit,
    ) -> Iterator[R]: ...


@dataclass(frozen=True)
class Clock:
    """A task's time limit in seconds, counted from when this was made."""

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
    tasks: Sequence[Task[R]], devices: tuple[str, ...], workers: int | None
) -> list[Placement]:
    """Where tasks can run: one place a GPU, and on the CPU as many as there are cores for the
    threads of each (those of the task that has most); of each kind at most `workers`.

    The threads of a task are its own, one where it does not say, however many cores there are.
    Their number decides the order in which sums are rounded, and so the result; a result must not
    depend on what runs beside it, on `--workers` or on what was finished before.  Where there are
    tasks enough, a process a core beats a process with all of them for every network measured.
    Raises `DeviceError` when a task needs a device that is not among them.
    """
    chosen: list[Placement] = []
    for kind in sorted({task.device for task in tasks}):
        matching = [device for device in devices if device.partition(":")[0] == kind]
        if not matching:
            raise DeviceError(f"no {kind!r} among the devices to run on: {', '.join(devices)}")
        own = [task.threads for task in tasks if task.device == kind]
        room = max(1, cores() // max(own)) * matching if kind == "cpu" else matching
        at = room[: min(len(own), workers or len(room))]
        chosen += [Placement(device, threads=max(own)) for device in at]
    return chosen


def placed(task: Task[R], place: Placement) -> Placement:
    """The place as this task takes it: with its own threads."""
    return replace(place, threads=task.threads)


def at_once(found: Sequence[Placement], workers: int | None) -> int:
    """How many tasks run at the same time: one a place, and `workers` over all devices."""
    return min(len(found), workers or len(found))


def attempt(work: Labour[R], task: Task[R], placement: Placement, emit: Emit) -> list[R]:
    """The work's results; what escapes from it becomes the status of the whole task."""
    try:
        return task.complete(work(task, placement, emit))
    except RunTimeout as error:
        return task.every("timeout", str(error))
    except Exception as error:  # the boundary: a fault in one task must not end the others
        return task.every("failed", failure(error))


def shared(results: Sequence[R], workers: int) -> list[R]:
    """The results, with how many tasks shared the machine."""
    return [result.among(workers) for result in results]


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


def starting(task: Task[R]) -> Progress:
    """What the driver says for a task that cannot speak for itself yet."""
    return Progress(task.label, "starting")


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a container or taskset left
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
