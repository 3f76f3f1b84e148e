"""One critic step and one generator step, as pure functions of stacked parameters and a batch.

Everything carries a leading axis of K seeds: parameters are dictionaries of (K, …) tensors, latents
(K, B, latent_dim), images (K, B, *shape).  `torch.func` differentiates one seed's loss and `vmap`
lays it over the K; nothing mixes two seeds, so a member's numbers do not depend on the others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from bench.networks.base import NORMS, Critic, pack
from bench.objectives.base import Objective, Scores
from bench.optimizers import Parameters
from bench.training.base import Recipe
from bench.training.precision import cast

Losses = dict[str, Tensor]
"""Name → (K,): losses, terms and gradient norms of one step."""


@dataclass(frozen=True)
class Pair:
    """The generator's and the critic's architecture, without weights, and their objective."""

    generator: nn.Module
    critic: Critic
    objective: Objective
    packs: int
    """What the critic judges in a batch: samples, or packs of them."""
    packing: int
    compute: torch.dtype | None = None
    """What parameters and inputs of both networks are cast to; None: nothing is cast."""

    @classmethod
    def of(
        cls, recipe: Recipe, generator: nn.Module, critic: Critic, compute: torch.dtype | None
    ) -> Pair:
        """The pair of a recipe."""
        critic = _differentiable_twice(critic)
        packs = recipe.batch_size // recipe.packing
        return cls(generator, critic, recipe.objective, packs, recipe.packing, compute)

    def generate(self, parameters: Parameters, latents: Tensor) -> Tensor:
        """(K, B, latent_dim) → (K, B, *shape)."""
        samples: Tensor = _over_seeds(self._generate_one)(parameters, latents)
        return samples

    def _generate_one(self, parameters: Parameters, latents: Tensor) -> Tensor:
        return self._call(self.generator, parameters, latents)

    def _call(
        self, module: nn.Module, parameters: Parameters, x: Tensor, *others: object
    ) -> Tensor:
        """The module's output in the type of `x`; within it, numbers of the type to compute in."""
        weights = {name: cast(value, self.compute) for name, value in parameters.items()}
        result: Tensor = functional_call(module, weights, (cast(x, self.compute), *others))
        return result.to(x.dtype)

    def _scores(self, parameters: Parameters, keep: Sequence[Tensor]) -> Scores:
        """The critic as a function of samples alone; the i-th batch it sees uses masks i."""
        seen = 0

        def scores(x: Tensor) -> Tensor:
            nonlocal seen
            batches = max(1, len(x) // self.packs)
            masks = tuple(mask[seen : seen + batches].flatten(0, 1) for mask in keep)
            seen += batches
            return self._call(self.critic, parameters, x, *((masks,) if masks else ()))

        if any(isinstance(module, NORMS) for module in self.critic.modules()):
            # what is normalised over a batch must not see another one beside it
            return lambda x: torch.cat([scores(batch) for batch in torch.split(x, self.packs)])
        return scores

    def critic_gradients(
        self,
        parameters: Parameters,
        buffers: Parameters,
        samples: tuple[Tensor, Tensor],
        noise: Mapping[str, Tensor],
        keep: tuple[Tensor, ...],
    ) -> tuple[Parameters, Losses, dict[str, Tensor]]:
        """Gradients of the critic loss in its own parameters, its parts, and the next state of an
        objective that has one (`noise` holds the present one).

        `samples` are real and generated ones, which are data here, not functions.

        `buffers` are what the critic holds beside its parameters.
        """

        def loss(
            parameters: Parameters,
            buffers: Parameters,
            samples: tuple[Tensor, Tensor],
            noise: Mapping[str, Tensor],
            keep: tuple[Tensor, ...],
        ) -> tuple[Tensor, dict[str, Tensor]]:
            scores = self._scores(parameters | buffers, keep)
            real, fake = (pack(each, self.packing) for each in samples)
            value, terms = self.objective.critic_loss(scores, real, fake, noise)
            return value, dict(terms)

        differentiate = _over_seeds(grad_and_value(loss, has_aux=True))
        gradients, (value, terms) = differentiate(parameters, buffers, samples, noise, keep)
        state = {name: terms[name] for name in self.objective.state}
        norm = _norm(gradients)
        return gradients, {"critic_loss": value, "critic_grad_norm": norm, **terms}, state

    def generator_gradients(
        self,
        parameters: Parameters,
        critic_parameters: Parameters,
        latents: Tensor,
        real: tuple[Tensor, ...],
        keep: tuple[Tensor, ...],
    ) -> tuple[Parameters, Losses]:
        """Gradients of the generator loss in the generator's parameters; the critic gets none.

        `critic_parameters` include what the critic holds beside them; `real` is one batch for a
        paired objective, else nothing.
        """

        def loss(
            parameters: Parameters,
            critic_parameters: Parameters,
            latents: Tensor,
            real: tuple[Tensor, ...],
            keep: tuple[Tensor, ...],
        ) -> Tensor:
            fake = self._generate_one(parameters, latents)
            packs = (pack(samples, self.packing) for samples in (fake, *real))
            return self.objective.generator_loss(self._scores(critic_parameters, keep), *packs)

        differentiate = _over_seeds(grad_and_value(loss))
        gradients, value = differentiate(parameters, critic_parameters, latents, real, keep)
        return gradients, {"generator_loss": value, "generator_grad_norm": _norm(gradients)}


class _Kinked(nn.Module):
    """A (leaky) ReLU whose second derivative is absent instead of a tensor of zeros.

    Autograd differentiates torch's own twice into zeros, and multiplies them by the weights: an
    eighth of the arithmetic of a gradient penalty.
    """

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, x * self.slope)


def _differentiable_twice(critic: Critic) -> Critic:
    """A copy of the critic with activations of the same values and cheaper second derivatives."""
    critic = copy.deepcopy(critic)
    for module in critic.modules():
        for name, child in module.named_children():
            if type(child) is nn.LeakyReLU:
                setattr(module, name, _Kinked(child.negative_slope))
            elif type(child) is nn.ReLU:
                setattr(module, name, _Kinked(0.0))
    return critic


def _over_seeds(function: Callable[..., Any]) -> Callable[..., Any]:
    # a layer that draws for itself draws for each seed, from the stream the engine has set
    return vmap(function, randomness="different")


def _norm(gradients: Parameters) -> Tensor:
    """(K,): the L2 norm over all parameters of each member."""
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients.values()]
    return torch.stack(squares).sum(0).sqrt()
