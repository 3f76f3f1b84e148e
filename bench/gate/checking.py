"""What head is held against: another revision, a stored baseline, or itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log1p

from bench.errors import NotComparable, RequestError
from bench.gate.cases import Case, cases, dropped, narrowed, subjects
from bench.gate.course import Check, Course
from bench.gate.fingerprint import differences, fingerprint
from bench.gate.harness import REFERENCE_VERSION
from bench.gate.rounds import Rounds
from bench.gate.verdicts import BOTH, log_ratios, log_values, typical
from bench.gate.worktrees import Revision
from bench.records import Baseline, CheckResult, CheckRow, Reading, Subject
from bench.stats import Judgement

LOWER_CONFIDENCE = (
    "against a stored baseline: steps were timed in units of a reference kernel, but not side by "
    "side, so what has changed of this machine and does not change that kernel alike is taken for "
    "a change of the code; --against compares side by side, and is surer"
)


class SameCode(RequestError):
    """Two revisions of which the cases import the same files."""


def against(check: Check, base: Revision) -> CheckResult:
    """Head against another revision: a worktree each, in the same rounds.

    Raises `SameCode` where both are the same code, `WrongTree` where a side imports other code
    than its own.
    """
    found = subjects(check.suite)
    text = check.repository.file(base, check.suite.path)
    gone = dropped(text, check.suite, found)
    with check.repository.checked_out({"base": base, "head": check.head}) as trees:
        course = Course(check, "against", {side: trees[side] for side in BOTH}, found, base)

        def judge(readings: Sequence[Reading], case: Case, edge: float) -> Judgement:
            return check.plan.judge(log_ratios(readings, *case), edge)

        rows = course.decide(judge, lambda: _require_two(course.rounds, base, check.head))
    lost = f"the suite of {base.label} has it, that of {check.head.label} has not"
    rows += [
        replace(course.row(case, None), verdict="missing", side="head", error=lost) for case in gone
    ]
    return course.result(rows)


def calibrate(check: Check, rounds: int) -> CheckResult:
    """Head against itself, for as many rounds as asked for (at least those of the last look).

    What its rows say is of the first rounds, as of any check.  Raises `WrongTree`.
    """
    found = subjects(check.suite)
    with check.repository.checked_out({"base": check.head, "head": check.head}) as trees:
        course = Course(check, "calibrate", {s: trees[s] for s in BOTH}, found, check.head)
        last = check.plan.looks[-1]
        number = max(rounds, last)
        course.measure(range(1, number + 1), number, cases(found))
    rows = []
    for name, guard in cases(found):
        if name in course.faulty:
            rows.append(course.failed((name, guard), course.faulty[name]))
            continue
        edge = log1p(course.margin((name, guard)))
        sample = log_ratios(course.readings, name, guard)[:last]
        rows.append(course.row((name, guard), check.plan.judge(sample, edge)))
    return course.result(rows)


def record(check: Check) -> tuple[CheckResult, Baseline | None]:
    """Head alone, beside the reference kernel: a baseline of what could be timed.

    The rows are of what could not; None where that is everything.
    """
    found = subjects(check.suite)
    last = check.plan.looks[-1]
    with check.repository.checked_out({"head": check.head}) as trees:
        course = Course(check, "record", {"head": trees["head"]}, found, None)
        course.measure(range(1, last + 1), last, cases(found))
    failed = [case for case in cases(found) if case[0] in course.faulty]
    rows = [course.failed(case, course.faulty[case[0]]) for case in failed]
    kept = tuple(each for each in course.readings if each.subject not in course.faulty)
    baseline = Baseline(
        suite=check.suite.name,
        commit=check.head.commit,
        recorded_at=check.started_at,
        fingerprint=fingerprint(_device(found)),
        reference_version=REFERENCE_VERSION,
        specs={each.name: each.specs[0].run_id for each in found if each.name not in course.faulty},
        readings=kept,
    )
    return course.result(rows), baseline if kept else None


def compare(check: Check, stored: Sequence[Baseline], where: str) -> CheckResult:
    """Head against the baseline that this machine has among those stored at `where`.

    Raises `NotComparable` where there is none of this suite and this machine.
    """
    found = subjects(check.suite)
    baseline = _of_this_machine(check.suite.name, _device(found), stored, where)
    base = Revision(baseline.commit[:9], baseline.commit, baseline.recorded_at, "")
    known = [case for case in cases(found) if _is_known(case, found, baseline)]
    timed = tuple(
        replace(each, guarded=guarded)
        for each in found
        if (guarded := tuple(guard for name, guard in known if name == each.name))
    )
    with check.repository.checked_out({"head": check.head}) as trees:
        course = Course(check, "baseline", {"head": trees["head"]}, timed or found, base)
        course.notes.append(LOWER_CONFIDENCE)

        def judge(readings: Sequence[Reading], case: Case, edge: float) -> Judgement:
            before = log_values(baseline.readings, *case)
            return check.plan.judge_against(log_values(readings, *case), before, edge)

        rows = course.decide(judge, lambda: None) if timed else []
    rows = [_of_one_engine(_with_base(row, baseline), course.readings, baseline) for row in rows]
    unknown = f"{where} holds no time of it as the suite has it now; --record it anew"
    rows += [
        replace(course.row(case, None), side="base", error=unknown)
        for case in cases(found)
        if case not in known
    ]
    here = {subject.name for subject in found}
    gone = [] if narrowed(check.suite) else [name for name in baseline.specs if name not in here]
    lost = f"{where} has it, the suite of {check.head.label} has not"
    rows += [
        replace(course.row((name, "step_time"), None), verdict="missing", side="head", error=lost)
        for name in gone
    ]
    return course.result(rows)


def _device(found: Sequence[Subject]) -> str:
    """Whose fingerprint a baseline has: a GPU's where a case is on one, which tells the CPU too."""
    return next((each.device for each in found if each.device.startswith("cuda")), found[0].device)


def _is_known(case: Case, found: Sequence[Subject], baseline: Baseline) -> bool:
    """Whether the baseline has a case, of the same training."""
    name, guard = case
    subject = next(each for each in found if each.name == name)
    same = baseline.specs.get(name) == subject.specs[0].run_id
    return same and len(log_values(baseline.readings, name, guard)) > 1


def _with_base(row: CheckRow, baseline: Baseline) -> CheckRow:
    then = typical(baseline.readings, row.subject, row.quantity, "head")
    return replace(row, base_value=then)


def _of_one_engine(row: CheckRow, now: Sequence[Reading], baseline: Baseline) -> CheckRow:
    """Not comparable where the one was compiled and the other was not."""
    here, then = (
        sorted({each.engine for each in some if each.subject == row.subject})
        for some in (now, baseline.readings)
    )
    if row.ratio is None or here == then:
        return row
    told = f"recorded {', '.join(then)}, timed {', '.join(here)}; --record it anew"
    row = replace(row, ratio=None, low=None, high=None, detectable=None, spread=None, rounds=0)
    return replace(row, verdict="not_comparable", side="base", error=told)


def _of_this_machine(suite: str, device: str, stored: Sequence[Baseline], where: str) -> Baseline:
    """The newest of this suite and machine; raises `NotComparable`, with what differs."""
    here = fingerprint(device)
    of_suite = [each for each in stored if each.suite == suite]
    if not of_suite:
        held = ", ".join(sorted({each.suite for each in stored})) or "nothing"
        raise NotComparable(
            f"{where}: no baseline of suite {suite!r}, only of {held}; --record {where} adds one"
        )
    fitting = [each for each in of_suite if each.fingerprint == here]
    current = [each for each in fitting if each.reference_version == REFERENCE_VERSION]
    if current:
        return max(current, key=lambda each: each.recorded_at)
    if fitting:
        raise NotComparable(
            f"{where}: recorded beside another reference kernel "
            f"({fitting[0].reference_version}, now {REFERENCE_VERSION}); --record it anew"
        )
    nearest = min(of_suite, key=lambda each: len(differences(here, each.fingerprint)))
    told = "; ".join(differences(here, nearest.fingerprint))
    raise NotComparable(
        f"{where}: no baseline of this machine; here is {told}; times of two machines tell nothing "
        f"of a revision, so --record {where} here, or use --against"
    )


def _require_two(rounds: Rounds, base: Revision, head: Revision) -> None:
    """Raises `RequestError` where both sides turned out to run the same code, or none of theirs."""
    one, other = (rounds.imported.get(side, {}) for side in BOTH)
    if not one and not other and not rounds.faults:
        raise RequestError(
            f"{base.label}, {head.label}: nothing of this repository takes part in the cases, "
            "neither bench nor a package of its own; check a suite that names a part of it"
        )
    if one == other and not rounds.faults:
        raise SameCode(
            f"{base.label} and {head.label}: every Python file that the cases import is the same "
            f"in both ({len(one)} files), so there is nothing to compare; --calibrate compares a "
            "revision with itself"
        )
