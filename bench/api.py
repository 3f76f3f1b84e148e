"""What `bench` does, as functions: run a suite, compare what came of it, render the report.

The command line composes these and adds nothing to what they do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench import registry, store
from bench.costs import RUN_COSTS
from bench.errors import RequestError, StoreError, suggestion
from bench.records import (
    FINISHED,
    Checkpoints,
    Emit,
    Group,
    Placement,
    Progress,
    RunResult,
    RunRow,
    RunSpec,
)
from bench.store import Results

if TYPE_CHECKING:
    from bench.reporting.summary import Declaration, Summary
    from bench.suite import Suite

Where = str | os.PathLike[str]
Format = Literal["html", "md", "json"]


@dataclass(frozen=True)
class Preview:
    """What a suite would run, and about how long it would take."""

    specs: tuple[RunSpec, ...]
    """Every run of the suite."""
    seconds: Mapping[str, float | None]
    """Those not finished, by `run_id`: about how long each one's group takes; None: not known."""
    total: float | None
    """Seconds until all are done, with as many groups at once as there would be."""
    room: Room
    """Where groups would run at once."""


@dataclass(frozen=True)
class Room:
    """Where groups run at once, and what keeps them so few."""

    workers: tuple[Placement, ...]
    asked: int | None
    """The cap for the executor: as many as asked for, or as memory holds; None: none."""
    limited: str
    """Why memory allows no more of them; empty where it does."""

    @property
    def told(self) -> tuple[str, ...]:
        """A line for each kind of device."""
        from bench.environment import cores
        from bench.reporting.numbers import plural

        kinds = [place.device.partition(":")[0] for place in self.workers]
        lines = []
        for kind in dict.fromkeys(kinds):
            threads = self.workers[kinds.index(kind)].threads
            each = plural(threads, "thread")
            words = f"{plural(kinds.count(kind), 'worker')} of {each} on {kind}"
            limit = f"; no more, since {self.limited}" if self.limited else ""
            lines.append(f"{words} ({plural(cores(), 'core')}{limit})" if kind == "cpu" else words)
        return tuple(lines)


def run(  # noqa: PLR0913 - the options of `bench run`, all but the suite by name
    suite: Suite | Where,
    *,
    results: Where = "results",
    executor: str = "processes",
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    on_progress: Emit = lambda progress: None,
    on_result: Callable[[RunResult], None] = lambda result: None,
) -> Results:
    """Run what the suite declares and is not finished yet; all its results, as they are then.

    `timeout` is in seconds, for each run; `fresh` does the suite's finished runs anew, each of
    which stays until its successor is there, and goes on from no checkpoint.  Every result is on
    disk before `on_result` hears of it, so an interruption loses only what was under way; where the
    suite has checkpoints, what came after the last one.  A script that calls this needs the usual
    `if __name__ == "__main__":`, since workers are spawned.  A run that failed is a row of the
    results, not an exception.

    Raises `SuiteError`, `DataError`, `DeviceError` and `StoreError` before anything is started.
    """
    from bench import plan, preflight, recorder
    from bench.declaration import declare

    suite, root = _suite(suite), Path(results)
    specs, start = plan.expand(suite), registry.load("executors", executor)
    devices = plan.devices(suite)
    preflight.check(specs, devices)
    store.prepare(root, suite.name)
    with store.locked(root, suite.name):
        done = store.finished(root, suite.name)
        groups = plan.groups(specs, suite.name, timed=suite.timed)
        todo = plan.pending(groups, () if fresh else done)
        room = _room(todo, devices, executor, workers)  # a refusal leaves everything as it was
        declared = declare(suite, specs, root / suite.name, done)
        store.keep_suite(root, suite.name, suite.text, declared)
        for line in room.told if room.limited else ():
            on_progress(Progress(suite.name, "note", note=line))
        share = {"devices": devices, "workers": room.asked, "timeout": timeout}
        goes_on = set() if fresh else {group.leader for group in todo}
        store.discard(root, suite.name, {group.leader for group in groups} - goes_on)
        todo = tuple(_with_checkpoints(group, suite, root) for group in todo)
        missing = {group.leader: {spec.run_id for spec in group.specs} for group in todo}
        with closing(start(recorder.execute, todo, **share, on_progress=on_progress)) as arriving:
            for result in arriving:
                # the driver is the only writer
                store.write(root, suite.name, result, replace=fresh)
                store.discard(root, suite.name, _ended(missing, result.run))
                on_result(result)
        return store.load_results(root / suite.name)


def _with_checkpoints(group: Group, suite: Suite, root: Path) -> Group:
    """The group with the place of its checkpoints, where its variant asks for any."""
    every = suite.recipes[group.specs[0].variant].checkpoint_every
    if every is None:
        return group
    folder = store.partial(root, suite.name, group.leader)
    return replace(group, checkpoints=Checkpoints(str(folder), every))


def _ended(missing: Mapping[str, set[str]], run: RunRow) -> list[str]:
    """The leader of the group of which this run was the last still missing, if it is finished."""
    for leader, runs in missing.items():
        if run.run_id in runs and run.status in FINISHED:
            runs.remove(run.run_id)
            return [] if runs else [leader]
    return []


def compare(results: Results | Where) -> Summary:
    """What the stored results of a suite say: the verdict, and every number behind it.

    Raises `StoreError` where there are none, and `NotComparable` where they must not be compared.
    """
    from bench.reporting.summary import summarize

    found = current(_results(results))
    return summarize(found, declaration(found))


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
    found = [current(_results(suite, results)) for suite in suites]
    summaries = [compare(each) for each in found]
    summary.require_comparable(summaries)
    if format != "html":
        render = text.render_markdown if format == "md" else text.render_json
        return render(*summaries)
    name = "+".join(each.suite for each in found)
    html = page.render_side_by_side(list(zip(summaries, found, strict=True)))
    return _written(Path(reports) / f"{name}.html", html)


def current(results: Results) -> Results:
    """The runs of the recipes that the suite declared when it was last run.

    An edited suite, or a `--set`, leaves the runs of before in the folder, under the same names;
    no comparison may mix the two.
    """
    return results.only(results.declaration.get("run_ids", ()))


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
        )
    except (KeyError, TypeError) as error:
        where = results.root / "declaration.json"
        raise StoreError(f"{where}: {error} is missing or wrong; run the suite again") from error


def preview(
    suite: Suite | Where,
    *,
    results: Where = "results",
    executor: str = "processes",
    workers: int | None = None,
    fresh: bool = False,
) -> Preview:
    """What `run` would do now, and about how long it would take.

    Raises what `run` raises before it starts anything.
    """
    from bench import plan, preflight
    from bench.forecast import forecast, total

    suite, root = _suite(suite), Path(results)
    specs = plan.expand(suite)
    registry.load("executors", executor)
    devices = plan.devices(suite)
    preflight.check(specs, devices)
    done = store.finished(root, suite.name)
    groups = plan.pending(plan.groups(specs, suite.name, timed=suite.timed), () if fresh else done)
    room = _room(groups, devices, executor, workers)
    count = len(room.workers)
    folders = (root / suite.name, root / "reference" / suite.name)
    earlier = [store.run_rows(folder) for folder in folders]
    found = forecast(groups, earlier, count, spawned=executor != "serial")
    known = [each for each in found if each is not None]
    return Preview(
        specs=specs,
        seconds={
            spec.run_id: each.seconds if each else None
            for group, each in zip(groups, found, strict=True)
            for spec in group.specs
        },
        total=total(known, count) if len(known) == len(found) else None,
        room=room,
    )


def _room(
    groups: Sequence[Group], devices: tuple[str, ...], executor: str, workers: int | None
) -> Room:
    """Where the groups run at once, so far as memory holds them; `DeviceError` for a larger one."""
    from bench import preflight
    from bench.executors.base import at_once, places

    wanted = 1 if executor == "serial" else workers
    held = preflight.hold(groups, devices)
    asked = held.workers(wanted)
    at = places(groups, devices, asked)
    count = at_once(at, asked)
    more = at_once(places(groups, devices, wanted), wanted) > count
    return Room(tuple(at[:count]), asked, held.reason if more else "")


def _suite(suite: Suite | Where) -> Suite:
    from bench.suite import load_suite

    return load_suite(Path(suite)) if isinstance(suite, str | os.PathLike) else suite


def _results(source: Results | Where, root: Where = "results") -> Results:
    if isinstance(source, Results):
        return source
    return store.load_results(store.locate(source, Path(root)))


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
