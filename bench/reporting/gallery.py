"""Sample grids through training, embedded in the page."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bench.reporting.frames import Frames
from bench.store import Results

BUDGET = 3_800_000
"""Bytes of pictures in one page; beyond it, points in training and then seeds are left out."""

_GRID = re.compile(r"samples/(\d+)\.png")


@dataclass(frozen=True)
class Picture:
    """One sample grid."""

    step: int
    percent: int
    """How far through its training the run was."""
    png: bytes
    width: int
    height: int
    """Pixels."""

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Film:
    """The grids of one run, in the order of training."""

    variant: str
    seed: int
    status: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """Every film, and what was left out of them."""

    films: tuple[Film, ...]
    left_out: str = ""

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that can be chosen."""
        return tuple(sorted({film.seed for film in self.films}))

    @property
    def stops(self) -> tuple[int, ...]:
        """Where the slider stops, in per cent of training."""
        return tuple(sorted({p.percent for film in self.films for p in film.pictures}))

    @property
    def width(self) -> int:
        """Pixels of the widest picture; 0 where there is none."""
        return max((p.width for film in self.films for p in film.pictures), default=0)

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(p.png) for film in self.films for p in film.pictures)


def gallery(frames: Frames, results: Results, budget: int = BUDGET) -> Gallery:
    """The grids of every run that left some, thinned until they fit the budget."""
    films = [film for film in _films(frames, results) if film.pictures]
    whole = Gallery(tuple(sorted(films, key=lambda f: (frames.variants.index(f.variant), f.seed))))
    for every in (1, 2, 3, 4, 6, 8, 12, 10_000):
        thin = _every(whole, every)
        if thin.size <= budget:
            break
    for kept in range(len(thin.seeds), 0, -1):
        fewer = tuple(film for film in thin.films if film.seed in thin.seeds[:kept])
        if sum(len(p.png) for film in fewer for p in film.pictures) <= budget or kept == 1:
            break
    else:
        fewer = ()
    return Gallery(fewer, _said(whole, Gallery(fewer)))


def _films(frames: Frames, results: Results) -> list[Film]:
    whole = {
        variant: int(frames.of(variant)["generator_steps"].fillna(0).max())
        for variant in frames.variants
        if len(frames.of(variant))
    }
    return [
        Film(
            str(run["variant"]),
            int(run["seed"]),
            str(run["status"]),
            _pictures(results.files(str(run["run_id"])), whole[str(run["variant"])]),
        )
        for _, run in frames.runs.iterrows()
    ]


def _pictures(files: Mapping[str, Path], total: int) -> tuple[Picture, ...]:
    steps = {int(m[1]): path for name, path in files.items() if (m := _GRID.fullmatch(name))}
    total = max(total, *steps) if steps else 1
    return tuple(
        Picture(
            step, round(100 * step / total) if total else 100, *_small(steps[step].read_bytes())
        )
        for step in sorted(steps)
    )


def _small(png: bytes) -> tuple[bytes, int, int]:
    """The same pixels in fewer bytes (grey pictures need one channel); their width and height."""
    with Image.open(io.BytesIO(png)) as picture:
        if picture.mode == "RGB":
            red, green, blue = picture.split()
            if red.tobytes() == green.tobytes() == blue.tobytes():
                out = io.BytesIO()
                red.save(out, "PNG", optimize=True)
                png = min(png, out.getvalue(), key=len)
        return png, picture.width, picture.height


def _every(whole: Gallery, n: int) -> Gallery:
    """Every n-th picture of each film, counted back from the last."""
    return Gallery(
        tuple(replace(film, pictures=film.pictures[::-1][::n][::-1]) for film in whole.films)
    )


def _said(whole: Gallery, shown: Gallery) -> str:
    total = sum(len(film.pictures) for film in whole.films)
    kept = sum(len(film.pictures) for film in shown.films)
    if total == kept:
        return ""
    return (
        f"{kept} of {total} grids are shown, to keep this page small; all lie beside the results."
    )
