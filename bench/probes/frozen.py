"""A critic that is trained while its generator stands still, by the engine's own critic step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import RLock

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from tqdm import tqdm

from bench import seeding
from bench.training.base import Recipe, settings
from bench.training.batches import CriticBatch
from bench.training.stacked import Stacked

EARNED = 1000
"""Critic steps that earn a compilation back.  The probe `distances` (three objectives, 1,500 steps
of six stacked critics each) took 44 s of processor time eager, 30 s compiled, and 13 s where
inductor's cache held the code."""


def engine(recipe: Recipe, samples: Tensor, steps: int) -> Stacked:
    """The engine of a recipe on samples (N, *shape), compiled where `steps` critic steps earn it
    back and the machine can."""
    made = Stacked(recipe, samples, compiled=steps >= EARNED)
    if steps >= EARNED:
        tqdm.set_lock(RLock())  # see `engines.ready`
        try:
            made.compile()
        except RuntimeError:  # no compiler here: eager is the same code
            return Stacked(recipe, samples, compiled=False)
    return made


def strengthened(made: Stacked, recipe: Recipe, stops: Sequence[int]) -> Iterator[int]:
    """Train the critics to each number of steps, and answer with it, in order."""
    done = 0
    for stop in stops:
        with settings("fp32", recipe.seeds[0], done, made.batches.device):
            for step in range(done, stop):
                made.critic_step(_readable(made.batches.critic(step, 0)))
        done = stop
        yield stop


def _readable(batch: CriticBatch) -> CriticBatch:
    """What a compiled step can read: on a GPU contiguous copies, on which it was traced."""
    if batch.latents.device.type == "cpu":
        return batch
    copies: CriticBatch = pytree.tree_map(torch.Tensor.contiguous, batch)
    return copies


def normal(seed: int, stream: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Standard normal numbers of a stream of their own."""
    draw = seeding.generator(seed, stream, device=device)
    return torch.randn(shape, generator=draw, device=device)
