"""MNIST (LeCun, Cortes & Burges 1998): shipped with `bench`, or from a folder of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch

from bench.datasets.base import Dataset, Images, Split, raw_folder, read_folder
from bench.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

EMBEDDED = Path(__file__).parent.parent / "assets" / "mnist.parquet"
_PIXELS = 28 * 28
_AT_ONCE = 5_000
"""Images decoded at once, which bounds the memory beside those that are there already."""


@dataclass(frozen=True)
class MNIST(Dataset):
    """60,000 training and 10,000 test images of handwritten digits, white (255) on black (0).

    `root` is a folder in torchvision's layout (`root/MNIST/raw/train-images-idx3-ubyte`, gzipped
    or not); without it, the embedded copy.
    """

    root: str | None = None

    shape = (1, 28, 28)
    classes: ClassVar[int] = 10

    def load(self, split: Split) -> Images:
        """A split of the embedded copy, the same tensors every time, or of the folder."""
        if self.root is None:
            return _embedded(split)
        folder = raw_folder(Path(self.root), "MNIST")
        return read_folder(folder, split, self.shape[1:], self.classes)


@cache  # a process loads it for every run; nothing in bench writes to it
def _embedded(split: Split) -> Images:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    group = 0 if split == "train" else 1
    images, labels = bytearray(), bytearray()
    try:
        batches = pq.ParquetFile(EMBEDDED).iter_batches(_AT_ONCE, [group], ["image", "label"])
        for batch in batches:
            images += _bytes(batch["image"], _PIXELS)
            labels += _bytes(batch["label"], 1)
    except (OSError, ArrowException) as error:
        raise DataError(f"{EMBEDDED}: {error}; install bench again to restore it") from error
    pixels = torch.frombuffer(images, dtype=torch.uint8)
    return Images(pixels.view(-1, *MNIST.shape), torch.frombuffer(labels, dtype=torch.uint8).long())


def _bytes(column: pa.Array, width: int) -> memoryview:
    """A column of `width` bytes a row, as it lies in memory: 40 times faster than row by row, and
    `to_numpy` would first import pandas, for a second or more."""
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]
