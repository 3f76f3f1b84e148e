"""Results of an imaginary suite that compares step times: the rows of its runs, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from report_fixture import MACHINE, RECIPES, spec, written

from bench.records import RunResult, RunRow, identity
from bench.reporting.summary import Declaration
from bench.store import Results

SUITE = "engine_speed"
TIMES = {
    "gan_textbook": (8.0, 8.1, 7.9),
    "gan_eager": (7.9, 8.2, 8.0),
    "gan_compiled": (4.0, 4.1, 3.9),
    "wgan_textbook": (27.0, 26.6, 27.4),
    "wgan_eager": (33.0, 33.5, 32.4),
    "wgan_compiled": (9.7, 9.6, 9.9),
    "wgan_bf16": (4.8, 4.9, 4.75),
    "wgan_stacked": (9.5, 9.6, 9.4),
}
"""Milliseconds, a value a round; what a variant is stands in its name."""


def declared(times: Mapping[str, Sequence[float]] = TIMES) -> Declaration:
    """The declaration of such a suite: every variant against the textbook engine."""
    baselines = {
        name: f"{name.partition('_')[0]}_textbook" for name in times if "textbook" not in name
    }
    return Declaration(
        name=SUITE,
        title="Time of a step",
        metric="step_ms",
        at="final",
        margin=0.1,
        variants=tuple(times),
        seeds=(0, 1, 2),
        text="",
        runs=tuple((r.run.run_id, r.run.variant, r.run.seed, "cpu") for r in runs(times)),
        against={"engine": "textbook"},
        baselines=baselines,
    )


def runs(times: Mapping[str, Sequence[float]] = TIMES) -> list[RunResult]:
    """A run a value; of a `stacked` variant, two runs that were one group."""
    return [
        result(name, place, milliseconds, member)
        for name, values in times.items()
        for place, milliseconds in enumerate(values)
        for member in range(2 if "stacked" in name else 1)
    ]


def result(name: str, place: int, milliseconds: float | None, member: int = 0) -> RunResult:
    """The run of a round; None: it was not timed alone."""
    objective, _, kind = name.partition("_")
    group = (2 * place, 2 * place + 1) if kind == "stacked" else (place,)
    made = spec(name, group[member], RECIPES[objective])
    made = replace(
        made,
        group=group,
        engine=kind if kind in ("textbook", "eager") else "compiled",
        precision="bf16" if kind == "bf16" else "fp32",
    )
    row = RunRow(
        **identity(SUITE, made),
        status="completed",
        error=None,
        generator_steps=200,
        train_seconds=2.0,
        eval_seconds=0.0,
        solo_step_ms=milliseconds,
        peak_memory_bytes=612_000_000,
        utilisation=None if kind == "textbook" else 0.62,
        **{**MACHINE, "engine_used": made.engine},
    )
    return RunResult(row)


def stored(root: Path, times: Mapping[str, Sequence[float]] = TIMES) -> Results:
    """The same, as the store gives them back."""
    return written(root, runs(times), SUITE)
