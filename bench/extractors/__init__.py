"""What metrics see instead of pixels: feature extractors, by name or by a file of weights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench import registry
from bench.errors import DataError

if TYPE_CHECKING:
    from bench.datasets.base import Kind
    from bench.extractors.base import Extractor

BY_DATA = {"mnist": "digits", "stacked_mnist": "digits"}
"""The shipped extractor of a data set of images."""


def find(name: str) -> Extractor:
    """The extractor of that name, or in that file of weights.

    `NAME.safetensors` is a classifier that `bench evaluate --train-extractor` made, `NAME.pth`
    weights of the Inception network; either may end in `#sha256=DIGEST`, and is then held to it.
    Raises `UnknownName` for neither, `DataError` for a file that is not what it should be.
    """
    path, _, pin = name.partition("#sha256=")
    if path.endswith(".safetensors"):
        from bench.extractors.classifier import read

        return read(path, pin)
    if path.endswith(".pth"):
        from bench.extractors.inception import Inception

        return Inception(path, pin)
    found: Extractor = registry.load("extractors", name)
    return found


def is_file(name: str) -> bool:
    """Whether that is a file of weights rather than a name."""
    return name.partition("#sha256=")[0].endswith((".safetensors", ".pth"))


def pinned(name: str) -> str:
    """The name; of a file with the digest of what it holds now, so that nothing else is taken for
    it later.  Raises `DataError` for a file that is not there."""
    if not is_file(name):
        return name
    path = os.path.normpath(name.partition("#sha256=")[0])
    return f"{path}#sha256={find(name).sha256()}"


def default(dataset: str, kind: Kind) -> str:
    """The extractor of a data set, where none is named; raises `DataError` if it has none."""
    if kind == "points":
        return "points"
    if dataset in BY_DATA:
        return BY_DATA[dataset]
    from bench.extractors.base import training_command

    raise DataError(
        f"no extractor is made for {dataset!r}; train one with {training_command(dataset)} and "
        "set evaluation.extractor to its file, or to 'inception'"
    )
