"""Every pair's effect with its interval against the margin, drawn beside its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from markupsafe import Markup, escape

from bench.reporting.numbers import effect, exact_percent, signed
from bench.stats import Contrast

WIDTH, HEIGHT, EDGE = 300, 46, 14


def span(contrasts: Sequence[Contrast]) -> tuple[float, float]:
    """From where to where the effects of a family reach, on their scale; 0 is no difference."""
    places = [_place(pair, x) for pair in contrasts for x in _known(pair)]
    edges = [sign * 2 * _margin(pair) for pair in contrasts for sign in (-1, 1)]
    return min([*places, *edges, -1e-9]), max([*places, *edges, 1e-9])


def forest(
    pair: Contrast, reach: tuple[float, float], colors: tuple[str, str], *, small: bool = False
) -> Markup:
    """The interval as a bar, the effect as a point, the margin as a band around no difference.

    `reach` is the family's `span`; `colors` are those of `a` and `b`, and the bar takes that of
    the one it speaks for.  `small`: without words, for a table that has them.
    """
    left, right = reach

    def x(place: float) -> float:
        return round(EDGE + (place - left) / (right - left) * (WIDTH - 2 * EDGE), 1)

    edge, middle, y = x(-_margin(pair)), x(0), 16
    parts = [
        f'<rect class="margin" x="{edge}" y="2" width="{2 * (middle - edge):.1f}" height="28"/>',
        f'<path class="none" d="M{middle} 2V30"/>',
        *([] if small else [_text(middle, _nothing(pair))]),
    ]
    if len(known := _known(pair)) == 3:
        low, centre, high = (x(_place(pair, value)) for value in known)
        hue = colors[0] if (centre < middle) == (pair.better == "lower") else colors[1]
        parts.append(f'<path d="M{low} {y}H{high}" stroke="{hue}" stroke-width="3"/>')
        parts.append(f'<circle cx="{centre}" cy="{y}" r="5" fill="{hue}"/>')
        if abs(centre - middle) > 78 and not small:
            parts.append(_text(centre, effect(pair).partition(" ")[0]))
    label = escape(f"{pair.a} against {pair.b}: {effect(pair)}")
    height = 32 if small else HEIGHT
    return Markup(
        f'<svg class="forest" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, text: str) -> str:
    """A label below a place, kept inside the drawing."""
    half = 3.1 * len(text)
    inside = min(max(x, half), WIDTH - half)
    return f'<text x="{inside:.1f}" y="43" text-anchor="middle">{text}</text>'


def _known(pair: Contrast) -> list[float]:
    return [x for x in (pair.low, pair.effect, pair.high) if x is not None]


def _place(pair: Contrast, value: float) -> float:
    return log(value) if pair.scale == "log" else value


def _margin(pair: Contrast) -> float:
    return log(1 + pair.margin) if pair.scale == "log" else pair.margin


def _nothing(pair: Contrast) -> str:
    if pair.scale == "log":
        return f"same, ± {exact_percent(pair.margin)}"
    return f"same, {signed(-pair.margin)} … {signed(pair.margin)}" if pair.margin else "same"
