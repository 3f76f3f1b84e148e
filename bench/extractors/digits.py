"""The shipped extractor: a small classifier of MNIST's digits.

It was trained on MNIST's training split alone (`bench/assets/train_digit_classifier.py`).  Values
from it are written `FID (digits)`: they are on another scale than values from an Inception network.
Stacked MNIST, three digits in three channels, is judged by the same network, a channel at a time.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from bench.datasets.base import Images, Points
from bench.errors import DataError
from bench.extractors.base import Extractor
from bench.extractors.classifier import FEATURES, LAYER, PREPROCESSING, Classifier, outputs

WEIGHTS = Path(__file__).parent.parent / "assets" / "digit_classifier.safetensors"
SHA256 = "e0e4458d947556c551e9fdece9b7626e216c0742c0803ea9ec1c45c255b24400"
SHAPE, CLASSES = (1, 28, 28), 10


class Digits(Extractor):
    """The digit classifier: its penultimate layer, before the ReLU."""

    name = "digits"
    layer = LAYER
    preprocessing = PREPROCESSING
    fits = ("mnist", "stacked_mnist")
    accuracy = 0.9959
    operations = 2.6e6

    def fitted(self, dataset: str, data: Images | Points) -> Extractor:
        """For three channels the same network on each."""
        super().fitted(dataset, data)
        return STACKED if dataset == "stacked_mnist" else self

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Of stacked digits the probabilities of all thousand classes, too."""
        channels = shape[0]
        return channels * (FEATURES + CLASSES) + (CLASSES**channels if channels > 1 else 0)

    def sha256(self) -> str:
        """The digest that every shipped file of weights was checked against."""
        return _weights(WEIGHTS)[0]

    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, 128) and logits (N, 10) of uint8 images (N, 1, 28, 28), N ≥ 1."""
        return outputs(_network(str(device)), samples, device, self.name)


class StackedDigits(Digits):
    """The digit classifier on each of three channels; a class is three digits, 1,000 in all."""

    preprocessing = "uint8 / 255, each channel by itself"
    operations = 3 * Digits.operations

    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, 3 · 128) and logits (N, 3, 10) of uint8 images (N, 3, 28, 28), N ≥ 1."""
        if tuple(samples.shape[1:]) != (3, *SHAPE[1:]):
            raise DataError(
                f"extractor 'digits' of stacked_mnist: found samples of shape "
                f"{tuple(samples.shape[1:])}, expected (3, 28, 28)"
            )
        features, logits = super().extract(samples.flatten(0, 1).unsqueeze(1), device)
        return features.view(len(samples), -1), logits.view(len(samples), 3, CLASSES)

    def logits(self, outputs: Tensor) -> Tensor:
        """(N, 1000): the logarithm of the product of the three digits' probabilities.

        Class 100 a + 10 b + c is digit a in the first channel, b in the second, c in the third.
        """
        a, b, c = outputs.log_softmax(dim=2).unbind(dim=1)
        return (a[:, :, None, None] + b[:, None, :, None] + c[:, None, None, :]).flatten(1)


DIGITS, STACKED = Digits(), StackedDigits()


@cache
def _network(device: str) -> Classifier:
    network = Classifier(SHAPE, CLASSES)
    network.load_state_dict(load(_weights(WEIGHTS)[1]))
    return network.eval().requires_grad_(False).to(device)


@cache
def _weights(path: Path) -> tuple[str, bytes]:
    """The file's SHA-256 and content; raises `DataError` where it is not the shipped file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; install bench again to restore it") from error
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(
            f"{path}: SHA-256 {found[:12]}…, expected {SHA256[:12]}…; install bench again"
        )
    return found, content
