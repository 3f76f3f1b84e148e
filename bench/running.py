"""Doing what a suite declares: its search, its runs, its probes; or saying what that would take."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import registry, store
from bench.records import (
    FINISHED,
    Checkpoints,
    Emit,
    Group,
    Placement,
    ProbeResult,
    ProbeSpec,
    Progress,
    RunResult,
    RunRow,
    RunSpec,
)
from bench.store import Results

if TYPE_CHECKING:
    from bench.suite import Suite

Where = str | os.PathLike[str]


@dataclass(frozen=True)
class Preview:
    """What a suite would run, and about how long it would take."""

    specs: tuple[RunSpec, ...]
    """Every run of the suite, those of its search first."""
    seconds: Mapping[str, float | None]
    """Those not finished, by `run_id`: about how long each one's group takes; None: not known."""
    total: float | None
    """Seconds until all are done, with as many groups at once as there would be."""
    room: Room
    """Where groups would run at once."""
    probes: tuple[tuple[ProbeSpec, bool], ...] = ()
    """Every seed of every probe, and whether it has been measured."""
    open: frozenset[str] = frozenset()
    """Runs of `specs` that stand in for those of a search's winner, which is not known yet."""


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
    on_probe: Callable[[ProbeResult], None] = lambda result: None,
) -> Results:
    """Run what the suite declares and is not finished yet; all its results, as they are then.

    Its search comes before its runs, as `tune` does it, and its probes after them; one that failed
    is heard of by `on_probe` alone.

    `timeout` is in seconds, for each run; `fresh` does the suite's finished runs anew, each of
    which stays until its successor is there, and goes on from no checkpoint.  Every result is on
    disk before `on_result` hears of it, so an interruption loses only what was under way; where the
    suite has checkpoints, what came after the last one.  A script that calls this needs the usual
    `if __name__ == "__main__":`, since workers are spawned.  A run that failed is a row of the
    results, not an exception.

    Raises `SuiteError`, `DataError`, `DeviceError` and `StoreError` before anything is started,
    and `Unsettled` where a trial of the search has no result.
    """
    from bench import plan, preflight, probing

    driver = _Driver(Path(results), executor, workers, timeout, fresh, on_progress, on_result)
    suite, root = driver.tuned(suite_of(suite)), driver.root
    specs, start = plan.expand(suite), registry.load("executors", executor)
    devices = plan.devices(suite)
    preflight.check(specs, devices)
    probes = probing.expand(suite)
    probing.require(probes)
    store.prepare(root, suite.name)
    with store.locked(root, suite.name):
        measured = store.finished_probes(root, suite.name)
        driver.drive(suite, plan.groups(specs, suite.name, timed=suite.timed))
        left = probing.pending(probes, () if fresh else measured)
        # as many at once as asked for: what a probe holds in memory is little
        share = {"devices": devices, "workers": workers, "timeout": timeout}
        with closing(start(probing.measure, left, **share, on_progress=on_progress)) as arriving:
            for seed in arriving:
                store.write_probe(root, suite.name, seed)
                on_probe(seed)
        return store.load_results(root / suite.name)


def tune(  # noqa: PLR0913 - the options of `run`
    suite: Suite | Where,
    *,
    results: Where = "results",
    executor: str = "processes",
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    on_progress: Emit = lambda progress: None,
    on_result: Callable[[RunResult], None] = lambda result: None,
) -> Suite:
    """The suite with the recipes by which its variants won its search, as `run` compares them.

    Runs the trials that are not finished yet; with `fresh`, all of them.  A suite without a search
    comes back as it is, and so does one that was tuned already.

    Raises what `run` raises.
    """
    driver = _Driver(Path(results), executor, workers, timeout, fresh, on_progress, on_result)
    return driver.tuned(suite_of(suite))


@dataclass(frozen=True)
class _Driver:
    """How runs are done: where they are kept, how many at once, and who hears of them."""

    root: Path
    executor: str
    workers: int | None
    timeout: float | None
    fresh: bool
    on_progress: Emit
    on_result: Callable[[RunResult], None]

    def tuned(self, suite: Suite) -> Suite:
        """The suite after its search, all of whose trials have run by then."""
        from bench import plan, preflight, probing, search

        if suite.search is None or suite.search.settled:
            return suite
        registry.load("executors", self.executor)
        asked = [run.spec for run in plan.trials(suite)]
        preflight.check((*asked, *plan.expand(_open(suite))), plan.devices(suite))
        probing.require(probing.expand(_open(suite)))
        store.prepare(self.root, suite.name)
        folder = self.root / suite.name
        with store.locked(self.root, suite.name):
            groups = plan.trial_groups(suite)
            if self.fresh or plan.pending(groups, store.finished(self.root, suite.name)):
                self.drive(search.tuned(suite, store.load_results(folder)), groups)
            found = store.load_results(folder)
        tuned = search.tuned(suite, found)
        search.require_settled(tuned, found)
        return tuned

    def drive(self, suite: Suite, groups: Sequence[Group]) -> None:
        """Declare the suite, and do those of the groups that are not finished."""
        from bench import plan, recorder
        from bench.declaration import declare

        root, start = self.root, registry.load("executors", self.executor)
        devices, done = plan.devices(suite), store.finished(root, suite.name)
        todo = plan.pending(groups, () if self.fresh else done)
        # a refusal leaves everything as it was
        room = _room(todo, devices, self.executor, self.workers)
        declared = declare(suite, plan.expand(suite), root / suite.name, done)
        store.keep_suite(root, suite.name, suite.text, declared)
        for line in room.told if room.limited else ():
            self.on_progress(Progress(suite.name, "note", note=line))
        share = {"devices": devices, "workers": room.asked, "timeout": self.timeout}
        goes_on = set() if self.fresh else {group.leader for group in todo}
        store.discard(root, suite.name, {group.leader for group in groups} - goes_on)
        todo = tuple(_with_checkpoints(group, suite, root) for group in todo)
        missing = {group.leader: {spec.run_id for spec in group.specs} for group in todo}
        arriving = start(recorder.execute, todo, **share, on_progress=self.on_progress)
        with closing(arriving):
            for result in arriving:
                # the driver is the only writer
                store.write(root, suite.name, result, replace=self.fresh)
                store.discard(root, suite.name, _ended(missing, result.run))
                self.on_result(result)


def _open(suite: Suite) -> Suite:
    """The suite without its search: of a variant without a winner, what is declared stands in."""
    return replace(suite, search=None)


def _with_checkpoints(group: Group, suite: Suite, root: Path) -> Group:
    """The group with the place of its checkpoints, where its variant asks for any."""
    tried = suite.search.trials.values() if suite.search else ()
    recipes = {**suite.recipes, **{t.variant.name: t.variant for own in tried for t in own}}
    every = recipes[group.specs[0].variant].checkpoint_every
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
    from bench import plan, preflight, probing
    from bench.forecast import forecast, total

    suite, root = suite_of(suite), Path(results)
    registry.load("executors", executor)
    devices = plan.devices(suite)
    done = frozenset() if fresh else store.finished(root, suite.name)
    measured = frozenset() if fresh else store.finished_probes(root, suite.name)
    suite = _as_far_as_known(suite, root, fresh=fresh)
    specs = plan.expand(_open(suite))  # what is declared stands in for a winner not known yet
    stages = (plan.trial_groups(suite), plan.groups(specs, suite.name, timed=suite.timed))
    preflight.check([spec for stage in stages for group in stage for spec in group.specs], devices)
    trials, groups = (plan.pending(stage, done) for stage in stages)
    probing.require(probing.expand(_open(suite)))
    room = _room((*trials, *groups), devices, executor, workers)
    count = len(room.workers)
    folders = (root / suite.name, root / "reference" / suite.name)
    earlier = [store.run_rows(folder) for folder in folders]
    found = forecast((*trials, *groups), earlier, count, spawned=executor != "serial")
    known = [each for each in found if each is not None]
    apart = known[: len(trials)], known[len(trials) :]  # no run begins before the last trial's end
    return Preview(
        specs=(*(run.spec for run in plan.trials(suite)), *specs),
        seconds={
            spec.run_id: each.seconds if each else None
            for group, each in zip((*trials, *groups), found, strict=True)
            for spec in group.specs
        },
        total=sum(total(stage, count) for stage in apart) if len(known) == len(found) else None,
        room=room,
        probes=tuple((spec, spec.probe_id in measured) for spec in probing.expand(suite)),
        open=frozenset(
            spec.run_id for spec in specs if suite.search and suite.search.waits_for(spec.variant)
        ),
    )


def _as_far_as_known(suite: Suite, root: Path, *, fresh: bool) -> Suite:
    """The suite with the winners that its stored trials give; none where they are done anew."""
    from bench import search

    folder = root / suite.name
    if suite.search is None or fresh or not folder.is_dir():
        return suite
    return search.tuned(suite, store.load_results(folder))


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


def suite_of(suite: Suite | Where) -> Suite:
    """The suite itself, or that of a file."""
    from bench.suite import load_suite

    return load_suite(Path(suite)) if isinstance(suite, str | os.PathLike) else suite
