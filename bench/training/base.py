"""What an engine is, and the parts that it is built of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench import registry, seeding
from bench.networks.base import Critic, Initialization, Network, build, packed
from bench.networks.spectral import spectrally_normalized
from bench.objectives.base import Objective
from bench.records import Boost, Pace, Part, RunSpec
from bench.training.batches import Batches
from bench.training.precision import applied


def resolve(kind: str, part: Part) -> Any:
    """The dataclass that a validated part table stands for."""
    options = {key: _tuples(value) for key, value in part.items() if key != "name"}
    return registry.load(kind, part["name"])(**options)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Recipe:
    """The parts of a group's specs, resolved: all that an engine needs but the data."""

    network: Network
    objective: Objective
    optimizer: Any
    schedule: Any
    init: Initialization
    seeds: tuple[int, ...]
    critic_steps: int
    batch_size: int
    repeats: int = 1
    boost: Boost | None = None
    packing: int = 1
    spectral_norm: bool = False

    @classmethod
    def of(cls, specs: Sequence[RunSpec]) -> Recipe:
        """The recipe that the members of one group share."""
        spec = specs[0]
        return cls(
            network=resolve("networks", spec.network),
            objective=resolve("objectives", spec.objective),
            optimizer=resolve("optimizers", spec.optimizer),
            schedule=resolve("schedules", spec.schedule),
            init=registry.load("inits", spec.init),
            seeds=tuple(member.seed for member in specs),
            critic_steps=spec.critic_steps,
            batch_size=spec.batch_size,
            repeats=spec.batch_repeats,
            boost=spec.pace.boost,
            packing=spec.packing,
            spectral_norm=spec.spectral_norm,
        )

    @property
    def pace(self) -> Pace:
        """How many critic steps there are to a generator step."""
        return Pace(self.critic_steps, self.repeats, self.boost)

    def architecture(self, shape: tuple[int, ...]) -> Critic:
        """A critic of packed samples, with whatever weights its layers drew."""
        critic = self.network.critic(packed(shape, self.packing))
        return spectrally_normalized(critic) if self.spectral_norm else critic

    def generator(self, shape: tuple[int, ...], seed: int) -> nn.Module:
        """A generator with the first weights of `seed`."""
        return build(lambda: self.network.generator(shape), self.init, seed, "generator")

    def critic(self, shape: tuple[int, ...], seed: int) -> Critic:
        """A critic with the first weights of `seed`."""
        seen = packed(shape, self.packing)
        critic = build(lambda: self.network.critic(seen), self.init, seed, "critic")
        assert isinstance(critic, Critic)
        if self.spectral_norm:
            return spectrally_normalized(critic, seeding.generator(seed, "critic/spectral"))
        return critic

    def batches(
        self, images: Tensor, critic: Critic, dtype: torch.dtype = torch.float32
    ) -> Batches:
        """The batches of the group, drawn on the device that holds the images."""
        return Batches(
            seeds=self.seeds,
            size=self.batch_size,
            dataset_size=len(images),
            pace=self.pace,
            latent_dim=self.network.latent_dim,
            noise=self.objective.noise,
            sample_noise=self.objective.sample_noise,
            paired=self.objective.paired,
            packing=self.packing,
            packed_shape=packed(tuple(images.shape[1:]), self.packing),
            mask_shapes=critic.mask_shapes,
            keep_probability=critic.keep_probability,
            critic_calls=self.objective.critic_calls,
            device=images.device,
            dtype=dtype,
        )


@contextmanager
def settings(precision: str, seed: int, step: int, device: torch.device) -> Iterator[None]:
    """What both engines train a block in: products rounded as asked, and for layers that draw
    random numbers themselves those of the block that begins at `step`."""
    with applied(precision, device), seeding.layers(seed, step, device):
        yield


class Engine(Protocol):
    """A group of K members under training."""

    def warm_up(self) -> None:
        """Do once what the first step would do beside training (compile); change nothing else."""

    def advance(self, start: int, stop: int, steps: int) -> dict[str, Tensor]:
        """Train generator iterations start … stop − 1 of `steps`; name → (K,), means over them."""

    def generator(self, member: int) -> nn.Module:
        """A copy of a member's generator, as it stands (batch norm as in training)."""

    def critic(self, member: int) -> Critic:
        """A copy of a member's critic, as it stands."""

    def state(self) -> dict[str, Tensor]:
        """Name → a tensor: all that `restore` needs to go on from here as if nothing had been."""

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from a `state()` taken when `step` generator iterations were done."""
