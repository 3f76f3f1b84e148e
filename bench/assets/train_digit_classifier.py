"""Train the digit classifier that gives `bench` its features.

    python -m bench.assets.train_digit_classifier            the shipped weights
    python -m bench.assets.train_digit_classifier --holdout  for choosing settings

The epochs and every other setting were fixed on a hold-out of the training split (`--holdout`:
train on its first 50,000 images, print the accuracy on its last 10,000, write nothing).  The test
split is read once, after the last epoch, for the accuracy that is printed and written down.

A tenth of what the network sees is noise, for which it learns to give every class the same
probability ("outlier exposure": Hendrycks, Mazeika & Dietterich 2019).  Without it, digits alone
taught a network that called every image of uniform noise an 8 with more than 0.9 confidence.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench import seeding
from bench.datasets.base import Images
from bench.datasets.mnist import MNIST
from bench.extractors.classifier import Classifier
from bench.extractors.digits import CLASSES, SHAPE, WEIGHTS

SEED = 0
EPOCHS = 20
BATCH = 250
NOISE = 28
"""Images of noise beside each batch of digits."""
PEAK_RATE = 4e-3
README = Path(__file__).with_name("README.md")


def train(data: Images) -> Classifier:
    """The classifier after `EPOCHS` passes over the data, batch norm folded into its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.key(SEED, "digits/construct"))
        network = Classifier(SHAPE, CLASSES)
        network.convolutions = _with_norms(network.convolutions)
        steps = EPOCHS * (len(data.images) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
        for epoch in range(EPOCHS):
            _epoch(network, data, epoch, optimizer, schedule)
    network.eval()
    network.convolutions = _without_norms(network.convolutions)
    return network


def accuracy(network: Classifier, data: Images) -> float:
    """The share of images whose largest logit is their label's."""
    assert data.labels is not None
    with torch.inference_mode():
        found = torch.cat(
            [network(batch)[1].argmax(1) for batch in torch.split(data.images, BATCH)]
        )
    return (found == data.labels).double().mean().item()


def deform(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images (B, 1, H, W) under random affine maps: the identity plus up to ±0.2 in each entry
    of the matrix (turn, stretch, slant), moved by up to a tenth of the half-width."""
    matrix = torch.rand(len(images), 2, 3, generator=generator) * 2 - 1
    matrix *= torch.tensor([0.2, 0.2, 0.1])
    matrix[:, :, :2] += torch.eye(2)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def noise(count: int, generator: torch.Generator) -> Tensor:
    """`count` images (B, 1, 28, 28) without a digit, 0 to 255: grains of 1, 2, 4 or 7 pixels,
    sparse or dense, between two grey levels, black and white among them."""
    sizes = [count // 4 + (k < count % 4) for k in range(4)]
    grains = [
        F.interpolate(torch.rand(size, 1, 28 // grain, 28 // grain, generator=generator), 28)
        for size, grain in zip(sizes, (1, 2, 4, 7), strict=True)
    ]
    low, high, density = torch.rand(3, count, 1, 1, 1, generator=generator)
    low, high = (level.mul(1.5).sub(0.25).clamp(0, 1) for level in (low, high))
    shades = torch.cat(grains).pow((4 * density - 2).exp())
    return 255 * torch.lerp(low, high, shades)


def _epoch(
    network: Classifier,
    data: Images,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    assert data.labels is not None
    generator = seeding.generator(SEED, "digits/epoch", epoch)
    equal = torch.full((NOISE, 10), 0.1)
    network.train()
    order = torch.randperm(len(data.images), generator=generator)
    for index in order[: len(order) // BATCH * BATCH].view(-1, BATCH):
        digits = deform(data.images[index].float(), generator)
        features, _ = network(torch.cat([digits, noise(NOISE, generator)]))
        logits = network.head(F.dropout(features.relu(), 0.3))
        loss = F.cross_entropy(logits[:BATCH], data.labels[index])
        loss = loss + 0.2 * F.cross_entropy(logits[BATCH:], equal)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def _with_norms(layers: nn.Sequential) -> nn.Sequential:
    normed: list[nn.Module] = []
    for layer in layers:
        normed.append(layer)
        if isinstance(layer, nn.Conv2d):
            normed.append(nn.BatchNorm2d(layer.out_channels))
    return nn.Sequential(*normed)


def _without_norms(layers: nn.Sequential) -> nn.Sequential:
    """Convolutions that do what the convolution and its batch norm did, and their ReLUs."""
    folded: list[nn.Module] = []
    for layer, after in zip(layers, [*layers[1:], nn.Identity()], strict=True):
        if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            folded.append(fuse_conv_bn_eval(layer, after))
        elif isinstance(layer, nn.ReLU):
            folded.append(layer)
    return nn.Sequential(*folded)


def _holdout() -> None:
    data = MNIST().load("train")
    assert data.labels is not None
    network = train(Images(data.images[:50_000], data.labels[:50_000]))
    held = Images(data.images[50_000:], data.labels[50_000:])
    with torch.inference_mode():
        doubt = network(noise(1000, seeding.generator(SEED, "digits/holdout")))[1].softmax(dim=1)
    print(f"hold-out accuracy {accuracy(network, held):.2%}")
    print(f"noise called a digit {(doubt.amax(dim=1) >= 0.9).double().mean():.1%}")


def _ship() -> None:
    network = train(MNIST().load("train"))
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
