"""`bench show`: a suite's standing, or one run whole, in the terminal."""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bench.cli.base import JsonOption, ResultsOption, print_json, print_line, print_table

if TYPE_CHECKING:
    import pandas as pd

    from bench.reporting.summary import Declaration
    from bench.store import Results


class _Final(NamedTuple):
    """The primary metric of a run at its end."""

    value: float | None
    floor: float | None
    """What real data gets."""
    error: str | None
    """Why there is no value."""


_NOTHING = _Final(None, None, None)


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
        declared = found.declaration
        tried = [one["run_id"] for one in declared.get("trials", ())]
        known = found.only([*declared.get("run_ids", ()), *tried])
        return _show_run(found, store.find_run(known, run), json)
    return _show_suite(found, api.current(found), api.declaration(found), json)


def _show_suite(found: Results, counted: Results, declared: Declaration, json: bool) -> None:
    from bench.costs import RUN_COSTS
    from bench.reporting.numbers import count, duration, number

    metric, runs = declared.metric, counted.runs.to_dict("records")
    heading, apart = _heading(counted, metric)
    known = {} if apart else _final(counted, metric)
    final = [known.get(run["run_id"], _NOTHING) for run in runs]
    judged = {} if metric in RUN_COSTS else {"real data": [number(each.floor) for each in final]}
    if json:
        floors = [{f"{metric}_floor": each.floor} if judged else {} for each in final]
        return print_json(
            [
                {**_plain(run), metric: each.value, **floor}
                for run, each, floor in zip(runs, final, floors, strict=True)
            ]
        )
    print_line(f"{declared.title} ({counted.root})", style="bold")
    columns = {
        "run": [f"{run['variant']}/{run['seed']}" for run in runs],
        "status": [run["status"] for run in runs],
        "steps": [count(run["generator_steps"]) for run in runs],
        heading: [number(each.value) for each in final],
        **judged,
        "ms a step": [number(run["solo_step_ms"]) for run in runs],
        "took": [duration(run["wall_seconds"]) for run in runs],
        "run_id": [run["run_id"] for run in runs],
    }
    print_table(list(columns), [*zip(*columns.values(), strict=True)])
    if apart:
        print_line(f"{heading} is not shown: values from {apart} must not be compared")
    for run, each in zip(runs, final, strict=True):
        if isinstance(run["error"], str):
            print_line(f"{run['variant']}/{run['seed']} {run['status']}: {run['error']}")
        if each.error:
            print_line(f"{run['variant']}/{run['seed']} has no {heading}: {each.error}")
    _print_under_way(found, counted)
    missing = len(set(found.declaration.get("run_ids", ())) - set(counted.runs["run_id"]))
    if missing:
        print_line(f"{missing} declared and not run yet; `bench run` does just those")
    tried = _print_search(found)
    if older := len(found.runs) - len(counted.runs) - tried:
        print_line(
            f"{older} of earlier declarations of this suite lie there too, and count nowhere"
        )
    return None


def _print_search(found: Results) -> int:
    """A line on the search, if there is one; answers with how many of its runs there are."""
    from bench import api
    from bench.records import FINISHED
    from bench.reporting.numbers import listed

    declared = found.declaration
    if not (trials := declared.get("trials")):
        return 0
    runs = api.trials(found).runs
    ended = int(runs["status"].isin(FINISHED).sum())
    won = [f"{name} by trial {number}" for name, number in declared["winners"].items()]
    first = [won[0].replace(" by ", " won by ", 1), *won[1:]] if won else ["no winner yet"]
    print_line(f"search: {ended} of {len(trials)} runs of trials have ended; {listed(first)}")
    return len(runs)


def _heading(counted: Results, metric: str) -> tuple[str, str]:
    """What a column of the metric is called, and in what its values' origins differ, if they do."""
    from bench.reporting.comparison import metric_label
    from bench.reporting.origins import clash

    rows = counted.metrics[counted.metrics["metric"] == metric]
    apart = clash(rows) if len(rows) else ""
    known = "" if apart or rows.empty else str(rows["extractor"].iloc[0])
    return metric_label(metric, known), apart


def _print_under_way(found: Results, counted: Results) -> None:
    """A line for each declared group that has a checkpoint and no results yet."""
    from bench.records import FINISHED
    from bench.reporting.numbers import count, duration
    from bench.store import under_way

    asked = found.declaration
    tried = [one["run_id"] for one in asked.get("trials", ())]
    declared = {*asked.get("run_ids", ()), *tried}
    finished = set(found.runs.loc[found.runs["status"].isin(FINISHED), "run_id"])
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
    """A row a metric, a column an evaluation, and what real data gets; why a value is missing."""
    from bench.reporting.comparison import metric_label

    steps = sorted(metrics["generator_step"].unique())
    values = {(m, s): v for m, s, v in metrics[["metric", "generator_step", "value"]].to_numpy()}
    floors = dict(zip(metrics["metric"], metrics["floor"], strict=True))
    last = metrics.drop_duplicates("metric", keep="last").set_index("metric")
    rows = [
        [
            metric_label(name, str(last["extractor"][name])),
            *(_text(_finite(values.get((name, step)))) for step in steps),
            _text(_finite(floor)),
            *(_text(_finite(last[column][name])) for column in ("k", "samples", "reference")),
        ]
        for name, floor in floors.items()
    ]
    beside = ["real data", "k", "samples", "against"]
    print_table(["metric at step", *(f"{step:,}" for step in steps), *beside], rows)
    for (step, why), missing in metrics.groupby(["generator_step", "error"]):
        print_line(f"no {', '.join(missing['metric'])} at step {step:,}: {why}")


def _final(results: Results, metric: str) -> dict[str, _Final]:
    """A metric, or a cost, of each completed run, as the report reads it."""
    from bench.costs import RUN_COSTS

    ended = results.runs[results.runs["status"] == "completed"]
    if cost := RUN_COSTS.get(metric):
        found = zip(ended["run_id"], ended[cost.column], strict=True)
        return {str(run_id): _Final(_number(value), None, None) for run_id, value in found}
    chosen = (results.metrics["metric"] == metric) & results.metrics["run_id"].isin(ended["run_id"])
    last = results.metrics[chosen].sort_values("generator_step").groupby("run_id").tail(1)
    return {
        str(run_id): _Final(_number(value), _number(floor), why if isinstance(why, str) else None)
        for run_id, value, floor, why in last[["run_id", "value", "floor", "error"]].to_numpy()
    }


def _number(value: Any) -> float | None:
    """A finite number, or None."""
    found = math.nan if value is None else float(value)
    return found if math.isfinite(found) else None


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
