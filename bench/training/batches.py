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
from bench.records import Pace

BLOCK = 50
"""Generator iterations in a block; part of what determines a run."""


class CriticBatch(NamedTuple):
    """One critic step of K members: indices (K, B), latents (K, B, D), noise name → (K, P) or
    (K, P, *packed shape), masks (K, calls, P, *s) for each of the critic's mask shapes.

    P are the packs that the critic judges: as many as samples, unless these are packed.
    """

    indices: Tensor
    latents: Tensor
    noise: dict[str, Tensor]
    keep: tuple[Tensor, ...]


class GeneratorBatch(NamedTuple):
    """One generator step: latents (K, B, D), masks (K, calls, P, *s), and for a paired objective
    the indices (K, B) of real samples."""

    latents: Tensor
    keep: tuple[Tensor, ...]
    indices: tuple[Tensor, ...] = ()


@dataclass
class Batches:
    """The batches of a group, each a function of (seed, step) alone."""

    seeds: tuple[int, ...]
    size: int
    """Images in a batch."""
    dataset_size: int
    pace: Pace
    latent_dim: int
    noise: tuple[str, ...]
    sample_noise: tuple[str, ...]
    paired: bool
    packing: int
    packed_shape: tuple[int, ...]
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
    _boosted: int = field(default=-1, init=False)
    _more: tuple[Tensor, dict[str, Tensor]] = field(init=False)

    @property
    def packs(self) -> int:
        """What the critic judges in a batch."""
        return self.size // self.packing

    def critic(self, step: int, repeat: int) -> CriticBatch:
        """The batch of critic step `repeat` of generator iteration `step`."""
        count = self.pace.before(step) + repeat
        latents, noise = self._drawn(step, repeat)
        return CriticBatch(
            self._indices(count // self.pace.repeats),
            latents,
            noise | self._noise_of_samples(count),
            self._masks("critic", count, self.critic_calls),
        )

    def _drawn(self, step: int, repeat: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Latents and noise of a critic step; those beyond the usual number of them are drawn for
        this generator step alone."""
        usual = self.pace.critic_steps
        if repeat < usual:
            at = self._enter(step)
            noise = {name: values[:, at, repeat] for name, values in self._noise.items()}
            return self._latents[:, at, repeat], noise
        if step != self._boosted:
            rows = (self.pace.at(step) - usual,)
            self._more = (
                self._latent_rows("latents/boost", step, rows),
                self._noise_rows("/boost", step, rows),
            )
            self._boosted = step
        latents, noise = self._more
        place = repeat - usual
        return latents[:, place], {name: values[:, place] for name, values in noise.items()}

    def generator(self, step: int) -> GeneratorBatch:
        """The batch of the generator step that ends iteration `step`."""
        at = self._enter(step)
        indices = (self._paired(step),) if self.paired else ()
        masks = self._masks("generator", step, 1 + self.paired)
        return GeneratorBatch(self._latents[:, at, -1], masks, indices)

    def _enter(self, step: int) -> int:
        """Draw the block that holds `step`, unless it is the one in hand; the place within it."""
        block, at = divmod(step, BLOCK)
        if block != self._block:
            steps = self.pace.critic_steps
            self._latents = self._latent_rows("latents", block, (BLOCK, steps + 1))
            self._noise = self._noise_rows("", block, (BLOCK, steps))
            self._block = block
        return at

    def _latent_rows(self, stream: str, block: int, rows: tuple[int, ...]) -> Tensor:
        """(K, *rows, B, D)."""
        wide = (*rows, self.size, self.latent_dim)
        return torch.stack([self._normal(seed, stream, block, wide) for seed in self.seeds])

    def _noise_rows(self, end: str, block: int, rows: tuple[int, ...]) -> dict[str, Tensor]:
        """Name → (K, *rows, P)."""
        wide = (*rows, self.packs)
        return {
            name: torch.stack(
                [self._uniform(seed, f"noise/{name}{end}", block, wide) for seed in self.seeds]
            )
            for name in self.noise
        }

    def _noise_of_samples(self, count: int) -> dict[str, Tensor]:
        """Name → (K, P, *packed shape), drawn step by step: a block of it would not fit."""
        shape = (self.packs, *self.packed_shape)
        return {
            name: torch.stack(
                [self._uniform(seed, f"noise/{name}", count, shape) for seed in self.seeds]
            )
            for name in self.sample_noise
        }

    def _paired(self, step: int) -> Tensor:
        """(K, B) indices of real samples beside those of a generator step, drawn with replacement:
        they are no part of an epoch."""
        return torch.stack(
            [
                torch.randint(
                    self.dataset_size,
                    (self.size,),
                    generator=seeding.generator(seed, "paired", step, self.device),
                    device=self.device,
                )
                for seed in self.seeds
            ]
        )

    def _indices(self, count: int) -> Tensor:
        """(K, B) indices of the `count`-th real batch."""
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
                        (calls, self.packs, *shape), dtype=torch.bool, device=self.device
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
