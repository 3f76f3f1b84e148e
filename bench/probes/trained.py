"""A suite's variants under training: where they stand along the way, on samples that stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated, get_args

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from bench import seeding
from bench.datasets.base import Split
from bench.networks.base import Critic, pack, packed, to_range
from bench.records import ProbeRow, RunSpec
from bench.training.base import Recipe, resolve
from bench.training.engines import ready
from bench.training.state import State, part

Steps = Annotated[int, Ge(1), Le(10_000_000)]
Checkpoints = Annotated[int, Ge(1), Le(1000)]
Samples = Annotated[int, Ge(2), Le(10_000_000)]


@dataclass(frozen=True)
class Sample:
    """Real samples and all that stands beside them when a pair is looked at, always the same."""

    real: Tensor
    """(N, *shape), in the network's range."""
    latents: Tensor
    """(N, latent_dim)."""
    noise: dict[str, Tensor]
    """What the critic's loss asks for: (P,) or (P, *packed shape) each, P the packs of N."""
    epsilon: Tensor
    """(P, 1, …), uniform on [0, 1): where between a real and a generated one."""
    packing: int

    def double(self) -> Sample:
        """The same in float64."""
        noise = {name: value.double() for name, value in self.noise.items()}
        latents, epsilon = self.latents.double(), self.epsilon.double()
        return Sample(self.real.double(), latents, noise, epsilon, self.packing)

    def of(self, generator: nn.Module) -> tuple[Tensor, Tensor]:
        """Real and generated samples as the critic sees them: (P, *packed shape) each."""
        return pack(self.real, self.packing), pack(generator(self.latents), self.packing)

    def places(self, generator: nn.Module) -> dict[str, Tensor]:
        """`real`, `generated` and `between` them: where a critic's slope is asked for."""
        with torch.no_grad():
            real, fake = self.of(generator)
        between = self.epsilon * real + (1.0 - self.epsilon) * fake
        return {"real": real, "generated": fake, "between": between}


@dataclass(frozen=True)
class Moment:
    """A pair as it stands after `step` generator steps: copies that drop nothing out."""

    step: int
    generator: nn.Module
    critic: Critic
    state: State
    """The engine's own tensors, which the next step changes."""

    @property
    def carried(self) -> State:
        """The objective's own numbers, name → (1,)."""
        return part(self.state, "objective")


@dataclass(frozen=True)
class Subject:
    """A variant on one seed: what it is made of, and its data on the device to train on."""

    spec: RunSpec
    recipe: Recipe
    images: Tensor
    held_out: Tensor

    @classmethod
    def of(cls, spec: RunSpec, device: torch.device) -> Subject:
        """What a spec stands for; the eager engine takes the place of the textbook's loop."""
        engine = "eager" if spec.engine == "textbook" else spec.engine
        data = resolve("datasets", spec.dataset)
        images, held_out = (data.load(split).samples.to(device) for split in get_args(Split))
        return cls(replace(spec, engine=engine), Recipe.of([spec]), images, held_out)

    def sample(self, real: Tensor, stream: str) -> Sample:
        """Real samples (N, *shape), as many latents, and noise, from a stream of the seed's."""
        recipe, device = self.recipe, real.device
        real = real[: len(real) // recipe.packing * recipe.packing]
        shape, packs = packed(tuple(real.shape[1:]), recipe.packing), len(real) // recipe.packing
        draw = seeding.generator(self.spec.seed, f"probe/{stream}", device=device)

        def uniform(*size: int) -> Tensor:
            return torch.rand(size, generator=draw, device=device)

        latent = (len(real), recipe.network.latent_dim)
        latents = torch.randn(latent, generator=draw, device=device)
        noise = {name: uniform(packs) for name in recipe.objective.noise}
        noise |= {name: uniform(packs, *shape) for name in recipe.objective.sample_noise}
        epsilon = uniform(packs, *(1 for _ in shape))
        real = to_range(real, recipe.network.range, torch.float32)
        return Sample(real, latents, noise, epsilon, recipe.packing)

    def moments(self, steps: int, checkpoints: int = 1) -> Iterator[Moment]:
        """The pair at as many evenly spaced points of `steps` generator steps, the end the last."""
        # as a run of so many steps would: compiled where they earn it back
        engine, _ = ready(self.spec, self.recipe, self.images, steps, lambda line: None)
        done = 0
        for stop in stops(steps, checkpoints):
            engine.advance(done, stop, steps)
            done = stop
            generator, critic = engine.generator(0).eval(), engine.critic(0).eval()
            yield Moment(stop, generator, critic, engine.state())


def subjects(recipes: Mapping[str, RunSpec], device: torch.device) -> dict[str, Subject]:
    """Every variant with its data; raises `DataError` for data that are not there."""
    return {name: Subject.of(spec, device) for name, spec in recipes.items()}


def stops(steps: int, checkpoints: int) -> list[int]:
    """Where to look: `checkpoints` of them at even distances up to `steps`, fewer if it is less."""
    return sorted({max(1, round(steps * k / checkpoints)) for k in range(1, checkpoints + 1)})


@dataclass(frozen=True)
class Rows:
    """What a probe's points have in common."""

    probe: str
    seed: int

    def row(
        self, quantity: str, series: str, x: float, value: float | None, exact: float | None = None
    ) -> ProbeRow:
        """A point; what is no number becomes None."""
        value, exact = (each if each is None or isfinite(each) else None for each in (value, exact))
        return ProbeRow(self.probe, self.seed, quantity, series, float(x), value, exact)
