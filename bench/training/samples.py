"""What is looked at and kept of a trained pair: samples, a picture of them, and the weights."""

from __future__ import annotations

import io
import math

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from bench import seeding
from bench.networks.base import Span, to_uint8, with_population_statistics
from bench.records import RunSpec
from bench.training import scatter
from bench.training.base import Recipe

GRID = 64
"""Images of a sample grid, 8 × 8."""
_AT_ONCE = 500
"""Samples generated at once."""
POPULATION = 32
"""Batches of latents behind a batch norm's population statistics."""


def judged(generator: nn.Module, recipe: Recipe, seed: int) -> nn.Module:
    """The generator as it is judged and stored: batch norm on population statistics."""
    device = next(generator.parameters()).device
    draw = seeding.generator(seed, "population", device=device)
    shape = (recipe.batch_size, recipe.network.latent_dim)
    latents = (torch.randn(shape, generator=draw, device=device) for _ in range(POPULATION))
    return with_population_statistics(generator, latents)


def generate(generator: nn.Module, latents: Tensor, span: Span) -> Tensor:
    """uint8 images (N, *shape), or points (N, D), of latents (N, latent_dim), in small batches."""
    with torch.inference_mode():
        parts = [generator(part) for part in torch.split(latents, _AT_ONCE)]
        return torch.cat(parts if span is None else [to_uint8(part, span) for part in parts])


def latents(
    seed: int, samples: int, latent_dim: int, device: torch.device, *, points: bool
) -> Tensor:
    """Latents (N, latent_dim) of all evaluations of a run, by its seed: enough for `samples` and
    for a picture of points or images."""
    draw = seeding.generator(seed, "evaluation", device=device)
    shape = (max(samples, shown(points=points)), latent_dim)
    return torch.randn(shape, generator=draw, device=device)


def shown(*, points: bool) -> int:
    """How many samples a picture shows."""
    return scatter.POINTS if points else GRID


def picture(samples: Tensor, real: Tensor) -> bytes:
    """A PNG of the first samples: images as a grid, points beside real ones."""
    points = real.dtype != torch.uint8
    first = samples[: shown(points=points)]
    return scatter.draw(first, real) if points else grid(first)


def grid(images: Tensor) -> bytes:
    """uint8 images (N, C, H, W), N a square number, as one PNG."""
    from torchvision.utils import make_grid  # 160 MB that judging alone does not need

    tiled = make_grid(images, nrow=math.isqrt(len(images)), padding=1)
    picture = Image.fromarray(tiled.permute(1, 2, 0).cpu().numpy())
    if images.shape[1] == 1:
        picture = picture.convert("L")  # make_grid repeats a grey channel three times
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def weights(module: nn.Module, spec: RunSpec) -> bytes:
    """The module's state as safetensors, with the spec as metadata.

    One entry of metadata and no more: several are written in no fixed order.
    """
    state = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
    return safetensors.torch.save(state, {"spec": spec.to_json()})
