"""About how long runs will take: from earlier runs of the recipe, else from its arithmetic."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from json import dumps, loads
from statistics import median
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.records import Group, Part, RunSpec

if TYPE_CHECKING:
    import torch

Rows = Sequence[Mapping[str, Any]]
"""Rows of `run.parquet`."""

_START = {"compiled": 15.0, "eager": 5.0, "textbook": 5.0}
"""Seconds until a worker has imported torch, read the data and compiled."""
_EFFICIENCY = {"compiled": 0.8, "eager": 0.5, "textbook": 0.4}
"""Of the rate of a large matrix product; small layers, optimisers and data take the rest."""
_FREE = ("seed", "group", "budget", "evaluation", "recipe_version")


def forecast(group: Group, earlier: Sequence[Rows], threads: int) -> float | None:
    """Seconds that a group will take, roughly; None on a GPU nothing has run on yet.

    `earlier` are rows of runs to learn from, the nearest first; without any, `threads` of this
    machine are tried out.
    """
    spec = group.specs[0]
    size = len(_part("datasets", spec.dataset).load("train").images)
    steps = spec.budget.generator_steps(spec.critic_steps, spec.batch_size, size)
    for rows in earlier:
        taken = _taken(spec, rows)
        if taken is not None:
            return taken * steps
    if spec.device != "cpu":
        return None
    rate = _rate(threads) * _EFFICIENCY[spec.engine]
    return _START[spec.engine] + _operations(spec) * steps * len(group.specs) / rate


def _taken(spec: RunSpec, rows: Rows) -> float | None:
    """Seconds a generator step of a group, all included, in earlier runs of the same recipe."""
    recipe = _recipe(loads(spec.to_json()))
    known = [
        run["wall_seconds"] / run["generator_steps"]
        for run in rows
        if run["status"] == "completed" and run["wall_seconds"] and run["generator_steps"]
        if run["group_size"] == len(spec.group)
        if _recipe(loads(run["spec"])) == recipe
    ]
    return median(known) if known else None


def _recipe(spec: dict[str, Any]) -> str:
    return dumps({k: v for k, v in spec.items() if k not in _FREE}, sort_keys=True)


def _operations(spec: RunSpec) -> float:
    """Floating-point operations of a generator iteration, by the usual rule of thumb.

    A backward pass costs twice its forward pass; each call of the critic beyond the two that every
    objective makes is taken for a gradient penalty, which is differentiated twice.
    """
    import torch

    network, objective = _part("networks", spec.network), _part("objectives", spec.objective)
    shape = _part("datasets", spec.dataset).shape
    with torch.no_grad(), torch.device("meta"):
        samples = torch.rand(spec.batch_size, *shape)
        latents = torch.randn(spec.batch_size, network.latent_dim)
        critic = _forward(network.critic(shape), samples)
        generator = _forward(network.generator(shape), latents)
    critic_step = generator + 6 * critic * (objective.critic_calls - 1)
    return float(spec.critic_steps * critic_step + 3 * generator + 2 * critic)


def _forward(module: torch.nn.Module, batch: torch.Tensor) -> float:
    """Operations of one pass, counted on tensors without data."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(batch)
    return float(counter.get_total_flops())


def _part(kind: str, part: Part) -> Any:
    return registry.load(kind, part["name"])(**{k: v for k, v in part.items() if k != "name"})


@cache
def _rate(threads: int) -> float:
    """Operations a second of a large matrix product on that many threads of this machine."""
    import torch

    before, size = torch.get_num_threads(), 768
    torch.set_num_threads(threads)
    try:
        square = torch.ones(size, size)
        seconds = min(_seconds(square) for _ in range(8))
    finally:
        torch.set_num_threads(before)
    return 2.0 * size**3 / seconds


def _seconds(square: torch.Tensor) -> float:
    start = time.perf_counter()
    square @ square
    return time.perf_counter() - start
