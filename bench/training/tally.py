"""What the members of a group share while it is trained: clocks, columns, the latest metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch

import bench
from bench import environment
from bench.records import Placement


@dataclass(frozen=True)
class Totals:
    """The tally of a group at the end of a block, as a checkpoint keeps it."""

    started_at: str
    wall_seconds: float
    train_seconds: float
    eval_seconds: float
    common: Mapping[str, Any]
    latest: Mapping[str, float]
    made_with: Mapping[str, str | None]
    """What the numbers depend on beside the spec: engine, software, hardware."""


class Tally:
    """Running totals; those of a group that goes on begin where an earlier process ended."""

    def __init__(self, placement: Placement) -> None:
        """Everything at its start, and the clock running."""
        self._device = placement.device
        self._started = datetime.now(UTC)
        self._clock = time.perf_counter()
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self.common: dict[str, Any] = {"threads": placement.threads}
        """Columns of every member's row."""
        self.latest: dict[str, float] = {}
        """The first member's latest metrics, for whoever watches."""

    def columns(self) -> dict[str, Any]:
        """The columns that all members share, as they are now."""
        return {
            **asdict(environment.current(self._device)),
            **self.common,
            "bench_version": bench.__version__,
            "started_at": self._started.isoformat(timespec="seconds"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_seconds": self._wall_seconds(),
            "eval_seconds": self.eval_seconds,
        }

    def note_peak(self) -> None:
        """Note the most memory so far, that of an earlier process included."""
        now = environment.peak_memory_bytes(torch.device(self._device))
        peaks = filter(None, (now, self.common.get("peak_memory_bytes")))
        self.common["peak_memory_bytes"] = max(peaks, default=None)

    def totals(self) -> Totals:
        """All of it, for a checkpoint."""
        self.note_peak()
        return Totals(
            started_at=self._started.isoformat(),
            wall_seconds=self._wall_seconds(),
            train_seconds=self.train_seconds,
            eval_seconds=self.eval_seconds,
            common=self.common,
            latest=self.latest,
            made_with=self._made_with(),
        )

    def go_on(self, totals: Totals) -> list[str]:
        """Count on from there; in words, what is not as it was then."""
        self._started = datetime.fromisoformat(totals.started_at)
        self._clock -= totals.wall_seconds
        self.train_seconds += totals.train_seconds
        self.eval_seconds += totals.eval_seconds
        self.latest = dict(totals.latest)
        compiled = [each.get("compile_seconds") for each in (totals.common, self.common)]
        self.common = {**totals.common, **self.common}
        if any(compiled):
            self.common["compile_seconds"] = sum(filter(None, compiled))
        before = totals.made_with
        return [
            f"{what} was {before.get(what)}, is {now}"
            for what, now in self._made_with().items()
            if now != before.get(what)
        ]

    def _wall_seconds(self) -> float:
        return time.perf_counter() - self._clock

    def _made_with(self) -> dict[str, str | None]:
        here = environment.current(self._device)
        engine = self.common["engine_used"]
        return {
            "engine": engine,
            "bench": bench.__version__,
            "commit": here.commit,
            "torch": here.torch,
            "cpu": here.cpu,
            "gpu": here.gpu,
        }
