"""Stacked MNIST: three digits in three channels, a thousand modes that a classifier can count."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from bench import registry, seeding
from bench.datasets.base import Dataset, Images, Split

Number = Annotated[int, Ge(1), Le(10_000_000)]
_SEED = 0
"""Of the triples, whatever the seed of a run: every run sees the same images."""


@dataclass(frozen=True)
class StackedMNIST(Dataset):
    """Random triples of MNIST's digits as the channels of one image (Metz et al. 2017, 3.3).

    Each split is made of MNIST's own; the sizes are those of PacGAN (Lin et al. 2018).  Class
    100 a + 10 b + c is digit a in the first channel, b in the second, c in the third.
    """

    root: str | None = None
    """Where MNIST's files are, as in the data set `mnist`; without it, the embedded copy."""
    samples: Number = 128_000
    test_samples: Number = 26_000

    shape = (3, 28, 28)
    classes: ClassVar[int] = 1000

    def load(self, split: Split) -> Images:
        """uint8 images (N, 3, 28, 28) and their classes, the same every time."""
        count = self.samples if split == "train" else self.test_samples
        return Images(*_stacked(self.root, split, count))


@cache  # a process loads it for every run; nothing in bench writes to it
def _stacked(root: str | None, split: Split, count: int) -> tuple[Tensor, Tensor]:
    digits = registry.load("datasets", "mnist")(root=root).load(split)
    draw = seeding.generator(_SEED, f"stacked_mnist/{split}")
    triples = torch.randint(len(digits.images), (count, 3), generator=draw)
    labels = digits.labels[triples] @ torch.tensor([100, 10, 1])
    return digits.images[:, 0][triples], labels
