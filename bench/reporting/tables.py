"""Small drawings inside tables and text: strip plots of seeds, and the variants' marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup, escape

from bench.reporting.base import Cell, MetricLine
from bench.reporting.numbers import number
from bench.reporting.palette import Look

WIDTH, HEIGHT, EDGE = 340, 22, 14

_SHAPES = (
    '<circle cx="7" cy="7" r="4.2"/>',
    '<rect x="3" y="3" width="8" height="8"/>',
    '<path d="M7 2.2 11.6 11H2.4z"/>',
    '<path d="M7 2 12 7 7 12 2 7z"/>',
    '<path d="M7 11.8 2.4 3h9.2z"/>',
    '<path d="M5.3 3h3.4v2.3H11v3.4H8.7V11H5.3V8.7H3V5.3h2.3z"/>',
    '<path d="m3 4.6 1.6-1.6L7 5.4 9.4 3 11 4.6 8.6 7 11 9.4 9.4 11 7 8.6 4.6 11 3 9.4 5.4 7z"/>',
    '<path d="m7 2 5 3.6-1.9 5.9H3.9L2 5.6z"/>',
)
"""The markers of `palette.MARKERS`, drawn in a box of 14."""


def mark(variant: str, look: Look) -> Markup:
    """A variant's marker in its colour, for legends and text."""
    shape, hue = _SHAPES[look.shape(variant)], look.color(variant)
    return Markup(
        f'<svg class="mark" viewBox="0 0 14 14" aria-hidden="true" fill="{hue}">{shape}</svg>'
    )


def named(text: str, variants: Sequence[str], look: Look) -> Markup:
    """A sentence, escaped, in which each variant's name carries its mark."""
    if not variants:
        return escape(text)
    longest = sorted(variants, key=len, reverse=True)
    pattern = rf"(?<![\w-])({'|'.join(map(re.escape, longest))})(?![\w-])"
    pieces = re.split(pattern, text)
    return Markup("").join(
        Markup('<b class="variant">{}{}</b>').format(mark(piece, look), piece)
        if place % 2
        else escape(piece)
        for place, piece in enumerate(pieces)
    )


def about(line: MetricLine) -> str:
    """What stands behind a metric's name: `share · k = 3 · real data 0.930`."""
    k = "" if line.k is None else f"k = {line.k}"
    floor = "" if line.cost else f"real data {number(line.floor)}"
    return " · ".join(filter(None, [line.unit, k, floor]))


@dataclass(frozen=True)
class Track:
    """The horizontal scale that all strips of one metric share."""

    low: float
    high: float
    log: bool

    def x(self, value: float) -> float:
        """Pixels from the left; values beyond the ends stay at them."""
        low, high, value = (
            (log10(self.low), log10(self.high), log10(max(value, self.low)))
            if self.log
            else (self.low, self.high, value)
        )
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(EDGE + (WIDTH - 2 * EDGE) * min(1.0, max(0.0, share)), 1)

    @property
    def span(self) -> float:
        """The length of the track, in decades if logarithmic."""
        return log10(self.high / self.low) if self.log else self.high - self.low

    @property
    def text(self) -> str:
        """What the track spans."""
        return f"{number(self.low)} – {number(self.high)}{' (log)' * self.log}"


def track(line: MetricLine) -> Track | None:
    """The scale of one metric: every seed, every interval, and the floor unless it is far off."""
    values = [value for cell in line.cells for _, value in cell.values]
    if not values:
        return None
    ends = [*values, *(x for cell in line.cells for x in _ends(cell))]
    log = line.scale == "log" and min(ends) > 0
    near = Track(min(ends), max(ends), log)
    if line.floor is None or (log and line.floor <= 0):
        return near
    whole = Track(min(*ends, line.floor), max(*ends, line.floor), log)
    return whole if whole.span <= 2 * near.span else near


def _ends(cell: Cell) -> tuple[float, ...]:
    found = cell.description.interval
    return () if found is None else (found.low, found.high)


def strip(line: MetricLine, cell: Cell, scale: Track, hue: str) -> Markup:
    """Every seed a point, the interval a bar, the median a stroke, real data a dashed stroke."""
    middle = HEIGHT / 2
    parts = []
    if line.floor is not None:
        parts.append(_floor(line.floor, scale))
    if (found := cell.description.interval) is not None:
        a, b = scale.x(found.low), scale.x(found.high)
        parts.append(
            f'<rect x="{a}" y="{middle - 5}" width="{max(1.0, round(b - a, 1))}" height="10" '
            f'fill="{hue}" opacity=".22"/>'
        )
    parts += [
        f'<circle cx="{scale.x(value)}" cy="{middle}" r="3" fill="{hue}" fill-opacity=".75">'
        f"<title>seed {seed}: {number(value)}</title></circle>"
        for seed, value in cell.values
    ]
    if cell.description.median is not None:
        x = scale.x(cell.description.median)
        parts.append(f'<path class="median" d="M{x} 3V{HEIGHT - 3}"/>')
    label = escape(f"{cell.variant}: {', '.join(number(value) for _, value in cell.values)}")
    return Markup(
        f'<svg class="strip" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _floor(value: float, scale: Track) -> str:
    """A dashed stroke at what real data gets, or an arrow towards it."""
    if scale.low <= value <= scale.high:
        return f'<path class="floor" d="M{scale.x(value)} 2V{HEIGHT - 2}"/>'
    middle = HEIGHT / 2
    tip, back = (2, 6) if value < scale.low else (WIDTH - 2, WIDTH - 6)
    return f'<path class="beyond" d="M{back} {middle - 4}L{tip} {middle}L{back} {middle + 4}"/>'
