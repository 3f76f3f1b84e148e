"""What a step is fed: image indices, latents, what an objective or a critic asks for.

Latents and noise are drawn a block of generator iterations at a time, each block of each stream
from a generator of its own (`bench.seeding`), so any step's batch can be drawn again without the
ones before it.  Real batches walk through a fresh permutation of the data each epoch, the
remainder dropped: what a shuffling DataLoader with `drop_last` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from bench import seeding

BLOCK = 50
"""Generator iterations in a block; part of what determines a run."""


class CriticBatch(NamedTuple):
    """One critic step of K members: indices (K, B), latents (K, B, D), noise name → (K, B),
    masks (K, calls, B, *s) for each of the critic's mask shapes."""

    indices: Tensor
    latents: Tensor
    noise: dict[str, Tensor]
    keep: tuple[Tensor, ...]


class GeneratorBatch(NamedTuple):
    """One generator step: latents (K, B, D), masks (K, 1, B, *s)."""

    latents: Tensor
    keep: tuple[Tensor, ...]


@dataclass
class Batches:
    """The batches of a group, each a function of (seed, step) alone."""

    seeds: tuple[int, ...]
    size: int
    """Images in a batch."""
    dataset_size: int
    critic_steps: int
    latent_dim: int
    noise: tuple[str, ...]
    mask_shapes: tuple[tuple[int, ...], ...]
    keep_probability: float
    critic_calls: int
    device: torch.device
    dtype: torch.dtype
    _block: int = field(default=-1, init=False)
    _latents: Tensor = field(init=False)
    _noise: dict[str, Tensor] = field(init=False)
    _epoch: int = field(default=-1, init=False)
    _order: Tensor = field(init=False)

    def critic(self, step: int, repeat: int) -> CriticBatch:
        """The batch of critic step `repeat` of generator iteration `step`."""
        at = self._enter(step)
        count = step * self.critic_steps + repeat
        return CriticBatch(
            self._indices(count),
            self._latents[:, at, repeat],
            {name: values[:, at, repeat] for name, values in self._noise.items()},
            self._masks("critic", count, self.critic_calls),
        )

    def generator(self, step: int) -> GeneratorBatch:
        """The batch of the generator step that ends iteration `step`."""
        at = self._enter(step)
        return GeneratorBatch(self._latents[:, at, -1], self._masks("generator", step, 1))

    def _enter(self, step: int) -> int:
        """Draw the block that holds `step`, unless it is the one in hand; the place within it."""
        block, at = divmod(step, BLOCK)
        if block != self._block:
            rows = (BLOCK, self.critic_steps + 1, self.size, self.latent_dim)
            self._latents = torch.stack(
                [self._normal(seed, "latents", block, rows) for seed in self.seeds]
            )
            shape = (BLOCK, self.critic_steps, self.size)
            self._noise = {
                name: torch.stack(
                    [self._uniform(seed, f"noise/{name}", block, shape) for seed in self.seeds]
                )
                for name in self.noise
            }
            self._block = block
        return at

    def _indices(self, count: int) -> Tensor:
        """(K, B) indices of the critic's `count`-th real batch."""
        epoch, batch = divmod(count, self.dataset_size // self.size)
        if epoch != self._epoch:
            self._order = torch.stack(
                [
                    torch.randperm(
                        self.dataset_size,
                        generator=seeding.generator(seed, "epoch", epoch, self.device),
                        device=self.device,
                    )
                    for seed in self.seeds
                ]
            )
            self._epoch = epoch
        return self._order[:, batch * self.size : (batch + 1) * self.size]

    def _masks(self, stream: str, step: int, calls: int) -> tuple[Tensor, ...]:
        """Dropout masks; drawn step by step, since a block of them would not fit in memory."""
        return tuple(
            torch.stack(
                [
                    torch.empty(
                        (calls, self.size, *shape), dtype=torch.bool, device=self.device
                    ).bernoulli_(
                        self.keep_probability,
                        generator=seeding.generator(
                            seed, f"dropout/{stream}/{layer}", step, self.device
                        ),
                    )
                    for seed in self.seeds
                ]
            )
            for layer, shape in enumerate(self.mask_shapes)
        )

    def _normal(self, seed: int, stream: str, block: int, shape: tuple[int, ...]) -> Tensor:
        generator = seeding.generator(seed, stream, block, self.device)
        return torch.randn(shape, generator=generator, device=self.device).to(self.dtype)

    def _uniform(self, seed: int, stream: str, block: int, shape: tuple[int, ...]) -> Tensor:
        generator = seeding.generator(seed, stream, block, self.device)
        return torch.rand(shape, generator=generator, device=self.device).to(self.dtype)
