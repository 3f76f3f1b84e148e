"""Images of one's own, as files in folders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from bench import pictures
from bench.datasets.base import Dataset, Images, Split
from bench.errors import DataError


@dataclass(frozen=True)
class Folder(Dataset):
    """Pictures of one size in `root/train` and `root/test`, in a folder a class where they have
    classes: `root/train/cat/1.png`.

    Classes are numbered by name; both splits have the same, and pictures of each.
    """

    root: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the training pictures: one channel if all are grey, else three."""
        return tuple(self.load("train").images.shape[1:])

    def load(self, split: Split) -> Images:
        """uint8 images (N, C, H, W) by class and name, and their classes where they have any."""
        root = _expanded(self.root)
        found = _read(root / split, _classes(root / "train"))
        wanted = found if split == "train" else self.load("train")
        if found.images.shape[1:] != wanted.images.shape[1:]:
            here, there = (tuple(each.images.shape[1:]) for each in (found, wanted))
            raise DataError(
                f"{self.root}: test pictures are {here}, training pictures {there}; expected the "
                "same (channels, height, width)"
            )
        return found


def _expanded(root: str) -> Path:
    try:
        return Path(root).expanduser()
    except RuntimeError as error:
        raise DataError(f"{root}: {error}; write the path out") from error


def _classes(folder: Path) -> tuple[str, ...]:
    try:
        inside = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected pictures in train/ and test/ of 'root'"
        ) from error
    return tuple(sorted(name for name in inside if name[0] != "."))


@cache  # a process loads it for every run; nothing in bench writes to it
def _read(folder: Path, classes: tuple[str, ...]) -> Images:
    if _classes(folder) != classes:
        raise DataError(
            f"{folder}: found the classes {', '.join(_classes(folder)) or 'none'}, expected those "
            f"of the training pictures: {', '.join(classes) or 'none'}"
        )
    loose = pictures.files(folder)
    if classes and loose:
        raise DataError(
            f"{folder}: found {loose[0].name} beside the folders of classes; move it into one"
        )
    by_class = [_some(folder / name) for name in classes] or [_some(folder)]
    paths = [path for found in by_class for path in found]
    labels = [place for place, found in enumerate(by_class) for _ in found]
    return Images(pictures.read(paths), torch.tensor(labels) if classes else None)


def _some(folder: Path) -> list[Path]:
    found = pictures.files(folder)
    if not found:
        ends = ", ".join(pictures.SUFFIXES)
        raise DataError(f"{folder}: holds no pictures; expected files that end in {ends}")
    return found
