"""The engine a run names, ready for its first step."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock

from torch import Tensor
from tqdm import tqdm

from bench.records import RunSpec
from bench.training.base import Engine, Recipe
from bench.training.memory import is_out_of_memory
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook

EARNED = 2_000
"""Critic and generator steps that earn a compilation back.

Compiling both steps took 4 to 8 s where nothing was cached, and saved 2.5 ms (GAN) to 4.3 ms
(WGAN-GP) a step of the tutorial MLP at batch 64 on one core with AVX-512.  The rule counts steps,
and not seconds, because which code runs decides the rounding: a result must not depend on how busy
the machine was.
"""


def ready(
    spec: RunSpec, recipe: Recipe, images: Tensor, steps: int, note: Callable[[str], None]
) -> tuple[Engine, str]:
    """The engine of a run of `steps` generator steps, and the name of what it is.

    `compiled` becomes `eager`, the same code not compiled, in a run too short to earn the
    compilation back and where this machine cannot compile (no C++ compiler, no Python headers);
    `note` is told in one line.
    """
    if spec.engine == "textbook":
        return Textbook(recipe, images, precision=spec.precision), spec.engine
    if spec.engine == "compiled" and _earned(spec, steps, note):
        # torch.fx has a bar under its tracing; the lock a bar makes is a semaphore of the system,
        # which a worker that is ended would leave behind, with a warning at the driver's end
        tqdm.set_lock(RLock())
        engine = Stacked(recipe, images, compiled=True, precision=spec.precision)
        try:
            engine.compile()
        except RuntimeError as error:  # inductor's are; a fault of the step itself comes again
            if is_out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            note(f"engine 'compiled' is not to be had here, 'eager' runs instead ({reason})")
            del engine  # its parameters, before there are others
        else:
            engine.warm_up()
            return engine, spec.engine
    engine = Stacked(recipe, images, compiled=False, precision=spec.precision)
    engine.warm_up()
    return engine, "eager"


def _earned(spec: RunSpec, steps: int, note: Callable[[str], None]) -> bool:
    count = spec.pace.before(steps) + steps
    if spec.compile == "always" or count >= EARNED:
        return True
    note(
        f"engine 'eager' runs instead of 'compiled': {count:,} steps do not earn the compilation "
        f'back ({EARNED:,} do; training.compile = "always" compiles all the same)'
    )
    return False
