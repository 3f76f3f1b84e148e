"""The figures of a regression check: its rounds against the margin, case by case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.reporting.calibration_figures import panels
from bench.reporting.check_marks import DASHED, DOTTED, SHAPES, as_change, change
from bench.reporting.check_words import QUANTITIES, named, words
from bench.reporting.checked import Case, Checked, Dot
from bench.reporting.hover import Spot, hovered, spots
from bench.reporting.panels import dress
from bench.reporting.svg import INK, draw

SIZE = (4.6, 2.6)
TITLE = 26
"""Characters of a case's name that the panel has room for; a longer one is set smaller."""


@dataclass(frozen=True)
class Drawn:
    """A suite's checks on the page."""

    checked: Checked
    rounds: Mapping[str, list[str]]
    """Quantity → a panel a case that could be timed."""
    calibration: Sequence[tuple[str, list[str]]]
    """Case → its panels."""

    @property
    def unsteady(self) -> bool:
        """Whether the clocks moved in any round."""
        return any(dot.moved for case in self.checked.cases for dot in case.dots)


def drawn(key: str, checked: Checked) -> Drawn:
    """Every figure of a suite's checks; `key` leads their ids."""
    calibration = [
        (named(each.row), panels(f"{key}-calibration-{place}", each))
        for place, each in enumerate(checked.calibrated)
    ]
    return Drawn(checked, _rounds(key, checked.cases), calibration)


def _rounds(key: str, cases: Sequence[Case]) -> Mapping[str, list[str]]:
    """Those of one quantity on one scale."""
    found: dict[str, list[str]] = {}
    for place, case in enumerate(cases):
        if case.row.ratio is not None:
            alike = [each for each in cases if each.row.quantity == case.row.quantity]
            panel = _panel(f"{key}-check-{place}", case, _reach(alike))
            found.setdefault(QUANTITIES[case.row.quantity], []).append(panel)
    return found


def _panel(key: str, case: Case, reach: tuple[float, float]) -> str:
    found: list[Spot] = []
    row = case.row
    alt = f"{named(row)}, {row.verdict}: ratio {row.ratio:.4g} after {row.rounds} rounds"
    return hovered(draw(key, SIZE, alt, _painter(case, reach, found)), found)


def _reach(cases: Sequence[Case]) -> tuple[float, float]:
    """From where to where the ratios of some cases go, their margins and no difference included."""
    places = [1.0]
    for case in cases:
        row = case.row
        places += [1 + row.margin, *(x for x in (row.low, row.high) if x is not None)]
        places += [dot.ratio for dot in case.dots]
    room = 0.08 * log(max(places) / min(places))
    return min(places) * exp(-room), max(places) * exp(room)


def _painter(case: Case, reach: tuple[float, float], found: list[Spot]) -> Callable[[Axes], None]:
    row = case.row
    hue, _, glyph = SHAPES[row.verdict]
    last = max([row.looks[-1], *(dot.round for dot in case.dots)])

    def paint(axes: Axes) -> None:
        axes.set_yscale("log")
        axes.set_ylim(*reach)
        axes.set_xlim(0.4, last + 0.6)
        if row.low is not None and row.high is not None and row.ratio is not None:
            axes.axhspan(row.low, row.high, color=hue, alpha=0.2, lw=0)
            axes.axhline(row.ratio, color=hue, linewidth=2)
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        axes.axhline(1 + row.margin, color=INK, linewidth=1.2, linestyle=DASHED)
        for look in row.looks:
            axes.axvline(look + 0.5, color=INK, linewidth=0.8, linestyle=DOTTED, alpha=0.6)
        for dot in case.dots:
            _dot(axes, dot)
        dress(axes, row.subject, "round")
        size = 11.5 * min(1.0, TITLE / len(row.subject))
        axes.set_title(row.subject, fontweight="bold", fontsize=size)
        axes.set_title(f"{glyph} {words(row)}", loc="right", color=hue, fontweight="bold")
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 4, 10], integer=True))
        as_change(axes)
        found.extend(spots(axes, [(dot.round, dot.ratio, _told(dot)) for dot in case.dots]))

    return paint


def _dot(axes: Axes, dot: Dot) -> None:
    """Full where it counts; open where its clocks moved; crossed out where it was repeated."""
    marker = "x" if not dot.counts else "D" if dot.moved else "o"
    axes.plot(
        [dot.round], [dot.ratio], marker=marker, color=INK, markersize=5,
        markerfacecolor="none" if dot.moved else INK, alpha=0.8, zorder=3,
    )  # fmt: skip


def _told(dot: Dot) -> str:
    parts = [f"round {dot.round}: {change(dot.ratio)}", f"{dot.first} timed first"]
    if dot.moved:
        parts.append(dot.moved if dot.counts else f"{dot.moved}; repeated, and not counted")
    return ", ".join(parts)
