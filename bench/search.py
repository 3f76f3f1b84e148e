"""From the results of a search's trials to the recipes that are compared.

A trial's score is the mean of the primary metric over the search's seeds: the geometric one where
the metric is positive and has no ceiling.  A trial with a run that diverged, or that has no value,
ranks behind every other; of equal ones the first wins.  So the winners follow from what is stored,
and are the same however often the suite is run again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.errors import BenchError
from bench.reading import At, floor_of, loss, read
from bench.records import FINISHED, Direction
from bench.stats import Scale, scale_for
from bench.store import Results

if TYPE_CHECKING:
    from bench.suite import Suite

_NAMED = 3
"""Runs that a message names before it only counts them."""


class Unsettled(BenchError):
    """A search with a trial that has no result, so that nobody knows what to compare."""


@dataclass(frozen=True)
class Entry:
    """One run of one trial, as the declaration keeps it."""

    run_id: str
    variant: str
    """That is tuned."""
    trial: int
    """Its number, from 1 on."""
    seed: int
    drawn: Mapping[str, Any]
    """The drawn values, by their key in the variant."""


@dataclass(frozen=True)
class Tried:
    """What came of one trial."""

    variant: str
    number: int
    drawn: Mapping[str, Any]
    values: tuple[tuple[int, float], ...]
    """(seed, value) of each completed run, by seed."""
    diverged: int
    finished: bool
    """Whether every one of its runs has a result that stays."""
    score: float | None
    """In the metric's unit; the distance to what real data gets where that is the direction.  None
    for one that is not finished, that diverged or that has no value."""


@dataclass(frozen=True)
class Outcome:
    """What came of the trials of one variant, or of several on one scale."""

    better: Direction
    scale: Scale
    trials: tuple[Tried, ...]
    """By variant, then by number."""

    @property
    def lower(self) -> bool:
        """Whether a lower score is better."""
        return self.better != "higher"

    @property
    def finished(self) -> bool:
        """Whether every trial is."""
        return all(trial.finished for trial in self.trials)

    @property
    def best(self) -> Tried:
        """The winner."""

        def place(trial: Tried) -> tuple[bool, float, int]:
            score = trial.score
            worth = 0.0 if score is None else score if self.lower else -score
            return score is None, worth, trial.number

        return min(self.trials, key=place)


def entries(suite: Suite) -> tuple[Entry, ...]:
    """Every run of every trial of a suite."""
    from bench import plan  # which needs torch; reading what came of the trials does not

    return tuple(
        Entry(one.spec.run_id, one.variant, one.trial.number, one.spec.seed, one.trial.drawn)
        for one in plan.trials(suite)
    )


def outcome(asked: Sequence[Entry], results: Results, metric: str, at: At) -> Outcome:
    """What came of these runs, with the scale that their values have in common."""
    found = results.only([entry.run_id for entry in asked])
    status = _status(found)
    rows = found.metrics[found.metrics["metric"] == metric]
    rows = rows.merge(found.runs[["run_id", "seed", "status"]], on="run_id")
    rows = rows.assign(variant=rows["run_id"])
    values = read(rows, tuple(entry.run_id for entry in asked), at)
    better: Direction = rows["better"].iloc[0] if len(rows) else "lower"
    every = [value for run in values.values() for _, value in run]
    unit = str(rows["unit"].iloc[0]) if len(rows) else ""
    scale: Scale = "raw" if better == "near_reference" else scale_for(every, unit=unit)
    terms = _Terms(better, scale, floor_of(rows))
    runs: dict[tuple[str, int], list[Entry]] = {}
    for entry in asked:
        runs.setdefault((entry.variant, entry.trial), []).append(entry)
    tried = tuple(_tried(own, values, status, terms) for own in runs.values())
    return Outcome(better, scale, tried)


def _status(results: Results) -> dict[str, str]:
    found = zip(results.runs["run_id"], results.runs["status"], strict=True)
    return {str(run_id): str(status) for run_id, status in found}


@dataclass(frozen=True)
class _Terms:
    better: Direction
    scale: Scale
    floor: float | None

    def score(self, values: Sequence[float]) -> float:
        """The mean on the scale, back in the metric's unit."""
        if self.better == "near_reference":
            return fmean(loss(pd.Series(values, dtype=float), self.better, self.floor))
        return math.exp(fmean(map(math.log, values))) if self.scale == "log" else fmean(values)


def _tried(
    runs: Sequence[Entry],
    values: Mapping[str, tuple[tuple[int, float], ...]],
    status: Mapping[str, str],
    terms: _Terms,
) -> Tried:
    found = sorted(value for run in runs for value in values[run.run_id])
    ended = [status.get(run.run_id, "") for run in runs]
    whole = len(found) == len(runs)
    return Tried(
        variant=runs[0].variant,
        number=runs[0].trial,
        drawn=runs[0].drawn,
        values=tuple(found),
        diverged=ended.count("diverged"),
        finished=all(each in FINISHED for each in ended),
        score=terms.score([value for _, value in found]) if whole else None,
    )


def tuned(suite: Suite, results: Results) -> Suite:
    """The suite with the winning recipe of every variant all of whose trials are finished.

    The others stay as declared, and `suite.search` does not name them among its winners.
    """
    if suite.search is None:
        return suite
    winners, recipes = {}, dict(suite.recipes)
    runs = entries(suite)
    for variant, trials in suite.search.trials.items():
        own = [entry for entry in runs if entry.variant == variant]
        # of its own trials alone: what a variant wins by depends on no other
        found = outcome(own, results, suite.primary.metric, suite.primary.at)
        if found.finished:
            winners[variant] = found.best.number
            recipes[variant] = trials[found.best.number - 1].recipe
    return replace(
        suite,
        recipes=recipes,
        search=replace(suite.search, winners=winners),
        declared=suite.declared and tuned(suite.declared, results),
    )


def require_settled(suite: Suite, results: Results) -> None:
    """Raise `Unsettled` where a variant has no winner yet, with the runs that are missing."""
    from bench import plan

    if suite.search is None or suite.search.settled:
        return
    status = _status(results)
    specs = [one.spec for one in plan.trials(suite)]
    left = [
        f"{spec.label} {status.get(spec.run_id, 'has not run')}"
        for spec in specs
        if status.get(spec.run_id) not in FINISHED
    ]
    missing = f"{len(left)} of {len(specs)} runs of the search have no result"
    mend = "the comparison waits for them, and the same command tries them again"
    raise Unsettled(f"{suite.name}: {missing} ({_some(left)}); {mend}")


def _some(names: Sequence[str]) -> str:
    more: Iterable[str] = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
