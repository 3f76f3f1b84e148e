"""What a tree offers to whoever times it: its training, opened from specs and advanced by steps.

This is all that the stopwatch of `bench.gate.harness` asks of the tree it is run in.  The stopwatch
is the driver's own on both sides of a check; this file is each side's own, so its form is a
promise, kept by `PROTOCOL`:

    1  open_subject(specs, device, cold=…) → advance(steps), compile_seconds, engine
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from bench.records import RunSpec
from bench.training.base import Engine, Recipe, resolve
from bench.training.engines import ready

PROTOCOL = 1
_STEPS = 1_000_000
"""Of the whole run, as a schedule sees it: more than a check trains."""


class OpenSubject:
    """A group under training, from its first step on."""

    def __init__(self, engine: Engine, used: str, seconds: float, notes: Sequence[str]) -> None:
        """`seconds` are those until it was ready."""
        self._engine, self._done = engine, 0
        self.engine = used
        """Which engine that is; `eager` where nothing can be compiled here."""
        self.compile_seconds = seconds
        """Until the first step could be taken, the step compiled and captured."""
        self.notes = tuple(notes)

    def advance(self, steps: int) -> None:
        """Train so many generator iterations further; a GPU may still be at them afterwards."""
        self._engine.advance(self._done, self._done + steps, _STEPS)
        self._done += steps


def open_subject(specs: Sequence[str], device: str, *, cold: bool) -> OpenSubject:
    """The group of these specs (JSON, as `RunSpec.to_json` writes it), ready for its first step.

    `cold`: compile from an empty cache.  Raises `UnknownName` for a part that this tree lacks.
    """
    members = [replace(RunSpec.from_json(spec), compile="always") for spec in specs]
    spec, notes = members[0], list[str]()
    torch.set_num_threads(spec.threads)
    torch.set_flush_denormal(True)  # as in a run
    recipe = Recipe.of(members)
    images = _images(members[0], device)
    with _empty_cache() if cold else nullcontext():
        began = time.perf_counter()
        engine, used = ready(spec, recipe, images, _STEPS, notes.append)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)
        seconds = time.perf_counter() - began
    return OpenSubject(engine, used, seconds, notes)


def _empty_cache() -> AbstractContextManager[None]:
    from torch._inductor.utils import fresh_cache  # a third of a worker's start, and rarely needed

    return fresh_cache()


_KEPT: dict[str, Tensor] = {}


def _images(spec: RunSpec, device: str) -> Tensor:
    """The training data, read once a process."""
    key = f"{sorted(spec.dataset.items())} {device}"
    if key not in _KEPT:
        dataset = resolve("datasets", spec.dataset)
        _KEPT[key] = dataset.load("train").samples.to(device)
    return _KEPT[key]
