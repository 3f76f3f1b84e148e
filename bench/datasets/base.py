"""What a data set is, and how folders in torchvision's layout are read.

A folder holds, under `NAME/raw`, the four IDX files of MNIST and its relatives, gzipped or not
(format: big-endian magic number, the size of each dimension, then the bytes).
"""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from bench.errors import DataError

Split = Literal["train", "test"]
Kind = Literal["images", "points"]
_PREFIX = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class Images:
    """uint8 images (N, C, H, W), and their classes, int64 (N,), where they have them."""

    images: Tensor
    labels: Tensor | None

    @property
    def samples(self) -> Tensor:
        """The images: what a generator is to make more of."""
        return self.images


@dataclass(frozen=True)
class Points:
    """float32 points (N, D); where they come from modes, each one's mode, int64 (N,), the centres
    of the modes (modes, D) and their standard deviation in every direction."""

    points: Tensor
    labels: Tensor | None = None
    centres: Tensor | None = None
    sigma: float | None = None

    @property
    def samples(self) -> Tensor:
        """The points: what a generator is to make more of."""
        return self.points


@dataclass(frozen=True)
class Dataset(ABC):
    """A source of real samples; its fields are its options."""

    kind: ClassVar[Kind] = "images"
    known_modes: ClassVar[bool] = True
    """Of points: whether they come from modes of known place and width."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Channels, height, width of an image; the dimensions (D,) of a point."""

    @abstractmethod
    def load(self, split: Split) -> Images | Points:
        """All of a split; raises `DataError` where it is missing, damaged or misshapen."""


def file_names(split: Split) -> tuple[str, str]:
    """How torchvision names the images and the labels of a split."""
    return f"{_PREFIX[split]}-images-idx3-ubyte", f"{_PREFIX[split]}-labels-idx1-ubyte"


def raw_folder(root: Path, name: str) -> Path:
    """Where torchvision keeps the files of the data set it calls `name`."""
    try:
        return root.expanduser() / name / "raw"
    except RuntimeError as error:
        raise DataError(f"{root}: {error}; write the path out") from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; raises `DataError` where the system will not even say."""
    try:
        return path.is_file()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def read_folder(folder: Path, split: Split, size: tuple[int, int], classes: int) -> Images:
    """A split from its two IDX files; raises `DataError` for whatever is wrong with them."""
    image_file, label_file = (_find(folder, name) for name in file_names(split))
    images = _read_idx(image_file, size)
    labels = _read_idx(label_file, ())
    if len(images) != len(labels):
        raise DataError(f"{label_file}: {len(labels)} labels for {len(images)} images")
    if int(labels.max()) >= classes:
        raise DataError(
            f"{label_file}: found label {int(labels.max())}, expected 0 to {classes - 1}"
        )
    return Images(images.unsqueeze(1), labels.long())


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if is_file(path):
            return path
    raise DataError(f"{folder}: holds no {name} or {name}.gz{_near_miss(folder, name)}")


def _near_miss(folder: Path, name: str) -> str:
    """Where the file lies instead, if it lies where people tend to put it."""
    root = folder.parent.parent
    for place in (root, root / "raw", folder.parent):
        if any(is_file(place / f"{name}{end}") for end in ("", ".gz")):
            return f"; found it in {place}: move it to {folder}"
    layout = f"{folder.parent.name}/{folder.name}"
    return f"; 'root' is the folder that holds {layout}, as torchvision lays it out"


def _read_idx(path: Path, item: tuple[int, ...]) -> Tensor:
    """The bytes of an IDX file, uint8 (N, *item)."""
    content = _content(path)
    head = 4 + 4 * (1 + len(item))
    numbers = [int.from_bytes(content[at : at + 4], "big") for at in range(0, head, 4)]
    magic, count, *found = numbers
    expected = 0x0801 + len(item)  # unsigned bytes (08) in one dimension, and in each of an item's
    if len(content) < head:
        raise DataError(f"{path}: {len(content)} bytes, expected at least {head}; truncated")
    if magic != expected:
        raise DataError(f"{path}: magic number {magic}, expected {expected}; not such an IDX file")
    if tuple(found) != item:
        raise DataError(f"{path}: found images of {_times(found)} pixels, expected {_times(item)}")
    size = head + count * prod(item)
    if count == 0 or len(content) != size:
        raise DataError(
            f"{path}: {len(content)} bytes, expected {size} for {count} items; truncated or damaged"
        )
    return torch.frombuffer(content, dtype=torch.uint8, offset=head).view(count, *item)


def _content(path: Path) -> bytearray:
    """The uncompressed file, in memory that torch may share without a warning."""
    try:
        content = path.read_bytes()
        return bytearray(gzip.decompress(content) if path.suffix == ".gz" else content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch it again") from error


def _times(sizes: list[int] | tuple[int, ...]) -> str:
    return "×".join(map(str, sizes))
