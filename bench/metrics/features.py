"""Feature extractors: what metrics see instead of pixels.

`digits` is a small strided convolutional network trained on MNIST's training split alone
(`bench/assets/train_digit_classifier.py`).  Values from it are written `FID (digits)`: they are on
another scale than values from an Inception network.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor, nn

from bench.errors import DataError
from bench.metrics.base import Extractor

WEIGHTS = Path(__file__).parent.parent / "assets" / "digit_classifier.safetensors"
SHA256 = "e0e4458d947556c551e9fdece9b7626e216c0742c0803ea9ec1c45c255b24400"
_BATCH = 250  # the fastest of 200 to 1000 on one core: its activations stay in the cache


class DigitClassifier(nn.Module):
    """Three strided convolutions and two dense layers; batch norm is folded into the weights."""

    shape = (1, 28, 28)
    features = 128

    def __init__(self) -> None:
        """Torch's default weights; the shipped ones are loaded into it."""
        super().__init__()
        self.convolutions = nn.Sequential(
            *(nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU()),
            *(nn.Conv2d(16, 48, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv2d(48, 96, 3, stride=2, padding=1), nn.ReLU()),
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(96 * 4 * 4, self.features))
        self.head = nn.Linear(self.features, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """128 features and 10 logits of uint8 images (N, 1, 28, 28).

        The features are the penultimate layer before its ReLU: behind it, whatever resembles no
        digit is the same point, all zeros, and one bad generator as far from the data as the next.
        """
        features = self.dense(self.convolutions(images.float().div(255.0)))
        return features, self.head(features.relu())


class Digits(Extractor):
    """The shipped digit classifier: its penultimate layer, before the ReLU."""

    name = "digits"
    layer = "penultimate, before its ReLU"
    fits = ("mnist",)

    def sha256(self) -> str:
        """The digest that every shipped file of weights was checked against."""
        return _weights(WEIGHTS)[0]

    def extract(self, images: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, 128) and logits (N, 10) of uint8 images (N, 1, 28, 28), N ≥ 1."""
        _check_images(images)
        network = _network(str(device))
        features, logits = [], []
        with torch.inference_mode():
            for batch in torch.split(images, _BATCH):
                feature, logit = network(batch.to(device))
                features.append(feature.cpu())
                logits.append(logit.cpu())
        return torch.cat(features), torch.cat(logits)


DIGITS = Digits()


@cache
def _network(device: str) -> DigitClassifier:
    network = DigitClassifier()
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


def _check_images(images: Tensor) -> None:
    shape = tuple(images.shape[1:])
    if images.dtype != torch.uint8 or shape != DigitClassifier.shape or len(images) == 0:
        raise DataError(
            f"extractor 'digits': found {len(images)} {images.dtype} images of shape {shape}, "
            f"expected uint8 images of shape {DigitClassifier.shape}"
        )
