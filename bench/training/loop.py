"""The loop: a run as a sequence of timed blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from bench.training.base import Engine
from bench.training.batches import BLOCK
from bench.training.clock import Stopwatch
from bench.turnstile import Turnstile

SOLO_BLOCKS = 3
"""Blocks after the first that are trained with nothing beside them, where a cost is asked."""


@dataclass(frozen=True)
class Block:
    """Generator iterations start … stop − 1, done."""

    index: int
    start: int
    stop: int
    phase: Literal["warmup", "train", "solo"]
    seconds: float
    means: dict[str, list[float]]
    """Name → one mean a member, over the block's steps."""


def train(  # noqa: PLR0913 - each is a number of the run's own
    engine: Engine,
    device: torch.device,
    *,
    steps: int,
    every: int,
    solo: bool,
    turnstile: Turnstile,
    done: int = 0,
) -> Iterator[Block]:
    """Train `steps` generator iterations; a block ends wherever an evaluation is due.

    Of these, `done` are done already, up to the end of some block.  The consumer works off the
    clock: only what happens inside a block is timed, and the device is synchronised once a block.
    """
    for index, (start, stop) in enumerate(blocks(steps, every)):
        if start < done:
            continue
        phase = _phase(index, solo=solo, only=stop == steps)
        with turnstile.alone() if phase == "solo" else turnstile.together():
            watch = Stopwatch(device)
            means = engine.advance(start, stop, steps)
            seconds = watch.seconds()
        lists = {name: value.tolist() for name, value in means.items()}
        yield Block(index, start, stop, phase, seconds, lists)


def blocks(steps: int, every: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each block: ends at multiples of `BLOCK` and of `every`, and at `steps`."""
    start = 0
    while start < steps:
        stop = min(start - start % BLOCK + BLOCK, start - start % every + every, steps)
        yield start, stop
        start = stop


def _phase(index: int, *, solo: bool, only: bool) -> Literal["warmup", "train", "solo"]:
    """The first block warms the caches up, unless it is all there is."""
    if index == 0 and not only:
        return "warmup"
    return "solo" if solo and index <= SOLO_BLOCKS else "train"
