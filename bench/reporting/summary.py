"""The numbers and sentences of a report, computed once from the stored results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from bench.costs import RUN_COSTS
from bench.reading import At
from bench.records import AGREE
from bench.reporting.base import (
    Baseline,
    Cost,
    Declaration,
    MetricLine,
    Reading,
    Recipe,
    Summary,
)
from bench.reporting.baselines import baselines
from bench.reporting.baselines import headline as against
from bench.reporting.behaviour import behaviour
from bench.reporting.claims import judged, tables_of
from bench.reporting.comparison import (
    contrasts,
    gaps,
    line,
    lines,
    metric_label,
    observations,
    shares,
)
from bench.reporting.costs import cheapest, costs, sentence
from bench.reporting.frames import Frames, select
from bench.reporting.numbers import listed, plural, settings
from bench.reporting.origins import require_comparable
from bench.reporting.probes import probed
from bench.reporting.provenance import (
    differences,
    environments,
    failures,
    recipes,
    reproduction,
    spoken_key,
    standing,
    warnings,
)
from bench.reporting.verdict import headline, noun, pair_detail, pair_sentence
from bench.store import Results

__all__ = ["Declaration", "Summary", "require_comparable", "summarize"]


def summarize(results: Results, declaration: Declaration) -> Summary:
    """All that a report says of one suite.

    Raises `NotComparable` where a variant holds several recipes, or a metric has several origins.
    """
    frames = select(results, declaration)
    found = recipes(frames)
    spent = costs(frames, declaration.metric)
    readings, beside = _readings(frames, declaration, spent)
    machines = environments(frames)
    label = readings[0].line.label if readings else metric_label(declaration.metric, "")
    measured = lines(frames, declaration.metric)
    return Summary(
        declaration=declaration,
        metric_label=label,
        recipes=found,
        readings=readings,
        headline=readings[0].headline if readings else _nothing(frames, label),
        notes=_notes(frames, declaration, found, readings, _spent(declaration, spent, readings)),
        warnings=warnings(frames, machines, declaration.changed_from),
        baselines=beside,
        lines=measured,
        gaps=gaps(measured),
        shares=shares(frames),
        costs=spent,
        equal_cost=cheapest([row.cost for row in spent]),
        failures=failures(frames),
        environments=machines,
        reproduction=reproduction(frames, declaration),
        probes=probed(results),
        claims=judged(results, frames, declaration),
        behaviour=behaviour(tables_of(results, frames), declaration.metric, declaration.claims),
    )


def _readings(
    frames: Frames, declaration: Declaration, spent: Sequence[Cost]
) -> tuple[tuple[Reading, ...], tuple[Baseline, ...]]:
    """The readings of the primary metric, and the variants beside their baselines if they have any.

    A metric is read at the final and at the best evaluation, a cost once.
    """
    if declaration.metric in RUN_COSTS:
        found: tuple[Reading, ...] = (_reading(frames, declaration, "final"),)
        if not any(cell.values for cell in found[0].line.cells):
            return (), ()
    elif (frames.metrics["metric"] == declaration.metric).any():
        other: At = "best" if declaration.at == "final" else "final"
        found = tuple(_reading(frames, declaration, at) for at in (declaration.at, other))
    else:
        return (), ()
    if declaration.against is None:
        return found, ()
    first, *others = (_beside(frames, declaration, spent, reading) for reading in found)
    return (first[0], *(reading for reading, _ in others)), first[1]


def _beside(
    frames: Frames, declaration: Declaration, spent: Sequence[Cost], reading: Reading
) -> tuple[Reading, tuple[Baseline, ...]]:
    """A reading whose headline is about baselines; its pairs are told by baseline."""
    found = baselines(frames, reading.line, reading.contrasts, spent)
    told = against(reading.line, settings(declaration.against or {}), found)
    return replace(reading, headline=told, pairs=(), details=()), found


def _reading(frames: Frames, declaration: Declaration, at: At) -> Reading:
    found = line(frames, declaration.metric, at)
    pairs = contrasts(frames, found, declaration.margin)
    return Reading(
        at=at,
        headline=headline(found, at, pairs),
        pairs=tuple(pair_sentence(found, at, pair) for pair in pairs),
        details=tuple(pair_detail(pair, noun(found)) for pair in pairs),
        line=found,
        contrasts=pairs,
    )


def _nothing(frames: Frames, label: str) -> str:
    if frames.runs.empty:
        return "No verdict: there are no runs yet."
    if label in {cost.label for cost in RUN_COSTS.values()}:
        return f"No verdict: no completed run has a {label}."
    if not any(_measures(str(spec)) for spec in frames.runs["spec"]):
        return "No verdict: there is nothing to compare, since evaluation.metrics is empty."
    return f"No verdict: no run was evaluated by {label}."


def _measures(spec: str) -> bool:
    """Whether a run's spec asks for any metric."""
    asked = json.loads(spec)["evaluation"]
    return bool(asked["metrics"] or asked["final_metrics"])


def _notes(
    frames: Frames,
    declaration: Declaration,
    found: tuple[Recipe, ...],
    readings: tuple[Reading, ...],
    cost: str,
) -> tuple[str, ...]:
    said = [_compared(frames, declaration), standing(found)]
    if readings:
        said.append(_without_value(frames, readings[0].line))
        said += [_other_reading(*readings)] if len(readings) > 1 else []
    said += [cost, *frames.left_out]
    return tuple(note for note in said if note)


def _other_reading(declared: Reading, other: Reading) -> str:
    if [cell.values for cell in declared.line.cells] == [cell.values for cell in other.line.cells]:
        return (
            f"Every run is at its {other.at} at its {declared.at} evaluation: both readings agree."
        )
    return f"Read at the {other.at} evaluation instead: {other.headline}"


def _compared(frames: Frames, declaration: Declaration) -> str:
    """What a difference may be credited to; with baselines, what they have in common."""
    if frames.baselines is None:
        return differences(frames)
    alone = [
        name
        for name in frames.variants
        if name not in frames.baselines and name not in frames.baselines.values()
    ]
    rest = f" Without one, and compared with nothing: {listed(alone)}." if alone else ""
    same = listed([spoken_key(key) for key in AGREE if key not in (declaration.against or {})])
    return f"Each variant is compared with its baseline alone, which has the same {same}.{rest}"


def _spent(declaration: Declaration, spent: tuple[Cost, ...], readings: tuple[Reading, ...]) -> str:
    """The cost of each variant, where that is not what is compared anyway."""
    if declaration.metric in RUN_COSTS:
        return ""
    return sentence(spent, readings[0].line if readings else None)


def _without_value(frames: Frames, primary: MetricLine) -> str:
    completed = {
        cell.variant: int(
            (observations(frames, cell.variant, primary.cost)["status"] == "completed").sum()
        )
        for cell in primary.cells
    }
    lacking = {
        cell.variant: completed[cell.variant] - len(cell.values)
        for cell in primary.cells
        if completed[cell.variant] > len(cell.values)
    }
    if not lacking:
        return ""
    why = {cell.variant: "; ".join({why: None for _, why in cell.errors}) for cell in primary.cells}
    who = [
        f"{plural(n, 'completed run')} of {name}{f' ({why[name]})' if why[name] else ''}"
        for name, n in lacking.items()
    ]
    return f"Without a value of {primary.label}, and so left out of the verdict: {listed(who)}."
