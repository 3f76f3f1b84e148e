"""The tables of one suite, narrowed to what may be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench.errors import NotComparable
from bench.reporting.base import Declaration
from bench.reporting.numbers import listed
from bench.reporting.origins import comparable
from bench.store import Results

NOT_RECIPE = ("seed", "group", "device", "variant")


@dataclass(frozen=True)
class Frames:
    """The runs that are compared and their rows, each row with its run's variant and seed."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    metrics: pd.DataFrame
    variants: tuple[str, ...]
    """Declared order first, then whatever else has runs."""
    baselines: Mapping[str, str] | None
    """Variant → the one it is compared with, on the same device; None: every pair is compared."""
    missing: tuple[tuple[str, int], ...]
    """(variant, seed) of each declared run of which there is no trace."""
    left_out: tuple[str, ...]
    """A sentence for metrics that are not shown, since their values must not be compared."""

    def without_rows(self) -> Frames:
        """The runs alone: nothing of how they trained."""
        return replace(self, curves=self.curves.iloc[:0], metrics=self.metrics.iloc[:0])

    def of(self, variant: str) -> pd.DataFrame:
        """The runs of one variant."""
        return self.runs[self.runs["variant"] == variant]


def select(results: Results, declaration: Declaration) -> Frames:
    """The comparable part of the results.

    A variant that ran on several devices becomes one variant a device.  Raises `NotComparable`
    where one variant holds two recipes, or one metric two extractors, sample counts, references.
    """
    runs = results.runs.copy()
    names = called(runs, declaration)
    own = [names[cell] for cell in _cells(runs)]
    runs["variant"] = pd.Series(own, index=runs.index, dtype=runs["variant"].dtype)
    _one_recipe_each(runs, declaration.name)
    runs["step_ms"] = _step_times(runs)
    metrics, left_out = comparable(_with_run(results.metrics, runs), declaration)
    return Frames(
        runs=runs,
        curves=_with_run(results.curves, runs),
        metrics=metrics,
        variants=tuple(names.values()),
        baselines=_baselines(names, declaration),
        missing=_missing(runs, names, declaration),
        left_out=left_out,
    )


def _cells(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """The (variant, device) of each run."""
    return [
        (str(name), str(device))
        for name, device in zip(runs["variant"], runs["device"], strict=True)
    ]


def called(runs: pd.DataFrame, declaration: Declaration) -> dict[tuple[str, str], str]:
    """(variant, device) → what the report calls it, in order: the variant where it has one device.

    A variant that has neither run nor declared run stands under the device "".
    """
    cells = [*((name, device) for _, name, _, device in declaration.runs), *_cells(runs)]
    names: dict[tuple[str, str], str] = {}
    for variant in dict.fromkeys([*declaration.variants, *(name for name, _ in cells)]):
        devices = sorted({device for name, device in cells if name == variant}) or [""]
        for device in devices:
            names[variant, device] = f"{variant} ({device})" if len(devices) > 1 else variant
    return names


def _baselines(
    names: Mapping[tuple[str, str], str], declaration: Declaration
) -> dict[str, str] | None:
    if declaration.against is None:
        return None
    return {
        name: names[baseline, device]
        for (variant, device), name in names.items()
        if (baseline := declaration.baselines.get(variant, "")) and (baseline, device) in names
    }


def _missing(
    runs: pd.DataFrame, names: Mapping[tuple[str, str], str], declaration: Declaration
) -> tuple[tuple[str, int], ...]:
    if declaration.runs:
        there = set(runs["run_id"])
        return tuple(
            (names[variant, device], seed)
            for run_id, variant, seed, device in declaration.runs
            if run_id not in there
        )
    seen = {(str(v), int(s)) for v, s in zip(runs["variant"], runs["seed"], strict=True)}
    every = [(name, seed) for name in names.values() for seed in declaration.seeds]
    return tuple(cell for cell in every if cell not in seen)


def _step_times(runs: pd.DataFrame) -> pd.Series[float]:
    """The step time measured alone, by run: its own, else its variant's, which is timed once.

    For costs only: a comparison of step times takes those that were measured.
    """
    own = pd.to_numeric(runs["solo_step_ms"], errors="coerce").astype(float)
    return own.fillna(own.groupby(runs["variant"]).transform("median"))


def _one_recipe_each(runs: pd.DataFrame, suite: str) -> None:
    for variant, rows in runs.groupby("variant", sort=False):
        recipes = [recipe(str(spec)) for spec in rows["spec"]]
        differing = different(recipes)
        if differing:
            raise NotComparable(
                f"{suite}: variant {variant!r} holds runs of several recipes, which differ in "
                f"{listed(differing)}; expected one recipe a variant: give the changed one another "
                "name, or another results folder"
            )


def recipe(spec: str) -> dict[str, Any]:
    """What a run's spec declares, without what may differ between the runs of one variant."""
    declared: dict[str, Any] = json.loads(spec)
    return {key: value for key, value in declared.items() if key not in NOT_RECIPE}


def different(recipes: list[dict[str, Any]]) -> list[str]:
    """The keys in which some recipe differs from the first, in the order of the spec."""
    keys = {key: None for each in recipes for key in each}
    return [key for key in keys if any(r.get(key) != recipes[0].get(key) for r in recipes)]


def _with_run(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    usual = runs["spec"].map(lambda spec: json.loads(str(spec))["critic_steps"]).astype(float)
    about = runs[["run_id", "variant", "seed", "status", "step_ms"]].assign(_usual=usual)
    merged = rows.merge(about, on="run_id", how="inner")
    milliseconds = pd.to_numeric(merged["step_ms"], errors="coerce")
    # an iteration with more critic steps than usual counts as so many more
    iterations = merged["critic_steps"] / merged.pop("_usual")
    return merged.assign(cost=iterations * milliseconds / 1000)
