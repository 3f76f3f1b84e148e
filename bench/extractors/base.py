"""What an extractor is, and the bank that samples become under it.

Samples are passed through an extractor once; every metric is computed from the bank that results.
Numbers from different extractors, layers, sample sizes or references are not comparable, so a bank
carries all four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import NamedTuple

import torch
from torch import Tensor

from bench.datasets.base import Images, Points
from bench.errors import DataError
from bench.shelf import Key, Shelf, Tensors, digest

SAMPLES = "samples"
"""The source of a bank of generated samples."""


def training_command(dataset: str) -> str:
    """The command that makes an extractor for a data set."""
    root = " --root DIR" if dataset == "folder" else ""
    return f"`bench evaluate --train-extractor {dataset}{root}`"


class Classes(NamedTuple):
    """Which class of the data each sample belongs to."""

    label: Tensor
    """int64 (N,)."""
    confidence: Tensor
    """float32 (N,), 0 to 1; 0 where the sample is in its class in name only."""
    classes: int
    """How many there are."""


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """Features (N, d) of N samples, float32 on the CPU, and where they come from."""

    features: Tensor
    outputs: Tensor | None
    """What else the extractor says of each sample (N, …): a classifier's raw outputs."""
    extractor: Extractor
    source: str
    """What the samples are: `samples`, or real data such as `mnist/test/10000@1f0e6c2a`, where the
    end is the head of a SHA-256 over the data."""
    key: Key | None = None
    """All that determines the bank; None for samples, which nobody will ask for again."""
    shelf: Shelf = field(default_factory=lambda: Shelf(None))
    _derived: dict[str, Tensors] = field(default_factory=dict)
    _number: int = field(init=False, default_factory=count().__next__)

    def __len__(self) -> int:
        """How many samples."""
        return len(self.features)

    @cached_property
    def logits(self) -> Tensor:
        """Class logits (N, K); raises `ValueError` where the extractor is no classifier."""
        if self.outputs is None:
            raise ValueError(f"extractor {self.extractor.name!r} gives no class probabilities")
        return self.extractor.logits(self.outputs)

    @cached_property
    def _classes(self) -> Classes:
        return self.extractor.classes(self)

    def classes(self, confidence: float = 0.0) -> Tensor:
        """How many samples belong to each class of the data, int64 (K,).

        Only those count that belong to it with at least `confidence`, and not in name only.
        Raises `ValueError` where the extractor does not know the data's classes.
        """
        found = self._classes
        held = (found.confidence > 0) & (found.confidence >= confidence)
        return torch.bincount(found.label[held], minlength=found.classes)

    def class_shares(self) -> Tensor:
        """The share of all samples in each class, float64 (K,), summing to 1."""
        found = self._classes
        return torch.bincount(found.label, minlength=found.classes).double() / len(self)

    @property
    def identity(self) -> str:
        """What tells the bank from every other."""
        return f"unkept {self._number}" if self.key is None else digest(self.key)

    def derived(self, name: str, make: Callable[[], Tensors]) -> Tensors:
        """What follows from this bank alone, or with what `name` tells: computed once.

        All metrics share the names: another package's lead with its name and its code's version.
        """
        if name not in self._derived:
            kept = {**self.key, "derived": name} if self.key is not None else None
            self._derived[name] = make() if kept is None else self.shelf.take(kept, make)
        return self._derived[name]

    def head(self, count: int) -> FeatureBank:
        """The bank of the first samples alone."""
        outputs = None if self.outputs is None else self.outputs[:count]
        key = None if self.key is None else {**self.key, "first": count}
        return replace(self, features=self.features[:count], outputs=outputs, key=key, _derived={})


class Extractor(ABC):
    """Maps samples to features, and a classifier to class logits besides."""

    name: str
    layer: str
    preprocessing: str
    """What happens to a sample before the network sees it: range, channels, resizing."""
    fits: tuple[str, ...] | None
    """The data sets it was made for; on others its features mean nothing.  None: any images."""
    operations: float = 0.0
    """About how many floating-point operations a sample takes."""
    accuracy: float | None = None
    """Of a classifier, on its data's test split, 0 to 1."""
    knows_classes: bool = True
    """Whether its classes are the data's."""

    @abstractmethod
    def sha256(self) -> str:
        """The SHA-256 of the weights; raises `DataError` if they are missing or altered."""

    @abstractmethod
    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor | None]:
        """Features (N, d) and outputs (N, …), float32 on the CPU, of N ≥ 1 samples.

        Raises `DataError` for samples of another type or shape than it takes.
        """

    def numbers(self, shape: tuple[int, ...]) -> int:
        """About how many are kept of a sample of that shape: features, outputs, probabilities."""
        return sum(shape)

    def fitted(self, dataset: str, data: Images | Points) -> Extractor:
        """The extractor for that data; raises `DataError` if it was not made for it."""
        if isinstance(data, Points):
            raise DataError(
                f"extractor {self.name!r} is made for images, and {dataset!r} has "
                "points; expected 'points'"
            )
        if self.fits is not None and dataset not in self.fits:
            raise DataError(
                f"extractor {self.name!r} knows {', '.join(self.fits)} only, and its features mean "
                f"nothing on {dataset!r}; name one made for it ({training_command(dataset)} makes "
                "one)"
            )
        return self

    def logits(self, outputs: Tensor) -> Tensor:
        """Class logits (N, K) of outputs, as `extract` gives them."""
        return outputs

    def classes(self, bank: FeatureBank) -> Classes:
        """The most probable class of each sample, and its softmax probability."""
        confidence, label = bank.logits.softmax(dim=1).max(dim=1)
        return Classes(label, confidence, bank.logits.shape[1])

    def bank(self, samples: Tensor, source: str, device: torch.device | str = "cpu") -> FeatureBank:
        """The bank of samples: uint8 images (N, C, H, W) or float32 points (N, D)."""
        return FeatureBank(*self.extract(samples, device), self, source)
