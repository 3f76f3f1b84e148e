"""The tables of one suite, narrowed to what may be compared, and read seed by seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench.errors import NotComparable
from bench.records import Direction
from bench.reporting.base import At, Declaration
from bench.reporting.numbers import listed
from bench.reporting.origins import comparable
from bench.store import Results

NOT_RECIPE = ("seed", "group", "device", "variant")

_NO_REASON = "no reason is recorded"

Values = Mapping[str, tuple[tuple[int, float], ...]]
"""Variant → (seed, value), by seed."""


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
    names = _names(runs, declaration)
    called = [names[cell] for cell in _cells(runs)]
    runs["variant"] = pd.Series(called, index=runs.index, dtype=runs["variant"].dtype)
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


def _names(runs: pd.DataFrame, declaration: Declaration) -> dict[tuple[str, str], str]:
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
        called: names[baseline, device]
        for (variant, device), called in names.items()
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


def floor_of(rows: pd.DataFrame) -> float | None:
    """What real data gets: the median over the rows, None where nothing was recorded."""
    floors = pd.to_numeric(rows["floor"], errors="coerce").dropna()
    return float(floors.median()) if len(floors) else None


def read(rows: pd.DataFrame, variants: tuple[str, ...], at: At) -> Values:
    """One value a completed run: at its last evaluation, or at its best one.

    `rows` are those of one metric; a value that is not finite counts as none.
    """
    chosen = _chosen(rows, at)
    return _by_variant(chosen.assign(value=chosen["value"].astype(float)), "value", variants)


def unread(
    rows: pd.DataFrame, variants: tuple[str, ...], at: At
) -> Mapping[str, tuple[tuple[int, str], ...]]:
    """Why each completed run that `read` finds no value of has none: variant → (seed, reason)."""
    gone = rows[(rows["status"] == "completed") & ~rows["run_id"].isin(_chosen(rows, at)["run_id"])]
    last = gone.sort_values("generator_step").groupby("run_id").tail(1)
    return _by_variant(last.assign(error=last["error"].fillna(_NO_REASON)), "error", variants)


def _chosen(rows: pd.DataFrame, at: At) -> pd.DataFrame:
    """The row of each completed run that it is judged by, where that has a value."""
    rows = rows[rows["status"] == "completed"].sort_values("generator_step")
    chosen = rows.groupby("run_id").tail(1) if at == "final" else _best(rows)
    return chosen[finite(chosen["value"])]


def _by_variant(
    rows: pd.DataFrame, column: str, variants: tuple[str, ...]
) -> dict[str, tuple[tuple[int, Any], ...]]:
    """Variant → (seed, what stands in the column), by seed."""
    ordered = rows.sort_values("seed")
    cells = [*zip(ordered["variant"], ordered["seed"], ordered[column], strict=True)]
    return {
        variant: tuple((int(seed), value) for name, seed, value in cells if name == variant)
        for variant in variants
    }


def read_cost(frames: Frames, column: str) -> Values:
    """What runs cost, one value a group: its members were measured together, as one."""
    rows = one_a_group(frames.runs)
    rows = rows[(rows["status"] == "completed") & finite(rows[column])]
    return _by_variant(rows.assign(_cost=rows[column].astype(float)), "_cost", frames.variants)


def one_a_group(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each group that was trained as one stack: its first completed run, if any is.

    A stack that is smaller than its variant's others, the last seeds of a number that does not
    divide, costs what another setting costs: it is left out.
    """
    group = runs["spec"].map(lambda spec: json.loads(str(spec))["group"])
    size = group.map(len)
    ended = runs.assign(_group=group.map(str), _unfinished=runs["status"] != "completed")
    ended = ended[size == size.groupby(runs["variant"]).transform("max")]
    ordered = ended.sort_values(["_unfinished", "seed"], kind="stable")
    return ordered.groupby(["variant", "_group"], sort=False).head(1)


def finite(values: pd.Series[float]) -> pd.Series[bool]:
    """Which values are numbers: neither null nor infinite."""
    return pd.to_numeric(values, errors="coerce").abs() < float("inf")


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[finite(rows["value"])]
    if rows.empty:
        return rows
    better: Direction = rows["better"].iloc[0]
    key = loss(rows["value"].astype(float), better, floor_of(rows))
    return rows.loc[key.groupby(rows["run_id"]).idxmin()]


def loss(values: pd.Series[float], better: Direction, floor: float | None) -> pd.Series[float]:
    """The values turned so that lower is better."""
    if better == "near_reference":
        return (values - (floor or 0.0)).abs()
    return values if better == "lower" else -values
