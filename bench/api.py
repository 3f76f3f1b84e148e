"""What `bench` does, as functions: run a suite, compare what came of it, render the report.

The command line composes these and adds nothing to what they do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench import store
from bench.costs import RUN_COSTS
from bench.errors import RequestError, StoreError, suggestion
from bench.revisions import bisect, check
from bench.running import Preview, Where, preview, run, tune
from bench.store import Results

if TYPE_CHECKING:
    from bench.reporting.checked import Checked
    from bench.reporting.experiments import Searched
    from bench.reporting.summary import Declaration, Summary

__all__ = [
    "Preview",
    "bisect",
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
    summary = summarize(found, declaration(found))
    return replace(summary, search=_searched(whole), checks=_checked(whole))


def report(
    *suites: Results | Where,
    results: Where = "results",
    reports: Where = "reports",
    format: Format = "html",
    history: bool = False,
) -> Path | str:
    """The report of one suite, or of several side by side.

    Each is a suite's file, its name, its folder of results, or results already loaded.  In
    HTML one offline page, whose path comes back; as Markdown or JSON (the same numbers) the text.
    `history`: of one suite, its regression checks across revisions instead.  Raises what `compare`
    raises, and `RequestError` without a suite or for another format.
    """
    from bench.reporting import page, summary, text

    if not suites:
        raise RequestError("report: found no suite; expected at least one file, name or folder")
    if format not in get_args(Format):
        raise RequestError(f"format: {format!r} is not one{suggestion(format, get_args(Format))}")
    if history:
        return _history(suites, Path(results), Path(reports), format)
    whole = [_results(suite, results) for suite in suites]
    checks = [_checks_alone(each) for each in whole]
    guarded = [(each.suite, own) for each, own in zip(whole, checks, strict=True) if own]
    ran = [each for each, own in zip(whole, checks, strict=True) if not own]
    summaries = [compare(each) for each in ran]
    summary.require_comparable(summaries)
    if format != "html":
        render = text.render_markdown if format == "md" else text.render_json
        return render(*summaries, guarded=guarded)
    name = "+".join(each.suite for each in whole)
    found = [current(each) for each in ran]
    html = page.render_side_by_side(list(zip(summaries, found, strict=True)), guarded)
    return _written(Path(reports) / f"{name}.html", html)


def current(results: Results) -> Results:
    """The runs of the recipes that the suite declared when it was last run.

    An edited suite, or a `--set`, leaves the runs of before in the folder, under the same names;
    no comparison may mix the two.
    """
    return results.only(results.declaration.get("run_ids", ()))


def trials(results: Results) -> Results:
    """The runs of the trials that the suite's search asked for when it was last run."""
    return results.only([one["run_id"] for one in results.declaration.get("trials", ())])


def _history(
    suites: Sequence[Results | Where], root: Path, reports: Path, format: Format
) -> Path | str:
    """A suite's checks across revisions: the page's path, or the text."""
    from bench.reporting import history, page

    if len(suites) != 1:
        raise RequestError(f"report --history: expected one suite, found {len(suites)}")
    (source,) = suites
    folder = source.root if isinstance(source, Results) else store.locate(source, root)
    name = folder.resolve().name
    found = history.history(name, store.load_checks(folder.resolve().parent, name).rows)
    if not found.machines:
        raise StoreError(
            f"{folder}: no check of a revision is kept there; `bench check {name} --against REV` "
            "makes one"
        )
    if format != "html":
        return history.RENDERED[format](found)
    return _written(reports / f"{name}-history.html", page.render_history(found))


def _checks_alone(results: Results) -> Checked | None:
    """What there is of a suite that has been checked and never run."""
    ran = not results.runs.empty or (results.root / "declaration.json").is_file()
    return None if ran else _checked(results)


def _checked(results: Results) -> Checked | None:
    from bench.reporting.checked import checked

    root = results.root.resolve()
    return checked(store.load_checks(root.parent, root.name))


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
