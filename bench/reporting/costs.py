"""What each variant took, and what it had reached when the cheapest one was done."""

from __future__ import annotations

import pandas as pd

from bench.reporting.base import Cost, MetricLine
from bench.reporting.comparison import median_within
from bench.reporting.frames import Frames
from bench.reporting.numbers import beside, duration, number


def costs(frames: Frames, metric: str) -> tuple[Cost, ...]:
    """A row a variant, medians over its completed runs; None where nothing is known."""
    own = {name: _cost(frames, name) for name in frames.variants}
    least = cheapest(list(own.values()))
    return tuple(_row(frames, metric, name, own[name], least) for name in frames.variants)


def cheapest(found: list[float | None]) -> float | None:
    """The least of the known costs."""
    known = [cost for cost in found if cost is not None]
    return min(known) if known else None


def _completed(frames: Frames, variant: str) -> pd.DataFrame:
    runs = frames.of(variant)
    return runs[runs["status"] == "completed"]


def _cost(frames: Frames, variant: str) -> float | None:
    runs = _completed(frames, variant)
    return _middle(_numeric(runs, "generator_steps") * _numeric(runs, "step_ms") / 1000)


def _row(
    frames: Frames, metric: str, variant: str, cost: float | None, least: float | None
) -> Cost:
    runs = _completed(frames, variant)

    def of(column: str) -> float | None:
        return _middle(_numeric(runs, column))

    return Cost(
        variant=variant,
        generator_steps=of("generator_steps"),
        critic_steps=of("critic_steps"),
        images=of("images"),
        step_ms=of("step_ms"),
        cost=cost,
        ratio=cost / least if cost is not None and least else None,
        at_equal_cost=None if least is None else median_within(frames, metric, variant, least),
        images_per_second=of("images_per_second"),
        train_seconds=of("train_seconds"),
        eval_share=_middle(_numeric(runs, "eval_seconds") / _numeric(runs, "train_seconds")),
        compile_seconds=of("compile_seconds"),
        peak_memory_bytes=of("peak_memory_bytes"),
        utilisation=of("utilisation"),
    )


def _numeric(rows: pd.DataFrame, column: str) -> pd.Series[float]:
    return pd.to_numeric(rows[column], errors="coerce")


def _middle(values: pd.Series[float]) -> float | None:
    known = values.dropna()
    return float(known.median()) if len(known) else None


def sentence(found: tuple[Cost, ...], primary: MetricLine | None) -> str:
    """The cost of each recipe, and where each stood at equal cost by the primary metric, if any run
    was judged by it."""
    known = sorted((row for row in found if row.cost is not None), key=lambda row: row.cost or 0)
    if not known:
        return "Cost is not known: no completed run has its step time measured alone."
    first = known[0]
    parts = [f"{first.variant} {duration(first.cost)}"]
    parts += [f"{r.variant} {duration(r.cost)} ({number(r.ratio)}×)" for r in known[1:]]
    text = f"Cost of training (steps × step time measured alone): {', '.join(parts)}."
    if primary is None or len(known) == 1 or all(row.at_equal_cost is None for row in known):
        return text
    reached = [
        f"{row.variant} {number(row.at_equal_cost)}"
        if row.at_equal_cost is not None
        else f"{row.variant} not evaluated yet"
        for row in known
    ]
    within = f"Stopped at the cost of the cheapest ({duration(first.cost)})"
    values = f"{', '.join(reached)}{beside(primary.floor)}"
    return f"{text} {within}, median {primary.label}: {values}."
