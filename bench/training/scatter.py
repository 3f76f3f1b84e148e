"""Pictures of points: generated ones over real ones, and where they are dense.

Everything is counted and looked up in whole numbers, so that a picture's bytes do not depend on a
processor's rounding.  Frame and colours follow from the real points alone: the pictures of one data
set can be held against each other.
"""

from __future__ import annotations

import io
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, PngImagePlugin
from torch import Tensor

Counts = npt.NDArray[np.int64]
Places = npt.NDArray[np.float64]

POINTS = 2_000
"""Generated points of a picture, and as many real ones under them."""
SIDE = 296
"""Pixels of a panel, either way."""
GAP = 8
"""Pixels between two panels, with a line in the middle."""
WIDTH = 2 * SIDE + GAP
"""Pixels of a picture."""
_KNOWN = 20_000
"""Real points that a density is told from."""
_ROOM = 1.25
"""The frame, over the larger extent of the real points."""
_REAL, _GENERATED = 37, 21
"""The radius of a point in sixteenths of a pixel; the real ones show as a halo."""
_LINE, _BASE = 32, 64
"""In sixteenths of a pixel: the width of a curve, and where its zero is."""
_BOX, _BOX_OF_CURVE = 11, 15
"""Pixels that are averaged over, three times in each direction: close to a Gaussian of 5.5 and 7.5
pixels."""
_PEAK, _DENSEST = 6, 12
"""The densest place of the real points has colour 6, one four times as dense or more colour 12: by
the root, so that thin places are seen beside narrow modes."""
_GREYS, _BLUES = 4, 4
"""Colours from white to grey, and from each of these to blue."""
_DENSITY = _GREYS * _BLUES
"""The first colour of a density."""
_THIN = _DENSITY + _DENSEST + 1
"""The colour of thin lines, the last."""


def draw(points: Tensor, real: Tensor) -> bytes:
    """Generated points (N, D) and real ones as one PNG, which says itself what it shows.

    In the plane: scatter and density, of the first two dimensions; on the line: both densities.
    What is outside of the frame is drawn on its edge, and what is no number not at all.
    """
    shown, known = (each[:, :2].cpu().double().numpy() for each in (points, real))
    low, width = _frame(known)
    shown = (shown[~np.isnan(shown).any(axis=1)] - low) / width
    known = (known[:_KNOWN] - low) / width
    if real.shape[1] > 1:
        drawn = np.hstack([_scatter(known, shown), _gap(), _density(known, shown)])
    else:
        drawn = _curves(known[:, 0], shown[:, 0])
    return _png(drawn[::-1].astype(np.uint8), _description(len(points), real.shape[1]))


def _frame(real: Places) -> tuple[Places, float]:
    """The lower corner of a square around the real points, with room about them, and its width."""
    low, high = real.min(axis=0), real.max(axis=0)
    width = _ROOM * float((high - low).max()) or 1.0
    return (low + high - width) / 2, width


def _cells(places: Places, parts: int) -> Counts:
    """0 to 1 → one of so many parts."""
    return np.clip(places * parts, 0, parts - 1).astype(np.int64)


def _counted(places: Places) -> Counts:
    """Points in each pixel of a panel (rows, columns)."""
    columns, rows = _cells(places, SIDE).T
    return np.bincount(rows * SIDE + columns, minlength=SIDE**2).reshape(SIDE, SIDE)


def _scatter(real: Places, generated: Places) -> Counts:
    """Colours of generated points over real ones, from the lowest row up."""
    under, over = _discs(real[:POINTS], _REAL), _discs(generated, _GENERATED)
    return _shade(under, _GREYS) * _BLUES + _shade(over, _BLUES)


def _gap() -> Counts:
    middle = (np.arange(GAP) == GAP // 2) * _THIN
    return np.tile(middle, (SIDE, 1))


def _shade(sixteenths: Counts, colours: int) -> Counts:
    """One of so many colours by how much of a pixel is covered."""
    return (2 * np.minimum(sixteenths, 16) * (colours - 1) + 16) // 32


def _discs(places: Places, radius: int) -> Counts:
    """Sixteenths of each pixel that discs cover; one alone lets three eighths through."""
    middles, disc = _counted(places), _disc(radius)
    around = np.pad(middles, len(disc) // 2)
    total = np.zeros_like(middles)
    for down, across in product(range(len(disc)), repeat=2):
        total += disc[down, across] * around[down:, across:][:SIDE, :SIDE]
    return total * 5 // 8


@cache
def _disc(radius: int) -> Counts:
    """Sixteenths of each pixel that a disc around the middle one covers."""
    reach = (radius + 8) // 16
    parts = np.arange(-16 * reach - 6, 16 * reach + 8, 4)  # four a pixel, in sixteenths
    inside = parts[:, None] ** 2 + parts**2 <= radius**2
    side = 2 * reach + 1
    covered: Counts = inside.reshape(side, 4, side, 4).sum(axis=(1, 3))
    return covered


def _density(real: Places, generated: Places) -> Counts:
    """Colours of the density of generated points, and of an outline where only real ones are."""
    known, found = (_smooth(_counted(each), _BOX) for each in (real, generated))
    peak = int(known.max())
    colours = _level(found * len(real), peak * max(1, len(generated)))
    held = np.pad(_level(known, peak) > 1, 1)
    inner = held[:-2, 1:-1] & held[2:, 1:-1] & held[1:-1, :-2] & held[1:-1, 2:]
    outline = held[1:-1, 1:-1] & ~inner & (colours == 0)
    return np.where(outline, _THIN, _DENSITY + colours)


def _level(density: Counts, peak: int) -> Counts:
    """6 (density / peak)^½, down to a whole number and at most 12."""
    squares = np.arange(1, _DENSEST + 1) ** 2 * peak
    level: Counts = np.searchsorted(squares, density * _PEAK**2, side="right")
    return level


def _smooth(counts: Counts, box: int) -> Counts:
    """Sums over a box, three times along each axis: a multiple of the density."""
    for _ in range(3):
        for _ in range(counts.ndim):
            ends = ((box // 2 + 1, box // 2), *[(0, 0)] * (counts.ndim - 1))
            total = np.pad(counts, ends).cumsum(axis=0)
            counts = (total[box:] - total[:-box]).T  # the other axis next
    return counts


def _curves(real: Places, generated: Places) -> Counts:
    """Colours of the density of generated points, a line, over that of the real ones, an area."""
    known, found = (
        _smooth(np.bincount(_cells(each, WIDTH), minlength=WIDTH), _BOX_OF_CURVE)
        for each in (real, generated)
    )
    room, twice = 16 * SIDE - 2 * _BASE, 2 * int(known.max())
    area = known * room // twice
    line = np.minimum(found * len(real) * room // (twice * max(1, len(generated))), room)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(line, 1, mode="edge"), 3)
    under = _covered(np.zeros_like(area), area + _BASE) * 2 // 3
    over = _covered(near.min(1) + _BASE - _LINE // 2, near.max(1) + _BASE + _LINE // 2)
    return _shade(under, _GREYS) * _BLUES + _shade(over, _BLUES)


def _covered(low: Counts, high: Counts) -> Counts:
    """Sixteenths of each pixel of a column that lie between two heights (columns,)."""
    rows = 16 * np.arange(SIDE)[:, None]
    covered: Counts = np.clip(np.minimum(high, rows + 16) - np.maximum(low, rows), 0, 16)
    return covered


def _description(points: int, dimensions: int) -> str:
    if dimensions == 1:
        return f"Density of {points:,} generated points (blue line) and of real ones (grey)."
    some = f" Of {dimensions} dimensions the first two." if dimensions > 2 else ""
    return (
        f"Left, {points:,} generated points (blue) over real ones (grey); right, their density, "
        f"darker where denser, outlined where only real ones are.{some}"
    )


@cache
def _palette() -> list[int]:
    """Red, green and blue of every colour, in a row."""
    white, grey, blue, dark = map(ImageColor.getrgb, ("#ffffff", "#9ca1a9", "#2f7fd1", "#081d3f"))
    greys = [_between(white, grey, k, _GREYS - 1) for k in range(_GREYS)]
    scatter = [_between(one, blue, k, _BLUES - 1) for one in greys for k in range(_BLUES)]
    light = [_between(white, blue, k, _PEAK) for k in range(_PEAK)]
    deep = [_between(blue, dark, k, _DENSEST - _PEAK) for k in range(_DENSEST - _PEAK + 1)]
    return [part for colour in (*scatter, *light, *deep, grey) for part in colour]


def _between(one: tuple[int, ...], other: tuple[int, ...], k: int, of: int) -> tuple[int, ...]:
    return tuple((a * (of - k) + b * k) // of for a, b in zip(one, other, strict=True))


def _png(colours: npt.NDArray[np.uint8], description: str) -> bytes:
    picture = Image.fromarray(np.ascontiguousarray(colours))
    picture.putpalette(_palette())
    said = PngImagePlugin.PngInfo()
    said.add_text("Description", description)
    buffer = io.BytesIO()
    # level 9 takes six times as long, for a twentieth fewer bytes
    picture.save(buffer, "PNG", compress_level=7, pnginfo=said)
    return buffer.getvalue()
