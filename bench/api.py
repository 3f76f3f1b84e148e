"""What `bench` does, as functions: run a suite, compare what came of it, render the report.

The command line composes these and adds nothing to what they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench import store
from bench.costs import RUN_COSTS
from bench.errors import RequestError, StoreError, suggestion
from bench.running import Preview, Where, preview, run, tune
from bench.store import Results

if TYPE_CHECKING:
    from bench.records import CheckResult
    from bench.reporting.experiments import Searched
    from bench.reporting.summary import Declaration, Summary
    from bench.suite import Suite

__all__ = [
    "Preview",
    "check",
    "compare",
    "current",
    "declaration",
    "preview",
    "report",
    "run",
    "trials",
    "tune",
]

Format = Literal["html", "md", "json"]


def compare(results: Results | Where) -> Summary:
    """What the stored results of a suite say: the verdict, and every number behind it.

    Raises `StoreError` where there are none, and `NotComparable` where they must not be compared.
    """
    from bench.reporting.summary import summarize

    whole = _results(results)
    found = current(whole)
    return replace(summarize(found, declaration(found)), search=_searched(whole))


def report(
    *suites: Results | Where,
    results: Where = "results",
    reports: Where = "reports",
    format: Format = "html",
) -> Path | str:
    """The report of one suite, or of several side by side.

    Each is a suite's file, its name, its folder of results, or results already loaded.  In
    HTML one offline page, whose path comes back; as Markdown or JSON (the same numbers) the text.
    Raises what `compare` raises, and `RequestError` without a suite or for another format.
    """
    from bench.reporting import page, summary, text

    if not suites:
        raise RequestError("report: found no suite; expected at least one file, name or folder")
    if format not in get_args(Format):
        raise RequestError(f"format: {format!r} is not one{suggestion(format, get_args(Format))}")
    whole = [_results(suite, results) for suite in suites]
    summaries = [compare(each) for each in whole]
    found = [current(each) for each in whole]
    summary.require_comparable(summaries)
    if format != "html":
        render = text.render_markdown if format == "md" else text.render_json
        return render(*summaries)
    name = "+".join(each.suite for each in found)
    html = page.render_side_by_side(list(zip(summaries, found, strict=True)))
    return _written(Path(reports) / f"{name}.html", html)


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
    tell: Callable[[str], None] = lambda line: None,
) -> CheckResult:
    """The step-time regression check of the repository that this process stands in.

    Head (a revision; HEAD by default, whose tree must then be clean) is held `against` another
    revision, or against a `baseline` stored by `record`; or it is timed against itself, for so many
    rounds, to `calibrate` the machine.  Exactly one of the four is asked for.  The result is kept
    beside the suite's other results.

    Raises `RequestError`, `NotComparable`, `StoreError` and `gate.WrongTree`; what fails on one
    side is a row of the result.
    """
    from datetime import UTC, datetime

    from bench import gate
    from bench.running import suite_of

    asked = [against, baseline, record, calibrate]
    if sum(each is not None for each in asked) != 1:
        raise RequestError(
            "bench check: expected exactly one of --against REV, --baseline FILE, --record FILE, "
            "--calibrate"
        )
    whole = suite_of(suite)
    repository = gate.Repository(Path.cwd())
    if head is None:
        repository.require_clean()
    asking = gate.Check(
        suite=whole,
        repository=repository,
        head=repository.revision(head or "HEAD", "--head"),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        timeout=timeout or gate.TIMEOUT,
        tell=tell,
    )
    if against is not None:
        found = gate.against(asking, repository.revision(against, "--against"))
    elif calibrate is not None:
        found = gate.calibrate(asking, calibrate)
    elif baseline is not None:
        stored = store.read_baselines(Path(baseline))
        found = gate.compare(asking, stored, str(baseline))
    else:
        assert record is not None
        store.read_baselines(Path(record), missing_ok=True)  # before minutes of measuring
        found, measured = gate.record(asking)
        if measured is not None:
            store.write_baseline(Path(record), measured)
        return found
    store.append_check(Path(results), whole.name, found)
    return found


def current(results: Results) -> Results:
    """The runs of the recipes that the suite declared when it was last run.

    An edited suite, or a `--set`, leaves the runs of before in the folder, under the same names;
    no comparison may mix the two.
    """
    return results.only(results.declaration.get("run_ids", ()))


def trials(results: Results) -> Results:
    """The runs of the trials that the suite's search asked for when it was last run."""
    return results.only([one["run_id"] for one in results.declaration.get("trials", ())])


def _searched(results: Results) -> Searched | None:
    from bench.reporting.search import searched

    try:
        return searched(results, declaration(results))
    except (KeyError, TypeError, ValueError) as error:
        where = results.root / "declaration.json"
        text = f"the search is told wrongly ({error}); run the suite again"
        raise StoreError(f"{where}: {text}") from error


def declaration(results: Results) -> Declaration:
    """What the suite declared before these runs: what the verdict is about."""
    from bench.reporting.summary import Declaration

    declared = results.declaration
    try:
        return Declaration(
            name=declared["name"],
            title=declared["title"],
            **declared["primary"],
            variants=tuple(declared["variants"]),
            seeds=tuple(declared["seeds"]),
            text=(results.suite_text or "") + _sets(declared.get("overrides", ())),
            runs=tuple(
                (str(run["run_id"]), str(run["variant"]), int(run["seed"]), str(run["device"]))
                for run in declared.get("runs", ())
            ),
            options=tuple(declared.get("options", ())),
            baselines=declared.get("baselines", {}),
            changed_from=_in_words(declared.get("primary_changed_from")),
            **_claims(declared.get("claims", ())),
        )
    except (KeyError, TypeError) as error:
        where = results.root / "declaration.json"
        raise StoreError(f"{where}: {error} is missing or wrong; run the suite again") from error


def _results(source: Results | Where, root: Where = "results") -> Results:
    if isinstance(source, Results):
        return source
    return store.load_results(store.locate(source, Path(root)))


def _claims(declared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The claims, and how many runs were finished when each was first declared."""
    from bench.hypotheses import Claim

    after = [int(one["declared_after"]) for one in declared]
    said = [{key: one[key] for key in one if key != "declared_after"} for one in declared]
    return {"claims": tuple(Claim(**one) for one in said), "claimed_after": tuple(after)}


def _in_words(primary: Mapping[str, Any] | None) -> str | None:
    """A primary as text: `FID final, margin 10 %`, `step time, margin 10 %, against group = 1`."""
    if primary is None:
        return None
    from bench.reporting.comparison import metric_label
    from bench.reporting.numbers import exact_percent, settings

    called = metric_label(primary["metric"], "")
    at = "" if primary["metric"] in RUN_COSTS else f" {primary['at']}"
    against = f", against {settings(found)}" if (found := primary.get("against")) else ""
    return f"{called}{at}, margin {exact_percent(primary['margin'])}{against}"


def _sets(overrides: Sequence[str]) -> str:
    """What `--set` changed, as the end of the suite's text: it was run like that."""
    return "".join(f"\n# run with --set {override!r}" for override in overrides)


def _written(path: Path, content: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); choose another folder with --reports"
        raise StoreError(f"{path}: {reason}") from error
    return path
