"""How far the gradient of a batch lies from that of all the samples, by the batch's size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, get_args

import torch
from annotated_types import Ge, Le, MinLen
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from bench import seeding
from bench.errors import DataError
from bench.optimizers import Parameters
from bench.probes.base import Probe
from bench.probes.trained import Moment, Rows, Sample, Samples, Steps, Subject, subjects
from bench.records import ProbeRow, Quantity, RunSpec
from bench.training.base import Recipe
from bench.training.steps import Pair

Role = Literal["critic", "generator"]
_NUMBERS = 2**22
_AT_ONCE = 4096
"""Gradients are taken together up to so many of their numbers, and of samples."""


@dataclass(frozen=True)
class GradientNoise(Probe):
    """The gradient's variance and direction at a frozen pair, on batches of one pool of samples."""

    steps: Steps = 500
    """Generator steps of training before."""
    batch_sizes: Annotated[tuple[Annotated[int, Ge(1), Le(1_000_000)], ...], MinLen(1)] = (
        8, 16, 32, 64, 128, 256, 512,
    )  # fmt: skip
    samples: Samples = 16_384
    """Of the pool, which every batch size divides up anew."""

    title: ClassVar[str] = "What a larger batch does to the gradient"
    about: ClassVar[str] = (
        "Training stops, and one pool of samples is cut into batches of every size; the gradient "
        "of each batch is compared with that of the pool. Each size sees the same samples, but for "
        "a rest that fills no batch. Of "
        "samples drawn independently, the squared distance falls as 1/B. Dropout is off."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "noise": Quantity(
            "mean squared distance to the full gradient, over its squared norm", "batch size",
            log_x=True, log_y=True,
            note="It falls as 1/B (dashed, from the smallest batch), so that a larger batch is a "
            "better estimate; but the mean over n/B batches of B has the same variance whatever "
            "B: at an equal number of samples nothing is gained or lost.",
        ),
        "cosine": Quantity(
            "mean cosine to the full gradient", "batch size", log_x=True, aim=1.0,
            note="How much of a step goes the right way.",
        ),
    }  # fmt: skip

    def __post_init__(self) -> None:  # noqa: D105 - a check
        largest = max(self.batch_sizes)
        if self.samples < 2 * largest:
            raise ValueError(
                f"{self.samples} samples make fewer than two batches of {largest}; expected at "
                f"least {2 * largest}, or smaller batch_sizes"
            )

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...]:
        """A line a variant and network."""
        del quantity
        return tuple(_series(name, role) for name in variants for role in get_args(Role))

    def require(self, recipes: Mapping[str, RunSpec]) -> None:
        """Batches of whole packs."""
        for name, spec in recipes.items():
            self._require_whole_packs(name, spec.packing)

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every batch size for either network of every variant."""
        found = subjects(recipes, device)
        return [row for name in found for row in self._at(name, found[name], seed)]

    def _require_whole_packs(self, name: str, packing: int) -> None:
        odd = [size for size in self.batch_sizes if size % packing]
        if odd:
            raise DataError(
                f"probe gradient_noise: variant {name!r} packs {packing} samples, and a batch of "
                f"{odd[0]} is no whole number of packs; set batch_sizes to multiples of {packing}"
            )

    def _at(self, name: str, subject: Subject, seed: int) -> Iterator[ProbeRow]:
        *_, moment = subject.moments(self.steps)
        frozen = Frozen(subject.recipe, moment, self._pool(subject))
        rows, sizes = Rows("gradient_noise", seed), sorted(set(self.batch_sizes))
        for role in get_args(Role):
            full = mean(frozen.gradients(role, sizes[-1]))
            measured = {size: compared(frozen.gradients(role, size), full) for size in sizes}
            first = measured[sizes[0]][0] / self._expected(sizes[0])
            for size, (noise, cosine) in measured.items():
                series = _series(name, role)
                expected = first * self._expected(size) if size != sizes[0] else None
                yield rows.row("noise", series, size, noise, expected)
                yield rows.row("cosine", series, size, cosine)

    def _pool(self, subject: Subject) -> Sample:
        """Training samples drawn independently, a whole number of the largest batches."""
        count = self.samples - self.samples % max(self.batch_sizes)
        images, seed = subject.images, subject.spec.seed
        draw = seeding.generator(seed, "probe/gradient_noise/real", device=images.device)
        drawn = torch.randint(len(images), (count,), generator=draw, device=images.device)
        return subject.sample(images[drawn], "gradient_noise")

    def _expected(self, size: int) -> float:
        """What the noise is proportional to: 1/B, less 1/N for a pool of N without replacement."""
        pool = self.samples - self.samples % max(self.batch_sizes)
        return 1.0 / size - 1.0 / pool


def _series(variant: str, role: Role) -> str:
    return f"{variant} · {role}"


@dataclass(frozen=True)
class Frozen:
    """A pair that is not trained on, and the samples that its gradients are taken on."""

    recipe: Recipe
    moment: Moment
    pool: Sample

    def gradients(self, role: Role, size: int) -> Iterator[Tensor]:
        """Each batch's gradient in that network's parameters: (batches, parameters), in parts."""
        generator, critic = self.moment.generator, self.moment.critic
        pair = Pair.of(replace(self.recipe, batch_size=size), generator, critic, None)
        numbers = sum(each.numel() for each in (generator, critic)[role == "critic"].parameters())
        together = max(1, min(_NUMBERS // numbers, _AT_ONCE // size))
        batches = len(self.pool.real) // size
        for first in range(0, batches, together):
            count = min(together, batches - first)
            found = self._one_each(pair, role, first, count)
            yield torch.cat([gradient.flatten(1) for gradient in found.values()], dim=1).double()

    def _one_each(self, pair: Pair, role: Role, first: int, count: int) -> Parameters:
        """The gradients of batches first … first + count − 1, name → (count, …).

        The engine's axis of seeds holds batches here.
        """
        generator, critic = (_repeated(module, count) for module in self._modules)
        size = pair.packs * pair.packing
        latents, real = (
            _batches(each, first, count, size) for each in (self.pool.latents, self.pool.real)
        )
        buffers = dict(self.moment.critic.named_buffers())
        held = {name: value.expand(count, *value.shape) for name, value in buffers.items()}
        if role == "generator":
            beside = (real,) if self.recipe.objective.paired else ()
            return pair.generator_gradients(generator, critic | held, latents, beside, ())[0]
        noise = {k: _batches(v, first, count, pair.packs) for k, v in self.pool.noise.items()}
        noise |= {name: value.expand(count) for name, value in self.moment.carried.items()}
        fake = pair.generate(generator, latents)
        return pair.critic_gradients(critic, held, (real, fake), noise, ())[0]

    @property
    def _modules(self) -> tuple[nn.Module, nn.Module]:
        return self.moment.generator, self.moment.critic


def mean(gradients: Iterator[Tensor]) -> Tensor:
    """The mean of gradients, (batches, parameters) in parts, of which one is held at a time."""
    total, count = torch.zeros(()), 0
    for each in gradients:
        total = total.to(each) + each.sum(0)
        count += len(each)
    return total / count


def compared(gradients: Iterator[Tensor], full: Tensor) -> tuple[float, float]:
    """Mean ‖g − ḡ‖² / ‖ḡ‖² and mean cosine of gradients, (batches, parameters) in parts, to ḡ."""
    distances, cosines = [], []
    for each in gradients:
        distances.append((each - full).square().sum(1))
        cosines.append(cosine_similarity(each, full[None], dim=1, eps=0.0))
    noise = torch.cat(distances).mean() / full.square().sum()
    return noise.item(), torch.cat(cosines).mean().item()


def _repeated(module: nn.Module, count: int) -> Parameters:
    """The module's parameters `count` times, without copies: name → (count, …)."""
    found = module.named_parameters()
    return {name: value.detach().expand(count, *value.shape) for name, value in found}


def _batches(samples: Tensor, first: int, count: int, size: int) -> Tensor:
    """Batches of that size from the `first` on: (N, …) → (count, size, …)."""
    return samples[first * size : (first + count) * size].reshape(count, size, *samples.shape[1:])
