"""A claim drawn: every seed a point, a row a variant, a dashed stroke at each bound."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from bench.claims.base import Judged, Side
from bench.reporting.numbers import number
from bench.reporting.palette import Look
from bench.reporting.tables import EDGE, WIDTH, Track

ROW, FOOT = 18, 16


def dots(each: Judged, look: Look) -> Markup:
    """The drawing; nothing where there are no values to draw."""
    claim, sides = each.claim, [side for side in each.judgement.sides if side.values]
    unseen = claim.of == "collapse" or claim.across
    if unseen or not sides:
        return Markup("")
    values = [value for side in sides for value in side.numbers]
    bounds = [bound for bound in (claim.above, claim.below) if bound is not None]
    log = min([*values, *bounds]) > 0 and each.judgement.findings[0].scale == "log"
    scale = Track(min([*values, *bounds]), max([*values, *bounds]), log)
    height = ROW * len(sides) + FOOT
    parts = [_bound(scale.x(bound), height) for bound in bounds]
    for row, side in enumerate(sides):
        parts += _row(side, scale, ROW * row + ROW / 2, look)
    parts += _ends(scale, height)
    told = "; ".join(f"{side.name}: {', '.join(map(number, side.numbers))}" for side in sides)
    return Markup(
        f'<svg class="dots" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(told)}">{"".join(parts)}</svg>'
    )


def _row(side: Side, scale: Track, y: float, look: Look) -> Sequence[str]:
    hue = look.color(side.name) if side.name in look.variants else "currentColor"
    return [
        f'<path class="row" d="M{EDGE} {y}H{WIDTH - EDGE}"/>',
        *(
            f'<circle cx="{scale.x(value)}" cy="{y}" r="3.4" fill="{hue}" fill-opacity=".75">'
            f"<title>{escape(side.name)}, seed {seed}: {number(value)}</title></circle>"
            for seed, value in side.values
        ),
    ]


def _bound(x: float, height: int) -> str:
    return f'<path class="floor" d="M{x} 0V{height - FOOT}"/>'


def _ends(scale: Track, height: int) -> Sequence[str]:
    """The least and the largest value, written below."""
    low, high = number(scale.low), f"{number(scale.high)}{' (log)' * scale.log}"
    if scale.low == scale.high:
        return [f'<text x="{WIDTH / 2}" y="{height - 3}" text-anchor="middle">{low}</text>']
    return [
        f'<text x="{EDGE}" y="{height - 3}">{low}</text>',
        f'<text x="{WIDTH - EDGE}" y="{height - 3}" text-anchor="end">{high}</text>',
    ]
