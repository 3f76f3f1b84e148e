"""What a suite's probes measured, over their seeds: what the page draws and the tables list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import pandas as pd

from bench.reporting.experiments import Probed, ProbePanel, ProbePoint, ProbeSeries
from bench.reporting.numbers import NONE, listed, number, plural, settings
from bench.store import Results


def probed(results: Results) -> tuple[Probed, ...]:
    """Every declared probe of which a seed has been measured, in the order of the file."""
    notes = results.probe_notes
    if not notes:
        return ()
    rows = results.probes
    names = dict.fromkeys(str(note["spec"]["probe"]["name"]) for note in notes)
    declared = results.declaration.get("probes", ())
    return tuple(
        _probed(
            [note for note in notes if note["spec"]["probe"]["name"] == name],
            rows[rows["probe"] == name],
            [int(one["seed"]) for one in declared if one["probe"] == name],
        )
        for name in names
    )


def _probed(
    notes: Sequence[Mapping[str, Any]], rows: pd.DataFrame, declared: Sequence[int]
) -> Probed:
    first = notes[0]
    spec = first["spec"]
    options = {key: value for key, value in spec["probe"].items() if key != "name"}
    seeds = [int(note["spec"]["seed"]) for note in notes]
    return Probed(
        name=spec["probe"]["name"],
        title=first["title"],
        about=first["about"],
        options=options,
        variants=tuple(spec["recipes"]),
        seeds=tuple(sorted(seeds)),
        missing=tuple(seed for seed in declared if seed not in seeds),
        panels=tuple(
            _panel(name, quantity, rows[rows["quantity"] == name])
            for name, quantity in first["quantities"].items()
            if (rows["quantity"] == name).any()
        ),
    )


def _panel(name: str, quantity: Mapping[str, Any], rows: pd.DataFrame) -> ProbePanel:
    names = dict.fromkeys(rows["series"])
    series = tuple(ProbeSeries(one, _points(rows[rows["series"] == one])) for one in names)
    return ProbePanel(quantity=name, series=series, **quantity)


def _points(rows: pd.DataFrame) -> tuple[ProbePoint, ...]:
    return tuple(_point(float(str(x)), own) for x, own in rows.groupby("x", sort=True))


def _point(x: float, rows: pd.DataFrame) -> ProbePoint:
    known = rows.dropna(subset=["value"]).sort_values("seed")
    pairs = zip(known["seed"], known["value"], strict=True)
    values = tuple((int(seed), float(value)) for seed, value in pairs)
    found = [value for _, value in values]
    exact = rows["exact"].dropna()
    return ProbePoint(
        x=x,
        values=values,
        median=median(found) if found else None,
        low=min(found, default=None),
        high=max(found, default=None),
        exact=float(exact.median()) if len(exact) else None,
    )


def how(probe: Probed) -> str:
    """What the lines of its panels are."""
    several = "A thin line is a seed, the bold one their median" if len(probe.seeds) > 1 else ""
    exact = any(_exact(panel) for panel in probe.panels)
    aims = any(panel.aim is not None for panel in probe.panels)
    theory = "a dashed line what theory says" if exact or aims else ""
    told = ", ".join(filter(None, (several, theory)))
    return f"{told[:1].upper()}{told[1:]}." if told else ""


def done(probe: Probed) -> str:
    """With which options, about what and over how many seeds it was measured."""
    about = f" About {listed(list(probe.variants))}." if probe.variants else ""
    lost = f" Not measured: {plural(len(probe.missing), 'seed')} more." if probe.missing else ""
    seeds = plural(len(probe.seeds), "seed")
    chosen = {key: _written(value) for key, value in probe.options.items()}
    with_what = f" Options: {settings(chosen)}." if chosen else ""
    return f"Measured over {seeds}.{about}{with_what}{lost}"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_written, value))})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def header(panel: ProbePanel) -> list[str]:
    """Of the table of a quantity: its axis, each series, and what is exact."""
    exact = ["Exact"] if _exact(panel) else []
    return [panel.x[:1].upper() + panel.x[1:], *(line.name for line in panel.series), *exact]


def rows(panel: ProbePanel) -> Iterator[list[str]]:
    """Of every place along the axis: each series' median, and the range of its seeds."""
    found = [{point.x: point for point in line.points} for line in panel.series]
    exact = _exact(panel)
    for x in sorted({x for points in found for x in points}):
        cells = [_cell(points.get(x)) for points in found]
        yield [f"{x:g}", *cells, *([exact.get(x, NONE)] if exact else [])]


def _cell(point: ProbePoint | None) -> str:
    if point is None or point.median is None:
        return NONE
    middle = number(point.median)
    if len(point.values) < 2:
        return middle
    return f"{middle} ({number(point.low)} to {number(point.high)})"


def _exact(panel: ProbePanel) -> dict[float, str]:
    """What theory says at each place; of series for which it says different things, each."""
    found: dict[float, dict[str, None]] = {}
    for line in panel.series:
        for point in line.points:
            if point.exact is not None:
                found.setdefault(point.x, {})[number(point.exact)] = None
    return {x: "; ".join(told) for x, told in found.items()}
