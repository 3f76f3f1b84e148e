"""What a metric is: a function of two banks of features to one number, with a unit and a direction.

Images are passed through an extractor once; every metric is computed from the bank that results.
Numbers from different extractors, layers, sample sizes or references are not comparable, so a bank
carries all four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from bench.records import Direction


@dataclass(frozen=True, eq=False)
class FeatureBank:
    """Features (N, d) and class logits (N, K), float32 on the CPU, and where they come from."""

    features: Tensor
    logits: Tensor
    extractor: str
    sha256: str
    """Of the extractor's weights."""
    layer: str
    source: str
    """What the images are: `samples`, or a reference such as `mnist/test/10000@1f0e6c2a`, where
    the end is the head of a SHA-256 over the pixels."""

    def __len__(self) -> int:
        """How many images."""
        return len(self.features)

    def classes(self, confidence: float = 0.0) -> Tensor:
        """How many samples fall into each class, int64 (K,).

        Only samples count whose largest softmax probability is at least `confidence`.
        """
        probability, label = self._decisions
        return torch.bincount(label[probability >= confidence], minlength=self.logits.shape[1])

    def class_shares(self) -> Tensor:
        """The share of all samples in each class, float64 (K,), summing to 1."""
        return self.classes().double() / len(self)

    @cached_property
    def _decisions(self) -> tuple[Tensor, Tensor]:
        """Each sample's largest softmax probability and its class, both (N,)."""
        probability, label = self.logits.softmax(dim=1).max(dim=1)
        return probability, label


@dataclass(frozen=True)
class Metric:
    """One number about samples, judged against a reference.

    `compute(samples, reference)` raises `ValueError`, with the reason, where the number is not
    defined.
    """

    compute: Callable[[FeatureBank, FeatureBank], float]
    unit: str
    better: Direction


class Extractor(ABC):
    """Maps images to features and class logits."""

    name: str
    layer: str
    fits: tuple[str, ...]
    """The data sets whose images it was made for: on others its features mean nothing."""

    @abstractmethod
    def sha256(self) -> str:
        """The SHA-256 of the weights; raises `DataError` if they are missing or altered."""

    @abstractmethod
    def extract(self, images: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, d) and logits (N, K), float32 on the CPU, of uint8 images (N, C, H, W)."""

    def bank(self, images: Tensor, source: str, device: torch.device | str = "cpu") -> FeatureBank:
        """The bank of uint8 images (N, C, H, W)."""
        features, logits = self.extract(images, device)
        return FeatureBank(features, logits, self.name, self.sha256(), self.layer, source)
