"""A classifier of a data set of one's own, trained, tested and written to a file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.datasets.base import Dataset, Images, Split
from bench.errors import DataError, RequestError, StoreError
from bench.extractors.classifier import Made, digest_of, pack
from bench.extractors.recipe import EPOCHS, SEED, OnEpoch, accuracy, train

SMALLEST = 8
"""Pixels that either side of an image must have."""


@dataclass(frozen=True)
class Trained:
    """A classifier that was written to disk."""

    path: Path
    accuracy: float
    """On the test split, 0 to 1."""
    sha256: str
    """Of the file."""


def train_extractor(  # noqa: PLR0913 - what a user may choose, three of the six by name
    name: str,
    dataset: Dataset,
    path: Path,
    *,
    epochs: int = EPOCHS,
    seed: int = SEED,
    on_epoch: OnEpoch = lambda done, epochs: None,
) -> Trained:
    """Train a classifier on the training split of a labelled data set of images, and write it.

    `name` is the data set's, for which alone the extractor will then do.  For MNIST and stacked
    MNIST there is a shipped one, `digits`.  On the CPU; the same data, epochs, seed, torch and
    number of threads give the same weights on one machine.  Raises `DataError` for data without
    labels, `RequestError` or `StoreError` for a path that will not do, before anything is trained.
    """
    if path.suffix != ".safetensors":
        raise RequestError(f"{path}: expected a file name that ends in .safetensors")
    if epochs < 1:
        raise RequestError(f"epochs is {epochs}, expected at least 1")
    train_split, test_split = (_labelled(name, dataset, split) for split in ("train", "test"))
    if train_split.images.shape[1:] != test_split.images.shape[1:]:
        shapes = " and ".join(str(tuple(s.images.shape[1:])) for s in (train_split, test_split))
        raise DataError(f"{name}: training and test images have shapes {shapes}, expected one")
    _prove_writable(path)
    network = train(name, train_split, epochs=epochs, seed=seed, on_epoch=on_epoch)
    root = getattr(dataset, "root", None)
    made = Made(
        dataset=name,
        root=None if root is None else str(root),
        shape=network.shape,
        classes=network.classes,
        test_accuracy=accuracy(network, test_split),
        images=len(train_split.images),
        epochs=epochs,
        seed=seed,
        torch=str(torch.__version__),
        train_sha256=digest_of(train_split),
        test_sha256=digest_of(test_split),
    )
    content = pack(network, made)
    _write(path, content)
    return Trained(path, made.test_accuracy, hashlib.sha256(content).hexdigest())


def _labelled(name: str, dataset: Dataset, split: Split) -> Images:
    """A split that a classifier can be trained or tested on."""
    data = dataset.load(split)
    if not isinstance(data, Images):
        raise DataError(
            f"{name}: has points, whose extractor is 'points'; expected images to train one on"
        )
    if data.labels is None:
        raise DataError(
            f"{name}: the {split} split has no labels; expected a class for each image (in a "
            f"'folder' data set, a folder a class: {split}/cat/1.png)"
        )
    shape = tuple(data.images.shape[1:])
    if min(shape[1:]) < SMALLEST:
        raise DataError(
            f"{name}: images of shape {shape}, expected at least {SMALLEST}×{SMALLEST} pixels"
        )
    if split == "train" and int(data.labels.max()) == 0:
        raise DataError(f"{name}: one class alone, expected at least two to tell apart")
    return data


def _prove_writable(path: Path) -> None:
    """Raise `StoreError` where the file could not be written in the end."""
    if path.is_dir():
        raise StoreError(f"{path}: is a folder, expected the name of a file to write")
    if path.exists():
        raise StoreError(
            f"{path}: is there already, and runs may have been judged by it; delete it, or choose "
            "another name with --out"
        )
    probe = _staged(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _write(path: Path, content: bytes) -> None:
    staged = _staged(path)
    try:
        with staged.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else the rename may outrun what it puts in place
        staged.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        staged.unlink(missing_ok=True)


def _staged(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: cannot be written ({error.strerror}); choose another with --out")
