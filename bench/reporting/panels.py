"""What the figures are painted with: lines and points of seeds, scales, titles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, log10
from statistics import median

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

from bench.reporting.numbers import NONE, number
from bench.reporting.palette import Look
from bench.reporting.svg import FAINT, INK

POINTS = 150
"""Points drawn of one curve at most; more only makes the page heavier."""

MARKS = 6
"""Markers along a curve, where only they tell two variants apart."""

NEAR = 3.0
"""How many times beyond the data a reference may lie and still be drawn on a logarithmic axis."""

ROOM = 0.22
"""Share of the span that is left free for a reference named at the axis' edge."""

AXES = {
    "generator_step": "generator steps",
    "images": "real images shown to the critic",
    "cost": "cost: seconds of training alone",
}

AXIS_NAMES = {"generator_step": "generator steps", "images": "images", "cost": "cost"}
"""The same, as a choice calls them."""


def thinned(rows: pd.DataFrame) -> pd.DataFrame:
    """At most `POINTS` evenly spaced rows of each run; the same steps for runs of one length."""
    place = rows.groupby("run_id").cumcount()
    total = rows.groupby("run_id")["generator_step"].transform("size")
    stride = (total / POINTS).clip(lower=1).apply(lambda x: -int(-x // 1))
    return rows[(place % stride == 0) | (place == total - 1)]


def lines(
    axes: Axes, rows: pd.DataFrame, columns: tuple[str, str], look: Look, *, dots: bool
) -> None:
    """A thin line a run, and the median of each variant's completed runs over it."""
    x, y = columns
    rows = rows.sort_values(x)
    shown = [name for name in look.variants if (rows["variant"] == name).any()]
    if not shown:
        return
    axes.set(xlabel=x, ylabel=y)  # else seaborn lays out every tick to see whether to label
    sns.lineplot(
        rows, x=x, y=y, hue="variant", hue_order=shown, palette=look.palette, units="run_id",
        estimator=None, linewidth=0.7, alpha=0.4, legend=False, ax=axes,
    )  # fmt: skip
    for name in shown:
        own = rows[(rows["variant"] == name) & (rows["status"] == "completed")]
        needed = list(dict.fromkeys(("generator_step", x, y)))
        middle = own[needed].astype(float).groupby("generator_step", as_index=False).median()
        marked = dots or look.crowded
        axes.plot(
            middle[x], middle[y], color=look.palette[name], linewidth=2,
            marker=look.marker(name) if marked else "", markersize=4.5,
            markevery=1 if dots else max(1, len(middle) // MARKS),
        )  # fmt: skip


def crosses(axes: Axes, rows: pd.DataFrame, x: str, look: Look) -> None:
    """A cross where a run diverged."""
    gone = rows[rows["status"] == "diverged"].sort_values("generator_step")
    for _, row in gone.groupby("run_id").tail(1).iterrows():
        hue = look.palette[str(row["variant"])]
        axes.plot([row[x]], [row["value"]], marker="x", color=hue, markersize=8, markeredgewidth=2)


def points(axes: Axes, found: Mapping[str, Sequence[float]], look: Look) -> None:
    """Every seed a point, variants side by side in order, and a stroke at each one's median."""
    rows = pd.DataFrame(
        [
            (name, place + 0.24 * ((i + 0.5) / len(values) - 0.5), value)
            for place, (name, values) in enumerate(found.items())
            for i, value in enumerate(values)
        ],
        columns=["variant", "place", "value"],
    )  # side by side in their order: jitter would make every page another
    axes.set(xlabel="variant", ylabel="value")
    sns.scatterplot(
        rows, x="place", y="value", hue="variant", hue_order=list(found), palette=look.palette,
        s=26, linewidth=0, zorder=3, legend=False, ax=axes,
    )  # fmt: skip
    axes.set_xticks(range(len(found)), list(found))
    axes.set_xlim(-0.5, len(found) - 0.5)
    for place, values in enumerate(found.values()):
        axes.hlines(median(values), place - 0.33, place + 0.33, colors=INK, linewidth=1.6)


def scaled(
    axes: Axes, values: Iterable[float], mark: float | None, called: str, *, log: bool
) -> None:
    """The y axis, and a dashed line at `mark`: what real data gets, or what theory wants.

    A mark that is not known is said to be so, under its name `called`, if it has one.
    A logarithmic axis follows `values` (what is drawn): a mark further from them than `NEAR`
    times is named at the axis' edge instead, else it would squeeze the curves.  Values that have
    no logarithm keep the axis linear.
    """
    if mark is None and called:
        _name(axes, f"{called} {NONE}", below=True)
    known = [value for value in values if isfinite(value)]
    if not (log and known and min(known) > 0):
        _line_at(axes, mark)
        return
    low, high = min(known), max(known)
    below = mark is not None and mark * NEAR < low
    above = mark is not None and mark > high * NEAR
    if mark is not None and not (below or above):
        _line_at(axes, mark)
        low, high = min(low, mark), max(high, mark)
    _log(axes, low, high, room=(ROOM * below, ROOM * above))
    if below or above:
        _name(axes, f"{called} {number(mark)}, {'below ↓' if below else 'above ↑'}", below=below)


def _name(axes: Axes, text: str, *, below: bool) -> None:
    """A word on the reference, at the right end of the axis' lower or upper edge."""
    axes.text(
        1, 0.03 if below else 0.97, text, transform=axes.transAxes, fontsize=10,
        color=INK, alpha=0.75, ha="right", va="bottom" if below else "top",
    )  # fmt: skip


def _line_at(axes: Axes, value: float | None) -> None:
    if value is not None:
        axes.axhline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.7)


def _log(axes: Axes, low: float, high: float, room: tuple[float, float]) -> None:
    """Logarithmic from `low` to `high`, with `room` (shares of that span) left below and above."""
    axes.set_yscale("log")
    bottom, top = log10(low), log10(high)
    span = max(top - bottom, log10(1.2))
    bottom, top = bottom - span * (0.06 + room[0]), top + span * (0.06 + room[1])
    axes.set_ylim(10**bottom, 10**top)
    axes.yaxis.set_major_locator(_ticks(10 ** (top - bottom)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _ticks(ratio: float) -> Locator:
    """Evenly spaced numbers within a decade; beyond it 1, 2 and 5, and then powers of ten."""
    if ratio < 10:
        return MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3)
    return LogLocator(subs=(1.0, 2.0, 5.0) if ratio < 300 else (1.0,))


def dress(axes: Axes, title: str, xlabel: str) -> None:
    """Title, labels, grid and ticks, alike in every panel."""
    axes.set_title(title, fontweight="bold")
    axes.set_xlabel(xlabel)
    axes.set_ylabel("")
    axes.tick_params(length=0)
    axes.grid(color=FAINT)
    axes.minorticks_off()
    if xlabel in AXES.values():
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """`1.2M`, `15k`: ticks have no room for thousands."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
