"""`bench run`: does what a suite declares and is not finished yet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.base import JsonOption, ResultsOption, console, print_json, print_line, print_table
from bench.errors import NotComparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from bench.api import Preview
    from bench.records import RunRow, RunSpec
    from bench.reporting.base import Summary
    from bench.store import Results
    from bench.suite import Suite

REFUTED = 1
"""The exit code under `--strict` where a claim of the suite is refuted."""
FAILED = 3
"""The exit code where something that should have run failed; a diverged run is a result."""
MOST_PAIRS = 6
"""Pairs of recipes, of four variants, beyond which the terminal only counts them."""
_MOST = 1000
_SAID = {True: "done", False: "to do"}
_SEEDS = re.compile(r"\d{1,18}(-\d{1,18})?(,\d{1,18}(-\d{1,18})?)*")


def run(  # noqa: PLR0913, PLR0917 - a verb's options are its arguments
    suite: Annotated[Path, typer.Argument(metavar="SUITE.toml", help="What to compare.")],
    results: ResultsOption = Path("results"),
    variant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This variant only; repeatable.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0-4,7", help="These seeds instead of the suite's.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N; repeatable."),
    ] = None,
    executor: Annotated[
        str, typer.Option(metavar="NAME", help="processes, or serial.")
    ] = "processes",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Groups at once; as many as fit by default.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Overrides the suite; a dotted key; repeatable."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do finished runs anew.")] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=0.001, help="A limit for each run.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 when a claim of the suite is refuted.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run, and about how long it takes.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Run what a suite declares and is not finished yet.

    The comparison is printed at the end. Ctrl-C keeps every finished run, and the same command goes
    on from there.
    """
    from bench.suite import load_suite

    wanted = load_suite(
        suite,
        overrides=set_ or (),
        variants=variant or (),
        seeds=_parsed(seeds),
        devices=device or (),
    )
    if dry_run:
        options: dict[str, Any] = {"results": results, "executor": executor}
        return _preview(wanted, json, **options, workers=workers, fresh=fresh)
    return _run(
        wanted,
        json,
        strict,
        results=results,
        executor=executor,
        workers=workers,
        timeout=timeout,
        fresh=fresh,
    )


def _run(suite: Suite, json: bool, strict: bool, **options: Any) -> int:
    """Runs the suite under a display of its progress; prints the comparison and what failed."""
    from bench import api, plan, probing, store
    from bench.cli.progress import Bars, Lines

    out = console(stderr=json)  # with --json, the output is the answer alone
    suite = _tuned(suite, out, **options)
    finished = frozenset() if options["fresh"] else store.finished(options["results"], suite.name)
    specs = plan.expand(suite)
    groups = plan.pending(plan.groups(specs, suite.name, timed=suite.timed), finished)
    show = (Bars if out.is_terminal else Lines)(out, groups, suite.primary.metric, _called(suite))
    waiting = sum(len(group.specs) for group in groups)
    show.say(f"{suite.name}: {waiting} of {len(specs)} runs to do")
    if probes := probing.expand(suite):
        measured = store.finished_probes(options["results"], suite.name)
        left = probing.pending(probes, () if options["fresh"] else measured)
        show.say(f"{suite.name}: {len(left)} of {len(probes)} seeds of probes to do")
    try:
        with show:
            heard: dict[str, Any]
            heard = {"on_progress": show.progress, "on_result": show.result, "on_probe": show.probe}
            results = api.run(suite, **options, **heard)
    except KeyboardInterrupt:
        stored = store.finished(options["results"], suite.name)
        kept = sum(spec.run_id in stored for spec in specs)
        measured = store.finished_probes(options["results"], suite.name)
        also = sum(spec.probe_id in measured for spec in probes)
        more = f" and {also} of {len(probes)} seeds of probes" if probes else ""
        told = f"{kept} of {len(specs)} runs{more} are finished and kept"
        print_line(f"interrupted: {told}; the same command goes on from there", stderr=True)
        raise
    try:
        summary = _conclude(suite, results, show.failed, json)
    finally:
        for ended in show.failed_probes:
            print_line(f"{ended.spec.label} {ended.status}: {ended.error}", stderr=True)
    if show.failed or show.failed_probes:
        return FAILED
    refuted = summary is not None and any(each.verdict == "refuted" for each in summary.claims)
    return REFUTED if strict and refuted else 0


def _tuned(suite: Suite, out: Console, **options: Any) -> Suite:
    """The suite after its search, whose trials run under a display of their own."""
    from bench import api, plan, store
    from bench.cli.progress import Bars, Lines

    if suite.search is None:
        return suite
    finished = frozenset() if options["fresh"] else store.finished(options["results"], suite.name)
    every = plan.trial_groups(suite)
    groups = plan.pending(every, finished)
    show = (Bars if out.is_terminal else Lines)(out, groups, suite.primary.metric, _called(suite))
    ids = [spec.run_id for group in every for spec in group.specs]
    waiting = sum(len(group.specs) for group in groups)
    show.say(f"{suite.name}: {waiting} of {len(ids)} runs of the search to do")
    try:
        with show:
            tuned = api.tune(suite, **options, on_progress=show.progress, on_result=show.result)
    except KeyboardInterrupt:
        kept = len({*ids} & store.finished(options["results"], suite.name))
        told = f"{kept} of {len(ids)} runs of the search are finished and kept"
        print_line(f"interrupted: {told}; the same command goes on from there", stderr=True)
        raise
    finally:
        for run in show.failed:
            print_line(f"{run.variant}/{run.seed} {run.status}: {run.error}", stderr=True)
    for line in _winners(tuned):
        show.say(line)
    return tuned


def _winners(suite: Suite) -> Iterator[str]:
    """A line for each variant: by which trial it is compared."""
    from bench.reporting.search import setting

    found = suite.search
    for name, number in found.winners.items() if found else ():
        trials = found.trials[name] if found else ()
        drawn = ", ".join(f"{k} = {setting(v)}" for k, v in trials[number - 1].drawn.items())
        yield f"{name}: trial {number} of {len(trials)} won, {drawn}"


def _called(suite: Suite) -> str:
    """The primary metric with its extractor, by the name that its rows will have."""
    from bench import extractors
    from bench.reporting.comparison import metric_label

    judged = next(iter(suite.recipes.values())).evaluation
    measured = judged.metrics or judged.final_metrics
    name = extractors.find(judged.extractor).name if measured else ""
    return metric_label(suite.primary.metric, name)


def _conclude(
    suite: Suite, results: Results, failed: Sequence[RunRow], json: bool
) -> Summary | None:
    """Prints the comparison, which there may be none of where runs failed, and these."""
    from bench import api
    from bench.reporting.text import render_json

    try:
        summary = api.compare(results)
        if json:
            print(render_json(summary), end="")
        else:
            _print_comparison(suite, summary, results.root)
        return summary
    except NotComparable as error:
        if not failed:
            raise
        print_line(f"error: {error}", stderr=True)
        return None
    finally:
        for run in failed:
            print_line(f"{run.variant}/{run.seed} {run.status}: {run.error}", stderr=True)


def _print_comparison(suite: Suite, summary: Summary, root: Path) -> None:
    """The primary metric and the cost of every variant, the verdict, and where to look next."""
    from bench.reporting import claims
    from bench.reporting.numbers import count, duration, interval, number

    costs = {row.variant: row for row in summary.costs}
    cells = summary.readings[0].line.cells if summary.readings else ()
    columns = {
        "variant": [cell.variant for cell in cells],
        summary.metric_label: [number(cell.description.median) for cell in cells],
        "real data": [number(summary.floor) for _ in cells],
        "95 % interval": [interval(cell.description.interval) for cell in cells],
        "timings" if summary.costly else "seeds": [count(len(cell.values)) for cell in cells],
        "ms a step": [number(costs[cell.variant].step_ms) for cell in cells],
        "cost": [duration(costs[cell.variant].cost) for cell in cells],
    }
    if summary.costly:
        del columns["real data"]
    print_line("")
    if cells:
        print_table(list(columns), [*zip(*columns.values(), strict=True)])
        print_line("")
    headline, *pairs = summary.verdict.splitlines()
    print_line(headline, style="bold")
    if len(pairs) > MOST_PAIRS:
        pairs = [f"{len(pairs)} comparisons of recipes in pairs are in the report."]
    for text in (*pairs, *summary.warnings, *summary.gaps):
        print_line(f"- {text}")
    for place, text in enumerate(claims.lines(summary.claims)):
        print_line(text if place else f"\n{text}", style="" if place else "bold")
    again = suite.name if root.parent == Path("results") else str(root)
    print_line(f"\nThe whole of it, with pictures: bench report {again}")


def _preview(suite: Suite, json: bool, **options: Any) -> int:
    """Prints every run: whether it is done, and if not, about how long it takes."""
    from bench import api

    found = api.preview(suite, **options)
    if json:
        runs = [
            {
                "run": spec.label,
                "run_id": None if spec.run_id in found.open else spec.run_id,
                "done": spec.run_id not in found.seconds,
                "seconds": found.seconds.get(spec.run_id),
            }
            for spec in found.specs
        ]
        probes = [
            {"probe": spec.label, "probe_id": spec.probe_id, "done": done}
            for spec, done in found.probes
        ]
        more = {"probes": probes} if probes else {}
        workers = len(found.room.workers)
        print_json({"runs": runs, **more, "seconds": found.total, "workers": workers})
        return 0
    print_table(
        ["run", "device", "standing", "run_id"],
        [
            *(
                [run.label, run.device, _standing(run, found), _id(run, found)]
                for run in found.specs
            ),
            *([seed.label, seed.device, _SAID[done], seed.probe_id] for seed, done in found.probes),
        ],
    )
    about = f", {_about(found.total)}" if found.seconds else ""
    print_line(f"{len(found.seconds)} of {len(found.specs)} runs to do{about}")
    if found.probes:
        left = sum(not done for _, done in found.probes)
        print_line(f"{left} of {len(found.probes)} seeds of probes to do")
    for line in found.room.told:
        print_line(line)
    return 0


def _standing(spec: RunSpec, found: Preview) -> str:
    if spec.run_id not in found.seconds:
        return "done"
    unknown = "winner not known yet, " if spec.run_id in found.open else ""
    return f"{unknown}{_about(found.seconds[spec.run_id])}"


def _id(spec: RunSpec, found: Preview) -> str:
    return "–" if spec.run_id in found.open else spec.run_id


def _about(seconds: float | None) -> str:
    """Rough on purpose: nothing here is known to the second."""
    if seconds is None:
        return "no estimate before a first run on this device"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _parsed(seeds: str | None) -> list[int] | None:
    """`0-4,7` as the numbers it stands for; None where it was not given."""
    if seeds is None:
        return None
    if not _SEEDS.fullmatch(seeds):
        raise _bad_seeds(f"{seeds!r} is not a list of seeds; expected numbers as in 0-4,7")
    found: list[int] = []
    for part in seeds.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), min(int(last or first), int(first) + _MOST) + 1)
    if not found or len(found) > _MOST or len(set(found)) < len(found):
        raise _bad_seeds(f"{seeds!r}: expected 1 to {_MOST} different seeds")
    return found


def _bad_seeds(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="'--seeds'")
