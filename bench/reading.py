"""One value a run, out of tables whose rows carry their run's variant, seed and status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

from bench.records import Direction

At = Literal["final", "best"]

Values = Mapping[str, tuple[tuple[int, float], ...]]
"""Variant → (seed, value), by seed."""

_NO_REASON = "no reason is recorded"


def floor_of(rows: pd.DataFrame) -> float | None:
    """What real data gets: the median over the rows, None where nothing was recorded."""
    floors = pd.to_numeric(rows["floor"], errors="coerce").dropna()
    return float(floors.median()) if len(floors) else None


def read(rows: pd.DataFrame, variants: tuple[str, ...], at: At) -> Values:
    """One value a completed run: at its last evaluation, or at its best one.

    `rows` are those of one metric; a value that is not finite counts as none.
    """
    chosen = _chosen(rows, at)
    return by_variant(chosen.assign(value=chosen["value"].astype(float)), "value", variants)


def unread(
    rows: pd.DataFrame, variants: tuple[str, ...], at: At
) -> Mapping[str, tuple[tuple[int, str], ...]]:
    """Why each completed run that `read` finds no value of has none: variant → (seed, reason)."""
    gone = rows[(rows["status"] == "completed") & ~rows["run_id"].isin(_chosen(rows, at)["run_id"])]
    last = gone.sort_values("generator_step").groupby("run_id").tail(1)
    return by_variant(last.assign(error=last["error"].fillna(_NO_REASON)), "error", variants)


def read_cost(runs: pd.DataFrame, column: str, variants: tuple[str, ...]) -> Values:
    """What runs cost, one value a group: its members were measured together, as one."""
    rows = one_a_group(runs)
    rows = rows[(rows["status"] == "completed") & finite(rows[column])]
    return by_variant(rows.assign(_cost=rows[column].astype(float)), "_cost", variants)


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


def by_variant(
    rows: pd.DataFrame, column: str, variants: tuple[str, ...]
) -> dict[str, tuple[tuple[int, Any], ...]]:
    """Variant → (seed, what stands in the column), by seed."""
    ordered = rows.sort_values("seed")
    cells = [*zip(ordered["variant"], ordered["seed"], ordered[column], strict=True)]
    return {
        variant: tuple((int(seed), value) for name, seed, value in cells if name == variant)
        for variant in variants
    }


def finite(values: pd.Series[float]) -> pd.Series[bool]:
    """Which values are numbers: neither null nor infinite."""
    return pd.to_numeric(values, errors="coerce").abs() < float("inf")


def loss(values: pd.Series[float], better: Direction, floor: float | None) -> pd.Series[float]:
    """The values turned so that lower is better."""
    if better == "near_reference":
        return (values - (floor or 0.0)).abs()
    return values if better == "lower" else -values


def _chosen(rows: pd.DataFrame, at: At) -> pd.DataFrame:
    """The row of each completed run that it is judged by, where that has a value."""
    rows = rows[rows["status"] == "completed"].sort_values("generator_step")
    chosen = rows.groupby("run_id").tail(1) if at == "final" else _best(rows)
    return chosen[finite(chosen["value"])]


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[finite(rows["value"])]
    if rows.empty:
        return rows
    better: Direction = rows["better"].iloc[0]
    key = loss(rows["value"].astype(float), better, floor_of(rows))
    return rows.loc[key.groupby(rows["run_id"]).idxmin()]
