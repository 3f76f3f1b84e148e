"""One number a run, as a claim reads it from its metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd

from bench.claims.base import Side
from bench.claims.tables import Tables
from bench.costs import RUN_COSTS
from bench.hypotheses import CURVES, Claim
from bench.reading import Values, finite, one_a_group, read, read_cost
from bench.stats import late, late_spread, late_variance, spearman

Number = Callable[[pd.DataFrame], float | None]
"""The rows of one run, in order of time → its number."""


def measured(claim: Claim, tables: Tables, names: Sequence[str]) -> tuple[Side, ...]:
    """The number of every run of these variants, or of these series of the claim's probe.

    Neither times, nor rates, nor a correlation across runs: these are `times`, `ends`, `pairs`.
    """
    if claim.probe is not None:
        return _of_probe(claim, tables, names)
    if claim.metric in RUN_COSTS:
        return _of_cost(claim, tables, names)
    rows = tables.rows(claim.metric)
    if claim.of in ("final", "best") and claim.metric not in CURVES:
        found = read(rows, tuple(names), "best" if claim.of == "best" else "final")
    else:
        found = per_run(rows, names, _number(claim, tables))
    if as_distance(claim, tables):
        found = _distances(found, tables.floor(claim.metric))
    return tuple(
        Side(
            name,
            found[name],
            diverged=len(tables.of(name, "diverged")),
            without=len(tables.of(name, "completed")) - len(found[name]),
        )
        for name in names
    )


def as_distance(claim: Claim, tables: Tables) -> bool:
    """Whether values are read as how far they are from what real data gets: the nearer, the better.

    Of how much a run varies there is no such distance; less is better whatever the metric.
    """
    near = tables.direction(claim.metric) == "near_reference"
    return near and claim.better is not None and claim.of in ("final", "best")


def per_run(rows: pd.DataFrame, names: Sequence[str], number: Number) -> Values:
    """Variant → (seed, number) of each completed run that has one."""
    rows = rows[(rows["status"] == "completed") & finite(rows["value"])]
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
    for _, own in rows[rows["variant"].isin(found)].groupby("run_id", sort=False):
        value = number(own)
        if value is not None:
            found[str(own["variant"].iloc[0])].append((int(own["seed"].iloc[0]), value))
    return {name: tuple(sorted(values)) for name, values in found.items()}


def _number(claim: Claim, tables: Tables) -> Number:
    if claim.of == "correlation":
        assert claim.against is not None  # the suite was refused without it
        return partial(_joined, tables.rows(claim.against))
    return {
        "final": last,
        "change": _change,
        "late_variance": lambda own: late_variance(_late(own)),
        "late_spread": lambda own: late_spread(_late(own)),
        "trend": lambda own: spearman(own["generator_step"].tolist(), own["value"].tolist()),
    }[claim.of]


def last(own: pd.DataFrame) -> float | None:
    """The value at the end of a run."""
    return float(own["value"].iloc[-1])


def _change(own: pd.DataFrame) -> float | None:
    """The last value over the first."""
    first, last = float(own["value"].iloc[0]), float(own["value"].iloc[-1])
    return last / first if first != 0 and len(own) > 1 else None


def _late(own: pd.DataFrame) -> tuple[float, ...]:
    steps = own["generator_step"].tolist()
    return late(steps, own["value"].tolist(), end=max(steps))


def _joined(others: pd.DataFrame, own: pd.DataFrame) -> float | None:
    """The correlation over the steps at which a run has both numbers."""
    both = own[["run_id", "generator_step", "value"]].merge(
        others.loc[finite(others["value"]), ["run_id", "generator_step", "value"]],
        on=["run_id", "generator_step"],
        suffixes=("", "_against"),
    )
    return spearman(both["value"].tolist(), both["value_against"].tolist())


def _distances(found: Values, floor: float | None) -> Values:
    """How far from what real data gets; nothing where that is not known."""
    return {
        name: tuple((seed, abs(value - floor)) for seed, value in values)
        if floor is not None
        else ()
        for name, values in found.items()
    }


def _of_cost(claim: Claim, tables: Tables, names: Sequence[str]) -> tuple[Side, ...]:
    runs = tables.runs
    found = read_cost(runs, RUN_COSTS[claim.metric].column, tuple(names))
    status = one_a_group(runs).groupby("variant")["status"]
    counts = {str(name): own.value_counts() for name, own in status}
    return tuple(
        Side(
            name,
            found[name],
            diverged=int(counts[name].get("diverged", 0)) if name in counts else 0,
            without=(int(counts[name].get("completed", 0)) if name in counts else 0)
            - len(found[name]),
        )
        for name in names
    )


def _of_probe(claim: Claim, tables: Tables, names: Sequence[str]) -> tuple[Side, ...]:
    rows = tables.probes
    mine = rows[(rows["probe"] == claim.probe) & (rows["quantity"] == claim.metric)]
    mine = mine.assign(value=pd.to_numeric(mine["value"], errors="coerce").astype(float))
    return tuple(_series(claim, mine[mine["series"] == name], name) for name in names)


def _series(claim: Claim, rows: pd.DataFrame, name: str) -> Side:
    values, seeds = [], 0
    for seed, own in rows.groupby("seed"):
        seeds += 1
        value = _along(claim, own.sort_values("x"))
        if value is not None:
            values.append((int(str(seed)), value))
    return Side(name, tuple(values), without=seeds - len(values))


def _along(claim: Claim, own: pd.DataFrame) -> float | None:
    """A seed's number, out of its points along the probe's axis."""
    if claim.of == "final":
        at = own["x"].max() if claim.at is None else claim.at
        own = own[(own["x"] - at).abs() <= 1e-9 * max(1.0, abs(at))]
    known = own[finite(own["value"])]
    if known.empty:
        return None
    if claim.of == "trend":
        return spearman(known["x"].tolist(), known["value"].tolist())
    return _change(known) if claim.of == "change" else last(known)
