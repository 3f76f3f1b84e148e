"""Whether the two networks of a GAN help or hurt each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from bench.networks.base import Critic
from bench.objectives.base import Objective
from bench.objectives.gan import Minimax
from bench.objectives.wgan import WGAN, WGANGP
from bench.probes.base import Probe
from bench.probes.trained import (
    Checkpoints,
    Moment,
    Rows,
    Sample,
    Samples,
    Steps,
    Subject,
    subjects,
)
from bench.records import ProbeRow, Quantity, RunSpec
from bench.training.base import Recipe, settings
from bench.training.diagnostics import cosine
from bench.training.stacked import Stacked

_X = "generator steps"
_ZERO_SUM = (WGAN, WGANGP, Minimax)
"""Objectives whose losses, but for penalties, sum to something that the generator cannot change."""


@dataclass(frozen=True)
class Players(Probe):
    """What each player's step does to the other's loss, and the angle between their gradients."""

    steps: Steps = 1000
    """Generator steps of training."""
    checkpoints: Checkpoints = 8
    samples: Samples = 1000
    """Held-out samples, and generated ones, that the losses are taken on."""
    tries: Annotated[int, Ge(1), Le(1000)] = 8
    """Batches on which the next step is tried; its effect is the mean over them."""

    title: ClassVar[str] = "Do the two networks cooperate?"
    about: ClassVar[str] = (
        "At points of training each player tries its next step, and the other's loss on fixed "
        "held-out samples is taken before and after: a rise means that the step hurt the other. "
        "Beside it stands the angle between the gradients of both losses in one player's "
        "parameters: −1 where every gain of the one is the other's loss, which for the minimax "
        "and the Wasserstein losses is algebra (Goodfellow et al. 2014, equation 1; Arjovsky et "
        "al. 2017, equation 2). Penalties are left out: they bind the critic alone."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "critic_loss_change": Quantity(
            "change of the critic's loss by a generator step", _X, aim=0.0,
            note="Above 0: the generator's step hurts the critic, as in a zero-sum game.",
        ),
        "generator_loss_change": Quantity(
            "change of the generator's loss by a critic step", _X, aim=0.0,
            note="Above 0: the critic's step hurts the generator.",
        ),
        "opposition": Quantity(
            "cosine of both losses' gradients, generator's parameters", _X,
            note="−1: what lowers the generator's loss raises the critic's as much.",
        ),
        "critic_opposition": Quantity(
            "cosine of both losses' gradients, critic's parameters", _X,
            note="The critic's loss has a part on real samples too, so that −1 is not forced.",
        ),
    }  # fmt: skip

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...]:
        """A line a variant."""
        del quantity
        return tuple(variants)

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every checkpoint of every variant."""
        found = subjects(recipes, device)
        return [row for name in found for row in self._along(name, found[name], seed)]

    def _along(self, name: str, subject: Subject, seed: int) -> Iterator[ProbeRow]:
        sample = subject.sample(subject.held_out[: self.samples], "players").double()
        objective, rows = payoff(subject.recipe.objective), Rows("players", seed)
        exact = -1.0 if isinstance(objective, _ZERO_SUM) else None
        for moment in subject.moments(self.steps, self.checkpoints):
            losses = Losses(objective, sample, moment.carried)
            for quantity, value in self._changes(subject, moment, losses).items():
                yield rows.row(quantity, name, moment.step, value)
            of_generator, of_critic = opposition(losses, moment)
            yield rows.row("opposition", name, moment.step, of_generator, exact)
            yield rows.row("critic_opposition", name, moment.step, of_critic)

    def _changes(self, subject: Subject, moment: Moment, losses: Losses) -> dict[str, float]:
        """By how much a next step of either changes the other's loss, mean over the tries."""
        # after the last step no other follows: its own rate, since a schedule may end at 0
        aside = _beside(subject, min(moment.step, self.steps - 1) / self.steps)
        before = losses.values(moment.generator, moment.critic)
        changes = torch.zeros(2, dtype=torch.float64)
        spec, device = subject.spec, subject.images.device
        with settings(spec.precision, spec.seed, moment.step, device):
            for step in range(moment.step, moment.step + self.tries):
                aside.restore(moment.state, moment.step)
                aside.generator_step(aside.batches.generator(step))
                changes[0] += (losses.values(*_pair(aside)) - before)[0]
                aside.restore(moment.state, moment.step)
                aside.critic_step(aside.batches.critic(step, 0))
                changes[1] += (losses.values(*_pair(aside)) - before)[1]
        critic, generator = (changes / self.tries).tolist()
        return {"critic_loss_change": critic, "generator_loss_change": generator}


@dataclass(frozen=True)
class Losses:
    """Both losses on samples that stay, as functions of the two networks.

    All in float64: one step may change a loss by less than float32 tells apart.
    """

    objective: Objective
    sample: Sample
    carried: Mapping[str, Tensor]
    """The objective's own numbers, (1,) each."""

    def __call__(self, generator: nn.Module, critic: Critic) -> tuple[Tensor, Tensor]:
        """The critic's and the generator's, 0-d each; turns the networks to float64."""
        generator, critic = generator.double(), critic.double()
        real, fake = self.sample.of(generator)
        noise = {name: value[0].double() for name, value in self.carried.items()}
        noise |= self.sample.noise
        of_critic, _ = self.objective.critic_loss(critic, real, fake, noise)
        beside = (real,) if self.objective.paired else ()
        return of_critic, self.objective.generator_loss(critic, fake, *beside)

    def values(self, generator: nn.Module, critic: Critic) -> Tensor:
        """The same without gradients, (2,) on the CPU."""
        with torch.no_grad():
            return torch.stack(self(generator, critic)).cpu()


def payoff(objective: Objective) -> Objective:
    """The objective without its penalty."""
    if "penalty_weight" not in {field.name for field in fields(objective)}:
        return objective
    bare: Objective = replace(objective, penalty_weight=0.0)  # type: ignore[call-arg] # checked
    return bare


def opposition(losses: Losses, moment: Moment) -> tuple[float | None, float | None]:
    """The cosine between both losses' gradients, in the generator's parameters and the critic's."""
    of_critic, of_generator = losses(moment.generator, moment.critic)
    angles = []
    for module in (moment.generator, moment.critic):
        parameters = [*module.parameters()]
        gradients = [
            torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
            for loss in (of_critic, of_generator)
        ]
        angles.append(cosine(*(_flat(each, parameters) for each in gradients)))
    return angles[0], angles[1]


def _flat(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """One vector; 0 for a parameter that the loss does not depend on (a last bias that cancels)."""
    pairs = zip(gradients, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])


def _beside(subject: Subject, done: float) -> Stacked:
    """An engine to try steps with, at the learning rate that training has come to."""
    recipe: Recipe = subject.recipe
    rate = recipe.optimizer.lr * recipe.schedule.factor(done)
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, lr=rate))
    return Stacked(recipe, subject.images, compiled=False, precision=subject.spec.precision)


def _pair(engine: Stacked) -> tuple[nn.Module, Critic]:
    return engine.generator(0).eval(), engine.critic(0).eval()
