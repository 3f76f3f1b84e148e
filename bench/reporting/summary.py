"""The numbers and sentences of a report, computed once from the stored results."""

from __future__ import annotations

from collections.abc import Sequence

from bench.errors import NotComparable
from bench.reporting.base import At, Declaration, MetricLine, Reading, Recipe, Summary
from bench.reporting.comparison import contrasts, line, lines, metric_label, shares
from bench.reporting.costs import cheapest, costs, sentence
from bench.reporting.frames import PROVENANCE, Frames, select
from bench.reporting.numbers import listed, plural
from bench.reporting.provenance import (
    differences,
    environments,
    failures,
    recipes,
    reproduction,
    standing,
    warnings,
)
from bench.reporting.verdict import headline, pair_detail, pair_sentence
from bench.store import Results

__all__ = ["Declaration", "Summary", "require_comparable", "summarize"]


def summarize(results: Results, declaration: Declaration) -> Summary:
    """All that a report says of one suite.

    Raises `NotComparable` where a variant holds several recipes, or a metric several extractors,
    sample counts or references.
    """
    frames = select(results, declaration)
    found = recipes(frames)
    readings = _readings(frames, declaration)
    spent = costs(frames, declaration.metric)
    machines = environments(frames)
    label = readings[0].line.label if readings else metric_label(declaration.metric, "")
    return Summary(
        declaration=declaration,
        metric_label=label,
        recipes=found,
        readings=readings,
        headline=readings[0].headline if readings else _nothing(frames, label),
        notes=_notes(frames, found, readings, sentence(spent, label)),
        warnings=warnings(frames, machines, declaration.changed_from),
        lines=lines(frames, declaration.metric),
        shares=shares(frames),
        costs=spent,
        equal_cost=cheapest([row.cost for row in spent]),
        failures=failures(frames),
        environments=machines,
        reproduction=reproduction(frames, declaration),
    )


def _readings(frames: Frames, declaration: Declaration) -> tuple[Reading, ...]:
    if not (frames.metrics["metric"] == declaration.metric).any():
        return ()
    other: At = "best" if declaration.at == "final" else "final"
    return tuple(_reading(frames, declaration, at) for at in (declaration.at, other))


def _reading(frames: Frames, declaration: Declaration, at: At) -> Reading:
    found = line(frames, declaration.metric, at)
    pairs = contrasts(frames, found, declaration.margin)
    return Reading(
        at=at,
        headline=headline(found, at, pairs),
        pairs=tuple(pair_sentence(found, at, pair) for pair in pairs),
        details=tuple(pair_detail(pair) for pair in pairs),
        line=found,
        contrasts=pairs,
    )


def _nothing(frames: Frames, label: str) -> str:
    if frames.runs.empty:
        return "No verdict: there are no runs yet."
    return f"No verdict: no run was evaluated by {label}."


def _notes(
    frames: Frames, found: tuple[Recipe, ...], readings: tuple[Reading, ...], cost: str
) -> tuple[str, ...]:
    said = [differences(frames), standing(found)]
    if readings:
        said.append(_without_value(found, readings[0].line))
        said.append(_other_reading(*readings))
    said.append(cost)
    return tuple(note for note in said if note)


def _other_reading(declared: Reading, other: Reading) -> str:
    if [cell.values for cell in declared.line.cells] == [cell.values for cell in other.line.cells]:
        return (
            f"Every run is at its {other.at} at its {declared.at} evaluation: both readings agree."
        )
    return f"Read at the {other.at} evaluation instead: {other.headline}"


def _without_value(found: tuple[Recipe, ...], primary: MetricLine) -> str:
    lacking = {
        recipe.name: recipe.completed - len(cell.values)
        for recipe, cell in zip(found, primary.cells, strict=True)
        if recipe.completed > len(cell.values)
    }
    if not lacking:
        return ""
    who = listed([f"{plural(n, 'completed run')} of {name}" for name, n in lacking.items()])
    return f"Without a value of {primary.label}, and so left out of the verdict: {who}."


def require_comparable(summaries: Sequence[Summary]) -> None:
    """Raise `NotComparable`, with the reason, unless all primary metrics mean the same."""
    primaries = [(s.declaration.name, s.readings[0].line) for s in summaries if s.readings]
    for name, other in primaries[1:]:
        first_name, first = primaries[0]
        for field, noun in {"metric": "primary metrics", **PROVENANCE}.items():
            a, b = getattr(first, field), getattr(other, field)
            if a != b:
                raise NotComparable(
                    f"{first_name} and {name} have different {noun} ({a} and {b}); expected the "
                    "same: render a report for each"
                )
