"""The course of a check: rounds until the planned looks have decided every case, or are used up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import exp, log1p
from uuid import uuid4

import bench
from bench.gate import clocks
from bench.gate.cases import Case, cases
from bench.gate.fingerprint import fingerprint
from bench.gate.rounds import Rounds
from bench.gate.turn import Fault, Length
from bench.gate.verdicts import ALPHA, typical
from bench.gate.worktrees import Repository, Revision, Tree
from bench.records import (
    CheckResult,
    CheckRow,
    CheckVerdict,
    Fingerprint,
    Mode,
    Reading,
    Side,
    Subject,
)
from bench.stats import Judgement, Plan
from bench.suite import Suite

Judge = Callable[[Sequence[Reading], Case, float], Judgement]
"""What readings say of a case, held against an edge on the scale of logs."""
TIMEOUT = 900.0


@dataclass(frozen=True)
class Check:
    """What a check is asked for, whatever head is held against."""

    suite: Suite
    repository: Repository
    head: Revision
    started_at: str
    """ISO 8601, UTC."""
    timeout: float = TIMEOUT
    """Seconds that a worker may take for any one answer."""
    tell: Callable[[str], None] = lambda line: None
    """Hears of every round."""
    check_id: str = field(default_factory=lambda: uuid4().hex[:16])

    @property
    def plan(self) -> Plan:
        """The looks, and the error they share."""
        return Plan(self.suite.check.looks, ALPHA)


class Course:
    """One check under way."""

    def __init__(
        self,
        check: Check,
        mode: Mode,
        trees: Mapping[Side, Tree],
        subjects: tuple[Subject, ...],
        base: Revision | None,
    ) -> None:
        """`trees`: two, and they are compared; head's alone, and a reference kernel is beside it.

        `base` is what the rows name as such.
        """
        self._check, self._mode, self._subjects, self._base = check, mode, subjects, base
        self.readings: list[Reading] = []
        self.notes: list[str] = []
        asked = check.suite.check
        self.rounds = Rounds(
            check_id=check.check_id,
            trees=trees,
            subjects=subjects,
            length=Length(asked.blocks, asked.block_seconds),
            timeout=check.timeout,
            clocks=clocks.read,
            note=self.notes.append,
        )
        self._fingerprints: dict[str, Fingerprint] = {}

    def decide(self, judge: Judge, after_first: Callable[[], None]) -> list[CheckRow]:
        """A row a case; a case that is decided at a look takes no part in later rounds.

        `after_first` is called after the first round, and may refuse to go on.
        """
        found: dict[Case, CheckRow] = {}
        looks, done = self._check.plan.looks, 0
        for look in looks:
            left = [case for case in cases(self._subjects) if case not in found]
            self.measure(range(done + 1, look + 1), look, left, after_first if not done else None)
            done = look
            for case in left:
                if case[0] in self.faulty:
                    continue
                judgement = judge(self.readings, case, log1p(self.margin(case)))
                if judgement.verdict != "inconclusive" or look == looks[-1]:
                    found[case] = self.row(case, judgement)
            if len(found) == len(cases(self._subjects)):
                break
        return [
            found[case] if case in found else self.failed(case, self.faulty[case[0]])
            for case in cases(self._subjects)
        ]

    def measure(
        self,
        numbers: range,
        of: int,
        left: Sequence[Case],
        after_first: Callable[[], None] | None = None,
    ) -> None:
        """Rounds of the subjects that these cases are of; tells of each.

        A subject is measured whole while any of its cases is left: all its rounds are alike.
        """
        names = {name for name, _ in left}
        wanted = [subject for subject in self._subjects if subject.name in names]
        for number in numbers:
            wanted = [subject for subject in wanted if subject.name not in self.faulty]
            if not wanted:
                return
            self._check.tell(
                f"round {number} of {of}: {len(wanted)} of {len(self._subjects)} variants"
            )
            self.readings += self.rounds.round(number, wanted)
            if after_first is not None and number == numbers[0]:
                after_first()

    @property
    def faulty(self) -> dict[str, Fault]:
        """The subjects that a side could not be timed on; head's fault, where both have one."""
        order = sorted(self.rounds.faults, key=lambda fault: fault.side == "head")
        return {fault.subject: fault for fault in order}

    def result(self, rows: Sequence[CheckRow]) -> CheckResult:
        """The check as it came out."""
        return CheckResult(tuple(rows), tuple(self.readings), tuple(self.notes))

    def failed(self, case: Case, fault: Fault) -> CheckRow:
        """The row of a case that a side could not be timed on."""
        verdict: CheckVerdict = "missing" if fault.kind in {"missing", "old"} else "crashed"
        return replace(self.row(case, None), verdict=verdict, side=fault.side, error=fault.text)

    def row(self, case: Case, judgement: Judgement | None) -> CheckRow:
        """The row of a case; without a judgement it is yet to be told why there is none."""
        check, (name, guard) = self._check, case
        subject = next((each for each in self._subjects if each.name == name), None)
        device = subject.device if subject else self._subjects[0].device
        base, head = self._base, check.head
        return CheckRow(
            check_id=check.check_id,
            suite=check.suite.name,
            mode=self._mode,
            started_at=check.started_at,
            subject=name,
            quantity=guard,
            device=device,
            verdict=judgement.verdict if judgement else "not_comparable",
            side=None,
            error=None,
            base=base.asked if base else None,
            base_commit=base.commit if base else None,
            head=head.asked,
            head_commit=head.commit,
            head_committed_at=head.committed_at,
            head_subject=head.subject,
            margin=self.margin(case),
            alpha=check.plan.alpha,
            looks=check.plan.looks,
            rounds=judgement.rounds if judgement else 0,
            ratio=exp(judgement.mean) if judgement else None,
            low=exp(judgement.low) if judgement else None,
            high=exp(judgement.high) if judgement else None,
            detectable=exp(judgement.detectable) - 1 if judgement else None,
            spread=judgement.spread if judgement else None,
            base_value=typical(self.readings, name, guard, "base"),
            head_value=typical(self.readings, name, guard, "head"),
            bench_version=bench.__version__,
            spec_id=subject.specs[0].run_id if subject else None,
            **asdict(self._fingerprint(device)),
        )

    def margin(self, case: Case) -> float:
        """Relative growth of a case up to which it counts as none."""
        return self._check.suite.check.margin(case[1])

    def _fingerprint(self, device: str) -> Fingerprint:
        if device not in self._fingerprints:
            self._fingerprints[device] = fingerprint(device)
        return self._fingerprints[device]
