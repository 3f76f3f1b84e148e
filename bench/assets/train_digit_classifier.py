"""Train the digit classifier that gives `bench` its features.

    python -m bench.assets.train_digit_classifier            the shipped weights
    python -m bench.assets.train_digit_classifier --holdout  for choosing settings

The epochs and every other setting were fixed on a hold-out of the training split (`--holdout`:
train on its first 50,000 images, print the accuracy on its last 10,000, write nothing).  The test
split is read once, after the last epoch, for the accuracy that is printed and written down.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from bench import seeding
from bench.datasets.base import Images
from bench.datasets.mnist import MNIST
from bench.extractors.digits import SHAPE, WEIGHTS
from bench.extractors.recipe import EPOCHS, SEED, accuracy, noise, train

README = Path(__file__).with_name("README.md")


def _holdout() -> None:
    data = MNIST().load("train")
    assert data.labels is not None
    network = train("digits", Images(data.images[:50_000], data.labels[:50_000]))
    held = Images(data.images[50_000:], data.labels[50_000:])
    strange = noise(1000, SHAPE, seeding.generator(SEED, "digits/holdout"))
    with torch.inference_mode():
        doubt = network(strange)[1].softmax(dim=1)
    print(f"hold-out accuracy {accuracy(network, held):.2%}")
    print(f"noise called a digit {(doubt.amax(dim=1) >= 0.9).double().mean():.1%}")


def _ship() -> None:
    network = train("digits", MNIST().load("train"))
    provenance = {
        "trained on": "MNIST, training split (60,000 images)",
        "test accuracy": f"{accuracy(network, MNIST().load('test')):.2%}",
        "epochs": str(EPOCHS),
        "seed": str(SEED),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
    }
    save_file(network.state_dict(), WEIGHTS, metadata=provenance)
    digest = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    _write_down(provenance | {"SHA-256": f"`{digest}`"})
    print(f"test accuracy {provenance['test accuracy']}")
    print(f"bench/extractors/digits.py: SHA256 = {digest!r}")


def _write_down(provenance: dict[str, str]) -> None:
    """Replace the table that ends the README."""
    head = README.read_text(encoding="utf-8").partition("| digit classifier |")[0]
    rows = "\n".join(f"| {name} | {value} |" for name, value in provenance.items())
    README.write_text(f"{head}| digit classifier | |\n|---|---|\n{rows}\n", encoding="utf-8")


if __name__ == "__main__":
    _holdout() if "--holdout" in sys.argv[1:] else _ship()
