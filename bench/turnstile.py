"""When groups run side by side, and when one of them runs with nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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
