"""The generator's gradient while its critic is trained on and on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, MinLen
from torch import Tensor, nn

from bench import registry
from bench.datasets.synthetic import Ring
from bench.errors import suggestion
from bench.networks.base import Critic, Widths, pack, to_range
from bench.networks.init import torch_default
from bench.networks.toy import Toy
from bench.objectives.base import Objective
from bench.optimizers import Adam
from bench.probes.base import Probe
from bench.probes.frozen import engine, normal, strengthened
from bench.records import ProbeRow, Quantity, RunSpec
from bench.schedules import Constant
from bench.training.base import Recipe, resolve


@dataclass(frozen=True)
class _Frozen:
    """A recipe with the data that its critic is trained and asked about."""

    recipe: Recipe
    train: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class VanishingGradient(Probe):
    """The generator stands still, as it was initialised; each objective's critic is trained."""

    objectives: Annotated[tuple[str, ...], MinLen(1)] = ("gan_minimax", "gan", "wgan", "wgan_gp")
    """With their default options, on the ring; used where no variants are named."""
    steps: Annotated[int, Ge(1), Le(1_000_000)] = 10_000
    checkpoints: Annotated[int, Ge(1), Le(1000)] = 13
    """At most: from the first step to the last, evenly on a logarithmic scale."""
    held_out: Annotated[int, Ge(2), Le(100_000)] = 2000
    """Samples of either kind behind each point."""
    batch_size: Annotated[int, Ge(2), Le(65_536)] = 128
    widths: Widths = (64, 64)
    """Of both networks; these three hold where no variants are named."""
    lr: Annotated[float, Gt(0.0)] = 1e-3
    """Of Adam (0.5, 0.9), the same for every objective."""

    title: ClassVar[str] = "The generator's gradient under an ever stronger critic"
    about: ClassVar[str] = (
        "The generator stands still as it was initialised, while its critic is trained: the "
        "further, the better it tells real from generated. Under the minimax loss the gradient "
        "that reaches the generator is said to vanish (Goodfellow et al. 2014, section 3; "
        "Arjovsky & Bottou 2017, figure 2), under the non-saturating one to grow and become "
        "unsteady, under a Wasserstein loss to stay."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "gradient_norm": Quantity(
            "Generator's gradient, ‖∂L/∂θ‖₂",
            "critic steps",
            log_x=True,
            log_y=True,
            note="In each objective's own unit: the course of a line means something, its height "
            "beside another's does not.",
        ),
        "relative_gradient_norm": Quantity(
            "The same over its first value",
            "critic steps",
            log_x=True,
            log_y=True,
            aim=1.0,
            note="Below the dashed line the generator learns less from a better critic.",
        ),
        "critic_accuracy": Quantity(
            "Critic's accuracy",
            "critic steps",
            log_x=True,
            note="The share of pairs of a real and a generated held-out sample in which the "
            "critic scores the real one higher: it means the same for every objective.",
        ),
    }
    every_variant: ClassVar[bool] = False

    def __post_init__(self) -> None:  # noqa: D105 - a check
        known = registry.entries("objectives")
        for name in self.objectives:
            if name not in known:
                raise ValueError(f"{name!r} is not an objective{suggestion(name, known)}")

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...]:
        """A line a variant; without any, one an objective."""
        del quantity
        return tuple(variants) or self.objectives

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """One objective after another, or one variant after another where some are named."""
        if recipes:
            found = {name: _of_variant(spec, device) for name, spec in recipes.items()}
        else:
            found = {name: self._own(name, seed, device) for name in self.objectives}
        return [
            ProbeRow("vanishing_gradient", seed, quantity, series, float(step), value)
            for series, frozen in found.items()
            for step, values in self._followed(frozen)
            for quantity, value in values.items()
        ]

    def _own(self, objective: str, seed: int, device: torch.device) -> _Frozen:
        recipe = Recipe(
            network=Toy(generator_widths=self.widths, critic_widths=self.widths),
            objective=registry.load("objectives", objective)(),
            optimizer=Adam(self.lr, betas=(0.5, 0.9)),
            schedule=Constant(),
            init=torch_default,
            seeds=(seed,),
            critic_steps=1,
            batch_size=self.batch_size,
        )
        ring = Ring()
        return _Frozen(recipe, ring.load("train").points.to(device), ring.load("test").points)

    def _followed(self, of: _Frozen) -> Iterator[tuple[int, dict[str, float | None]]]:
        """Critic steps done, and what is measured then, by quantity."""
        # a variant's own pace is between its two networks, of which only one is trained here
        recipe = replace(of.recipe, critic_steps=1, repeats=1, boost=None)
        made = engine(recipe, of.train, self.steps)
        packing = of.recipe.packing
        used = min(self.held_out, len(of.held_out)) // packing * packing
        held = of.held_out[:used].to(of.train.device)
        real = to_range(held, of.recipe.network.range, torch.float32).double()
        shape = (used, of.recipe.network.latent_dim)
        latents = normal(of.recipe.seeds[0], "vanishing_gradient", shape, real.device).double()
        stops = np.unique(np.geomspace(1, self.steps, self.checkpoints).round().astype(int))
        first: float | None = None
        for stop in strengthened(made, recipe, stops.tolist()):
            # doubles: a critic that is sure leaves gradients that single precision cannot hold
            generator, critic = made.generator(0).double(), made.critic(0).double()
            fake, judged = pack(generator(latents), packing), pack(real, packing)
            norm = _gradient_norm(of.recipe.objective, generator, critic, fake, judged)
            first = norm if first is None else first
            yield (
                stop,
                {
                    "gradient_norm": norm,
                    "relative_gradient_norm": norm / first if first else None,
                    "critic_accuracy": accuracy(critic, judged, fake.detach()),
                },
            )


def _of_variant(spec: RunSpec, device: torch.device) -> _Frozen:
    data = resolve("datasets", spec.dataset)
    train, test = (data.load(split).samples for split in ("train", "test"))
    return _Frozen(Recipe.of([spec]), train.to(device), test)


def _gradient_norm(
    objective: Objective, generator: nn.Module, critic: Critic, fake: Tensor, real: Tensor
) -> float:
    loss = objective.generator_loss(critic, fake, *((real,) if objective.paired else ()))
    gradients = torch.autograd.grad(loss, [*generator.parameters()])
    norm: float = torch.linalg.vector_norm(torch.cat([each.flatten() for each in gradients])).item()
    return norm


@torch.no_grad()
def accuracy(critic: Critic, real: Tensor, fake: Tensor) -> float:
    """The share of pairs of a real and a generated sample whose real one has the higher score; a
    tie counts half (the area under the ROC curve)."""
    ranked = critic(fake).sort().values
    on_real = critic(real)
    below = torch.searchsorted(ranked, on_real)
    not_above = torch.searchsorted(ranked, on_real, right=True)
    return ((below + not_above).double().mean() / 2 / len(ranked)).item()
