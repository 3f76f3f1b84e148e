"""MNIST's relatives and CIFAR-10, in torchvision's layout, downloaded by it where missing."""

from __future__ import annotations

import os
import shutil
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch

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


@dataclass(frozen=True)
class CIFAR10(Dataset):
    """60,000 photographs of ten kinds of things, 32×32 in colour (Krizhevsky 2009), train and test
    split 5 to 1, in the files for Python."""

    root: str = "data"

    shape = (3, 32, 32)
    classes: ClassVar[int] = 10

    def load(self, split: Split) -> Images:
        """A split from `root/cifar-10-batches-py`; downloads all of it first if that is not there.

        Its files are pickles, which can run code: torchvision opens none before its MD5 sum is
        right.
        """
        folder = raw_folder(Path(self.root), "cifar-10-batches-py").parent
        if not _is_folder(folder):
            _download_cifar(folder)
        data = _read_cifar(folder, split)
        pixels = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        return Images(pixels, torch.tensor(data.targets))


def _read_cifar(folder: Path, split: Split) -> Any:
    """torchvision's own data set; raises `DataError` where it will not have the files."""
    from torchvision import datasets

    try:
        return datasets.CIFAR10(str(folder.parent), train=split == "train")
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{folder}: a file of CIFAR-10 is missing or damaged ({_last_line(error)}); expected "
            "the files of cifar-10-python.tar.gz as published; remove the folder to have it "
            "downloaded again"
        ) from error


def _download_cifar(folder: Path) -> None:
    """Fetch and unpack the archive with torchvision, and put the folder in place in one rename."""
    from torchvision import datasets

    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        with TemporaryDirectory() as temporary:
            datasets.CIFAR10(temporary, download=True)
            shutil.copytree(Path(temporary) / folder.name, part)
        try:
            part.rename(folder)
        except OSError:
            shutil.rmtree(part)
            if not folder.is_dir():  # else a run that started with this one was quicker
                raise
    except (RuntimeError, OSError, EOFError, HTTPException, zlib.error) as error:
        raise DataError(
            f"{folder}: CIFAR-10 is not there and cannot be downloaded ({_last_line(error)}); "
            f"unpack cifar-10-python.tar.gz in {folder.parent}, or start once where there is a "
            "network"
        ) from error


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error


def _last_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[-1]


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
        raise DataError(
            f"{folder}: the files of {name} are not there and cannot be downloaded "
            f"({_last_line(error)}); "
            f"put {', '.join(file_names('train') + file_names('test'))} there, gzipped or not, "
            "or start once where there is a network"
        ) from error
