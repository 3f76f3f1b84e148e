"""What is written down of one run while its group is trained: rows, files, and how far it came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from bench.metrics.evaluator import Measurement
from bench.records import CurveRow, MetricRow, RunSpec, TimingRow
from bench.training.loop import Block

_CURVES = {column.name for column in fields(CurveRow)}


@dataclass(kw_only=True)
class Account:
    """One run's rows so far; `train_seconds` are those of its group."""

    spec: RunSpec
    alive: bool = True
    """Whether it is still trained: a run that diverged keeps its rows and gets no more."""
    curves: list[CurveRow] = field(default_factory=list)
    metrics: list[MetricRow] = field(default_factory=list)
    timings: list[TimingRow] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    """Columns of its row that say how far it came."""

    def block(
        self,
        block: Block,
        member: int,
        measured: Mapping[str, float | None],
        train_seconds: float,
        group_size: int,
    ) -> None:
        """A block is done: its timing, a point of the curves, the end of a run that diverged.

        `measured` is what the diagnostics say of this member at the block's end.
        """
        count = block.stop - block.start
        share = block.seconds / count / group_size * 1e3
        self.timings.append(
            TimingRow(
                self.spec.run_id, block.index, block.phase, count, block.seconds, share, group_size
            )
        )
        means = {name: values[member] for name, values in block.means.items()}
        columns: dict[str, Any] = {
            name: _finite(value)
            for name, value in {**means, **measured}.items()
            if name in _CURVES  # a third party's objective may log terms of its own
        }
        self.curves.append(CurveRow(**self._place(block.stop, train_seconds), **columns))
        self._stand(block.stop, train_seconds)
        # the gap sees the weights after the block's last update, which no loss has seen yet
        judged_by = {name: value for name, value in means.items() if name in _CURVES}
        judged_by["score_gap"] = measured["score_gap"] or 0.0
        lost = sorted(name for name, value in judged_by.items() if not math.isfinite(value))
        if lost:
            self.alive = False
            within = f"within generator steps {block.start}-{block.stop}"
            self.done |= {"status": "diverged", "error": f"{', '.join(lost)} not finite {within}"}

    def evaluated(self, step: int, found: Sequence[Measurement], train_seconds: float) -> None:
        """An evaluation is done: a row for each metric."""
        for each in found:
            self.metrics.append(MetricRow(**self._place(step, train_seconds), **asdict(each)))

    def _place(self, step: int, train_seconds: float) -> dict[str, Any]:
        """The columns that say which run a row is of, and how far it had come."""
        critic_steps = self.spec.pace.before(step)
        return {
            "run_id": self.spec.run_id,
            "generator_step": step,
            "critic_steps": critic_steps,
            "images": critic_steps * self.spec.batch_size,
            "train_seconds": train_seconds,
        }

    def _stand(self, step: int, train_seconds: float) -> None:
        place = self._place(step, train_seconds)
        self.done = {
            "status": "completed",
            "error": None,
            "generator_steps": place["generator_step"],
            "critic_steps": place["critic_steps"],
            "images": place["images"],
            "train_seconds": train_seconds,
            "images_per_second": place["images"] / train_seconds,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
