"""How a classifier is trained whose features judge generators: of any labelled images, in minutes.

The settings, the epochs among them, were fixed on a hold-out of MNIST's training split; a test
split is for the accuracy that is written down, and nothing is chosen by it.

A tenth of what the network sees is noise, for which it learns to give every class the same
probability ("outlier exposure": Hendrycks, Mazeika & Dietterich 2019).  Without it, digits alone
taught a network that called every image of uniform noise an 8 with more than 0.9 confidence.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench import seeding
from bench.datasets.base import Images
from bench.extractors.classifier import Classifier

SEED = 0
EPOCHS = 20
BATCH = 250
STEPS = 20
"""An epoch has about so many at least: small sets get small batches."""
NOISE = 28
"""Images of noise beside `BATCH` others."""
PEAK_RATE = 4e-3

OnEpoch = Callable[[int, int], None]
"""Called after each epoch with how many are done, and of how many."""


def train(
    name: str,
    data: Images,
    *,
    epochs: int = EPOCHS,
    seed: int = SEED,
    on_epoch: OnEpoch = lambda done, epochs: None,
) -> Classifier:
    """The classifier after `epochs` passes over the data, batch norm folded into its weights.

    Its random numbers come from streams of the seed that begin with `name`.
    """
    assert data.labels is not None
    channels, height, width = data.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeding.key(seed, f"{name}/construct"))
        network = Classifier((channels, height, width), int(data.labels.max()) + 1)
        network.convolutions = _with_norms(network.convolutions)
        batch = _batch(len(data.images))
        steps = epochs * (len(data.images) // batch)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
        for epoch in range(epochs):
            draws = seeding.generator(seed, f"{name}/epoch", epoch)
            _epoch(network, data, batch, draws, optimizer, schedule)
            on_epoch(epoch + 1, epochs)
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
    """Images (B, C, H, W) under random affine maps: the identity plus up to ±0.2 in each entry
    of the matrix (turn, stretch, slant), moved by up to a tenth of the half-width."""
    matrix = torch.rand(len(images), 2, 3, generator=generator) * 2 - 1
    matrix *= torch.tensor([0.2, 0.2, 0.1])
    matrix[:, :, :2] += torch.eye(2)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def noise(count: int, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """`count` images (B, *shape) of nothing, 0 to 255: grains of 1, 2, 4 or 7 pixels, sparse or
    dense, between two levels of each channel, black and white among them."""
    channels, height, width = shape
    sizes = [count // 4 + (k < count % 4) for k in range(4)]
    grains = [
        F.interpolate(
            torch.rand(size, channels, height // grain, width // grain, generator=generator),
            (height, width),
        )
        for size, grain in zip(sizes, (1, 2, 4, 7), strict=True)
    ]
    low, high, density = torch.rand(3, count, channels, 1, 1, generator=generator)
    low, high = (level.mul(1.5).sub(0.25).clamp(0, 1) for level in (low, high))
    shades = torch.cat(grains).pow((4 * density - 2).exp())
    return 255 * torch.lerp(low, high, shades)


def _batch(images: int) -> int:
    """How many images a step takes."""
    return min(images, BATCH, max(32, images // STEPS))


def _epoch(  # noqa: PLR0913, PLR0917 - what one epoch works on
    network: Classifier,
    data: Images,
    batch: int,
    draws: torch.Generator,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    assert data.labels is not None
    strange = -(-batch * NOISE // BATCH)
    equal = torch.full((strange, network.classes), 1 / network.classes)
    network.train()
    order = torch.randperm(len(data.images), generator=draws)
    for index in order[: len(order) // batch * batch].view(-1, batch):
        real = deform(data.images[index].float(), draws)
        features, _ = network(torch.cat([real, noise(strange, network.shape, draws)]))
        logits = network.head(F.dropout(features.relu(), 0.3))
        loss = F.cross_entropy(logits[:batch], data.labels[index])
        loss = loss + 0.2 * F.cross_entropy(logits[batch:], equal)
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
