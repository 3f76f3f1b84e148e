"""The Inception network that papers compute FID with (torch-fidelity's `inception-v3-compat`).

Its weights are not shipped: they are downloaded once, to where torch keeps such files, or given by
path.  Their SHA-256 is checked before anything is unpickled, and then only tensors are.  The
library's own class would unpickle whatever it is given, so it is given what was checked, packed
anew.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from functools import lru_cache
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from bench.errors import DataError
from bench.extractors import weights
from bench.extractors.base import Classes, Extractor, FeatureBank

PUBLISHED = "6726825d"
"""The head of the SHA-256 of the weights whose numbers are comparable with papers."""
_NAMED = re.compile(r"-([0-9a-f]{8,64})\.pth\Z")
"""How torch's hub writes a digest into a file's name."""
_BATCHES = {"cpu": 10, "cuda": 50}
"""On one core 50 at once took a fifth longer than 10, and 0.7 GB more."""
_MEND = (
    "fetch torch-fidelity's Inception weights where there is a network and put them there, or name "
    "their file in evaluation.extractor or --extractor"
)


class Inception(Extractor):
    """Inception's last pooling layer, 2,048 features, and ImageNet's logits without their bias."""

    layer = "2048"
    preprocessing = (
        "grey repeated to 3 channels, TensorFlow 1's bilinear to 299×299, (x − 128) / 128"
    )
    fits = None
    knows_classes = False
    operations = 1.1e10

    def __init__(self, path: str = "", pin: str = "") -> None:
        """`path`: a file of weights; without it, the published ones, downloaded if need be.

        `pin`: the SHA-256 of the file, or the first eight digits or more; without it, those that
        the file's name ends in.  Other weights than the published are called by their file's name.
        """
        self._path = path
        self._pin = pin or _in_name(path)
        published = not path or self._pin.lower().startswith(PUBLISHED)
        self.name = "inception" if published else weights.called(Path(path))

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Features and logits."""
        return 2048 + 1008

    def sha256(self) -> str:
        """Of the file; raises `DataError` where it is missing or another than was named."""
        return self._checked()[1]

    def extract(self, samples: Tensor, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Features (N, 2048) and logits (N, 1008) of uint8 images (N, 1 or 3, H, W), N ≥ 1."""
        shape = tuple(samples.shape)
        if samples.dtype != torch.uint8 or len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
            raise DataError(
                f"extractor {self.name!r}: found {samples.dtype} samples of shape {shape}, "
                "expected uint8 images (N, 1 or 3, H, W)"
            )
        network = _network(*self._checked(), str(device))
        batch = _BATCHES.get(torch.device(device).type, 50)
        features, logits = torch.empty(len(samples), 2048), torch.empty(len(samples), 1008)
        with torch.inference_mode():
            for start in range(0, len(samples), batch):
                part = slice(start, start + batch)
                coloured = samples[part].to(device).expand(-1, 3, -1, -1)
                features[part], logits[part] = network(coloured)
        return features, logits

    def classes(self, bank: FeatureBank) -> Classes:
        """Raises `ValueError`: they are ImageNet's."""
        raise ValueError("the Inception network knows ImageNet's classes, not the data's")

    def _checked(self) -> tuple[Path, str]:
        """The file and its SHA-256."""
        path = weights.expanded(self._path, _MEND) if self._path else _downloaded()
        pin = self._pin or _in_name(path.name)
        try:
            state = path.stat()
            version = (state.st_mtime_ns, state.st_size, state.st_ino)
        except (OSError, ValueError):  # reading it says why
            version = (0, 0, 0)
        return path, _digest(path, pin, version)


def _in_name(path: str) -> str:
    found = _NAMED.search(path)
    return found[1] if found else ""


@lru_cache(maxsize=8)
def _digest(path: Path, pin: str, version: tuple[int, int, int]) -> str:
    """Of a file in that version: 95 MB are not to be read for every run of a suite."""
    _, digest = weights.read(path, pin, _MEND)
    if not pin:
        raise DataError(
            f"{path}: nothing tells which weights these should be; if they are the right ones, "
            f"name them {path}#sha256={digest}"
        )
    return digest


def _downloaded() -> Path:
    """The published weights in torch's folder of such files."""
    from torch_fidelity import feature_extractor_inceptionv3 as library

    url = library.URL_INCEPTION_V3
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            url, str(path), hash_prefix=_in_name(url), progress=sys.stderr.isatty()
        )
    except (OSError, RuntimeError, HTTPException) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: is not there and cannot be downloaded ({reason}); {_MEND}"
        ) from error
    return path


@lru_cache(maxsize=2)
def _network(path: Path, digest: str, device: str) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    content, _ = weights.read(path, digest, _MEND)
    packed = BytesIO()
    torch.save(_tensors(path, content), packed)
    packed.seek(0)
    try:
        with torch.random.fork_rng(devices=[]):  # it first draws weights at random
            network: nn.Module = FeatureExtractorInceptionV3(
                "inception-v3-compat",
                ["2048", "logits_unbiased"],
                feature_extractor_weights_path=packed,
            )
    except RuntimeError as error:
        _refuse(path, "its tensors are not those of the Inception network", error)
    return network.to(device)


def _tensors(path: Path, content: bytes) -> Mapping[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that are refused at once
            found: Any = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a dozen kinds, by where in the file it first notices
        _refuse(path, "no file of tensors alone", error)
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        _refuse(path, "no state dict of tensors", None)
    return found


def _refuse(path: Path, what: str, error: Exception | None) -> NoReturn:
    raise DataError(
        f"{path}: {what}; expected torch-fidelity's conversion, "
        f"weights-inception-2015-12-05-{PUBLISHED}.pth"
    ) from error


INCEPTION = Inception()
