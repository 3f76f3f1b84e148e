"""One spawned process a task, as many at once as cores or GPUs allow.

A worker that dies costs its own task only.  Every worker leads a process group of its own, so
that Ctrl-C reaches the driver alone and that whatever a worker started (a compiler, say) ends
with it; a worker whose driver is gone ends by itself.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Generic

from bench.executors.base import (
    Clock,
    Labour,
    R,
    Task,
    at_once,
    attempt,
    placed,
    places,
    shared,
    starting,
    uninterrupted,
)
from bench.records import Emit, Placement, Progress
from bench.turnstile import Turnstile

GRACE = 1.0
"""Seconds between asking a worker to end and killing it."""

_spawn = multiprocessing.get_context("spawn")  # a fork would inherit CUDA and held locks


def processes(  # noqa: PLR0913 - the executors' seam
    work: Labour[R],
    tasks: Sequence[Task[R]],
    *,
    devices: tuple[str, ...],
    workers: int | None = None,
    timeout: float | None,
    on_progress: Emit,
) -> Iterator[R]:
    """Start the tasks in order; answer with their results in the order in which they end.

    A worker that dies leaves its task `lost`, one that outlasts the limit leaves it `timeout`.
    What would interrupt the driver is heard while it waits for the workers, and results that have
    arrived by then come first.  Raises `DeviceError` when a task needs a device that is not among
    `devices`.
    """
    free = places(tasks, devices, workers)
    with tempfile.TemporaryDirectory(prefix="bench-") as shared_folder:
        count = at_once(free, workers)
        if count > 1:
            free = [replace(place, turnstile=shared_folder) for place in free]
        start = partial(_Worker, work, timeout, Path(shared_folder))
        yield from _all(start, list(tasks), free, count, on_progress)


def _all(
    start: Callable[[Task[R], Placement], _Worker[R]],
    waiting: list[Task[R]],
    free: list[Placement],
    count: int,
    on_progress: Emit,
) -> Iterator[R]:
    """Fills the free places with tasks, `count` at once, until none is left."""
    running: list[_Worker[R]] = []
    try:
        while waiting or running:
            for task, place in islice(_fitting(waiting, free), count - len(running)):
                waiting.remove(task)
                free.remove(place)
                with uninterrupted():
                    running.append(start(task, placed(task, place)))
                on_progress(starting(task))
            for worker in _ready(running):
                with uninterrupted():  # until whoever takes the results has them on disk
                    results = worker.read(on_progress)
                    if results is None:
                        continue
                    running.remove(worker)
                    _stop([worker])
                    free.append(worker.place)
                    yield from shared(results, count)
    except KeyboardInterrupt:
        with uninterrupted():
            for worker in running:
                results = worker.read(lambda progress: None)
                if worker.done:
                    yield from shared(results or [], count)
        raise
    finally:
        with uninterrupted():
            _stop(running)


class _Worker(Generic[R]):
    """A process with one task, and the driver's end of its pipe."""

    def __init__(
        self, work: Labour[R], timeout: float | None, folder: Path, task: Task[R], place: Placement
    ) -> None:
        self.task = task
        self.place = place
        self.clock = Clock(timeout)
        self.done = False
        self.pipe, theirs = _spawn.Pipe(duplex=False)
        self.output = folder / f"{task.leader}.log"
        self.output.touch()
        # as bytes: to read them imports torch, which the worker does when it may
        told = pickle.dumps(work), task, place, theirs, self.output
        self.process = _spawn.Process(target=_main, args=told)
        with theirs, _thread_variables(place.threads):
            self.process.start()

    def read(self, on_progress: Emit) -> list[R] | None:
        """Passes on what the worker says; the results of its task once it has ended, however."""
        alive = self.process.exitcode is None  # asked first: what it said before is in the pipe
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if not isinstance(message, Progress):
                    self.done = True
                    return self.task.complete(message)
                on_progress(message)
        except (EOFError, OSError):  # closed at the worker's end, perhaps within a message
            alive = False
        if not alive:
            self.process.join(GRACE)
            return self.task.every("lost", self._last_words())
        if self.clock.expired:
            return self.task.every("timeout", self.clock.verdict)
        return None

    def signal(self, number: signal.Signals) -> None:
        """To the worker and all it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid or 0, number)
            return
        with suppress(ProcessLookupError):  # it had no time to become a group of its own
            if self.process.exitcode is None:
                os.kill(self.process.pid or 0, number)

    def close(self) -> None:
        self.pipe.close()
        self.process.close()

    def _last_words(self) -> str:
        """How a worker ended that gave no results, and the last line it printed."""
        code = self.process.exitcode or 0
        ended = (
            f"was killed by {signal.Signals(-code).name}"
            if code < 0
            else f"ended with exit code {code}"
        )
        memory = " (out of memory, perhaps)" if code == -signal.SIGKILL else ""
        printed = self.output.read_text(errors="replace").strip().splitlines()[-1:]
        return ": ".join([f"the worker {ended}{memory}", *printed])


def _main(work: bytes, task: Task[R], place: Placement, pipe: Connection, output: Path) -> None:
    """What a worker does: do its task, and say how far it is and what came of it."""
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    log = os.open(output, os.O_WRONLY | os.O_APPEND)  # the terminal is the driver's alone
    os.dup2(log, 1)
    os.dup2(log, 2)
    with Turnstile(place.turnstile).together():  # imports would disturb one that is timed alone
        read: Labour[R] = pickle.loads(work)
    pipe.send(attempt(read, task, place, pipe.send))


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os.killpg(0, signal.SIGKILL)


def _fitting(waiting: list[Task[R]], free: list[Placement]) -> Iterator[tuple[Task[R], Placement]]:
    """The first waiting task for each free place."""
    tasks = list(waiting)
    for place in list(free):
        kind = place.device.partition(":")[0]
        task = next((task for task in tasks if task.device == kind), None)
        if task is not None:
            tasks.remove(task)
            yield task, place


def _ready(running: list[_Worker[R]]) -> list[_Worker[R]]:
    """The workers that have something to say, have ended or are out of time; waits for one."""
    limits = [worker.clock.remaining for worker in running if worker.clock.remaining is not None]
    # a second at most: a stray child of a dead worker may hold its pipe open
    heard = wait(
        [handle for worker in running for handle in (worker.pipe, worker.process.sentinel)],
        timeout=max(0.0, min([1.0, *limits])),
    )
    return list(running) if not heard else [w for w in running if _concerns(w, heard)]


def _concerns(worker: _Worker[R], heard: Sequence[object]) -> bool:
    return worker.pipe in heard or worker.process.sentinel in heard or worker.clock.expired


def _stop(workers: Sequence[_Worker[R]]) -> None:
    """End the workers: one that is done by itself, the others by signals; all within seconds."""
    for worker in workers:
        if not worker.done:
            worker.signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
    for worker in workers:
        worker.signal(signal.SIGKILL)
    for worker in workers:
        worker.process.join()
        worker.close()


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """The environment in which a worker starts: libraries read these once, when loaded."""
    share = str(threads)
    wanted = {"OMP_NUM_THREADS": share, "MKL_NUM_THREADS": share}
    wanted["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compilers beside the worker
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
