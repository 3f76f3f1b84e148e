"""Rounds: fresh processes, one a side, in balanced random order.

The round is the sample; what is within it only makes it less noisy.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bench.gate.clocks import moved
from bench.gate.order import places, turns
from bench.gate.turn import Fault, Faulty, Length, Turn, started
from bench.gate.worktrees import Tree
from bench.records import Clocks, Reading, Side, Subject


@dataclass
class Rounds:
    """The rounds of one check, one after another."""

    check_id: str
    trees: Mapping[Side, Tree]
    """Two, and they are compared; one, and a reference kernel stands beside it."""
    subjects: Sequence[Subject]
    length: Length
    timeout: float
    """Seconds that no answer of a worker may take longer than."""
    clocks: Callable[[str], Clocks]
    """A device's, now."""
    note: Callable[[str], None] = lambda line: None
    faults: list[Fault] = field(default_factory=list)
    """Subjects that a side could not be timed on; later rounds leave them out."""
    imported: dict[Side, dict[str, str]] = field(default_factory=dict)
    """What each side imported of its tree: path → SHA-256."""

    def __post_init__(self) -> None:
        """The order of all rounds follows from the check's name."""
        draw = self._draw = random.Random(self.check_id)
        self._turns = turns(list(self.trees), draw)
        self._places = places([subject.name for subject in self.subjects], draw)
        self._steps: dict[str, int] = {}
        self._noted: set[str] = set()

    def round(self, number: int, wanted: Sequence[Subject]) -> list[Reading]:
        """One round of these subjects; a subject whose clocks moved is measured once more.

        Raises `WrongTree`.
        """
        sides, order = next(self._turns), next(self._places)
        asked = {subject.name: subject for subject in wanted}
        faulty = {fault.subject for fault in self.faults}
        left = [asked[each] for each in order if each in asked and each not in faulty]
        readings = list(self._attempt(number, 1, sides, left))
        again = {reading.subject for reading in readings if reading.moved}
        left = [each for each in left if each.name in again]
        return [*readings, *self._attempt(number, 2, sides, left)]

    def _attempt(
        self, number: int, attempt: int, sides: tuple[Side, ...], order: Sequence[Subject]
    ) -> Iterator[Reading]:
        left = list(order)
        while left:  # more than once only where a process was lost
            try:
                yield from self._turns_of(number, attempt, sides, left)
            except Faulty as faulty:
                at = [fault for fault in faulty.faults if fault.subject]
                # without a subject, the side could not even start: none of them can be timed
                of_all = [
                    replace(fault, subject=subject.name)
                    for fault in faulty.faults
                    if not fault.subject
                    for subject in left
                ]
                self.faults += [*at, *of_all]
                if of_all:
                    return

    def _turns_of(
        self, number: int, attempt: int, sides: tuple[Side, ...], left: list[Subject]
    ) -> Iterator[Reading]:
        """The turns of one round's processes; takes each subject from `left` that has had its."""
        trees = {side: self.trees[side] for side in sides}
        with started(trees, self.length, self.timeout, self.clocks) as processes:
            while left:
                subject, began = left[0], datetime.now(UTC)
                steps = self._steps.get(subject.name)
                try:
                    turn = processes.turn(subject, steps, self._cores(subject), self.imported)
                except Faulty as faulty:
                    left.pop(0)
                    if faulty.lost:
                        raise
                    self.faults += faulty.faults
                    continue
                left.pop(0)
                self._steps[subject.name] = turn.steps
                self._tell(subject, turn)
                at = began.isoformat(timespec="milliseconds")
                for side in sides:
                    reading = _reading(subject, turn, side)
                    yield replace(
                        reading,
                        check_id=self.check_id,
                        round=number,
                        attempt=attempt,
                        first=side == sides[0],
                        started_at=at,
                    )

    def _cores(self, subject: Subject) -> list[int]:
        """As many as a subject has threads, drawn anew for each turn; none on a GPU."""
        if subject.device != "cpu" or not hasattr(os, "sched_getaffinity"):
            return []
        there = sorted(os.sched_getaffinity(0))
        return self._draw.sample(there, min(subject.specs[0].threads, len(there)))

    def _tell(self, subject: Subject, turn: Turn) -> None:
        for side, opened in turn.opened.items():
            for line in opened["notes"]:
                if (told := f"{subject.name}, {side}: {line}") not in self._noted:
                    self._noted.add(told)
                    self.note(told)


def _reading(subject: Subject, turn: Turn, side: Side) -> Reading:
    per_step = 1e3 / turn.steps / len(subject.specs)
    opened = turn.opened[side]
    return Reading(
        check_id="",
        round=0,
        attempt=1,
        side=side,
        subject=subject.name,
        first=True,
        started_at="",
        steps=turn.steps,
        step_ms=tuple(seconds * per_step for seconds in turn.seconds[side]),
        reference_ms=tuple(1e3 * seconds for seconds in turn.reference),
        compile_seconds=opened["compile_seconds"] if "compile_time" in subject.guarded else None,
        peak_memory_bytes=turn.closed[side]["peak_memory_bytes"],
        engine=opened["engine"],
        moved=moved(turn.before, turn.after),
        before=turn.before,
        after=turn.after,
    )
