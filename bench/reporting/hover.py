"""Words on hover for a figure's points: an unseen spot with a title over each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from markupsafe import escape
from matplotlib.axes import Axes

Spot = tuple[float, float, str]
"""A place in the figure, as shares of its width and height from the upper left, and its words."""
_RADIUS = 6


def spots(axes: Axes, points: Iterable[Spot]) -> list[Spot]:
    """Points in the data's coordinates as places in the figure; for when the scales are settled."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    to_figure = axes.transData + figure.transFigure.inverted()
    return [
        (float(left), 1 - float(bottom), text)
        for x, y, text in points
        for left, bottom in [to_figure.transform((x, y))]
    ]


def hovered(svg: str, found: Iterable[Spot]) -> str:
    """The figure, as `svg.draw` made it, with the words."""
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert box
    width, height = float(box[1]), float(box[2])
    drawn = "".join(
        f'<circle class="spot" cx="{x * width:.1f}" cy="{y * height:.1f}" r="{_RADIUS}" '
        f'fill="transparent"><title>{escape(text)}</title></circle>'
        for x, y, text in found
    )
    return svg.removesuffix("</svg>") + drawn + "</svg>"
