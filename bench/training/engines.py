"""The engine a run names, ready for its first step."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from tqdm import tqdm

from bench.training.base import Engine, Recipe
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook


def ready(
    name: str, recipe: Recipe, images: Tensor, note: Callable[[str], None]
) -> tuple[Engine, str]:
    """The engine, compiled where it is to be, and the name of what it is.

    `compiled` becomes `eager` where this machine cannot compile (no C++ compiler, no Python
    headers): the same code, slower; `note` is told in one line.
    """
    if name == "textbook":
        return Textbook(recipe, images), name
    if name == "compiled":
        # torch.fx has a bar under its tracing; the lock a bar makes is a semaphore of the system,
        # which a worker that is ended would leave behind, with a warning at the driver's end
        tqdm.set_lock(RLock())
        try:
            engine = Stacked(recipe, images, compiled=True)
            engine.warm_up()
        except TorchDynamoException as error:
            torch.compiler.reset()
            reason = str(error).strip().splitlines()[0]
            note(f"engine 'compiled' is not to be had here, 'eager' runs instead ({reason})")
        else:
            return engine, name
    return Stacked(recipe, images, compiled=False), "eager"
