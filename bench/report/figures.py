"""The figures of a report, each a list of small panels that the page lays out side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pandas as pd
from matplotlib.axes import Axes

from bench.report.base import MetricLine, Shares, Summary
from bench.report.frames import Frames
from bench.report.palette import Look
from bench.report.panels import (
    AXES,
    crosses,
    dress,
    lines,
    log,
    points,
    reference,
    thinned,
)
from bench.report.svg import INK, draw

WIDE, SMALL = (4.6, 3.4), (4.6, 2.6)

OWN_SCALE = {
    "critic_loss": ("Critic loss", "As minimised, a weighted penalty included."),
    "generator_loss": ("Generator loss", ""),
    "score_gap": (
        "Score gap",
        "The critic's mean score of real minus that of generated held-out data: an estimate of "
        "the Wasserstein distance only up to the critic's Lipschitz constant.",
    ),
    "critic_grad_norm": ("Critic's parameter gradient, L2 norm", ""),
    "generator_grad_norm": ("Generator's parameter gradient, L2 norm", ""),
}
"""Quantities whose unit is the objective's own: a panel a variant, never two in one."""

SHARED_SCALE = {
    "lipschitz_p50": ("‖∇c‖, median over points", 1.0),
    "lipschitz_max": ("‖∇c‖, maximum over points", 1.0),
    "penalty": ("gradient penalty, not weighted", None),
    "at_clip_bound": ("share of weights at the clip bound", None),
}
"""Quantities that mean the same for every objective, and where theory wants them."""


@dataclass(frozen=True)
class Subject:
    """What is drawn of one suite, and with which colours."""

    frames: Frames
    summary: Summary
    look: Look
    key: str
    """Leads every id of its figures."""


def primary(of: Subject) -> list[str]:
    """The primary metric against steps, images and cost; a thin line a seed, the median bold."""
    return [_along(of, each.line, axis, WIDE) for each in of.summary.readings[:1] for axis in AXES]


def others(of: Subject) -> list[str]:
    """Every other metric through training, against the images shown."""
    return [_along(of, line, "images", SMALL) for line in _other_lines(of)]


def _other_lines(of: Subject) -> list[MetricLine]:
    return [line for line in of.summary.lines if line.metric != of.summary.declaration.metric]


def _along(of: Subject, line: MetricLine, axis: str, size: tuple[float, float]) -> str:
    rows = of.frames.metrics[of.frames.metrics["metric"] == line.metric]
    rows = rows.dropna(subset=["value", axis])

    def paint(axes: Axes) -> None:
        positive = line.scale == "log" and bool((rows["value"] > 0).all()) and len(rows) > 0
        lines(axes, rows, (axis, "value"), of.look, dots=True)
        crosses(axes, rows, axis, of.look)
        reference(axes, line.floor)
        if positive and (line.floor is None or line.floor > 0):
            log(axes)
        dress(axes, line.label, AXES[axis])

    ends = ", ".join(f"{c.variant} {c.description.median:.3g}" for c in line.cells if c.values)
    alt = f"{line.label} against {AXES[axis]}; medians at the end: {ends or 'none'}"
    return draw(f"{of.key}-{line.metric}-{axis}", size, alt, paint)


def losses(of: Subject) -> list[tuple[str, str, list[str]]]:
    """A row a quantity (heading, note, panels), a panel a variant, each on a scale of its own."""
    return [
        (label, note, panels)
        for column, (label, note) in OWN_SCALE.items()
        if (panels := _panels_by_variant(of, column, label))
    ]


def _panels_by_variant(of: Subject, column: str, label: str) -> list[str]:
    panels = []
    for place, variant in enumerate(of.frames.variants):
        rows = of.frames.curves[of.frames.curves["variant"] == variant].dropna(subset=[column])
        if len(rows):
            paint = _curve_painter(rows, column, variant, of.look, None)
            alt = f"{label} of {variant} through training"
            panels.append(draw(f"{of.key}-{column}-{place}", SMALL, alt, paint))
    return panels


def diagnostics(of: Subject) -> list[str]:
    """What may be compared across objectives: Lipschitz figures, penalty, clipped share."""
    panels = []
    for column, (label, aim) in SHARED_SCALE.items():
        rows = of.frames.curves.dropna(subset=[column])
        if len(rows):
            paint = _curve_painter(rows, column, label, of.look, aim)
            panels.append(draw(f"{of.key}-{column}", SMALL, f"{label} through training", paint))
    return panels


def _curve_painter(
    rows: pd.DataFrame, column: str, title: str, look: Look, aim: float | None
) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        lines(axes, thinned(rows), ("generator_step", column), look, dots=False)
        values = rows[column].astype(float)
        reference(axes, aim)
        if aim is not None and bool((values > 0).all()):
            log(axes)
        dress(axes, title, AXES["generator_step"])

    return paint


def bars(of: Subject) -> list[str]:
    """Each metric at the last evaluation: the median as a bar or a tick, every seed a point."""
    return [
        draw(
            f"{of.key}-{line.metric}-bar", SMALL, f"{line.label} by variant",
            _bar_painter(line, of.look),
        )
        for line in _other_lines(of)
        if any(cell.values for cell in line.cells)
    ]  # fmt: skip


def _bar_painter(line: MetricLine, look: Look) -> Callable[[Axes], None]:
    cells = [cell for cell in line.cells if cell.values]

    def paint(axes: Axes) -> None:
        for place, cell in enumerate(cells):
            if line.scale == "raw":
                height, hue = cell.description.median or 0.0, look.color(cell.variant)
                axes.bar([place], [height], width=0.66, color=hue, alpha=0.28)
        points(axes, {c.variant: [v for _, v in c.values] for c in cells}, look)
        reference(axes, line.floor)
        if line.scale == "log" and (line.floor is None or line.floor > 0):
            log(axes)
        dress(axes, line.label, "")
        axes.grid(visible=False, axis="x")

    return paint


def class_bars(of: Subject, shares: Shares) -> list[str]:
    """The share of samples in each class: a panel a variant, on one scale."""
    everything = [v for runs in shares.values.values() for _, parts in runs for v in parts]
    floors = [floor for floor in shares.floor if floor is not None]
    top = max([*everything, *floors, 0.0]) * 1.08 or 1.0
    return [
        draw(
            f"{of.key}-{shares.label}-{place}", SMALL, f"{shares.label} of {name}, by class",
            _class_painter(shares, name, of.look.color(name), top),
        )
        for place, name in enumerate(of.frames.variants)
        if shares.values[name]
    ]  # fmt: skip


def _class_painter(shares: Shares, name: str, hue: str, top: float) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        runs = [parts for _, parts in shares.values[name]]
        for place, index in enumerate(shares.classes):
            values = [parts[place] for parts in runs]
            axes.bar([index], [median(values)], width=0.8, color=hue, alpha=0.35)
            axes.plot([index] * len(values), values, "o", color=hue, markersize=2.8, alpha=0.9)
            floor = shares.floor[place]
            if floor is not None:
                axes.hlines(floor, index - 0.5, index + 0.5, colors=INK, linewidth=1, alpha=0.8)
        axes.set_ylim(0, top)
        axes.set_xticks(list(shares.classes))
        dress(axes, name, "class")
        axes.grid(visible=False, axis="x")

    return paint
