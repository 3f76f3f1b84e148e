"""A GPU's clocks, temperature, power and what throttles it, read and never set."""

from __future__ import annotations

from bench.records import Clocks


def read(device: str) -> Clocks:
    """A device now; nothing of a CPU."""
    del device
    return Clocks()


def moved(before: Clocks, after: Clocks) -> str | None:
    """What the clocks did in between, if more than they should; None if they stood still."""
    del before, after
    return None


def policy(device: str) -> str:
    """How a device's clocks are governed: what a stored time must share with a new one."""
    del device
    return "not told"
