"""When groups run side by side, and when one of them runs with nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO

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
        self._files: tuple[IO[bytes], IO[bytes]] | None = None
        if folder is not None and fcntl is not None:
            self._files = (Path(folder, "gate").open("ab"), Path(folder, "room").open("ab"))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Beside other groups; waits while one of them is timed alone."""
        with ExitStack() as held:
            with self._hold(0, shared=True):
                held.enter_context(self._hold(1, shared=True))
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nothing beside it; waits until the others reach the end of what they are at."""
        with self._hold(0, shared=False), self._hold(1, shared=False):
            yield

    def _hold(self, which: int, *, shared: bool) -> nullcontext[None] | _Held:
        if self._files is None:
            return nullcontext()
        return _Held(self._files[which], shared)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files or ():
            file.close()


class _Held:
    """One file lock, for the length of a `with`."""

    def __init__(self, file: IO[bytes], shared: bool) -> None:
        self._file, self._mode = file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX

    def __enter__(self) -> None:
        fcntl.flock(self._file, self._mode)

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


def now(device: torch.device) -> float:
    """Seconds on a steady clock, once all work queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
