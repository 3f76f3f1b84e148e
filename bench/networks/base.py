"""What a network is: a pair of builders, and the range of the numbers it works in.

A generator maps latents (B, latent_dim) to data (B, *shape); a critic maps data (B, *shape) to one
score a sample, (B,), a logit where the objective reads it as one.  A critic that drops units out
takes its masks as an argument (`keep`), so that they come from the run's own streams, are equal
in every engine, and stack over seeds; it lists their shapes in `mask_shapes`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn

from bench import seeding
from bench.errors import RequestError

Count = Annotated[int, Gt(0), Le(65_536)]
Initialization = Callable[[nn.Module, torch.Generator], None]
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True)
class Network(ABC):
    """A generator and critic pair, and its options."""

    latent_dim: Count = 100

    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    """Where black and white lie in the numbers that generator and critic work in."""

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

    Raises `RequestError` for a critic that is no `Critic`, for buffers (running statistics), and
    for layers that draw random numbers of their own.
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
        if any(isinstance(part, _DROPOUTS) for part in module.modules()):
            raise RequestError(
                f"network {name}: its {role} has a dropout layer, expected none; take the masks "
                "as an input, as bench.networks.base.Critic says"
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


def to_range(images: Tensor, span: tuple[float, float], dtype: torch.dtype) -> Tensor:
    """uint8 0…255 scaled to a network's range."""
    low, high = span
    return images.to(dtype) * ((high - low) / 255.0) + low


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
    norms = [module for module in judged.modules() if isinstance(module, _NORMS)]
    for norm in norms:
        _track(norm)
    if norms:
        judged.train()
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
