"""The figures of a history: what a case takes, revision by revision, on one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.records import CheckRow, CheckVerdict
from bench.reporting.check_marks import DASHED, SHAPES
from bench.reporting.check_words import QUANTITIES, told
from bench.reporting.history import Head, History, Line, Machine, based
from bench.reporting.hover import Spot, hovered, spots
from bench.reporting.numbers import moment
from bench.reporting.panels import dress
from bench.reporting.svg import INK, draw

SIZE = (4.6, 2.8)
_LABELS = 5
"""Revisions that the axis names; the others say who they are on hover."""
_SPREAD = 0.6
"""Of a revision's room: what several checks of it take."""
_HALF = 0.34
"""Of a base's stroke; 1 is from one revision to the next."""
_ROOM = 200.0
"""Points of the axis that marks may fill before they get smaller."""
_UNITS = {"bytes": (1e-6, "MB"), "ms": (1.0, "ms"), "s": (1.0, "s")}


@dataclass(frozen=True)
class Place:
    """A row of a case, and where it stands."""

    x: float
    row: CheckRow
    revision: Head


def drawn(history: History) -> list[dict[str, list[str]]]:
    """Of each machine, quantity by quantity, a panel a line."""
    return [_of(f"m{place}", machine) for place, machine in enumerate(history.machines)]


def _of(key: str, machine: Machine) -> dict[str, list[str]]:
    return {
        QUANTITIES[guard]: [
            _panel(f"{key}-{guard}-{place}", line, machine.revisions)
            for place, line in enumerate(own)
        ]
        for guard, own in machine.guarded.items()
    }


def _panel(key: str, line: Line, revisions: Sequence[Head]) -> str:
    found: list[Spot] = []
    ends = line.rows[-1]
    alt = (
        f"{QUANTITIES[line.quantity]} of {line.subject} across {len(revisions)} revisions; "
        f"{told(ends)}"
    )
    return hovered(draw(key, SIZE, alt, _painter(line, revisions, found)), found)


def places(line: Line, revisions: Sequence[Head]) -> list[Place]:
    """The rows of a case on the axis of revisions; several of one revision side by side."""
    order = {revision.commit: place for place, revision in enumerate(revisions)}
    found = []
    for commit, group in groupby(line.rows, key=lambda row: row.head_commit or ""):
        rows, place = list(group), order[commit]
        for index, row in enumerate(rows):
            x = place + _SPREAD * ((index + 0.5) / len(rows) - 0.5)
            found.append(Place(x, row, revisions[place]))
    return found


def _painter(line: Line, revisions: Sequence[Head], found: list[Spot]) -> Callable[[Axes], None]:
    scale, unit = _UNITS[line.rows[0].unit]
    stand = places(line, revisions)
    size = min(6.0, max(2.5, _ROOM / len(revisions)))

    def paint(axes: Axes) -> None:
        for _, group in groupby(stand, key=lambda each: each.row.spec_id):
            _joined(axes, [each for each in group if each.row.ratio is not None], scale)
        measured = [each for each in stand if each.row.ratio is not None]
        _bases(axes, measured, scale)
        for verdict in SHAPES:
            own = [each for each in measured if each.row.verdict == verdict]
            _heads(axes, own, scale, verdict, size)
        axes.set_xlim(-0.6, len(revisions) - 0.4)
        axes.margins(y=0.12)
        axes.autoscale_view(scalex=False)
        foot = _without(axes, [each for each in stand if each.row.ratio is None], size)
        _dressed(axes, f"{line.subject}, {unit}", revisions)
        heights = [_middle(each.row, scale) if each in measured else foot for each in stand]
        words = [(each.x, y, _words(each)) for each, y in zip(stand, heights, strict=True)]
        found.extend(spots(axes, words))

    return paint


def _dressed(axes: Axes, title: str, revisions: Sequence[Head]) -> None:
    dress(axes, title, "revision")
    named = _named(len(revisions))
    axes.set_xticks(named, [revisions[place].short for place in named], fontsize=9)
    if len(revisions) > _LABELS:  # it stands at the very edge
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(visible=False, axis="x")


def _joined(axes: Axes, points: Sequence[Place], scale: float) -> None:
    """What was trained alike; the line breaks where the case was declared anew."""
    values = [_middle(each.row, scale) for each in points]
    axes.plot([each.x for each in points], values, color=INK, linewidth=0.8, alpha=0.5)


def _bases(axes: Axes, points: Sequence[Place], scale: float) -> None:
    """Base's level in each check, and the margin above it."""
    left, right = ([each.x + side * _HALF for each in points] for side in (-1, 1))
    base = [_base(each.row, scale) for each in points]
    margin = [(1 + each.row.margin) * at for each, at in zip(points, base, strict=True)]
    axes.hlines(base, left, right, colors=INK, linewidth=1, alpha=0.6)
    axes.hlines(margin, left, right, colors=INK, linewidth=0.8, alpha=0.6, linestyles=DASHED)


def _heads(
    axes: Axes, points: Sequence[Place], scale: float, verdict: CheckVerdict, size: float
) -> None:
    """Head in each check, with the interval that the verdict was read off."""
    hue, marker, _ = SHAPES[verdict]
    x = [each.x for each in points]
    low = [_base(each.row, scale) * (each.row.low or 0.0) for each in points]
    high = [_base(each.row, scale) * (each.row.high or 0.0) for each in points]
    axes.vlines(x, low, high, colors=hue, linewidth=0.4 * size, alpha=0.6)
    middle = [_middle(each.row, scale) for each in points]
    axes.plot(x, middle, linestyle="", marker=marker, color=hue, markersize=size, zorder=3)


def _without(axes: Axes, points: Sequence[Place], size: float) -> float:
    """A cross at the foot for what came to no ratio; says how high the foot is."""
    low, high = axes.get_ylim()
    foot = low + 0.05 * (high - low)
    hue, marker, _ = SHAPES["crashed"]
    at = [each.x for each in points]
    axes.plot(at, [foot] * len(at), linestyle="", marker=marker, color=hue, markersize=size)
    axes.set_ylim(low, high)
    return foot


def _base(row: CheckRow, scale: float) -> float:
    return scale * (row.base_value or 0.0)


def _middle(row: CheckRow, scale: float) -> float:
    """Base's median times the ratio: what the interval is about."""
    return _base(row, scale) * (row.ratio or 1.0)


def _words(place: Place) -> str:
    """Who it is and what was found, for the pointer."""
    revision = place.revision
    at = f", {moment(revision.committed_at)}" if revision.committed_at else ""
    subject = f" {revision.subject}" if revision.subject else ""
    checked = f"against {based(place.row)}, checked {moment(place.row.started_at)}"
    return f"{revision.short}{at}{subject}\n{told(place.row)}\n{checked}"


def _named(number: int) -> list[int]:
    """Places of the revisions that the axis names: the first, the last, and two between."""
    if number <= _LABELS:
        return list(range(number))
    return [round(third * (number - 1) / 3) for third in range(4)]
