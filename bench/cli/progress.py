"""What a run shows of itself: live bars on a terminal, a few plain lines in a pipe."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from bench.costs import RUN_COSTS
from bench.records import FINISHED, Group, ProbeResult, Progress, RunResult, RunRow

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

_STYLES = {"completed": "", "diverged": "yellow"}


class Lines:
    """A line when a group starts, at each of its evaluations, and when a run has ended."""

    def __init__(self, console: Console, groups: Sequence[Group], metric: str, called: str) -> None:
        """`metric` is the one to show, under the name `called`."""
        self.console = console
        self.labels = {spec.run_id: group.label for group in groups for spec in group.specs}
        self.ended = 0
        self.failed: list[RunRow] = []
        self.failed_probes: list[ProbeResult] = []
        self._metric, self._called = metric, called
        self._evaluated: dict[str, float] = {}
        self._speed: dict[str, float] = {}
        self._begun: set[str] = set()

    def __enter__(self) -> Self:
        """Begins to show."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Leaves the terminal as it was."""

    def progress(self, said: Progress) -> None:
        """A running group says how far it is."""
        value, speed = said.metrics.get(self._metric), self.speed(said)
        if said.phase == "note":
            self.say(f"{said.label}: {said.note}")
        elif said.phase == "starting" and said.label not in self._begun:
            self._begun.add(said.label)
            self.say(f"{said.label}: started")
        elif value is not None and self._evaluated.get(said.label) != value:
            self._evaluated[said.label] = value
            where = f"step {said.step:,} of {said.steps:,}"
            told = [f"{said.label}: {where}", speed, self.latest(said)]
            self.say(", ".join(filter(None, told)))

    def result(self, result: RunResult) -> None:
        """A run has ended, and is on disk."""
        self.ended += 1
        run = result.run
        self.failed += [run] if run.status not in FINISHED else []
        facts = [run.status, *self._last(result)]
        facts += [f"{run.wall_seconds:.0f} s"] if run.wall_seconds is not None else []
        facts += [run.error] if run.error else []
        told = f"{run.variant}/{run.seed}: {', '.join(facts)} [{self.ended}/{len(self.labels)}]"
        self.say(told, _STYLES.get(run.status, "red"))

    def probe(self, result: ProbeResult) -> None:
        """A seed of a probe has ended, and is on disk if it was measured."""
        self.failed_probes += [result] if result.status not in FINISHED else []
        facts: list[str] = [result.status]
        facts += [f"{result.seconds:.0f} s"] if result.seconds is not None else []
        facts += [result.error] if result.error else []
        told = f"{result.spec.label}: {', '.join(facts)}"
        self.say(told, _STYLES.get(result.status, "red"))

    def say(self, line: str, style: str = "") -> None:
        """One line, as it is."""
        self.console.print(line, style=style or None, markup=False)

    def value(self, value: float, floor: float | None = None) -> str:
        """The metric to show, with its name, beside what real data gets; a cost with its unit."""
        if cost := RUN_COSTS.get(self._metric):
            return f"{self._called} {value:.4g} {cost.unit}"
        return f"{self._called} {value:.4g} (real data {'–' if floor is None else f'{floor:.4g}'})"

    def speed(self, said: Progress) -> str:
        """How fast the group was when it last said so."""
        if said.images_per_second:
            self._speed[said.label] = said.images_per_second
        known = self._speed.get(said.label)
        return f"{known:,.0f} images/s" if known else ""

    def latest(self, said: Progress) -> str:
        """The metric to show, once there is one."""
        value = said.metrics.get(self._metric)
        return "" if value is None else self.value(value, said.floors.get(self._metric))

    def _last(self, result: RunResult) -> list[str]:
        """The metric to show at the run's end, if it has a value there."""
        if cost := RUN_COSTS.get(self._metric):
            value: float | None = getattr(result.run, cost.column)
            return [] if value is None else [self.value(value)]
        rows = [row for row in result.metrics if row.metric == self._metric][-1:]
        return [self.value(row.value, row.floor) for row in rows if row.value is not None]


class Bars(Lines):
    """A bar for every running group with its speed, time left and latest value; one for all."""

    def __init__(self, console: Console, groups: Sequence[Group], metric: str, called: str) -> None:
        """The same, and nothing is drawn before it is entered."""
        super().__init__(console, groups, metric, called)
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Display

        self._display = Display(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[facts]}", markup=False),
            console=console,
            transient=True,
            speed_estimate_period=60,
        )
        self._tasks: dict[str, TaskID] = {}
        self._left = {group.label: len(group.specs) for group in groups}
        self._share: dict[str, float] = {}
        self._started = time.monotonic()
        self._all = self._display.add_task("all", total=None, facts="")

    def __enter__(self) -> Self:
        """Draws the bars until the end of the block."""
        self._display.start()
        self._tell_all()
        return self

    def __exit__(self, *raised: object) -> None:
        """Takes them away, however the block ended."""
        self._display.stop()

    def progress(self, said: Progress) -> None:
        """Moves the group's bar."""
        if said.phase == "note":
            return super().progress(said)
        if said.label not in self._tasks:
            task = self._display.add_task(said.label, total=None, facts="")
            self._tasks[said.label] = task
        speed = self.speed(said)
        doing = speed if said.phase == "training" else said.phase  # 80 columns hold no more
        facts = "  ".join(filter(None, (doing, self.latest(said))))
        total, step = said.steps or None, said.step
        self._display.update(self._tasks[said.label], total=total, completed=step, facts=facts)
        self._share[said.label] = step / said.steps if said.steps else 0.0
        return self._tell_all()

    def result(self, result: RunResult) -> None:
        """Leaves a line above the bars, and takes the group's bar away with its last run."""
        super().result(result)
        label = self.labels[result.run.run_id]
        self._left[label] -= 1
        if self._left[label] == 0 and label in self._tasks:
            self._display.remove_task(self._tasks.pop(label))
        self._share.pop(label, None)
        self._tell_all()

    def probe(self, result: ProbeResult) -> None:
        """The same for a probe."""
        super().probe(result)
        label = result.spec.label
        if label in self._tasks:
            self._display.remove_task(self._tasks.pop(label))
        self._share.pop(label, None)

    def _tell_all(self) -> None:
        """How many runs have ended, and when the last one will have, at the speed so far."""
        total = len(self.labels)
        done = self.ended + sum(
            share * self._left.get(label, 0) for label, share in self._share.items()
        )
        taken = time.monotonic() - self._started
        left = f", about {_minutes(taken / done * (total - done))} left" if done else ""
        facts = f"{self.ended} of {total} runs{left}"
        self._display.update(self._all, total=max(total, 1), completed=done, facts=facts)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
