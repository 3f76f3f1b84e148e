"""A critic that is trained while its generator stands still, by the engine's own critic step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import RLock

import torch
from torch import Tensor
from tqdm import tqdm

from bench import seeding
from bench.training.base import Recipe, settings
from bench.training.stacked import Stacked

EARNED = 1000
"""Critic steps that earn a compilation back: six stacked critics of 64-64 took about 9 ms a step,
and compiled 1.5 ms, on one core; compiling took 3 to 5 s."""


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
                made.critic_step(made.batches.critic(step, 0))
        done = stop
        yield stop


def normal(seed: int, stream: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Standard normal numbers of a stream of their own."""
    draw = seeding.generator(seed, stream, device=device)
    return torch.randn(shape, generator=draw, device=device)
