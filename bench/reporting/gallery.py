"""Pictures of samples through training, embedded in the page: grids of images, plots of points."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from bench.reporting.frames import Frames
from bench.reporting.numbers import listed, plural
from bench.store import Results

BUDGET = 3_800_000
"""Bytes of pictures in one page; beyond it, points in training and then seeds are left out."""

_GRID = re.compile(r"samples/(\d+)\.png")
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises, by where the file is wrong."""


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
    description: str = ""
    """What the file says of itself; grids of images say nothing."""

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
    def wide(self) -> bool:
        """Whether a picture is two panels or more wide, and needs the room."""
        return any(p.width > 1.5 * p.height for film in self.films for p in film.pictures)

    @property
    def descriptions(self) -> tuple[str, ...]:
        """What the pictures say of themselves, each thing once."""
        said = (p.description for film in self.films for p in film.pictures)
        return tuple(dict.fromkeys(filter(None, said)))

    @property
    def size(self) -> int:
        """Bytes of all pictures."""
        return sum(len(p.png) for film in self.films for p in film.pictures)


@dataclass(frozen=True)
class _Grid:
    """One grid on disk, not read yet."""

    step: int
    percent: int
    path: Path
    size: int
    """Bytes."""


@dataclass(frozen=True)
class _Reel:
    """The grids that one run left."""

    variant: str
    seed: int
    status: str
    grids: tuple[_Grid, ...]

    @property
    def size(self) -> int:
        return sum(grid.size for grid in self.grids)


def gallery(frames: Frames, results: Results, budget: int = BUDGET) -> Gallery:
    """The grids of every run that left some, thinned until their files fit the budget.

    Only what is kept is read; a damaged file is left out, and `left_out` says so.
    """
    whole = [reel for reel in _reels(frames, results) if reel.grids]
    whole.sort(key=lambda reel: (frames.variants.index(reel.variant), reel.seed))
    kept = _thinned(whole, budget)
    films, damaged = [], []
    for reel in kept:
        pictures, bad = _developed(reel.grids)
        damaged += [f"{reel.variant}, seed {reel.seed}, step {step:,}" for step in bad]
        films.append(Film(reel.variant, reel.seed, reel.status, pictures))
    said = [_said(whole, kept), _said_damaged(damaged)]
    return Gallery(tuple(film for film in films if film.pictures), " ".join(filter(None, said)))


def _reels(frames: Frames, results: Results) -> list[_Reel]:
    whole = {
        variant: int(frames.of(variant)["generator_steps"].fillna(0).max())
        for variant in frames.variants
        if len(frames.of(variant))
    }
    return [
        _Reel(
            str(run["variant"]),
            int(run["seed"]),
            str(run["status"]),
            _grids(results.files(str(run["run_id"])), whole[str(run["variant"])]),
        )
        for _, run in frames.runs.iterrows()
    ]


def _grids(files: Mapping[str, Path], total: int) -> tuple[_Grid, ...]:
    steps = {int(m[1]): path for name, path in files.items() if (m := _GRID.fullmatch(name))}
    total = max(total, *steps) if steps else 1
    return tuple(
        _Grid(
            step=step,
            percent=round(100 * step / total) if total else 100,
            path=steps[step],
            size=steps[step].stat().st_size,
        )
        for step in sorted(steps)
    )


def _thinned(whole: Sequence[_Reel], budget: int) -> list[_Reel]:
    """Fewer points in training until the files fit, and then fewer seeds; the first one stays."""
    thin = list(whole)
    for every in (1, 2, 3, 4, 6, 8, 12, 10_000):
        thin = [replace(reel, grids=_every(reel.grids, every)) for reel in whole]
        if sum(reel.size for reel in thin) <= budget:
            return thin
    seeds = sorted({reel.seed for reel in thin})
    for number in range(len(seeds) - 1, 0, -1):
        thin = [reel for reel in thin if reel.seed in seeds[:number]]
        if sum(reel.size for reel in thin) <= budget:
            break
    return thin


def _every(grids: tuple[_Grid, ...], n: int) -> tuple[_Grid, ...]:
    """Every n-th grid, counted back from the last."""
    return grids[::-1][::n][::-1]


def _developed(grids: Sequence[_Grid]) -> tuple[tuple[Picture, ...], list[int]]:
    """The pictures, and the steps of those that are damaged."""
    pictures, damaged = [], []
    for grid in grids:
        try:
            pictures.append(Picture(grid.step, grid.percent, *_small(grid.path.read_bytes())))
        except _DAMAGED:
            damaged.append(grid.step)
    return tuple(pictures), damaged


def _small(png: bytes) -> tuple[bytes, int, int, str]:
    """The same pixels in fewer bytes (grey pictures need one channel); their width, height and
    description."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
        picture.load()  # all of it: a file cut short opens as if it were whole
        if picture.mode == "RGB":
            red, green, blue = picture.split()
            if red.tobytes() == green.tobytes() == blue.tobytes():
                out = io.BytesIO()
                red.save(out, "PNG", optimize=True)
                png = min(png, out.getvalue(), key=len)
        return png, picture.width, picture.height, str(picture.info.get("Description", ""))


def _said(whole: Sequence[_Reel], kept: Sequence[_Reel]) -> str:
    total, shown = (sum(len(reel.grids) for reel in reels) for reels in (whole, kept))
    if total == shown:
        return ""
    return (
        f"{shown} of {total} grids are shown, to keep this page small; all lie beside the results."
    )


def _said_damaged(damaged: list[str]) -> str:
    if not damaged:
        return ""
    named = damaged if len(damaged) <= 3 else [*damaged[:2], f"{len(damaged) - 2} more"]
    return f"Left out, since its file is damaged: {plural(len(damaged), 'grid')} ({listed(named)})."
