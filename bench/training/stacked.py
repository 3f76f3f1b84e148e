"""The engine: K seeds trained as one stack, compiled or eager (the same code, not compiled)."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from bench.networks.base import Critic, to_range
from bench.networks.spectral import renewed
from bench.optimizers import Moments, Parameters
from bench.training.base import Recipe, settings
from bench.training.batches import CriticBatch, GeneratorBatch
from bench.training.compiling import compiled as compile_step
from bench.training.graphs import Captured
from bench.training.precision import compute_dtype
from bench.training.state import State, joined
from bench.training.steps import Losses, Pair


class Side(NamedTuple):
    """One of the two networks: its parameters, and what its optimiser carries."""

    parameters: Parameters
    moments: Moments


class Standing(NamedTuple):
    """Every tensor that outlives a step."""

    images: Tensor
    generator: Side
    critic: Side
    buffers: Parameters
    """What the critics hold beside their parameters, name → (K, …)."""
    objective: dict[str, Tensor]
    """The objective's own numbers, name → (K,)."""
    lr: Tensor


class Stacked:
    """A group under training: stacked parameters, their optimisers, and the two steps on them."""

    def __init__(
        self,
        recipe: Recipe,
        images: Tensor,
        *,
        compiled: bool,
        precision: str = "fp32",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`images` are the training data, (N, *shape), on the device to train on; `dtype` is that
        of parameters and losses.  Nothing is compiled before `compile` or `warm_up`."""
        self._recipe, self._dtype = recipe, dtype
        self._precision, self._to_compile = precision, compiled
        self._device, shape = images.device, tuple(images.shape[1:])
        generators = [recipe.generator(shape, seed) for seed in recipe.seeds]
        critics = [recipe.critic(shape, seed) for seed in recipe.seeds]
        self.batches = recipe.batches(images, critics[0], dtype)
        self._standing = self._first(images, generators, critics)
        self._architectures = generators[0].to("meta"), critics[0].to("meta")
        self._pair = Pair.of(recipe, *self._architectures, compute_dtype(precision))
        self._compiled_critic: Callable[[CriticBatch], tuple[Losses, Parameters]] | None = None
        self._compiled_generator: Callable[[GeneratorBatch], tuple[Losses, Parameters]] | None
        self._compiled_generator = None
        self._captured: Captured | None = None

    def _first(
        self, images: Tensor, generators: Sequence[nn.Module], critics: Sequence[nn.Module]
    ) -> Standing:
        recipe, dtype, device = self._recipe, self._dtype, self._device
        generator, critic = (stack(modules, device, dtype) for modules in (generators, critics))
        objective = {
            name: torch.full((len(recipe.seeds),), value, dtype=dtype, device=device)
            for name, value in recipe.objective.state.items()
        }
        # a GPU has no fast double; on a CPU the rate is what the schedule says to the last digit
        exact = torch.float64 if device.type == "cpu" else torch.float32
        return Standing(
            images,
            Side(generator, recipe.optimizer.moments(generator)),
            Side(critic, recipe.optimizer.moments(critic)),
            stack_buffers(critics, device, dtype),
            objective,
            torch.tensor(recipe.optimizer.lr, dtype=exact, device=device),
        )

    @property
    def generator_parameters(self) -> Parameters:
        """Name → (K, …), the tensors that training changes."""
        return self._standing.generator.parameters

    @property
    def critic_parameters(self) -> Parameters:
        """Name → (K, …), the tensors that training changes."""
        return self._standing.critic.parameters

    @torch.no_grad()
    def critic_step(self, batch: CriticBatch) -> Losses:
        """Update the critics once, the generators held; name → (K,)."""
        if self._compiled_critic is None:
            losses, gradients = self._critic_pass(self._standing, batch)
        else:
            losses, gradients = self._compiled_critic(batch)
        if gradients:
            self._descend_critic(self._standing, gradients)
        return losses

    @torch.no_grad()
    def generator_step(self, batch: GeneratorBatch) -> Losses:
        """Update the generators once, the critics held; name → (K,)."""
        if self._compiled_generator is None:
            losses, gradients = self._generator_pass(self._standing, batch)
        else:
            losses, gradients = self._compiled_generator(batch)
        if gradients:
            self._descend_generator(self._standing, gradients)
        return losses

    def _critic_pass(self, standing: Standing, batch: CriticBatch) -> tuple[Losses, Parameters]:
        """The critics' losses; with them their gradients, unless the update is traced too."""
        fake = self._pair.generate(standing.generator.parameters, batch.latents)
        gradients, losses, state = self._pair.critic_gradients(
            standing.critic.parameters,
            standing.buffers,
            (self._real(standing, batch.indices), fake),
            batch.noise | standing.objective,
            batch.keep,
        )
        for name, value in state.items():
            standing.objective[name].copy_(value)
        if not self._recipe.optimizer.traceable:
            return losses, gradients
        self._descend_critic(standing, gradients)
        return losses, {}

    def _generator_pass(
        self, standing: Standing, batch: GeneratorBatch
    ) -> tuple[Losses, Parameters]:
        """The generators' losses; with them their gradients, unless the update is traced too."""
        gradients, losses = self._pair.generator_gradients(
            standing.generator.parameters,
            standing.critic.parameters | standing.buffers,
            batch.latents,
            tuple(self._real(standing, indices) for indices in batch.indices),
            batch.keep,
        )
        if not self._recipe.optimizer.traceable:
            return losses, gradients
        self._descend_generator(standing, gradients)
        return losses, {}

    def _real(self, standing: Standing, indices: Tensor) -> Tensor:
        """Real samples (K, B, *shape) in the networks' range, of indices (K, B)."""
        return to_range(standing.images[indices], self._recipe.network.range, self._dtype)

    def _descend_critic(self, standing: Standing, gradients: Parameters) -> None:
        parameters, moments = standing.critic
        self._recipe.optimizer.update(parameters, gradients, moments, standing.lr)
        self._recipe.objective.constrain(parameters.values())
        for name, value in renewed(parameters, standing.buffers).items():
            standing.buffers[name].copy_(value)

    def _descend_generator(self, standing: Standing, gradients: Parameters) -> None:
        parameters, moments = standing.generator
        self._recipe.optimizer.update(parameters, gradients, moments, standing.lr)

    def compile(self) -> None:
        """Compile both steps; raises `RuntimeError` where this machine cannot."""
        batches = self._batches(0)
        if self._device.type == "cuda":  # what a graph reads are contiguous copies
            batches = pytree.tree_map(torch.Tensor.contiguous, batches)
        critic, generator = batches
        with self._settings(0):
            self._compiled_critic = compile_step(self._critic_pass, self._standing, critic[0])
            self._compiled_generator = compile_step(self._generator_pass, self._standing, generator)

    def warm_up(self) -> None:
        """Do what the first step would do beside training (compile, capture); change no number."""
        if self._to_compile and self._compiled_critic is None:
            self.compile()
        before = {name: value.clone() for name, value in self.state().items()}
        with self._settings(0):
            if self._device.type == "cuda" and self._recipe.boost is None:
                self._captured = Captured(self._iteration, *self._batches(0))
            else:
                self._iteration(*self._batches(0))
        self.restore(before, 0)

    def advance(self, start: int, stop: int, steps: int) -> Losses:
        """Train generator iterations start … stop − 1 of `steps`; name → (K,), means over them."""
        seen: dict[str, list[Tensor]] = defaultdict(list)
        with self._settings(start):
            for step in range(start, stop):
                self._schedule(step / steps)
                if self._captured is not None:
                    self._captured.replay(*self._batches(step))
                    continue
                for name, values in self._iteration(*self._batches(step)).items():
                    seen[name] += values
        if self._captured is not None:
            return self._captured.means()
        return {name: torch.stack(values).mean(0) for name, values in seen.items()}

    def _batches(self, step: int) -> tuple[list[CriticBatch], GeneratorBatch]:
        repeats = range(self._recipe.pace.at(step))
        return [self.batches.critic(step, i) for i in repeats], self.batches.generator(step)

    def _iteration(
        self, critic: Sequence[CriticBatch], generator: GeneratorBatch
    ) -> dict[str, list[Tensor]]:
        """A generator iteration: every step's losses, name → (K,) each."""
        seen: dict[str, list[Tensor]] = defaultdict(list)
        steps = [*(self.critic_step(batch) for batch in critic), self.generator_step(generator)]
        for losses in steps:
            for name, value in losses.items():
                seen[name].append(value)
        return seen

    def _schedule(self, done: float) -> None:
        self._standing.lr.fill_(self._recipe.optimizer.lr * self._recipe.schedule.factor(done))

    def _settings(self, step: int) -> AbstractContextManager[None]:
        return settings(self._precision, self._recipe.seeds[0], step, self._device)

    def generator(self, member: int) -> nn.Module:
        """A copy of a member's generator, batch norm as in training."""
        return _member(self._architectures[0], self.generator_parameters, member)

    def critic(self, member: int) -> Critic:
        """A copy of a member's critic."""
        critic = _member(
            self._architectures[1], self.critic_parameters, member, self._standing.buffers
        )
        assert isinstance(critic, Critic)
        return critic

    def state(self) -> State:
        """Every tensor that a step changes, by name; the tensors themselves, not copies."""
        generator, critic = self._standing.generator, self._standing.critic
        parts = {"generator": generator.parameters, "critic": critic.parameters}
        parts |= {f"generator_{name}": own for name, own in generator.moments.items()}
        parts |= {f"critic_{name}": own for name, own in critic.moments.items()}
        held = {"objective": self._standing.objective, "critic_buffers": self._standing.buffers}
        return joined({**parts, **held})

    @torch.no_grad()
    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from a `state()`; the batches of any step follow from the step alone."""
        for name, value in self.state().items():
            value.copy_(state[name])


def stack(modules: Sequence[nn.Module], device: torch.device, dtype: torch.dtype) -> Parameters:
    """Name → (K, …): the parameters of K modules of one architecture."""
    return {
        name: torch.stack([module.get_parameter(name).detach() for module in modules]).to(
            device, dtype
        )
        for name, _ in modules[0].named_parameters()
    }


def stack_buffers(
    modules: Sequence[nn.Module], device: torch.device, dtype: torch.dtype
) -> Parameters:
    """Name → (K, …): what K modules of one architecture hold beside their parameters."""
    return {
        name: torch.stack([module.get_buffer(name) for module in modules]).to(device, dtype)
        for name, _ in modules[0].named_buffers()
    }


def _member(
    architecture: nn.Module, parameters: Parameters, member: int, buffers: Parameters | None = None
) -> nn.Module:
    module = copy.deepcopy(architecture)
    own = {name: nn.Parameter(value[member].clone()) for name, value in parameters.items()}
    held = {name: value[member].clone() for name, value in (buffers or {}).items()}
    module.load_state_dict({**own, **held}, assign=True)
    return module
