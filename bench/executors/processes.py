"""One spawned process a group, as many at once as cores or GPUs allow.

A worker that dies costs its own group only.  Every worker leads a process group of its own, so
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

from bench.executors.base import (
    Clock,
    at_once,
    attempt,
    complete,
    every,
    placed,
    places,
    shared,
    starting,
    uninterrupted,
)
from bench.records import Emit, Group, Placement, Progress, RunResult, Work
from bench.turnstile import Turnstile

GRACE = 1.0
"""Seconds between asking a worker to end and killing it."""

_spawn = multiprocessing.get_context("spawn")  # a fork would inherit CUDA and held locks


def processes(  # noqa: PLR0913 - the executors' seam
    work: Work,
    groups: Sequence[Group],
    *,
    devices: tuple[str, ...],
    workers: int | None = None,
    timeout: float | None,
    on_progress: Emit,
) -> Iterator[RunResult]:
    """Start the groups in order; answer with their results in the order in which they end.

    A worker that dies leaves its runs `lost`, one that outlasts the limit leaves them `timeout`.
    What would interrupt the driver is heard while it waits for the workers, and results that have
    arrived by then come first.  Raises `DeviceError` when a group needs a device that is not among
    `devices`.
    """
    free = places(groups, devices, workers)
    with tempfile.TemporaryDirectory(prefix="bench-") as shared_folder:
        count = at_once(free, workers)
        if count > 1:
            free = [replace(place, turnstile=shared_folder) for place in free]
        start = partial(_Worker, work, timeout, Path(shared_folder))
        yield from _all(start, list(groups), free, count, on_progress)


def _all(
    start: Callable[[Group, Placement], _Worker],
    waiting: list[Group],
    free: list[Placement],
    count: int,
    on_progress: Emit,
) -> Iterator[RunResult]:
    """Fills the free places with groups, `count` at once, until none is left."""
    running: list[_Worker] = []
    try:
        while waiting or running:
            for group, place in islice(_fitting(waiting, free), count - len(running)):
                waiting.remove(group)
                free.remove(place)
                with uninterrupted():
                    running.append(start(group, placed(group, place)))
                on_progress(starting(group))
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


class _Worker:
    """A process with one group, and the driver's end of its pipe."""

    def __init__(
        self, work: Work, timeout: float | None, folder: Path, group: Group, place: Placement
    ) -> None:
        self.group = group
        self.place = place
        self.clock = Clock(timeout)
        self.done = False
        self.pipe, theirs = _spawn.Pipe(duplex=False)
        self.output = folder / f"{group.specs[0].run_id}.log"
        self.output.touch()
        # as bytes: to read them imports torch, which the worker does when it may
        told = pickle.dumps(work), group, place, theirs, self.output
        self.process = _spawn.Process(target=_main, args=told)
        with theirs, _thread_variables(place.threads):
            self.process.start()

    def read(self, on_progress: Emit) -> list[RunResult] | None:
        """Passes on what the worker says; the results of its runs once it has ended, however."""
        alive = self.process.exitcode is None  # asked first: what it said before is in the pipe
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if not isinstance(message, Progress):
                    self.done = True
                    return complete(self.group, message)
                on_progress(message)
        except (EOFError, OSError):  # closed at the worker's end, perhaps within a message
            alive = False
        if not alive:
            self.process.join(GRACE)
            return every(self.group, "lost", self._last_words())
        if self.clock.expired:
            return every(self.group, "timeout", self.clock.verdict)
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


def _main(work: bytes, group: Group, place: Placement, pipe: Connection, output: Path) -> None:
    """What a worker does: run its group, and say how far it is and what came of it."""
    os.setpgid(0, 0)
    threading.Thread(target=_end_with_driver, daemon=True).start()
    log = os.open(output, os.O_WRONLY | os.O_APPEND)  # the terminal is the driver's alone
    os.dup2(log, 1)
    os.dup2(log, 2)
    with Turnstile(place.turnstile).together():  # imports would disturb one that is timed alone
        read: Work = pickle.loads(work)
    pipe.send(attempt(read, group, place, pipe.send))


def _end_with_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os.killpg(0, signal.SIGKILL)


def _fitting(waiting: list[Group], free: list[Placement]) -> Iterator[tuple[Group, Placement]]:
    """The first waiting group for each free place."""
    groups = list(waiting)
    for place in list(free):
        kind = place.device.partition(":")[0]
        group = next((group for group in groups if group.specs[0].device == kind), None)
        if group is not None:
            groups.remove(group)
            yield group, place


def _ready(running: list[_Worker]) -> list[_Worker]:
    """The workers that have something to say, have ended or are out of time; waits for one."""
    limits = [worker.clock.remaining for worker in running if worker.clock.remaining is not None]
    # a second at most: a stray child of a dead worker may hold its pipe open
    heard = wait(
        [handle for worker in running for handle in (worker.pipe, worker.process.sentinel)],
        timeout=max(0.0, min([1.0, *limits])),
    )
    return list(running) if not heard else [w for w in running if _concerns(w, heard)]


def _concerns(worker: _Worker, heard: Sequence[object]) -> bool:
    return worker.pipe in heard or worker.process.sentinel in heard or worker.clock.expired


def _stop(workers: Sequence[_Worker]) -> None:
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
