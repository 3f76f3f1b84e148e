"""Matplotlib figures as small inline SVG: text stays text, ink takes the page's colour."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, FAINT = "#010203", "#040506"
"""Stand-ins that the finished SVG swaps for the page's text colour and its hairlines."""

_STYLE: Any = {  # its keys are typed as literals, one by one
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "text.parse_math": False,  # a user's $ is a dollar
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11.5,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.solid_capstyle": "round",
}

_NEEDLESS = (
    r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>|<g/>"
    r"|font-family: [^;\"]*; | transform=\"rotate\(-?0 [^)]*\)\""
)
"""What the page's own style sheet says once, or nobody needs."""


def draw(key: str, size: tuple[float, float], alt: str, paint: Callable[[Axes], None]) -> str:
    """One panel as an `<svg>` element that scales with its box.

    `key` makes its ids unique within a page, `size` is in inches of 72 px, `alt` is what a screen
    reader says.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size)
        figure.patch.set_visible(False)
        axes = figure.add_axes(_box(*size))
        axes.patch.set_visible(False)
        paint(axes)
        out = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    return _inline(out.getvalue(), re.sub(r"\W", "-", key), alt)


def _box(width: float, height: float) -> tuple[float, float, float, float]:
    """The axes within the panel: the same margins everywhere, so that panels line up."""
    left, right, top, bottom = 0.58, 0.12, 0.36, 0.54
    return (
        left / width,
        bottom / height,
        (width - left - right) / width,
        (height - top - bottom) / height,
    )


def _inline(text: str, key: str, alt: str) -> str:
    text = text[text.index("<svg") :]
    text = re.sub(_NEEDLESS, "", text, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([\w-]+)', text))
    text = re.sub(r'\sid="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", text)
    text = re.sub(r"<[^>]+>", lambda tag: _shorter(tag[0]), text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--hairline)")
    text = re.sub(r"\n\s*", " ", text)
    return re.sub(r"<svg[^>]*>", lambda tag: _opening(tag[0], alt), text, count=1).strip()


def _shorter(tag: str) -> str:
    """Coordinates to a tenth of a pixel, small ones to its tenth; six decimals double the page."""
    tag = re.sub(r"(\d\d\.\d|\d\.\d\d)\d+", r"\1", tag)
    return re.sub(r"\s+L ", "L", tag)


def _opening(tag: str, alt: str) -> str:
    box = re.search(r'viewBox="[^"]+"', tag)
    view = box[0] if box else ""
    return f'<svg {view} role="img" aria-label="{escape(alt)}" class="figure">'
