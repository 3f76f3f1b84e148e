"""How long work on a device takes."""

from __future__ import annotations

import time

import torch


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
