"""MNIST's relatives, read from torchvision's layout and downloaded by torchvision where missing."""

from __future__ import annotations

import os
import shutil
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from bench.datasets.base import (
    Dataset,
    Images,
    Split,
    file_names,
    is_file,
    raw_folder,
    read_folder,
)
from bench.errors import DataError


@dataclass(frozen=True)
class _Vision(Dataset):
    root: str = "data"

    shape = (1, 28, 28)
    classes: ClassVar[int] = 10
    torchvision_name: ClassVar[str]

    def load(self, split: Split) -> Images:
        """A split from `root/NAME/raw`; downloads all four files first if one of its two is
        neither there nor there gzipped."""
        folder = raw_folder(Path(self.root), self.torchvision_name)
        if not _present(folder, split):
            _download(self.torchvision_name, folder)
        return read_folder(folder, split, self.shape[1:], self.classes)


@dataclass(frozen=True)
class FashionMNIST(_Vision):
    """Zalando's clothes (Xiao, Rasul & Vollgraf 2017): as many images as MNIST, as large."""

    torchvision_name = "FashionMNIST"


@dataclass(frozen=True)
class KMNIST(_Vision):
    """Cursive Japanese characters in 10 classes (Clanuwat et al. 2018): likewise."""

    torchvision_name = "KMNIST"


def _present(folder: Path, split: Split) -> bool:
    return all(
        is_file(folder / name) or is_file(folder / f"{name}.gz") for name in file_names(split)
    )


def _download(name: str, folder: Path) -> None:
    """Fetch the files with torchvision, which checks their MD5 sums, and put them in place whole.

    They are moved one rename each, so that runs that start together cannot read half a file.
    """
    from torchvision import datasets

    try:
        with TemporaryDirectory() as temporary:
            getattr(datasets, name)(temporary, download=True)
            folder.mkdir(parents=True, exist_ok=True)
            for file in raw_folder(Path(temporary), name).glob("*-ubyte"):
                part = folder / f".{file.name}.{os.getpid()}"
                shutil.copyfile(file, part)
                part.replace(folder / file.name)
    except (RuntimeError, OSError, EOFError, HTTPException, zlib.error) as error:
        reason = str(error).splitlines()[-1]
        raise DataError(
            f"{folder}: the files of {name} are not there and cannot be downloaded ({reason}); "
            f"put {', '.join(file_names('train') + file_names('test'))} there, gzipped or not, "
            "or start once where there is a network"
        ) from error
