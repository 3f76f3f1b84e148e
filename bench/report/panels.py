"""What the figures are painted with: lines and points of seeds, scales, titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import median

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bench.report.palette import Look
from bench.report.svg import FAINT, INK

POINTS = 150
"""Points drawn of one curve at most; more only makes the page heavier."""

AXES = {
    "generator_step": "generator steps",
    "images": "real images shown to the critic",
    "cost": "cost: seconds of training alone",
}


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
        axes.plot(
            middle[x], middle[y], color=look.palette[name], linewidth=2,
            marker=look.marker(name) if dots else "", markersize=4.5,
        )  # fmt: skip


def crosses(axes: Axes, rows: pd.DataFrame, x: str, look: Look) -> None:
    """A cross where a run diverged."""
    gone = rows[rows["status"] == "diverged"].sort_values("generator_step")
    for _, row in gone.groupby("run_id").tail(1).iterrows():
        hue = look.palette[str(row["variant"])]
        axes.plot([row[x]], [row["value"]], marker="x", color=hue, markersize=8, markeredgewidth=2)


def points(axes: Axes, found: Mapping[str, Sequence[float]], look: Look) -> None:
    """Every seed a point, variants side by side in order, and a stroke at each one's median."""
    pairs = [(name, value) for name, values in found.items() for value in values]
    rows, order = pd.DataFrame(pairs, columns=["variant", "value"]), list(found)
    axes.set(xlabel="variant", ylabel="value")
    sns.stripplot(
        rows, x="variant", y="value", hue="variant", order=order, hue_order=order,
        palette=look.palette, size=5, jitter=0.12, legend=False, ax=axes,
    )  # fmt: skip
    for place, values in enumerate(found.values()):
        axes.hlines(median(values), place - 0.33, place + 0.33, colors=INK, linewidth=1.6)


def log(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers; 1, 2 and 5 where less than two decades show."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    near = isfinite(low) and low > 0 and high / low < 100
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def reference(axes: Axes, value: float | None) -> None:
    """A dashed line: what real data gets, or what theory wants."""
    if value is not None:
        axes.axhline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.7)


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
