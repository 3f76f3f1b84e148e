"""Samples made elsewhere: a folder of pictures, or an array in NumPy's own format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from bench import pictures
from bench.errors import DataError
from bench.sources.base import Shape, Source, formed, is_points, require_type, shuffled, taken

LOSSY = {".jpg", ".jpeg", ".webp"}
_UNREADABLE = (OSError, ValueError, TypeError, OverflowError, SyntaxError, TokenError)
"""What NumPy raises for a damaged file, and for one that holds pickled objects."""


@dataclass(frozen=True)
class Pictures(Source):
    """The picture files of a folder, a file a sample."""

    path: Path

    @property
    def form(self) -> str:
        """By the files' endings."""
        ends = sorted({path.suffix.lower() for path in pictures.files(self.path)})
        lossy = "; compression that loses detail moves every metric" if LOSSY & {*ends} else ""
        return f"pictures that end in {', '.join(ends)}{lossy}"

    def samples(self, shape: Shape, count: int | None, device: torch.device) -> Tensor:
        """Of the files by name, those that are judged; the others are not read."""
        if is_points(shape):
            wanted = f"points {shape} in a file that ends in .npy or .parquet"
            raise DataError(f"{self.name}: found a folder, expected {wanted}")
        paths = pictures.files(self.path)
        inside = [each.name for each in sorted(self.path.iterdir()) if each.is_dir()]
        if filled := [name for name in inside if pictures.files(self.path / name)]:
            raise DataError(
                f"{self.name}: holds folders of pictures, too ({', '.join(filled[:3])}); name one "
                "of them, or put all pictures into one folder"
            )
        if not paths:
            ends = ", ".join(pictures.SUFFIXES)
            raise DataError(f"{self.name}: holds no pictures; expected files that end in {ends}")
        order = shuffled(len(paths))[: taken(self.name, len(paths), count)]
        return formed(self.name, pictures.read([paths[i] for i in order.tolist()]), shape)


@dataclass(frozen=True)
class Array(Source):
    """An .npy file: uint8 (N, H, W) or (N, C, H, W), or float points (N, D)."""

    path: Path

    form = "array"

    def samples(self, shape: Shape, count: int | None, device: torch.device) -> Tensor:
        """Of the array's samples those that are judged; nothing is unpickled."""
        found = self._opened()
        require_type(self.name, found.dtype.name, shape)
        if found.ndim == 0:
            raise DataError(f"{self.name}: found a single number, expected samples {shape}")
        order = shuffled(len(found))[: taken(self.name, len(found), count)]
        chosen = np.asarray(found[order.numpy()], dtype=found.dtype.newbyteorder("="))
        return formed(self.name, torch.from_numpy(np.ascontiguousarray(chosen)), shape)

    def _opened(self) -> np.ndarray[Any, np.dtype[Any]]:
        try:
            return open_memmap(self.path, mode="r")
        except _UNREADABLE as error:
            told = (str(error).splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"{self.name}: cannot be read ({told}); expected numbers as `numpy.save` writes "
                "them"
            ) from error
