"""One task after another, in this process: easy to debug, and nothing to clean up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.errors import RunTimeout
from bench.executors.base import (
    Clock,
    Labour,
    R,
    Task,
    attempt,
    placed,
    places,
    shared,
    starting,
    uninterrupted,
)
from bench.records import Emit, Progress


def serial(  # noqa: PLR0913 - the executors' seam
    work: Labour[R],
    tasks: Sequence[Task[R]],
    *,
    devices: tuple[str, ...],
    workers: int | None = None,
    timeout: float | None,
    on_progress: Emit,
) -> Iterator[R]:
    """Do the tasks in order, each on its own number of CPU threads, as in a worker of its own;
    `workers` has no say.

    The limit is looked at whenever the work says how far it is: a task that is silent is not
    interrupted.
    """
    del workers
    where = {place.device.partition(":")[0]: place for place in places(tasks, devices, 1)}
    for task in tasks:
        on_progress(starting(task))
        placement = placed(task, where[task.device])
        emit = _limited(on_progress, Clock(timeout))
        results = shared(attempt(work, task, placement, emit), workers=1)
        with uninterrupted():  # whoever takes them puts the whole task on disk, or none of it
            yield from results


def _limited(emit: Emit, clock: Clock) -> Emit:
    """The same callback, which raises `RunTimeout` once the time is up."""

    def limited(progress: Progress) -> None:
        if clock.expired:
            raise RunTimeout(clock.verdict)
        emit(progress)

    return limited
