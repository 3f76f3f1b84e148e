"""Every metric of every variant: values, medians, intervals, and who beats whom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TypedDict

import pandas as pd

from bench.costs import RUN_COSTS, RunCost
from bench.errors import NotComparable
from bench.reading import At, floor_of, one_a_group, read, read_cost, unread
from bench.records import Direction
from bench.registry import label
from bench.reporting.base import Cell, MetricLine, Shares
from bench.reporting.frames import Frames
from bench.reporting.numbers import listed
from bench.reporting.origins import origin, vectors
from bench.stats import Better, Contrast, Description, Sample, Scale, describe, family, scale_for


class _Terms(TypedDict):
    """On what terms two variants are compared."""

    better: Better
    margin: float
    scale: Scale


def metric_label(metric: str, extractor: str) -> str:
    """`FID (digits)`: a bare FID would be quoted against numbers of another extractor."""
    if metric in RUN_COSTS:
        return RUN_COSTS[metric].label
    named = label("metrics", metric)
    return f"{named} ({label('extractors', extractor)})" if extractor else named


def lines(frames: Frames, primary: str) -> tuple[MetricLine, ...]:
    """Every metric at the last evaluation, the primary one first; parts of vectors left out."""
    parts = {f"{stem}_{i}" for stem, indices in vectors(frames.metrics).items() for i in indices}
    names = [str(name) for name in frames.metrics["metric"].unique() if name not in parts]
    ordered = sorted(names, key=lambda name: name != primary)
    costs = [primary] if primary in RUN_COSTS else []
    return tuple(line(frames, name, "final") for name in [*costs, *ordered])


def line(frames: Frames, metric: str, at: At) -> MetricLine:
    """One metric over all variants, read at the last or the best evaluation; or a cost of runs."""
    if metric in RUN_COSTS:
        return _cost_line(frames, metric, RUN_COSTS[metric])
    rows = frames.metrics[frames.metrics["metric"] == metric]
    values, errors = read(rows, frames.variants, at), unread(rows, frames.variants, at)
    better: Direction = rows["better"].iloc[0]
    unit, extractor = str(rows["unit"].iloc[0]), str(rows["extractor"].iloc[0])
    scale = scale_of(better, unit, [value for cell in values.values() for _, value in cell])
    samples = {v: _sample(frames, v, values[v]) for v in frames.variants}
    cells = tuple(
        Cell(v, values[v], _possible(describe(each, scale=scale), unit), errors[v])
        for v, each in samples.items()
    )
    return MetricLine(
        metric=metric,
        label=metric_label(metric, extractor),
        unit=unit,
        better=better,
        scale=scale,
        floor=floor_of(rows),
        cells=cells,
        **origin(rows),
    )


_RANGES = {"share": (0.0, 1.0), "classes": (0.0, math.inf)}
"""Beyond which a metric of that unit has no values."""


def _possible(found: Description, unit: str) -> Description:
    """A description whose interval ends where values do."""
    if found.interval is None or unit not in _RANGES:
        return found
    low, high = _RANGES[unit]
    ends = max(low, found.interval.low), min(high, found.interval.high)
    return replace(found, interval=replace(found.interval, low=ends[0], high=ends[1]))


def _cost_line(frames: Frames, name: str, cost: RunCost) -> MetricLine:
    values = read_cost(frames.runs, cost.column, frames.variants)
    scale = scale_for([value for cell in values.values() for _, value in cell], unit=cost.unit)
    cells = tuple(
        Cell(v, values[v], describe(_sample(frames, v, values[v], cost), scale=scale))
        for v in frames.variants
    )
    return MetricLine(
        metric=name,
        label=cost.label,
        unit=cost.unit,
        better=cost.better,
        scale=scale,
        floor=None,
        cells=cells,
        cost=cost,
    )


def scale_of(better: Direction, unit: str, values: list[float]) -> Scale:
    """Ratios for positive metrics; differences for bounded ones and distances to a reference."""
    return "raw" if better == "near_reference" else scale_for(values, unit=unit)


def observations(frames: Frames, variant: str, cost: RunCost | None) -> pd.DataFrame:
    """The runs of a variant that are observations: every one, or one a group for a cost."""
    runs = frames.of(variant)
    return runs if cost is None else one_a_group(runs)


def _sample(
    frames: Frames,
    variant: str,
    values: tuple[tuple[int, float], ...],
    cost: RunCost | None = None,
) -> Sample:
    diverged = int((observations(frames, variant, cost)["status"] == "diverged").sum())
    return Sample(variant, tuple(value for _, value in values), diverged)


def contrasts(frames: Frames, found: MetricLine, margin: float) -> tuple[Contrast, ...]:
    """Every pair of variants on one metric, the better median first in each.

    Where variants have baselines, each with its own alone, in their order.  A relative margin on
    the raw scale is that share of what real data gets.  Raises `NotComparable` for a metric that
    should be near a reference of which nothing is known.
    """
    ranked = [_turned(found, cell) for cell in ranking(found)]
    samples = [_sample(frames, cell.variant, cell.values, found.cost) for cell in ranked]
    terms = _terms(found, margin)
    if frames.baselines is not None:
        return family(samples, against=frames.baselines, **terms)
    if sum(bool(sample.values or sample.diverged) for sample in samples) < 2:
        return ()
    return family([sample for sample in samples if sample.values or sample.diverged], **terms)


def _terms(found: MetricLine, margin: float) -> _Terms:
    return {
        "better": "higher" if found.better == "higher" else "lower",
        "margin": absolute_margin(found, margin),
        "scale": found.scale,
    }


def absolute_margin(found: MetricLine, margin: float) -> float:
    """The margin in the terms of the scale: relative on the logarithm, in units on the raw one."""
    if found.scale == "log" or not found.floor:
        return margin
    return margin * abs(found.floor)


def ranking(found: MetricLine) -> list[Cell]:
    """The cells, best median first; those without a value last."""

    def key(cell: Cell) -> tuple[bool, float]:
        turned = [value for _, value in _turned(found, cell).values]
        if not turned:
            return True, 0.0
        middle = median(turned)
        return False, -middle if found.better == "higher" else middle

    return sorted(found.cells, key=key)


def _turned(found: MetricLine, cell: Cell) -> Cell:
    """A cell whose values are distances to what real data gets, where that is the direction."""
    if found.better != "near_reference":
        return cell
    if found.floor is None:
        raise NotComparable(
            f"{found.label} should be near the value of real data, and none is recorded; "
            "expected a floor beside every value"
        )
    values = tuple((seed, abs(value - found.floor)) for seed, value in cell.values)
    return replace(cell, values=values)


def shares(frames: Frames) -> tuple[Shares, ...]:
    """Every metric that comes in parts, at the last evaluation of each completed run."""
    return tuple(
        _shares(frames, stem, indices) for stem, indices in vectors(frames.metrics).items()
    )


def _shares(frames: Frames, stem: str, indices: tuple[int, ...]) -> Shares:
    parts = [frames.metrics[frames.metrics["metric"] == f"{stem}_{index}"] for index in indices]
    read_parts = [read(part, frames.variants, "final") for part in parts]
    values = {}
    for variant in frames.variants:
        by_seed = [dict(part[variant]) for part in read_parts]
        seeds = [seed for seed in by_seed[0] if all(seed in part for part in by_seed)]
        values[variant] = tuple((seed, tuple(part[seed] for part in by_seed)) for seed in seeds)
    named = stem.replace("_", " ").capitalize()
    extractor = str(parts[0]["extractor"].iloc[0])
    return Shares(
        metric=stem,
        label=f"{named} ({label('extractors', extractor)})" if extractor else named,
        classes=indices,
        values=values,
        floor=tuple(floor_of(part) for part in parts),
        **origin(parts[0]),
    )


def gaps(found: Sequence[MetricLine]) -> tuple[str, ...]:
    """A sentence for each reason why completed runs have no value: which runs, of which metrics."""
    labels: dict[tuple[str, str], list[str]] = {}
    for each in found:
        runs: dict[str, list[str]] = {}
        for cell in each.cells:
            for seed, why in cell.errors:
                runs.setdefault(why.rstrip("."), []).append(f"{cell.variant}/{seed}")
        none = len(runs) == 1 and not any(cell.values for cell in each.cells)
        for why, names in runs.items():
            labels.setdefault(("any run" if none else listed(names), why), []).append(each.label)
    return tuple(
        f"No value of {listed(names)} in {who}: {why}." for (who, why), names in labels.items()
    )


def median_within(frames: Frames, metric: str, variant: str, cost: float) -> float | None:
    """The median of a metric at each run's last evaluation that a cost in seconds allows."""
    rows = frames.metrics
    rows = rows[(rows["metric"] == metric) & (rows["variant"] == variant)]
    within = rows[rows["cost"] <= cost * (1 + 1e-9)]
    values = [value for _, value in read(within, (variant,), "final")[variant]]
    return float(pd.Series(values).median()) if values else None
