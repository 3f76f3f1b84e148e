"""One critic step and one generator step, as pure functions of stacked parameters and a batch.

Everything carries a leading axis of K seeds: parameters are dictionaries of (K, …) tensors, latents
(K, B, latent_dim), images (K, B, *shape).  `torch.func` differentiates one seed's loss and `vmap`
lays it over the K; nothing mixes two seeds, so a member's numbers do not depend on the others.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from bench.networks.base import Critic
from bench.objectives.base import Objective, Scores

Parameters = dict[str, Tensor]
Losses = dict[str, Tensor]
"""Name → (K,): losses, terms and gradient norms of one step."""


@dataclass(frozen=True)
class Pair:
    """The generator's and the critic's architecture, without weights, and their objective."""

    generator: nn.Module
    critic: Critic
    objective: Objective

    def generate(self, parameters: Parameters, latents: Tensor) -> Tensor:
        """(K, B, latent_dim) → (K, B, *shape)."""
        samples: Tensor = vmap(self._generate_one)(parameters, latents)
        return samples

    def _generate_one(self, parameters: Parameters, latents: Tensor) -> Tensor:
        samples: Tensor = functional_call(self.generator, parameters, (latents,))
        return samples

    def _scores(self, parameters: Parameters, keep: Sequence[Tensor]) -> Scores:
        """The critic as a function of samples alone; call i uses masks i."""
        calls = iter(range(keep[0].shape[0])) if keep else None

        def scores(x: Tensor) -> Tensor:
            masks = () if calls is None else (_at(keep, next(calls)),)
            result: Tensor = functional_call(self.critic, parameters, (x, *masks))
            return result

        return scores

    def critic_gradients(
        self,
        parameters: Parameters,
        real: Tensor,
        fake: Tensor,
        noise: Mapping[str, Tensor],
        keep: tuple[Tensor, ...],
    ) -> tuple[Parameters, Losses]:
        """Gradients of the critic loss in its own parameters; `fake` is data, not a function."""

        def loss(
            parameters: Parameters,
            real: Tensor,
            fake: Tensor,
            noise: Mapping[str, Tensor],
            keep: tuple[Tensor, ...],
        ) -> tuple[Tensor, dict[str, Tensor]]:
            scores = self._scores(parameters, keep)
            value, terms = self.objective.critic_loss(scores, real, fake, noise)
            return value, dict(terms)

        differentiate = vmap(grad_and_value(loss, has_aux=True))
        gradients, (value, terms) = differentiate(parameters, real, fake, noise, keep)
        norm = _norm(gradients)
        return gradients, {"critic_loss": value, "critic_grad_norm": norm, **terms}

    def generator_gradients(
        self,
        parameters: Parameters,
        critic_parameters: Parameters,
        latents: Tensor,
        keep: tuple[Tensor, ...],
    ) -> tuple[Parameters, Losses]:
        """Gradients of the generator loss in the generator's parameters; the critic gets none."""

        def loss(
            parameters: Parameters,
            critic_parameters: Parameters,
            latents: Tensor,
            keep: tuple[Tensor, ...],
        ) -> Tensor:
            fake = self._generate_one(parameters, latents)
            return self.objective.generator_loss(self._scores(critic_parameters, keep), fake)

        differentiate = vmap(grad_and_value(loss))
        gradients, value = differentiate(parameters, critic_parameters, latents, keep)
        return gradients, {"generator_loss": value, "generator_grad_norm": _norm(gradients)}


def store_gradients(parameters: Parameters, gradients: Parameters) -> None:
    """Put the gradients where an optimiser looks for them."""
    for name, parameter in parameters.items():
        assert parameter.grad is not None
        parameter.grad.copy_(gradients[name])


def update(optimizer: torch.optim.Optimizer) -> None:
    """One update of stacked parameters in place, by torch's own optimiser."""
    # without the wrappers, which break the graph so that autograd stays off: here it is off
    inspect.unwrap(type(optimizer).step)(optimizer)


def _at(keep: Sequence[Tensor], call: int) -> tuple[Tensor, ...]:
    return tuple(masks[call] for masks in keep)


def _norm(gradients: Parameters) -> Tensor:
    """(K,): the L2 norm over all parameters of each member."""
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients.values()]
    return torch.stack(squares).sum(0).sqrt()
