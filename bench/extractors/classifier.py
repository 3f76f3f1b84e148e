"""A small convolutional classifier of any labelled images, and the file that keeps one.

The shipped extractor of digits is one of these; `bench evaluate --train-extractor` makes others.
Such a file is safetensors; its one metadata entry, `bench`, is `Made` as JSON.  Versions:

    1  as it is
"""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Le
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from bench.datasets.base import Images, Points
from bench.errors import DataError
from bench.extractors import weights
from bench.extractors.base import Extractor, training_command

FEATURES = 128
LAYER = "penultimate, before its ReLU"
PREPROCESSING = "uint8 / 255"
ENTRY = "bench"
_SMALLEST = 4
"""Convolutions halve an image until neither side is longer than this."""
_WIDTHS = (16, 48, 96)
"""Channels of the first convolutions; the last number is that of all further ones."""
_BATCH = 250  # the fastest of 200 to 1000 on one core: its activations stay in the cache
_MEND = "expected a file made by `bench evaluate --train-extractor DATASET`"

Side = Annotated[int, Ge(1), Le(65_535)]


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


@dataclass(frozen=True)
class Made:
    """Where a trained classifier comes from, as its file tells."""

    dataset: str
    root: str | None
    """The data set's folder, where it has one."""
    shape: tuple[Side, Side, Side]
    classes: Annotated[int, Ge(2)]
    test_accuracy: Annotated[float, Ge(0), Le(1)]
    images: int
    """It was trained on."""
    epochs: int
    seed: int
    torch: str
    train_sha256: str
    """Of the images and labels of the training split."""
    test_sha256: str
    """Of the test split's; the extractor judges against this data alone."""
    version: Literal[1] = 1


_MADE = TypeAdapter(Made)


class ClassifierFile(Extractor):
    """A classifier from a file; called by the file's name."""

    layer = LAYER
    preprocessing = PREPROCESSING

    def __init__(self, name: str, digest: str, made: Made, network: Classifier) -> None:
        """`digest`: the SHA-256 of the file."""
        self.name, self.made, self.fits = name, made, (made.dataset,)
        self.accuracy = made.test_accuracy
        self.operations = _operations(made)
        self._digest = digest
        self._networks = {"cpu": network}

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Features and logits."""
        return FEATURES + self.made.classes

    def sha256(self) -> str:
        """Of the whole file, when it was read."""
        return self._digest

    def fitted(self, dataset: str, data: Images | Points) -> Extractor:
        """Raises `DataError` too for a test split other than the one it was tested on."""
        super().fitted(dataset, data)
        assert isinstance(data, Images)
        found = digest_of(data)
        if found != self.made.test_sha256:
            shapes = tuple(data.images.shape[1:]), self.made.shape
            how = f" (images of shape {shapes[0]}, not {shapes[1]})" * (shapes[0] != shapes[1])
            raise DataError(
                f"extractor {self.name!r} was made for other images and labels of {dataset!r} than "
                f"these{how}: test split SHA-256 {found[:8]}…, expected "
                f"{self.made.test_sha256[:8]}…; train one on these: {training_command(dataset)}"
            )
        return self

    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, 128) and logits (N, classes) of uint8 images (N, *shape), N ≥ 1."""
        place = str(device)
        if place not in self._networks:
            self._networks[place] = deepcopy(self._networks["cpu"]).to(device)
        return outputs(self._networks[place], samples, device, self.name)


def digest_of(split: Images) -> str:
    """The SHA-256 of a split's images and labels, their types and shapes included."""
    whole = hashlib.sha256()
    for part in (split.images, split.labels):
        if part is not None:
            whole.update(f"{part.dtype} {tuple(part.shape)}".encode())
            whole.update(part.contiguous().numpy().data)
    return whole.hexdigest()


def pack(network: Classifier, made: Made) -> bytes:
    """The file of a trained classifier: the same bytes for the same weights and provenance."""
    # one entry: several are written in no fixed order
    entry = json.dumps(asdict(made), sort_keys=True)
    return bytes(save(network.state_dict(), metadata={ENTRY: entry}))


def read(name: str, pin: str = "") -> ClassifierFile:
    """The extractor in a file that `pack` made; raises `DataError` where there is none.

    `pin`: the SHA-256 the file must have, or the first eight digits or more.
    """
    path = weights.expanded(name, _MEND)
    content, digest = weights.read(path, pin, _MEND)
    return _opened(path, digest, content)


@lru_cache(maxsize=8)
def _opened(path: Path, digest: str, content: bytes) -> ClassifierFile:
    try:
        tensors = load(content)
        head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        made = _MADE.validate_json(head["__metadata__"][ENTRY], strict=True)
    except SafetensorError as error:
        raise DataError(f"{path}: no safetensors file ({error}); {_MEND}") from error
    except KeyError as error:
        raise DataError(
            f"{path}: safetensors without the metadata entry {ENTRY!r}; {_MEND}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("metadata", ENTRY, *first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}; {_MEND}") from error
    return ClassifierFile(weights.called(path), digest, made, _network(path, made, tensors))


def _network(path: Path, made: Made, tensors: dict[str, Tensor]) -> Classifier:
    with torch.device("meta"):  # no random weights: they would move the global generator
        network = Classifier(made.shape, made.classes)
    try:
        if not all(value.is_floating_point() for value in tensors.values()):
            raise TypeError("not of floating-point numbers")
        network.load_state_dict(tensors, assign=True)
    except (RuntimeError, TypeError) as error:
        raise DataError(
            f"{path}: its tensors are not those of a classifier of {made.classes} classes and "
            f"images of shape {made.shape}; {_MEND}"
        ) from error
    return network.float().eval().requires_grad_(False)


def _operations(made: Made) -> float:
    """Of a forward pass on one image; a multiply-add is two."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        Classifier(made.shape, made.classes)(torch.zeros(1, *made.shape))
    return float(counter.get_total_flops())
