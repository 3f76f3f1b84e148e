"""The engine: K seeds trained as one stack, compiled or eager (the same code, not compiled)."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from bench.networks.base import Critic, to_range
from bench.training.base import Recipe
from bench.training.batches import CriticBatch, GeneratorBatch
from bench.training.steps import Losses, Pair, Parameters, store_gradients, update


class Stacked:
    """A group under training: stacked parameters, their optimisers, and the two steps on them.

    One compiled group at a time lives in a process: making another forgets the code of the first.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Tensor,
        *,
        compiled: bool,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """`images` are the training data, uint8 (N, *shape), on the device to train on."""
        self._recipe, self._images, self._dtype = recipe, images, dtype
        shape = tuple(images.shape[1:])
        generators = [recipe.generator(shape, seed) for seed in recipe.seeds]
        critics = [recipe.critic(shape, seed) for seed in recipe.seeds]
        self.generator_parameters = stack(generators, images.device, dtype)
        self.critic_parameters = stack(critics, images.device, dtype)
        for parameter in [*self.generator_parameters.values(), *self.critic_parameters.values()]:
            parameter.grad = torch.zeros_like(parameter)
        self._pair = Pair(generators[0].to("meta"), critics[0].to("meta"), recipe.objective)
        self.batches = recipe.batches(images, critics[0], dtype)
        on_cuda = images.device.type == "cuda"
        self._lr = torch.tensor(
            recipe.optimizer.lr,
            dtype=torch.float32 if on_cuda else torch.float64,
            device=images.device,
        )
        optimizer = recipe.optimizer.stacked
        self._generator_optimizer = optimizer(self.generator_parameters.values(), self._lr)
        self._critic_optimizer = optimizer(self.critic_parameters.values(), self._lr)
        self._critic: Callable[[CriticBatch], Losses] = self._critic_gradients
        self._generator: Callable[[GeneratorBatch], Losses] = self._generator_gradients
        self._traced = recipe.optimizer.traceable
        self._warm = False
        if compiled:
            torch.compiler.reset()  # forgets the engines before, which count against a limit
            compile_ = partial(torch.compile, fullgraph=True, dynamic=False)
            self._critic = compile_(self._critic_gradients)
            self._generator = compile_(self._generator_gradients)

    @torch.no_grad()
    def critic_step(self, batch: CriticBatch) -> Losses:
        """Update the critics once, the generators held; name → (K,)."""
        losses = self._critic(batch)
        if not self._traced:
            self._descend_critic()
        return losses

    @torch.no_grad()
    def generator_step(self, batch: GeneratorBatch) -> Losses:
        """Update the generators once, the critics held; name → (K,)."""
        losses = self._generator(batch)
        if not self._traced:
            self._descend_generator()
        return losses

    @torch.no_grad()
    def _critic_gradients(self, batch: CriticBatch) -> Losses:
        """The critics' gradients, and their update where the optimiser can be traced."""
        real = to_range(self._images[batch.indices], self._recipe.network.range, self._dtype)
        fake = self._pair.generate(self.generator_parameters, batch.latents)
        gradients, losses = self._pair.critic_gradients(
            self.critic_parameters, real, fake, batch.noise, batch.keep
        )
        store_gradients(self.critic_parameters, gradients)
        if self._traced:
            self._descend_critic()
        return losses

    @torch.no_grad()
    def _generator_gradients(self, batch: GeneratorBatch) -> Losses:
        """The generators' gradients, and their update where the optimiser can be traced."""
        gradients, losses = self._pair.generator_gradients(
            self.generator_parameters, self.critic_parameters, batch.latents, batch.keep
        )
        store_gradients(self.generator_parameters, gradients)
        if self._traced:
            self._descend_generator()
        return losses

    def _descend_critic(self) -> None:
        update(self._critic_optimizer)
        self._recipe.objective.constrain(self.critic_parameters.values())

    def _descend_generator(self) -> None:
        update(self._generator_optimizer)

    def warm_up(self) -> None:
        """Run both steps once, which compiles them, and put everything back as it was."""
        kept = [(tensor, tensor.clone()) for tensor in self._state()]
        self.critic_step(self.batches.critic(0, 0))
        self.generator_step(self.batches.generator(0))
        for tensor, before in kept:
            tensor.copy_(before)
        self._warm = True

    def advance(self, start: int, stop: int, steps: int) -> Losses:
        """Train generator iterations start … stop − 1 of `steps`; name → (K,), means over them."""
        # shapes and settings stay as they were when the steps were compiled: checking that anew at
        # every call took a fifteenth of a step
        with torch.compiler.set_stance(skip_guard_eval_unsafe=self._warm):
            return self._advance(start, stop, steps)

    def _advance(self, start: int, stop: int, steps: int) -> Losses:
        seen: dict[str, list[Tensor]] = defaultdict(list)
        for step in range(start, stop):
            self._lr.fill_(self._recipe.optimizer.lr * self._recipe.schedule.factor(step / steps))
            for repeat in range(self._recipe.critic_steps):
                _note(seen, self.critic_step(self.batches.critic(step, repeat)))
            _note(seen, self.generator_step(self.batches.generator(step)))
        return {name: torch.stack(values).mean(0) for name, values in seen.items()}

    def generator(self, member: int) -> nn.Module:
        """A copy of a member's generator, batch norm as in training."""
        return _member(self._pair.generator, self.generator_parameters, member)

    def critic(self, member: int) -> Critic:
        """A copy of a member's critic."""
        critic = _member(self._pair.critic, self.critic_parameters, member)
        assert isinstance(critic, Critic)
        return critic

    def _state(self) -> list[Tensor]:
        """Every tensor that a step changes."""
        optimizers = (self._generator_optimizer, self._critic_optimizer)
        return [
            *self.generator_parameters.values(),
            *self.critic_parameters.values(),
            *(
                value
                for optimizer in optimizers
                for state in optimizer.state.values()
                for value in state.values()
            ),
        ]


def stack(modules: Sequence[nn.Module], device: torch.device, dtype: torch.dtype) -> Parameters:
    """Name → (K, …): the parameters of K modules of one architecture."""
    return {
        name: torch.stack([module.get_parameter(name).detach() for module in modules]).to(
            device, dtype
        )
        for name, _ in modules[0].named_parameters()
    }


def _member(architecture: nn.Module, parameters: Parameters, member: int) -> nn.Module:
    module = copy.deepcopy(architecture)
    own = {name: nn.Parameter(value[member].clone()) for name, value in parameters.items()}
    module.load_state_dict(own, assign=True)
    return module


def _note(seen: dict[str, list[Tensor]], losses: Losses) -> None:
    for name, value in losses.items():
        seen[name].append(value)
