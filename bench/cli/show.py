"""`bench show`: a suite's standing, or one run whole, in the terminal."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.base import JsonOption, ResultsOption, print_json, print_line, print_table
from bench.errors import RequestError, suggestion

if TYPE_CHECKING:
    import pandas as pd

    from bench.reporting.summary import Declaration
    from bench.store import Results


def show(
    suite: Annotated[
        str, typer.Argument(metavar="SUITE", help="A suite's file or name, or a results folder.")
    ],
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="variant/seed, or the head of a run_id.")
    ] = None,
    results: ResultsOption = Path("results"),
    json: JsonOption = False,
) -> None:
    """Show how a suite stands, or all that is known of one run."""
    from bench import api, store

    found = store.load_results(store.locate(suite, results))
    if run is not None:
        return _show_run(found, _find(api.current(found), run), json)
    return _show_suite(found, api.current(found), api.declaration(found), json)


def _show_suite(found: Results, counted: Results, declared: Declaration, json: bool) -> None:
    from bench.reporting.numbers import count, duration, number

    final = _final(counted, declared.metric)
    runs = counted.runs.to_dict("records")
    if json:
        return print_json(
            [{**_plain(run), declared.metric: final.get(run["run_id"])} for run in runs]
        )
    print_line(f"{declared.title} ({counted.root})", style="bold")
    print_table(
        ["run", "status", "steps", declared.metric, "ms a step", "took", "run_id"],
        [
            [
                f"{run['variant']}/{run['seed']}",
                run["status"],
                count(run["generator_steps"]),
                number(final.get(run["run_id"])),
                number(run["solo_step_ms"]),
                duration(run["wall_seconds"]),
                run["run_id"],
            ]
            for run in runs
        ],
    )
    for run in runs:
        if isinstance(run["error"], str):
            print_line(f"{run['variant']}/{run['seed']} {run['status']}: {run['error']}")
    _print_under_way(found, counted)
    missing = len(set(found.declaration.get("run_ids", ())) - set(counted.runs["run_id"]))
    if missing:
        print_line(f"{missing} declared and not run yet; `bench run` does just those")
    if older := len(found.runs) - len(counted.runs):
        print_line(
            f"{older} of earlier declarations of this suite lie there too, and count nowhere"
        )
    return None


def _print_under_way(found: Results, counted: Results) -> None:
    """A line for each declared group that has a checkpoint and no results yet."""
    from bench.records import FINISHED
    from bench.reporting.numbers import count, duration
    from bench.store import under_way

    declared = set(found.declaration.get("run_ids", ()))
    finished = set(counted.runs.loc[counted.runs["status"].isin(FINISHED), "run_id"])
    for group in under_way(found.root):
        if declared.issuperset(group.run_ids) and not finished.issuperset(group.run_ids):
            where = f"step {count(group.step)} of {count(group.steps)}"
            print_line(f"under way: {group.label} at {where}, checkpoint {duration(group.age)} old")


def _show_run(found: Results, run: dict[str, Any], json: bool) -> None:
    run_id = run["run_id"]
    metrics = found.metrics[found.metrics["run_id"] == run_id]
    curves = found.curves[found.curves["run_id"] == run_id]
    files = [str(path) for path in found.files(run_id).values()]
    spec = json_module.loads(run["spec"])
    if json:
        tables = {"metrics": metrics.to_dict("records"), "curves": curves.to_dict("records")}
        return print_json({"run": _plain({**run, "spec": spec}), **tables, "files": files})
    facts = {k: v for k, v in _plain(run).items() if v is not None and k != "spec"}
    print_table(["column", ""], [[name, _text(value)] for name, value in facts.items()])
    print_table(["declared", ""], [[name, _text(value)] for name, value in spec.items()])
    if len(metrics):
        _print_metrics(metrics)
    for path in files:
        print_line(path)
    return None


def _print_metrics(metrics: pd.DataFrame) -> None:
    """A row a metric, a column an evaluation."""
    steps = sorted(metrics["generator_step"].unique())
    values = {(m, s): v for m, s, v in metrics[["metric", "generator_step", "value"]].to_numpy()}
    names = list(dict.fromkeys(metrics["metric"]))
    rows = [[name, *(_text(_finite(values.get((name, step)))) for step in steps)] for name in names]
    print_table(["metric at step", *(f"{step:,}" for step in steps)], rows)


def _find(results: Results, wanted: str) -> dict[str, Any]:
    """The run with that `variant/seed`, or whose `run_id` alone begins so."""
    runs = results.runs.to_dict("records")
    labels = [f"{run['variant']}/{run['seed']}" for run in runs]
    matching = [
        run
        for run, label in zip(runs, labels, strict=True)
        if wanted == label or (len(wanted) >= 4 and run["run_id"].startswith(wanted))
    ]
    if len(matching) == 1:
        return {str(name): value for name, value in matching[0].items()}
    if matching:
        ids = ", ".join(run["run_id"] for run in matching)
        raise RequestError(f"{wanted!r} is {len(matching)} runs of this suite; name one: {ids}")
    raise RequestError(f"{wanted!r} is not a run of this suite{suggestion(wanted, labels)}")


def _final(results: Results, metric: str) -> dict[str, float]:
    """The value of a metric, or a cost, of each completed run, as the report reads it."""
    from bench.costs import RUN_COSTS

    if cost := RUN_COSTS.get(metric):
        ended = results.runs[results.runs["status"] == "completed"]
        found = zip(ended["run_id"], ended[cost.column], strict=True)
        return {str(run_id): float(value) for run_id, value in found if not math.isnan(value)}
    completed = results.runs.loc[results.runs["status"] == "completed", "run_id"]
    chosen = (results.metrics["metric"] == metric) & results.metrics["run_id"].isin(completed)
    last = results.metrics[chosen].sort_values("generator_step").groupby("run_id").tail(1)
    values = {str(run_id): float(v) for run_id, v in last[["run_id", "value"]].to_numpy()}
    return {run_id: value for run_id, value in values.items() if math.isfinite(value)}


def _plain(run: dict[Any, Any]) -> dict[str, Any]:
    """A row with its nulls as None, and its whole numbers whole again."""
    return {str(name): _finite(value) for name, value in run.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return int(value) if value.is_integer() else value
    return value


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        rest = ", ".join(f"{k} {_text(v)}" for k, v in value.items() if k not in ("name", "unit"))
        head = str(value.get("name") or value.get("unit") or "")
        return f"{head} ({rest})" if head and rest else head or rest
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
