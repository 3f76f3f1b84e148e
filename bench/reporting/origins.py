"""What the values of a metric were computed from: held against each other, and told.

Values of different extractors, layers, sample counts, references, preprocessing or k are never put
into one comparison.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from bench.costs import RUN_COSTS
from bench.errors import NotComparable
from bench.registry import label
from bench.reporting.base import Declaration, MetricLine, Origin, Shares, Summary
from bench.reporting.numbers import NONE, count, listed

PROVENANCE = {
    "extractor": "extractors",
    "extractor_sha256": "extractor weights",
    "layer": "layers",
    "preprocessing": "preprocessings",
    "samples": "sample counts",
    "reference": "reference data",
    "k": "values of k",
    "unit": "units",
    "better": "directions",
}
"""What one metric's rows must agree in, and how a refusal calls it."""

UNRECORDED = ("preprocessing",)
"""What tables of older versions do not tell, so that a null is no difference."""

_PART_OF_VECTOR = re.compile(r"^(?P<stem>.+)_(?P<index>\d+)$")
_DIGITS = 12
"""Of a SHA-256, where a message shows one."""


def comparable(
    metrics: pd.DataFrame, declaration: Declaration
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows of those metrics that have one origin each, and a sentence for those left out.

    Only where costs are compared is anything left out: else a metric with two origins raises
    `NotComparable`.
    """
    found = {str(name): clash(rows) for name, rows in metrics.groupby("metric", sort=False)}
    clashes = {name: text for name, text in found.items() if text}
    if clashes and declaration.metric not in RUN_COSTS:
        name, text = next(iter(clashes.items()))
        raise NotComparable(
            f"{declaration.name}: {name} comes from {text}; expected one: values of different ones "
            "must not be compared"
        )
    return metrics[~metrics["metric"].isin(list(clashes))], tuple(_left_out(clashes, metrics))


def clash(rows: pd.DataFrame) -> str:
    """In what the rows of a metric differ: `2 layers (a, b)`; empty where in nothing."""
    for column, noun in PROVENANCE.items():
        values = rows[column].drop_duplicates()
        values = values.dropna() if column in UNRECORDED else values
        if len(values) > 1:
            return f"{len(values)} {noun} ({', '.join(sorted(_shown(column, v) for v in values))})"
    return ""


def _shown(column: str, value: Any) -> str:
    if pd.isna(value):
        return "none"
    if column == "extractor_sha256":
        return str(value)[:_DIGITS] or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _left_out(clashes: Mapping[str, str], metrics: pd.DataFrame) -> Iterator[str]:
    parts = {f"{stem}_{i}": stem for stem, indices in vectors(metrics).items() for i in indices}
    for text in dict.fromkeys(clashes.values()):
        names = dict.fromkeys(parts.get(name, name) for name in clashes if clashes[name] == text)
        yield f"Not shown, since values from {text} must not be compared: {listed([*names])}."


def vectors(metrics: pd.DataFrame) -> dict[str, tuple[int, ...]]:
    """Metrics that come in parts (`class_share_0`, `class_share_1`, …): stem → indices."""
    found: dict[str, set[int]] = {}
    for name in metrics.loc[metrics["unit"] == "share", "metric"].unique():
        if match := _PART_OF_VECTOR.match(str(name)):
            found.setdefault(match["stem"], set()).add(int(match["index"]))
    return {stem: tuple(sorted(indices)) for stem, indices in found.items() if len(indices) > 1}


def origin(rows: pd.DataFrame) -> dict[str, Any]:
    """The fields of `Origin`, from rows that have one."""
    first, known = rows.iloc[0], rows["preprocessing"].dropna()
    return {
        "samples": int(first["samples"]),
        "extractor": str(first["extractor"]),
        "extractor_sha256": str(first["extractor_sha256"]),
        "layer": str(first["layer"]),
        "preprocessing": str(known.iloc[0]) if len(known) else None,
        "reference": str(first["reference"]),
        "k": None if pd.isna(first["k"]) else int(first["k"]),
    }


def require_comparable(summaries: Sequence[Summary]) -> None:
    """Raise `NotComparable`, with the reason, unless all suites have one primary metric, and every
    metric that two of them have one origin; what runs cost has none."""
    for a, b in combinations(summaries, 2):
        if text := _different_primaries(a, b) or _different_origins(a, b):
            names = a.declaration.name, b.declaration.name
            both = f"two results of {names[0]}" if names[0] == names[1] else " and ".join(names)
            raise NotComparable(f"{both}{text}; expected the same: render a report for each")


def _different_primaries(a: Summary, b: Summary) -> str:
    found = [each.readings[0].line.metric for each in (a, b) if each.readings]
    return f" have different primary metrics ({listed(found)})" if len({*found}) > 1 else ""


def _different_origins(a: Summary, b: Summary) -> str:
    if a.costly and b.costly:  # nothing but costs is compared
        return ""
    others = {each.metric: each for each in _judged(b)}
    for one in _judged(a):
        for field, noun in PROVENANCE.items() if one.metric in others else ():
            values = [getattr(each, field, "") for each in (one, others[one.metric])]
            if values[0] != values[1] and not (field in UNRECORDED and None in values):
                found = " and ".join(_shown(field, value) for value in values)
                return f": {one.metric} has different {noun} ({found})"
    return ""


def basis(lines: Sequence[MetricLine]) -> str:
    """What most of the metrics were computed from, and in what the others differ from that."""
    judged = [line for line in lines if not line.cost]
    if not judged:
        return ""
    [(most, _)] = Counter(tuple(_facts(line)) for line in judged).most_common(1)
    others: dict[str, list[str]] = {}
    for line in judged:
        differing = [fact for fact, usual in zip(_facts(line), most, strict=True) if fact != usual]
        if differing:
            others.setdefault(" ".join(differing), []).append(line.label)
    told = [f"{listed(labels)} {facts}" for facts, labels in others.items()]
    return "; ".join([" ".join(most), *told])


def _facts(line: MetricLine) -> Iterator[str]:
    yield f"from {count(line.samples)} samples"
    yield f"against {line.reference}"
    yield f"by the extractor {_extractor(line)}"


def extractors(summary: Summary) -> tuple[str, ...]:
    """Every extractor, in a line: its layer, its preprocessing and the digest of its weights."""
    return tuple(
        dict.fromkeys(
            f"Extractor {_extractor(each)}, weights SHA-256 {each.extractor_sha256 or NONE}"
            for each in _judged(summary)
        )
    )


def _extractor(of: Origin) -> str:
    called = label("extractors", of.extractor)
    return f"{called} (layer: {of.layer or NONE}; preprocessing: {of.preprocessing or NONE})"


SOURCES = ("Metric", "Samples", "k", "Reference")
"""The columns of `sources`."""


def sources(summary: Summary) -> tuple[tuple[str, ...], ...]:
    """A row a metric: what it was computed from; parts of a vector are one."""
    return tuple(
        (each.label, count(each.samples), count(each.k), each.reference)
        for each in _judged(summary)
    )


def _judged(summary: Summary) -> tuple[MetricLine | Shares, ...]:
    return (*(line for line in summary.lines if not line.cost), *summary.shares)
