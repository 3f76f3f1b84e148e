"""A generator iteration as one CUDA graph: a single launch instead of some hundred."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_WARM = 3
"""Runs on a side stream before a capture, as torch's notes on CUDA graphs ask for."""


class Captured:
    """`iteration(*batches)` recorded once, and replayed on batches copied into its inputs.

    Its losses (name → (K,), one for each step) are added up on the device, inside the graph, and
    read when a block ends.
    """

    def __init__(self, iteration: Callable[..., dict[str, list[Tensor]]], *batches: Any) -> None:
        """Records on the current device, which must be that of the tensors; what the iteration
        changes in place is changed."""
        leaves = pytree.tree_leaves(batches)
        self._inputs = [tensor.clone(memory_format=torch.contiguous_format) for tensor in leaves]
        static = pytree.tree_unflatten(self._inputs, pytree.tree_structure(batches))
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call] # torch's
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM):
                losses = iteration(*static)
        torch.cuda.current_stream().wait_stream(stream)
        self._sums = {name: torch.zeros_like(values[0]) for name, values in losses.items()}
        self._steps = {name: len(values) for name, values in losses.items()}
        self._replays = 0
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            for name, values in iteration(*static).items():
                self._sums[name] += torch.stack(values).sum(0)

    def replay(self, *batches: Any) -> None:
        """Run the iteration on other batches of the same shapes."""
        torch._foreach_copy_(self._inputs, pytree.tree_leaves(batches))
        self._graph.replay()
        self._replays += 1

    def means(self) -> dict[str, Tensor]:
        """Name → (K,): means over all steps replayed since the last call."""
        means = {
            name: total / (self._replays * self._steps[name]) for name, total in self._sums.items()
        }
        torch._foreach_zero_(list(self._sums.values()))
        self._replays = 0
        return means
