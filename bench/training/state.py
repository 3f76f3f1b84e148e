"""The state of a training as tensors with names like paths: `generator_optimizer/0/exp_avg`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

State = dict[str, Tensor]


def joined(parts: Mapping[str, Mapping[str, Tensor]]) -> State:
    """The tensors of named parts as one: `<part>/<name>`."""
    return {f"{part}/{name}": value for part, own in parts.items() for name, value in own.items()}


def part(state: Mapping[str, Tensor], name: str) -> State:
    """One part of what was joined."""
    head = f"{name}/"
    return {path.removeprefix(head): v for path, v in state.items() if path.startswith(head)}


def moments(optimizer: torch.optim.Optimizer) -> State:
    """`<parameter's number>/<name>` → an optimiser's running values; none before its first step."""
    states: dict[int, dict[str, Tensor | None]] = optimizer.state_dict()["state"]
    return {
        f"{number}/{name}": value
        for number, own in states.items()
        for name, value in own.items()
        if value is not None  # the buffer of SGD without momentum
    }


def restore_moments(optimizer: torch.optim.Optimizer, found: Mapping[str, Tensor]) -> None:
    """Give an optimiser, which may not have stepped yet, the running values of another."""
    states: dict[int, State] = defaultdict(dict)
    for path, value in found.items():
        number, name = path.split("/")
        states[int(number)][name] = value
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(states), "param_groups": settings})
