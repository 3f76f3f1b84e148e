"""How much memory a group will need at its peak, before any of it is taken."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor

from bench.records import Group, RunSpec
from bench.training.arithmetic import step_cost
from bench.training.base import Recipe
from bench.training.batches import BLOCK

_PROCESS = {"compiled": 1.05e9, "eager": 0.95e9, "textbook": 0.95e9}
"""A process that has imported torch, read MNIST, judged, and compiled where it does."""
_CONTEXT = 0.6e9
"""A GPU's context, and the workspaces of its libraries."""
MEMORY_ERRORS = (MemoryError, RuntimeError)
"""What an allocation that fails raises; torch's CPU allocator has no kind of error of its own."""
_SAID = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether it is an allocation that failed."""
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or any(said in str(error) for said in _SAID)


def out_of_memory(error: Exception, group: Group) -> str | None:
    """What to say of a group whose memory ran out all the same; None for any other error."""
    if not is_out_of_memory(error):
        return None
    spec = group.specs[0]
    return (
        f"out of memory on {spec.device} with training.group = {len(group.specs)} and "
        f"training.batch_size = {spec.batch_size}; a smaller one of them, or of "
        "evaluation.samples, needs less"
    )


def group_bytes(
    spec: RunSpec, samples: int, held_out: int, shape: tuple[int, ...], banks: float = 0.0
) -> float:
    """Bytes that the group of a spec needs at its peak, roughly, on data of `shape`.

    `samples` and `held_out` are the bytes of the two splits, `banks` those of all features.  What
    grows with the group: weights and an optimiser's running values, both kept once more while the
    step is warmed up; what a step holds; the latents of a block.  Beside it stand the data and what
    is judged.
    """
    recipe, members = Recipe.of([spec]), len(spec.group)
    cost = step_cost(recipe, shape)
    own = _weights(recipe, shape)
    drawn = 4.0 * spec.batch_size * (spec.critic_steps + 1) * recipe.network.latent_dim * BLOCK
    batch = 4.0 * spec.batch_size * prod(shape)
    member = 2 * own + cost.held_bytes + 2 * drawn + 2 * batch
    judged = spec.evaluation.samples * (4.0 * recipe.network.latent_dim * members + prod(shape))
    base = _PROCESS[spec.engine] if spec.device == "cpu" else _CONTEXT
    return base + members * member + samples + held_out + judged + banks


def _weights(recipe: Recipe, shape: tuple[int, ...]) -> float:
    """Bytes of one member's parameters and of what its optimisers carry."""
    total = 0
    with torch.device("meta"):
        for module in (recipe.network.generator(shape), recipe.architecture(shape)):
            parameters = {name: value.detach() for name, value in module.named_parameters()}
            moments = recipe.optimizer.moments(parameters)
            total += _bytes(parameters) + sum(_bytes(part) for part in moments.values())
    return float(total)


def _bytes(tensors: dict[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())
