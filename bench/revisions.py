"""Checking the revisions of a repository: did training get slower, and since when?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import store
from bench.errors import RequestError
from bench.running import Where, suite_of

if TYPE_CHECKING:
    from bench.gate import Bisection, Check, Repository, Revision
    from bench.records import CheckResult
    from bench.suite import Suite

Tell = Callable[[str], None]


def check(  # noqa: PLR0913 - the options of `bench check`, all but the suite by name
    suite: Suite | Where,
    *,
    against: str | None = None,
    baseline: Where | None = None,
    record: Where | None = None,
    calibrate: int | None = None,
    head: str | None = None,
    results: Where = "results",
    timeout: float | None = None,
    tell: Tell = lambda line: None,
) -> CheckResult:
    """The step-time regression check of the repository that this process stands in.

    Head (a revision; HEAD by default, whose tree must then be clean) is held `against` another
    revision, or against a `baseline` stored by `record`; or it is timed against itself, for so many
    rounds, to `calibrate` the machine.  Exactly one of the four is asked for.  All but a recorded
    baseline is kept beside the suite's other results.  `timeout`: seconds that a worker may take
    for one answer; `tell` hears of every round.

    Raises `RequestError`, `NotComparable`, `StoreError` and `gate.WrongTree`; what fails on one
    side is a row of the result.
    """
    from bench import gate

    asked = [against, baseline, record, calibrate]
    if sum(each is not None for each in asked) != 1:
        raise RequestError(
            "bench check: expected exactly one of --against REV, --baseline FILE, --record FILE, "
            "--calibrate"
        )
    whole, repository = suite_of(suite), gate.Repository(Path.cwd())
    if head is None:
        repository.require_clean()
    asking = _asking(
        whole, repository, repository.revision(head or "HEAD", "--head"), timeout, tell
    )
    # what cannot be read or written is said before minutes of measuring
    if record is not None:
        store.prepare_baseline(Path(record))
        found, measured = gate.record(asking)
        if measured is not None:
            store.write_baseline(Path(record), measured)
        return found
    stored = store.read_baselines(Path(baseline)) if baseline is not None else ()
    base = repository.revision(against, "--against") if against is not None else None
    store.prepare_checks(Path(results), whole.name)
    if base is not None:
        found = gate.against(asking, base)
    elif calibrate is not None:
        found = gate.calibrate(asking, calibrate)
    else:
        found = gate.compare(asking, stored, str(baseline))
    store.append_check(Path(results), whole.name, found)
    return found


def bisect(  # noqa: PLR0913 - the options of `bench check --bisect`
    suite: Suite | Where,
    good: str,
    bad: str,
    *,
    results: Where = "results",
    timeout: float | None = None,
    tell: Tell = lambda line: None,
) -> Bisection:
    """The first revision after `good`, up to `bad`, that made training slower than `good` has it.

    Every step is a check, and is kept like one.  Raises what `check` raises.
    """
    from bench import gate

    whole, repository = suite_of(suite), gate.Repository(Path.cwd())
    first, last = (repository.revision(name, "--bisect") for name in (good, bad))
    store.prepare_checks(Path(results), whole.name)

    def keep(result: CheckResult) -> None:
        store.append_check(Path(results), whole.name, result)

    asking = _asking(whole, repository, last, timeout, tell)
    return gate.bisect(asking, first, last, whole.options, keep)


def _asking(
    suite: Suite, repository: Repository, head: Revision, timeout: float | None, tell: Tell
) -> Check:
    from bench import gate

    return gate.Check(
        suite=suite,
        repository=repository,
        head=head,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        timeout=timeout or gate.TIMEOUT,
        tell=tell,
    )
