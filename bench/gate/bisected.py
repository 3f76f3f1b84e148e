"""What a bisection came to, in records and in words."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.gate.bisect_run import FAST, SKIP, SLOW
from bench.gate.cases import Case
from bench.gate.verdicts import ALPHA, exit_code
from bench.gate.worktrees import Revision
from bench.records import CheckResult, CheckRow

_CALLED = {FAST: "fine", SLOW: "regressed", SKIP: "skipped"}


@dataclass(frozen=True)
class Step:
    """One revision on the way, held against the good one."""

    revision: Revision
    exit_code: int
    """What `git bisect run` was told: 0 fine, 1 regressed, 125 cannot be told."""
    found: str
    """In words."""
    result: CheckResult | None
    """None where its code is that of the good revision."""


@dataclass(frozen=True)
class Bisection:
    """The first slow revision after a good one, and how it was found."""

    suite: Path
    options: tuple[str, ...]
    """What stands after the suite on the command line."""
    good: Revision
    bad: Revision
    ends: CheckResult
    """The bad revision held against the good one."""
    steps: tuple[Step, ...] = ()
    first: Revision | None = None
    """None where the bad one did not regress, or where only skipped ones were left."""
    author: str | None = None
    """When the first one was written, and by whom."""
    candidates: tuple[Revision, ...] = ()
    """Where only skipped ones were left: it is one of these, the newest first."""

    def exit_code(self, inconclusive: str = "fail") -> int:
        """1 where the first is found, 5 where candidates are left, else that of the ends' check.

        `inconclusive`: as of `gate.exit_code`.
        """
        if self.first:
            return 1
        return 5 if self.candidates else exit_code(self.ends.rows, inconclusive=inconclusive)

    @property
    def skipped(self) -> tuple[Step, ...]:
        """The revisions of which nothing can be told."""
        return tuple(step for step in self.steps if step.exit_code == SKIP)

    def lines(self) -> list[str]:
        """The answer, for a terminal."""
        if self.first:
            return [*self._found(self.first), *self._way()]
        return [*(self._candidates() if self.candidates else self._nothing()), *self._way()]

    def _found(self, first: Revision) -> Iterator[str]:
        yield f"first slow revision: {short(first)} ({self.author}): {first.subject}"
        results = {step.revision.commit: step.result for step in self.steps}
        rows = regressed((results.get(first.commit) or self.ends).rows)
        yield from (f"{words(row)} against {self.good.label}" for row in rows)
        there = {case(row) for row in rows}
        later = [name(row) for row in regressed(self.ends.rows) if case(row) not in there]
        if later:
            told = f"{', '.join(later)}: slower at {self.bad.label}, but not found so there"
            yield f"{told}; --bisect {short(first)} {self.bad.asked} goes on"
        ends = ["--against", self.good.asked, "--head", short(first)]
        yield f"once more: {shlex.join(['bench', 'check', str(self.suite), *ends, *self.options])}"

    def _candidates(self) -> Iterator[str]:
        number, newest = len(self.candidates), short(self.candidates[0])
        yield (
            f"the first slow revision is one of {number}, of which only {newest}, the newest, "
            "could be told:"
        )
        yield from (f"  {short(each)}  {each.subject}" for each in self.candidates)

    def _nothing(self) -> Iterator[str]:
        yield f"nothing to bisect: {self.bad.label} was not found slower than {self.good.label}"
        yield from (f"  {row.verdict.replace('_', ' ')}: {words(row)}" for row in self.ends.rows)

    def _way(self) -> Iterator[str]:
        if not self.steps:
            return
        yield f"revisions held against {self.good.label}, in this order:"
        for step in self.steps:
            yield f"  {short(step.revision)}  {_CALLED[step.exit_code]:<9}  {step.found}"
        yield f"each verdict is wrong with a probability of at most {100 * ALPHA:g} % at its margin"


def short(revision: Revision) -> str:
    """The commit's first digits."""
    return revision.commit[:9]


def case(row: CheckRow) -> Case:
    """What a row is of."""
    return row.subject, row.quantity


def regressed(rows: Iterable[CheckRow]) -> list[CheckRow]:
    """Those that are slower, or larger."""
    return [row for row in rows if row.verdict == "regressed"]


def name(row: CheckRow) -> str:
    """Of its case: `mlp_gan step time`."""
    return f"{row.subject} {row.quantity.replace('_', ' ')}"


def words(row: CheckRow) -> str:
    """What was found: `mlp_gan step time 1.312× [1.287, 1.338]`, or why nothing was."""
    if row.ratio is None:
        return f"{name(row)} at {row.side or 'base'}: {row.error}"
    found = f"{name(row)} {row.ratio:.3f}× [{row.low:.3f}, {row.high:.3f}]"
    if row.verdict == "inconclusive" and row.detectable is not None:
        return f"{found}; {1 + row.detectable:.3f}× would be found 8 times of 10"
    return found


def answer(rows: Iterable[CheckRow], wanted: Collection[Case]) -> tuple[int, str]:
    """What `git bisect run` is told of a revision by the rows of these cases, and why.

    One of them that regressed is enough for slow; fine are all of them, or it cannot be told.
    """
    own = {case(row): row for row in rows if case(row) in wanted}
    if slow := regressed(own.values()):
        return SLOW, "; ".join(map(words, slow))
    if untold := [row for row in own.values() if row.verdict != "fine"]:
        return SKIP, "; ".join(f"{row.verdict.replace('_', ' ')}: {words(row)}" for row in untold)
    if own.keys() != {*wanted}:
        return SKIP, "not every case was checked"
    return FAST, "; ".join(map(words, own.values()))
