"""Which revision made it slower: `git bisect run`, each revision held against a good one.

Every step is a check like any other, of the cases alone that regressed between the two ends, by the
suite and the code of whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil, log2
from uuid import uuid4

from bench.errors import RequestError
from bench.gate.bisect_run import FAST, search
from bench.gate.bisected import Bisection, Step, answer, case, regressed, short
from bench.gate.cases import Case, subjects
from bench.gate.checking import SameCode, against
from bench.gate.course import Check
from bench.gate.worktrees import Repository, Revision
from bench.records import CheckResult, Guard
from bench.suite import Suite
from bench.suite.tables import Guarding

__all__ = ["Bisection", "Step", "bisect"]


def bisect(
    check: Check,
    good: Revision,
    bad: Revision,
    suite_options: Sequence[str] = (),
    keep: Callable[[CheckResult], None] = lambda result: None,
) -> Bisection:
    """The first revision after `good`, up to `bad`, that regressed against `good`.

    Of `check` all but its head counts.  `suite_options` are repeated in the call that the answer
    proposes; `keep` hears of every check as it ends, those of the steps too.

    Raises `RequestError` where `bad` does not come after `good` or has the same code, and what
    `against` and `search` raise.
    """
    _require_after(check.repository, good, bad)
    ends = against(replace(check, head=bad), good)
    keep(ends)
    found = Bisection(check.suite.path, tuple(suite_options), good, bad, ends)
    slow = frozenset(map(case, regressed(ends.rows)))
    if not slow:
        return found
    number = int(_git(check.repository, "rev-list", "--count", f"{good.commit}..{bad.commit}"))
    if number > 1:
        check.tell(f"{number} revisions after {good.label}: about {ceil(log2(number))} to check")
    steps = _Steps(replace(check, suite=only(check.suite, slow)), good, slow, keep)
    left = search(check.repository, good, bad, steps.judge)
    last = tuple(
        bad if commit == bad.commit else check.repository.revision(commit, "--bisect")
        for commit in left
    )
    found = replace(found, steps=tuple(steps.taken))
    if len(last) > 1:
        return replace(found, candidates=last)
    author = _git(check.repository, "show", "--no-patch", "--format=%as, %an", last[0].commit)
    return replace(found, first=last[0], author=author)


@dataclass
class _Steps:
    """The steps taken so far."""

    check: Check
    good: Revision
    wanted: Collection[Case]
    keep: Callable[[CheckResult], None]
    taken: list[Step] = field(default_factory=list)

    def judge(self, commit: str) -> int:
        """Hold a commit against the good one; what `git bisect run` is to be told."""
        revision = self.check.repository.revision(commit, "--bisect")
        step = self._step(revision)
        self.taken.append(step)
        return step.exit_code

    def _step(self, revision: Revision) -> Step:
        lead = f"step {len(self.taken) + 1}, {short(revision)}"
        self.check.tell(f"{lead}: {revision.subject}")
        asking = replace(
            self.check,
            head=revision,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            tell=lambda line: self.check.tell(f"{lead}: {line}"),
            check_id=uuid4().hex[:16],
        )
        try:
            result = against(asking, self.good)
        except SameCode:
            return Step(revision, FAST, f"all that it imports is as in {self.good.label}", None)
        self.keep(result)
        return Step(revision, *answer(result.rows, self.wanted), result)


def only(suite: Suite, wanted: Collection[Case]) -> Suite:
    """The suite with nothing guarded but these cases."""
    named = {subject.name: subject.specs[0].variant for subject in subjects(suite)}

    def kept(guard: Guard) -> Guarding:
        names = dict.fromkeys(named[name] for name, own in wanted if own == guard)
        return replace(suite.check.guarded[guard], variants=tuple(names))

    asked = [text for name, _ in wanted for text in ("--variant", named[name])]
    check = replace(
        suite.check,
        step_time=kept("step_time"),
        peak_memory=kept("peak_memory"),
        compile_time=kept("compile_time"),
    )
    return replace(suite, check=check, options=(*suite.options, *asked))


def _require_after(repository: Repository, good: Revision, bad: Revision) -> None:
    """Raises `RequestError` unless the good revision is an ancestor of the bad one."""
    asked = f"--bisect {good.asked} {bad.asked}"
    if good.commit == bad.commit:
        raise RequestError(
            f"{asked}: both are {short(good)}; expected a revision and a later, slower one"
        )
    ends = (good.commit, bad.commit)
    if not repository.git("merge-base", "--is-ancestor", *ends).returncode:
        return
    if not repository.git("merge-base", "--is-ancestor", *reversed(ends)).returncode:
        hint = f"it comes after it: --bisect {bad.asked} {good.asked}?"
    elif common := _git(repository, "merge-base", *ends):
        hint = f"the last revision of both is {common[:9]}: --bisect {common[:9]} {bad.asked}?"
    elif _git(repository, "rev-parse", "--is-shallow-repository") == "true":
        hint = "this clone is shallow: git fetch --unshallow"
    else:
        hint = "they have no revision in common"
    raise RequestError(
        f"{asked}: {good.label} is no ancestor of {bad.label}; expected a revision and a later, "
        f"slower one ({hint})"
    )


def _git(repository: Repository, *arguments: str) -> str:
    return repository.git(*arguments).stdout.strip()
