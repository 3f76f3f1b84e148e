"""What a step costs before anything is run, and what the device could do at best.

A step is counted over the very gradients that the stacked engine computes, on tensors without
data: no memory and next to no time, whatever the network.  The textbook loop's penalty does more
(products with zeros, see `bench.training.steps`), and is held against the same count.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from bench.networks.base import pack, packed
from bench.training.base import Recipe
from bench.training.precision import applied
from bench.training.steps import Pair


@dataclass(frozen=True)
class StepCost:
    """One generator iteration (its critic steps included) of one member, in fp32."""

    operations: float
    """Floating-point operations of matrix products and convolutions; a multiply-add is two."""
    bytes: float
    """What all its operations together write."""
    calls: float
    """How many operations it is made of."""
    updates: float
    """Parameters that optimisers change, each as often as it is changed."""
    held_bytes: float
    """The most that is alive at once: samples, activations and gradients, without parameters."""


def step_operations(recipe: Recipe, shape: tuple[int, ...]) -> float:
    """Floating-point operations of one generator iteration of one member, on data of `shape`."""
    return step_cost(recipe, shape).operations


def step_cost(recipe: Recipe, shape: tuple[int, ...]) -> StepCost:
    """What one generator iteration of one member costs, on data of `shape`."""
    with torch.device("meta"), torch.no_grad():
        generator, critic = recipe.network.generator(shape), recipe.architecture(shape)
        pair = Pair.of(recipe, generator, critic, None)
        own = {name: torch.empty(1, *p.shape) for name, p in generator.named_parameters()}
        judge = {name: torch.empty(1, *p.shape) for name, p in critic.named_parameters()}
        held = {name: torch.empty(1, *b.shape) for name, b in critic.named_buffers()}
        batch = 1, recipe.batch_size
        latents, real = torch.empty(*batch, recipe.network.latent_dim), torch.empty(*batch, *shape)
        packs, seen = (1, recipe.batch_size // recipe.packing), packed(shape, recipe.packing)
        noise = {name: torch.empty(packs) for name in recipe.objective.noise}
        noise |= {name: torch.empty(*packs, *seen) for name in recipe.objective.sample_noise}
        noise |= {name: torch.empty(1) for name in recipe.objective.state}

        def keep(calls: int) -> tuple[Tensor, ...]:
            """Masks for that many calls of the critic."""
            sizes = [(1, calls, packs[1], *mask) for mask in critic.mask_shapes]
            return tuple(torch.empty(size, dtype=torch.bool) for size in sizes)

        masks = keep(recipe.objective.critic_calls)
        with _Counter() as critic_step:
            fake = pair.generate(own, latents)
            pair.critic_gradients(judge, held, (real, fake), noise, masks)
        paired = (real,) if recipe.objective.paired else ()
        with _Counter() as generator_step:
            pair.generator_gradients(own, judge | held, latents, paired, keep(1 + len(paired)))
    often, critic_size, generator_size = recipe.critic_steps, _size(judge), _size(own)
    return StepCost(
        operations=often * critic_step.operations + generator_step.operations,
        bytes=often * critic_step.bytes + generator_step.bytes,
        calls=often * critic_step.calls + generator_step.calls,
        updates=often * critic_size + generator_size,
        held_bytes=max(critic_step.most, generator_step.most),
    )


def forward_operations(recipe: Recipe, shape: tuple[int, ...]) -> tuple[float, float]:
    """Operations to generate one sample, and to score one."""
    with torch.device("meta"), torch.no_grad():
        generator, critic = recipe.network.generator(shape), recipe.architecture(shape)
        latents = torch.empty(
            2 * recipe.packing, recipe.network.latent_dim
        )  # a batch norm wants more than one
        with _Counter() as generating:
            samples = generator(latents)
        with _Counter() as scoring:
            critic(pack(samples, recipe.packing))
    count = len(latents)
    return generating.operations / count, scoring.operations / count


def _size(parameters: dict[str, Tensor]) -> int:
    return sum(parameter.numel() for parameter in parameters.values())


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's own
    """Adds up the operations inside it, and what they write and hold.

    torch's own `FlopCounterMode` follows modules by hooks that a nested `torch.func.grad` cannot
    pass; its formulas are used here without them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's own
        self.operations = self.bytes = self.calls = self.most = 0.0
        self._held = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operation and count it."""
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.operations += formula(*args, **(kwargs or {}), out_val=out)
        self.calls += 1
        for storage in _storages(out) - _storages(args):
            self._hold(storage)
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        """A new piece of memory, until nothing refers to it."""
        size = float(storage.nbytes())
        self.bytes += size
        self._held += size
        self.most = max(self.most, self._held)
        weakref.finalize(storage, self._release, size).atexit = False

    def _release(self, size: float) -> None:
        self._held -= size


def _storages(tree: Any) -> set[torch.UntypedStorage]:
    """What the tensors in a tree lie in; a view lies in what it is a view of."""
    return {leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)}


def matmul_rate(device: str, precision: str, threads: int) -> float:
    """Operations a second of a large matrix product on that device, the best of several.

    `threads` are those of the CPU.  Under 0.1 s.
    """
    with _threads(threads), applied(precision, torch.device(device)):
        kind = torch.bfloat16 if precision == "bf16" else torch.float32
        size = 4096 if device.startswith("cuda") else 1024
        a, b = (torch.ones(size, size, device=device, dtype=kind) for _ in range(2))
        out = a @ b
        return max(2.0 * size**3 / _seconds(a, b, out) for _ in range(5))


def _seconds(a: Tensor, b: Tensor, out: Tensor) -> float:
    on_gpu = a.device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize(a.device)
    start = time.perf_counter()
    torch.mm(a, b, out=out)
    if on_gpu:
        torch.cuda.synchronize(a.device)
    return time.perf_counter() - start


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
