"""How verdicts, changes and margins look in every figure of a check."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from bench.records import CheckVerdict
from bench.reporting.numbers import signed
from bench.reporting.palette import COLORS

DASHED, DOTTED = (0, (4, 3)), (0, (1, 2))
SHAPES: Mapping[CheckVerdict, tuple[str, str, str]] = {
    "fine": (COLORS[0], "o", "●"),
    "regressed": (COLORS[1], "^", "▲"),
    "inconclusive": (COLORS[4], "D", "◆"),
    "missing": (COLORS[7], "X", "✕"),
    "crashed": (COLORS[7], "X", "✕"),
    "not_comparable": (COLORS[7], "X", "✕"),
}
"""Verdict → its colour, and its shape as matplotlib and as text have it."""


def change(ratio: float) -> str:
    """A ratio as a change: `+5.20 %`, `−1.30 %`."""
    return f"{signed(100 * (ratio - 1))} %"


def as_change(axes: Axes) -> None:
    """The ticks of a logarithmic axis of ratios, at round changes in per cent."""
    low, high = axes.get_ylim()
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low - 1, high - 1)
    axes.yaxis.set_major_locator(FixedLocator([1 + x for x in ticks if low <= 1 + x <= high]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(_tick))


def _tick(ratio: float, _: object) -> str:
    percent = round(100 * (ratio - 1), 6)
    return "0 %" if percent == 0 else f"{percent:+g} %".replace("-", "−")
