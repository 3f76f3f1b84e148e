"""The figures of a report, each a list of small panels that the page lays out side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import pandas as pd
from matplotlib.axes import Axes

from bench.reporting.base import MetricLine, Shares, Summary
from bench.reporting.frames import Frames
from bench.reporting.palette import Look
from bench.reporting.panels import (
    AXES,
    crosses,
    dress,
    lines,
    points,
    scaled,
    thinned,
)
from bench.reporting.svg import INK, draw
from bench.reporting.verdict import real

REAL, AIM = "real data", "aim"
"""What a dashed line stands for."""

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
    "gradient_cosine": ("cosine of the generator’s successive gradients", None),
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


@dataclass(frozen=True)
class Quantity:
    """One quantity of the training curves, drawn along every axis."""

    label: str
    note: str
    panels: Mapping[str, list[str]]
    """Axis → its panels."""


def primary(of: Subject) -> list[str]:
    """The primary metric against steps, images and cost; a thin line a seed, the median bold."""
    read = [each.line for each in of.summary.readings[:1] if each.line.cost is None]
    return [_along(of, line, axis, WIDE) for line in read for axis in AXES]


def others(of: Subject) -> list[str]:
    """Every other metric that was followed through training, against the images shown."""
    return [_along(of, line, "images", SMALL) for line in _other_lines(of) if _followed(of, line)]


def _followed(of: Subject, line: MetricLine) -> bool:
    """Whether any run was judged by the metric more than once, so that there is a course to see."""
    rows = of.frames.metrics[of.frames.metrics["metric"] == line.metric].dropna(subset=["value"])
    return bool(rows.groupby("run_id")["generator_step"].nunique().gt(1).any())


def _other_lines(of: Subject) -> list[MetricLine]:
    return [line for line in of.summary.lines if line.metric != of.summary.declaration.metric]


def _along(of: Subject, line: MetricLine, axis: str, size: tuple[float, float]) -> str:
    rows = of.frames.metrics[of.frames.metrics["metric"] == line.metric]
    rows = rows.dropna(subset=["value", axis])

    def paint(axes: Axes) -> None:
        lines(axes, rows, (axis, "value"), of.look, dots=True)
        crosses(axes, rows, axis, of.look)
        scaled(axes, rows["value"].astype(float), line.floor, REAL, log=line.scale == "log")
        dress(axes, line.label, AXES[axis])

    ends = ", ".join(f"{c.variant} {c.description.median:.3g}" for c in line.cells if c.values)
    alt = f"{line.label} against {AXES[axis]}; medians at the end: {ends or 'none'}{real(line)}"
    return draw(f"{of.key}-{line.metric}-{axis}", size, alt, paint)


def curve_axes(of: Subject) -> tuple[str, ...]:
    """The axes that some curve can be drawn along; there is no cost where no step was timed."""
    return tuple(axis for axis in AXES if of.frames.curves[axis].notna().any())


def losses(of: Subject) -> list[Quantity]:
    """Quantities in the objective's own unit: a panel a variant, each on a scale of its own."""
    return [
        Quantity(label, note, {axis: _by_variant(of, column, axis) for axis in curve_axes(of)})
        for column, (label, note) in OWN_SCALE.items()
        if of.frames.curves[column].notna().any()
    ]


def _by_variant(of: Subject, column: str, axis: str) -> list[str]:
    panels = []
    for place, variant in enumerate(of.frames.variants):
        rows = of.frames.curves[of.frames.curves["variant"] == variant].dropna(
            subset=[column, axis]
        )
        if len(rows):
            paint = _curve_painter(rows, (axis, column), variant, of.look, None)
            alt = f"{OWN_SCALE[column][0]} of {variant} against {AXES[axis]}"
            panels.append(draw(f"{of.key}-{column}-{axis}-{place}", SMALL, alt, paint))
    return panels


def diagnostics(of: Subject) -> Mapping[str, list[str]]:
    """What may be compared across objectives: Lipschitz figures, penalty, clipped share, cosine."""
    return {axis: _shared(of, axis) for axis in curve_axes(of)}


def _shared(of: Subject, axis: str) -> list[str]:
    panels = []
    for column, (label, aim) in SHARED_SCALE.items():
        rows = of.frames.curves.dropna(subset=[column, axis])
        if len(rows):
            paint = _curve_painter(rows, (axis, column), label, of.look, aim)
            alt = f"{label} against {AXES[axis]}"
            panels.append(draw(f"{of.key}-{column}-{axis}", SMALL, alt, paint))
    return panels


def _curve_painter(
    rows: pd.DataFrame, columns: tuple[str, str], title: str, look: Look, aim: float | None
) -> Callable[[Axes], None]:
    axis, column = columns

    def paint(axes: Axes) -> None:
        lines(axes, thinned(rows), columns, look, dots=False)
        scaled(axes, rows[column].astype(float), aim, AIM * (aim is not None), log=aim is not None)
        dress(axes, title, AXES[axis])

    return paint


def bars(of: Subject) -> list[str]:
    """Each metric at the last evaluation: the median as a bar or a tick, every seed a point."""
    return [
        draw(
            f"{of.key}-{line.metric}-bar", SMALL, f"{line.label} by variant{real(line)}",
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
        found = {cell.variant: [value for _, value in cell.values] for cell in cells}
        points(axes, found, look)
        everything = [value for values in found.values() for value in values]
        scaled(axes, everything, line.floor, REAL, log=line.scale == "log")
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
