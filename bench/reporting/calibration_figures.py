"""The figures of a calibration: its rounds in order, and what a check of this noise would find."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import exp, expm1, isfinite, log1p

import numpy as np
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bench.records import CheckResult
from bench.reporting.check_accounts import noises
from bench.reporting.check_marks import DASHED, DOTTED, SHAPES, as_change, change
from bench.reporting.check_words import named
from bench.reporting.checked import Calibrated, calibrated
from bench.reporting.hover import Spot, hovered, spots
from bench.reporting.numbers import exact_percent, growth
from bench.reporting.palette import DARK, LIGHT
from bench.reporting.panels import dress
from bench.reporting.svg import INK, draw
from bench.stats import Plan
from bench.stats.sequential import Judged

SIZE = (4.6, 2.6)
_EFFECTS = 65
"""Points of the power curve; it is drawn straight between them."""
_JUDGED: tuple[Judged, ...] = ("fine", "inconclusive", "regressed")
_GAP, _HEAD = 24, 26
_WIDTH, _HEIGHT = (round(72 * inches) for inches in SIZE)
_SIZED = f'width="{_WIDTH}" height="{_HEIGHT}"'
_STYLE = f"""
svg {{ color: #1c1e21; --hairline: #dcdcd6; font: 11px system-ui, "Liberation Sans", sans-serif; }}
.ground {{ fill: {LIGHT}; }}
.case {{ font-size: 14px; font-weight: 600; }}
.legend {{ font-size: 12px; }}
@media (prefers-color-scheme: dark) {{
svg {{ color: #e4e4e0; --hairline: #34383d; }}
.ground {{ fill: {DARK}; }}
}}
"""


def calibration_svg(result: CheckResult) -> str:
    """A calibration as an SVG file of its own: two panels a case, below its name."""
    found = calibrated(result, noises(result))
    parts = [part for place, each in enumerate(found) for part in _row(place, each)]
    wide, tall = 2 * _WIDTH + _GAP, _HEAD + len(found) * (_HEAD + _HEIGHT + _GAP)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}">'
        f'<style>{_STYLE}</style><rect class="ground" width="{wide}" height="{tall}"/>'
        f"{_legend(wide)}{''.join(parts)}</svg>\n"
    )


def _legend(wide: int) -> str:
    shown = "".join(
        f'<tspan fill="{SHAPES[verdict][0]}">{SHAPES[verdict][2]}</tspan> {verdict}  '
        for verdict in _JUDGED
    )
    return (
        f'<text class="legend" x="{wide - 12}" y="18" text-anchor="end" fill="currentColor" '
        f'xml:space="preserve">{shown}</text>'
    )


def _row(place: int, each: Calibrated) -> list[str]:
    """A case's name and its panels, below those of the cases before it."""
    top = _HEAD + place * (_HEAD + _HEIGHT + _GAP)
    said = escape(named(each.row))
    name = f'<text class="case" x="8" y="{top + 18}" fill="currentColor">{said}</text>'
    boxes = [f'<svg x="{x}" y="{top + _HEAD}" {_SIZED} ' for x in (0, _WIDTH + _GAP)]
    drawn = zip(boxes, panels(f"case{place}", each), strict=True)
    return [name, *(panel.replace("<svg ", box, 1) for box, panel in drawn)]


def panels(key: str, each: Calibrated) -> list[str]:
    """The rounds, and the probability of each verdict."""
    found: list[Spot] = []
    row, noise = each.row, each.noise
    name = named(row)
    told = f"{name}: {noise.rounds} rounds of a revision against itself, spread "
    told += growth(noise.spread)
    power = (
        f"{name}: probability of each verdict against the true slowdown; margin "
        f"{exact_percent(row.margin)}, smallest {growth(noise.smallest_margin)}"
    )
    left = draw(f"{key}-rounds", SIZE, told, _rounds(each, found))
    return [hovered(left, found), draw(f"{key}-power", SIZE, power, _power(each))]


def _rounds(each: Calibrated, found: list[Spot]) -> Callable[[Axes], None]:
    ratios = [exp(value) for value in each.log_ratios]
    middle, spread = float(np.mean(each.log_ratios)), each.noise.spread

    def paint(axes: Axes) -> None:
        axes.set_yscale("log")
        axes.axhspan(exp(middle - spread), exp(middle + spread), color=INK, alpha=0.12, lw=0)
        axes.axhline(1, color=INK, linewidth=0.8, alpha=0.5)
        axes.axhline(1 + each.row.margin, color=INK, linewidth=1.2, linestyle=DASHED)
        places = range(1, len(ratios) + 1)
        axes.plot(places, ratios, color=INK, linewidth=0.6, alpha=0.4)
        axes.plot(places, ratios, "o", color=INK, markersize=4.5, alpha=0.8)
        dress(axes, "Rounds, the same code twice", "round")
        axes.set_xlim(0.4, len(ratios) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        as_change(axes)
        told = [f"round {number}: {change(ratio)}" for number, ratio in enumerate(ratios, 1)]
        found.extend(spots(axes, zip(places, ratios, told, strict=True)))

    return paint


def _power(each: Calibrated) -> Callable[[Axes], None]:
    row, spread, smallest = each.row, each.noise.spread, each.noise.smallest_margin
    plan, edge = Plan(row.looks, row.alpha), log1p(row.margin)
    marks = {DASHED: row.margin} | ({DOTTED: smallest} if isfinite(smallest) else {})
    far = expm1(edge + 1.7 * plan.detectable * spread)
    end = max(far, 2 * row.margin, *(1.2 * at for at in marks.values()))

    def paint(axes: Axes) -> None:
        changes = np.linspace(0, end, 201)
        beyond = np.log1p(changes) - edge
        slower, fine = probability(plan, beyond, spread), probability(plan, -beyond, spread)
        for verdict, curve in zip(_JUDGED, (fine, 1 - slower - fine, slower), strict=True):
            hue, marker, _ = SHAPES[verdict]
            axes.plot(
                100 * changes, curve, color=hue, linewidth=2, marker=marker, markersize=4.5,
                markevery=20,
            )  # fmt: skip
        for style, at in marks.items():
            axes.axvline(100 * at, color=INK, linewidth=1.4, linestyle=style, alpha=0.8)
        dress(axes, "Probability", "true slowdown, %")
        axes.set_title(
            f"– – margin {exact_percent(row.margin)}   ··· smallest {growth(smallest)}",
            loc="right", fontsize=9.5,
        )  # fmt: skip
        axes.set_xlim(0, 100 * end)
        axes.set_ylim(-0.03, 1.04)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))

    return paint


def probability(plan: Plan, beyond: np.ndarray, spread: float) -> np.ndarray:
    """The probability that a mean so far beyond the edge is found there."""
    if spread == 0:
        return np.asarray(beyond > 0, dtype=float)
    effects, reached = _reached(plan.looks, plan.alpha)
    return np.asarray(np.interp(beyond / spread, effects, reached))


@cache
def _reached(looks: tuple[int, ...], alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The plan's power at effects, in standard deviations, from where it is nothing to all."""
    plan = Plan(looks, alpha)
    effects = np.linspace(-2, 2, _EFFECTS) * plan.detectable
    return effects, np.array([plan.reach(float(effect)) for effect in effects])
