"""A small convolutional classifier of any labelled images, and the file that keeps one.

The shipped extractor of digits is one of these; `bench evaluate --train-extractor` makes others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import DataError

FEATURES = 128
_SMALLEST = 4
"""Convolutions halve an image until neither side is longer than this."""
_WIDTHS = (16, 48, 96)
"""Channels of the first convolutions; the last number is that of all further ones."""
_BATCH = 250  # the fastest of 200 to 1000 on one core: its activations stay in the cache


class Classifier(nn.Module):
    """Strided convolutions and two dense layers, for images (N, *shape) of `classes` classes."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        """Torch's default weights."""
        super().__init__()
        self.shape, self.classes = shape, classes
        channels, height, width = shape
        layers: list[nn.Module] = []
        while max(height, width) > _SMALLEST or not layers:
            place = len(layers) // 2
            wide = _WIDTHS[min(place, len(_WIDTHS) - 1)]
            size = 5 if place == 0 else 3
            layers += [nn.Conv2d(channels, wide, size, stride=2, padding=size // 2), nn.ReLU()]
            channels, height, width = wide, (height + 1) // 2, (width + 1) // 2
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, FEATURES))
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """128 features and the class logits of uint8 images (N, *shape).

        The features are the penultimate layer before its ReLU: behind it, whatever resembles no
        class is the same point, all zeros, and one bad generator as far from the data as the next.
        """
        features = self.dense(self.convolutions(images.float().div(255.0)))
        return features, self.head(features.relu())


def outputs(
    network: Classifier, images: Tensor, device: torch.device | str, name: str
) -> tuple[Tensor, Tensor]:
    """Features (N, 128) and logits (N, classes), on the CPU, of uint8 images (N, *shape).

    Raises `DataError`, naming the extractor `name`, for samples of another type or shape.
    """
    shape = tuple(images.shape[1:])
    if images.dtype != torch.uint8 or shape != network.shape or len(images) == 0:
        raise DataError(
            f"extractor {name!r}: found {len(images)} {images.dtype} images of shape {shape}, "
            f"expected uint8 images of shape {network.shape}"
        )
    features = torch.empty(len(images), FEATURES)
    logits = torch.empty(len(images), network.classes)
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            features[part], logits[part] = network(images[part].to(device))
    return features, logits
