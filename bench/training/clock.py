"""When groups run side by side, and when one of them runs with nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

try:
    import fcntl
except ImportError:  # Windows: groups are then never paused, and `solo` is timed beside others
    fcntl = None  # type: ignore[assignment]


class Turnstile:
    """Lets groups work together, except while one of them is timed alone.

    Two file locks, which the kernel releases when their holder dies: `gate`, which everyone passes
    on the way in, so that a group that wants the room for itself is not kept out for ever, and
    `room`, which is shared by those that work and exclusive to one that is timed.
    """

    def __init__(self, folder: str | None) -> None:
        """`folder` is one that all groups of a run see; None where there is one group at a time."""
        self._folder = folder if fcntl is not None else None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Beside other groups; waits while one of them is timed alone."""
        with ExitStack() as held:
            with self._hold("gate", shared=True):
                held.enter_context(self._hold("room", shared=True))
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nothing beside it; waits until the others reach the end of what they are at."""
        with self._hold("gate", shared=False), self._hold("room", shared=False):
            yield

    @contextmanager
    def _hold(self, name: str, *, shared: bool) -> Iterator[None]:
        if self._folder is None:
            yield
            return
        with Path(self._folder, name).open("ab") as file:  # closing it lets go of the lock
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield


class Stopwatch:
    """Seconds of work on a device from here on: by its own events on a GPU, whose queue the host
    runs ahead of; by a steady clock on the CPU."""

    def __init__(self, device: torch.device) -> None:
        """Starts at once."""
        self._device, self._start = device, now(device)
        self._events: tuple[torch.cuda.Event, torch.cuda.Event] | None = None
        if device.type == "cuda":
            self._events = _event(), _event()
            self._events[0].record(torch.cuda.current_stream(device))

    def seconds(self) -> float:
        """Until all work queued by now is done; waits for it."""
        if self._events is None:
            return now(self._device) - self._start
        began, ended = self._events
        ended.record(torch.cuda.current_stream(self._device))
        ended.synchronize()
        milliseconds: float = began.elapsed_time(ended)
        return milliseconds / 1e3


def _event() -> torch.cuda.Event:
    event: torch.cuda.Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call] # torch's
    return event


def now(device: torch.device) -> float:
    """Seconds on a steady clock, once all work queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
