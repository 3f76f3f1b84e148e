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
from bench.training.base import Recipe

GRID = 64
"""Images of a sample grid, 8 × 8."""
POINTS = 2_000
"""Generated points of a scatter plot, and as many real ones."""
_AT_ONCE = 500
"""Samples generated at once."""
_SIDE = 400
"""Pixels of a scatter plot, either way."""
_ROOM = 1.25
"""Its frame, over the larger extent of the real points."""
_REAL, _GENERATED = ("#9ca1a9", 16), ("#2f7fd1", 5)
"""Colour and size of a point, in square points of 1/72 inch; the real ones show as a halo."""
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
    return POINTS if points else GRID


def picture(samples: Tensor, real: Tensor) -> bytes:
    """A PNG of the first samples: images as a grid, points over real ones."""
    points = real.dtype != torch.uint8
    first = samples[: shown(points=points)]
    return scatter(first, real) if points else grid(first)


def grid(images: Tensor) -> bytes:
    """uint8 images (N, C, H, W), N a square number, as one PNG."""
    from torchvision.utils import make_grid  # 160 MB that judging alone does not need

    tiled = make_grid(images, nrow=math.isqrt(len(images)), padding=1)
    picture = Image.fromarray(tiled.permute(1, 2, 0).cpu().numpy())
    if images.shape[1] == 1:
        picture = picture.convert("L")  # make_grid repeats a grey channel three times
    return _png(picture)


def scatter(points: Tensor, real: Tensor) -> bytes:
    """Points (N, D) over real ones as one PNG, in their first two dimensions.

    The frame follows from the real points alone; a point outside of it is drawn on its edge.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    low, high = _frame(_plane(real))
    canvas = FigureCanvasAgg(Figure(figsize=(4, 4), dpi=_SIDE / 4, facecolor="white"))
    axes = canvas.figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for (color, size), given in ((_REAL, real[:POINTS]), (_GENERATED, points)):
        x, y = _plane(given).clamp(low, high).T.numpy()
        axes.scatter(x, y, s=size, c=color, marker="o", linewidths=0, alpha=0.6)
    axes.set(xlim=(low[0].item(), high[0].item()), ylim=(low[1].item(), high[1].item()))
    canvas.draw()  # type: ignore[no-untyped-call] # matplotlib's
    drawn = bytes(canvas.buffer_rgba())  # type: ignore[no-untyped-call] # likewise
    pixels = Image.frombytes("RGBA", (_SIDE, _SIDE), drawn)
    return _png(pixels.convert("RGB").quantize(16))


def _plane(points: Tensor) -> Tensor:
    """(N, D) → (N, 2): the first two coordinates; the only one of a line, twice."""
    return points.cpu().float()[:, [0, min(1, points.shape[1] - 1)]]


def _frame(real: Tensor) -> tuple[Tensor, Tensor]:
    """Two opposite corners of a square around the real points, with room about them."""
    low, high = real.amin(0), real.amax(0)
    half = _ROOM * (high - low).max() / 2
    return (low + high) / 2 - half, (low + high) / 2 + half


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def weights(module: nn.Module, spec: RunSpec) -> bytes:
    """The module's state as safetensors, with the spec as metadata.

    One entry of metadata and no more: several are written in no fixed order.
    """
    state = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
    return safetensors.torch.save(state, {"spec": spec.to_json()})
