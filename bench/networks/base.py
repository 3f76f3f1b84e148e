"""What a network is: a pair of builders, and the range of the numbers it works in, if it has one.

A generator maps latents (B, latent_dim) to data (B, *shape); a critic maps data (B, *shape) to one
score a sample, (B,), a logit where the objective reads it as one.  A critic that drops units out
takes its masks as an argument (`keep`), so that they come from the run's own streams, are equal
in every engine, and stack over seeds; it lists their shapes in `mask_shapes`.  A layer that draws
for itself (`nn.Dropout`) works too, in groups of any size: it draws from a stream that the engine
keys for each block, so a run repeats, but engines and groups do not draw alike.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Le, MinLen
from torch import Tensor, nn

from bench import seeding
from bench.errors import DataError, RequestError

Count = Annotated[int, Gt(0), Le(65_536)]
Widths = Annotated[tuple[Count, ...], MinLen(1)]
Span = tuple[float, float] | None
Initialization = Callable[[nn.Module, torch.Generator], None]
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class Network(ABC):
    """A generator and critic pair, and its options."""

    latent_dim: Count = 100

    range: ClassVar[Span] = (-1.0, 1.0)
    """Where black and white lie in the numbers that generator and critic work in; None for a
    network of points, which are taken and made as they are."""

    @abstractmethod
    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps (B, latent_dim) to (B, *shape); raises `DataError` for a shape it cannot make."""

    @abstractmethod
    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps (B, *shape) to (B,)."""


class Critic(nn.Module):
    """A module from samples to scores that may take dropout masks."""

    mask_shapes: tuple[tuple[int, ...], ...] = ()
    """The shape of each mask for one sample; () for a critic without dropout."""
    keep_probability: float = 1.0

    def forward(self, x: Tensor, keep: Sequence[Tensor] = ()) -> Tensor:
        """Scores (B,) of x (B, *shape); `keep` holds a 0/1 mask (B, *s) for each mask shape,
        or nothing, which drops nothing (evaluation)."""
        raise NotImplementedError


def require_stackable(name: str, generator: nn.Module, critic: nn.Module) -> None:
    """Refuse, in one line, a pair that cannot be trained as parameters stacked over seeds.

    Raises `RequestError` for a critic that is no `Critic`, and for buffers (running statistics).
    """
    if not isinstance(critic, Critic):
        kind = type(critic).__name__
        raise RequestError(f"network {name}: its critic is a {kind}, expected a Critic")
    for role, module in (("generator", generator), ("critic", critic)):
        kept = [buffer for buffer, _ in module.named_buffers()]
        if kept:
            raise RequestError(
                f"network {name}: its {role} keeps the buffer {kept[0]!r}, expected parameters "
                "alone; batch norm needs track_running_stats=False"
            )


def build(make: Callable[[], nn.Module], init: Initialization, seed: int, stream: str) -> nn.Module:
    """A module whose initial weights depend on (seed, stream) alone.

    Layers draw their first weights from torch's global generator when they are constructed; it is
    set for that moment and put back, so that any third party's network initialises as it was
    written to.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeding.key(seed, f"{stream}/construct"))
        module = make()
    init(module, seeding.generator(seed, f"{stream}/init"))
    return module


def require_range(name: str, span: Span, shape: tuple[int, ...]) -> None:
    """Refuse, in one line, a network of images for points (D,), or the other way round.

    Raises `DataError`; `span` is the network's range, `shape` that of one sample of the data.
    """
    points = len(shape) == 1
    if points and span is not None:
        raise DataError(
            f"network {name}: makes images, every number from {span[0]:g} to {span[1]:g}, but the "
            f"data are points of shape {shape}; use network 'toy'"
        )
    if not points and span is None:
        raise DataError(
            f"network {name}: makes points, but the data are images of shape {shape}; use network "
            "'mlp'"
        )


def packed(shape: tuple[int, ...], packing: int) -> tuple[int, ...]:
    """The shape of what a critic sees at once: `packing` samples, one after the other along their
    channels or coordinates (Lin et al. 2018, PacGAN)."""
    return (packing * shape[0], *shape[1:])


def pack(samples: Tensor, packing: int) -> Tensor:
    """(B, *shape) → (B / packing, *packed shape), neighbours together."""
    shape = packed(tuple(samples.shape[1:]), packing)
    return samples if packing == 1 else samples.reshape(len(samples) // packing, *shape)


def to_range(samples: Tensor, span: Span, dtype: torch.dtype) -> Tensor:
    """uint8 0…255 scaled to a network's range; points, for a network without one, as they are."""
    if span is None:
        return samples.to(dtype)
    low, high = span
    return samples.to(dtype) * ((high - low) / 255.0) + low


def to_uint8(x: Tensor, span: tuple[float, float]) -> Tensor:
    """A network's range scaled to uint8 0…255, rounded to the nearest and clamped."""
    low, high = span
    return ((x - low) * (255.0 / (high - low))).round_().clamp_(0, 255).to(torch.uint8)


def with_population_statistics(generator: nn.Module, latents: Iterable[Tensor]) -> nn.Module:
    """A copy for evaluation, whose batch norms use the mean statistics of many latent batches.

    In training batch norm sees the batch; an image that is judged must not depend on the images
    generated beside it ("precise batch norm": Wu & Johnson 2021, section 3).
    """
    judged = copy.deepcopy(generator)
    norms = [module for module in judged.modules() if isinstance(module, NORMS)]
    for norm in norms:
        _track(norm)
    if norms:
        judged.eval()  # nothing is dropped
        for norm in norms:
            norm.train()
        with torch.no_grad():
            for batch in latents:
                judged(batch)
    return judged.eval()


def _track(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Turn running statistics on; momentum None makes them the plain mean over batches."""
    like = norm.weight
    norm.track_running_stats = True
    norm.momentum = None
    norm.register_buffer("running_mean", torch.zeros_like(like, requires_grad=False))
    norm.register_buffer("running_var", torch.ones_like(like, requires_grad=False))
    norm.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))
    norm.to(like.device)
