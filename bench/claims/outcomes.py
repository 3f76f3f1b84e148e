"""What became of a run: when it reached a target, whether it collapsed, what it ended at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bench.claims.base import Side
from bench.claims.measures import last, per_run
from bench.claims.tables import AXES, Tables
from bench.hypotheses import CURVES, Claim
from bench.reading import Values, finite, read
from bench.stats import restricted, time_to_target


def reached(claim: Claim, tables: Tables, rows: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are at the claim's target or better."""
    target = 0.0 if claim.target is None else claim.target
    higher = tables.direction(claim.metric) == "higher"
    good = rows["value"] >= target if higher else rows["value"] <= target
    return good & finite(rows["value"])


def times(
    claim: Claim, tables: Tables, names: Sequence[str]
) -> tuple[tuple[Side, ...], float | None, float | None]:
    """Of every run the amount of training until it was at the target; the limit up to which that
    is counted; and the amount between evaluations, which is as exactly as it is known.

    The limit is the largest amount that every completed run has trained for.  A run that diverged
    never reaches what it had not reached before.
    """
    axis, rows = AXES[claim.axis], tables.rows(claim.metric)
    rows = rows[rows["status"].isin(["completed", "diverged"]) & rows["variant"].isin(names)]
    rows = rows[finite(rows[axis])]
    rows = rows.assign(_good=reached(claim, tables, rows), _at=rows[axis].astype(float))
    own_of = {str(run): own for run, own in rows.groupby("run_id", sort=False)}
    ended = [o["_at"].max() for o in own_of.values() if o["status"].iloc[0] == "completed"]
    if not ended:
        return tuple(_counts(tables, name) for name in names), None, None
    limit = float(min(ended))
    gaps = pd.concat([own["_at"].diff() for own in own_of.values()]).dropna()
    sides = tuple(_times(claim, tables, own_of, name, limit) for name in names)
    return sides, limit, float(gaps.max()) if len(gaps) else None


def _times(
    claim: Claim, tables: Tables, rows: dict[str, pd.DataFrame], name: str, limit: float
) -> Side:
    seeds: list[int] = []
    found: list[float | None] = []
    since: list[float] = []
    for run_id, seed, status in _runs(tables, name):
        own = rows.get(run_id)
        if own is None and status == "completed":
            continue  # never judged by the metric, or its cost is not known
        seeds.append(seed)
        course = [] if own is None else own["_at"].tolist()
        good = [] if own is None else own["_good"].tolist()
        found.append(time_to_target(course, good, claim.consecutive))
        since.append(_before(found[-1], course, limit))
    counted, missed = restricted(found, limit)
    order = sorted(range(len(seeds)), key=seeds.__getitem__)
    values = tuple((seeds[i], counted[i]) for i in order)
    plain = _counts(tables, name)
    completed = sum(status == "completed" for _, _, status in _runs(tables, name))
    without = completed + plain.diverged - len(seeds)
    earliest = tuple(since[i] for i in order)
    return Side(name, values, plain.diverged, without, missed, since=earliest)


def _before(time: float | None, course: Sequence[float], limit: float) -> float:
    """The evaluation before the one at which a run was at its target, at most the limit."""
    if time is None:
        return limit
    return min(limit, max((at for at in course if at < time), default=0.0))


def ends(claim: Claim, tables: Tables, names: Sequence[str]) -> tuple[Side, ...]:
    """Of every run 1 if it ended worse than the target, or diverged, else 0."""
    rows = tables.rows(claim.metric)
    last = rows[rows["status"] == "completed"].groupby("run_id").tail(1)
    last = last[finite(last["value"])]
    good = dict(zip(last["run_id"], reached(claim, tables, last), strict=True))
    return tuple(_ends(tables, good, name) for name in names)


def _ends(tables: Tables, good: dict[str, bool], name: str) -> Side:
    values, plain = [], _counts(tables, name)
    without = 0
    for run_id, seed, status in _runs(tables, name):
        if status == "diverged" or run_id in good:
            values.append((seed, 1.0 if status == "diverged" or not good[run_id] else 0.0))
        else:
            without += 1
    return Side(name, tuple(sorted(values)), plain.diverged, without)


def pairs(claim: Claim, tables: Tables, names: Sequence[str]) -> tuple[Side, ...]:
    """Of every completed run its last value of the metric, and of what that is held against."""
    assert claim.against is not None
    x = _finals(claim.metric, tables, names)
    y = _finals(claim.against, tables, names)
    sides = []
    for name in names:
        both = {seed: value for seed, value in x[name] if seed in dict(y[name])}
        sides.append(
            Side(
                name,
                tuple(both.items()),
                diverged=len(tables.of(name, "diverged")),
                without=len(tables.of(name, "completed")) - len(both),
                against=tuple(dict(y[name])[seed] for seed in both),
            )
        )
    return tuple(sides)


def _finals(number: str, tables: Tables, names: Sequence[str]) -> Values:
    if "." in number:
        return {name: tuple(_declared(number, tables.of(name, "completed"))) for name in names}
    rows = tables.rows(number)
    if number in CURVES:
        return per_run(rows, names, last)
    return read(rows, tuple(names), "final")


def _declared(key: str, runs: pd.DataFrame) -> Iterator[tuple[int, float]]:
    """The number that stands at a dotted key of each run's declaration, by seed."""
    for seed, spec in zip(runs["seed"], runs["spec"], strict=True):
        found: Any = json.loads(str(spec))
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if isinstance(found, int | float) and not isinstance(found, bool):
            yield int(seed), float(found)


def _runs(tables: Tables, name: str) -> list[tuple[str, int, str]]:
    """(run_id, seed, status) of the runs of a variant that are results."""
    runs = tables.of(name)
    runs = runs[runs["status"].isin(["completed", "diverged"])]
    columns = (runs["run_id"], runs["seed"], runs["status"])
    return [(str(i), int(seed), str(status)) for i, seed, status in zip(*columns, strict=True)]


def _counts(tables: Tables, name: str) -> Side:
    return Side(
        name,
        (),
        diverged=len(tables.of(name, "diverged")),
        without=len(tables.of(name, "completed")),
    )
