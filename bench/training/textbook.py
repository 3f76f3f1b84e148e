"""The loop as a good tutorial writes it: the oracle of the engine, and its yardstick.

One seed, `nn.Module`, autograd, torch's optimisers at their defaults, a shuffling DataLoader with
ToTensor and Normalize, a fresh real batch for each critic step, generated samples detached.  It
shares no loss with `bench.objectives`: each is written a second time here, as autograd has it,
so that a mistake in either is a difference between the two.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from bench import seeding
from bench.errors import UnknownName
from bench.networks.base import Critic, Span
from bench.objectives.base import Objective
from bench.objectives.gan import Minimax, NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.training.base import Recipe, settings
from bench.training.precision import compute_dtype
from bench.training.state import State, joined, moments, part, restore_moments

Terms = dict[str, Tensor]
Score = Callable[[Tensor, int], Tensor]
"""Samples and the number of the call (which dropout masks) → scores (B,)."""


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _standard(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0), score(fake, 1)
    loss = _cross_entropy(on_real, 1.0) + _cross_entropy(on_fake, 0.0)
    return {"critic_loss": loss, "real_score": on_real.mean(), "fake_score": on_fake.mean()}


def _wasserstein(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0).mean(), score(fake, 1).mean()
    return {"critic_loss": -(on_real - on_fake), "real_score": on_real, "fake_score": on_fake}


def _penalized(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    terms = _wasserstein(objective, score, real, fake, noise)
    epsilon = noise["epsilon"].view(-1, *[1] * (real.dim() - 1))
    mixed = torch.lerp(fake, real, epsilon.expand_as(real)).requires_grad_()
    output = score(mixed, 2)
    (gradient,) = torch.autograd.grad(
        output, mixed, grad_outputs=torch.ones_like(output), create_graph=True
    )
    norms = torch.sqrt(torch.sum(gradient.view(len(gradient), -1) ** 2, dim=1) + 1e-12)
    terms["penalty"] = torch.mean((norms - 1) ** 2)
    terms["critic_loss"] = terms["critic_loss"] + objective.penalty_weight * terms["penalty"]
    return terms


def _clip(objective: Any, critic: nn.Module) -> None:
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.clamp_(-objective.clip, objective.clip)


def _nothing(objective: Any, critic: nn.Module) -> None:
    pass


class _Form(NamedTuple):
    """The critic's loss, the generator's, and what follows a critic update."""

    critic: Callable[..., Terms]
    generator: Callable[[Tensor], Tensor]
    constrain: Callable[[Any, nn.Module], None]


FORMS: dict[type[Objective], _Form] = {
    NonSaturating: _Form(_standard, lambda scores: _cross_entropy(scores, 1.0), _nothing),
    Minimax: _Form(_standard, lambda scores: -_cross_entropy(scores, 0.0), _nothing),
    WGAN: _Form(_wasserstein, lambda scores: -scores.mean(), _clip),
    WGANGP: _Form(_penalized, lambda scores: -scores.mean(), _nothing),
}


def form(objective: Objective) -> _Form:
    """The second writing of an objective; raises `UnknownName` for one that has none."""
    kind = type(objective)
    if kind not in FORMS:
        raise UnknownName(
            f"objective {kind.__name__} has no textbook form; use engine 'eager' or 'compiled'"
        )
    return FORMS[kind]


class _Pictures(Dataset[Tensor]):
    """Images as torchvision's data sets hold them: an array, an image made of it when asked for."""

    def __init__(self, images: Tensor, span: tuple[float, float]) -> None:
        self.data = images
        low, high = span
        mean, std = -low / (high - low), 1.0 / (high - low)
        channels = images.shape[1]
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize([mean] * channels, [std] * channels)]
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor:
        pixels = self.data[index].permute(1, 2, 0).squeeze(2).numpy()
        picture: Tensor = self.transform(Image.fromarray(pixels))
        return picture


def _dataset(samples: Tensor, span: Span) -> Dataset[Any]:
    """The data as a tutorial would hold them: images, or points as they are."""
    return TensorDataset(samples) if span is None else _Pictures(samples, span)


class Textbook:
    """One seed under training, in plain PyTorch."""

    def __init__(
        self,
        recipe: Recipe,
        images: Tensor,
        dtype: torch.dtype = torch.float32,
        precision: str = "fp32",
    ) -> None:
        """`images` are the training data, uint8 (N, C, H, W), decoded on the CPU; or points (N, D).

        Raises `UnknownName` for an objective that has no textbook form.
        """
        self._form = form(recipe.objective)
        self._recipe, self._device, self._dtype = recipe, images.device, dtype
        self._precision, self._lower = precision, compute_dtype(precision)
        (seed,) = recipe.seeds
        shape = tuple(images.shape[1:])
        self.generator_module = recipe.generator(shape, seed).to(images.device, dtype)
        self.critic_module = recipe.critic(shape, seed).to(images.device, dtype)
        self.generator_optimizer = recipe.optimizer.plain(self.generator_module.parameters())
        self.critic_optimizer = recipe.optimizer.plain(self.critic_module.parameters())
        self._seed = seed
        self._draw = seeding.generator(seed, "textbook", device=images.device)
        self._shuffle = torch.Generator()
        self._loader = DataLoader(
            _dataset(images.cpu(), recipe.network.range),
            batch_size=recipe.batch_size,
            shuffle=True,
            drop_last=True,
            generator=self._shuffle,
        )
        self._batches = self._epochs()

    def critic_step(
        self,
        real: Tensor,
        latents: Tensor,
        noise: Mapping[str, Tensor],
        keep: Sequence[Tensor] = (),
    ) -> Terms:
        """Update the critic on real samples (B, *shape) and as many generated ones.

        `keep` holds dropout masks (calls, B, *s), one for each of the critic's mask shapes.
        """
        fake = self._generate(latents).detach()
        self.critic_optimizer.zero_grad()
        score = self._score(keep)
        terms = self._form.critic(self._recipe.objective, score, real, fake, noise)
        terms["critic_loss"].backward()  # type: ignore[no-untyped-call] # torch's
        terms["critic_grad_norm"] = _norm(self.critic_module)
        self.critic_optimizer.step()
        self._form.constrain(self._recipe.objective, self.critic_module)
        return {name: value.detach() for name, value in terms.items()}

    def generator_step(self, latents: Tensor, keep: Sequence[Tensor] = ()) -> Terms:
        """Update the generator on latents (B, latent_dim)."""
        self.generator_optimizer.zero_grad()
        loss = self._form.generator(self._score(keep)(self._generate(latents), 0))
        loss.backward()  # type: ignore[no-untyped-call] # torch's
        norm = _norm(self.generator_module)
        self.generator_optimizer.step()
        return {"generator_loss": loss.detach(), "generator_grad_norm": norm}

    def warm_up(self) -> None:
        """Nothing to do once."""

    def advance(self, start: int, stop: int, steps: int) -> Terms:
        """Train generator iterations start … stop − 1 of `steps`; name → (1,), means over them."""
        with settings(self._precision, self._seed, start, self._device):
            return self._advance(start, stop, steps)

    def _advance(self, start: int, stop: int, steps: int) -> Terms:
        recipe = self._recipe
        seen: dict[str, list[Tensor]] = defaultdict(list)
        for step in range(start, stop):
            rate = recipe.optimizer.lr * recipe.schedule.factor(step / steps)
            for optimizer in (self.critic_optimizer, self.generator_optimizer):
                optimizer.param_groups[0]["lr"] = rate
            for _ in range(recipe.critic_steps):
                real = next(self._batches).to(self._device)
                noise = {name: self._uniform(recipe.batch_size) for name in recipe.objective.noise}
                calls = recipe.objective.critic_calls
                _note(seen, self.critic_step(real, self._latents(), noise, self._masks(calls)))
            _note(seen, self.generator_step(self._latents(), self._masks(1)))
        return {name: torch.stack(values).mean(0, keepdim=True) for name, values in seen.items()}

    def generator(self, member: int) -> nn.Module:
        """A copy of the generator, batch norm as in training."""
        return copy.deepcopy(self.generator_module)

    def critic(self, member: int) -> Critic:
        """A copy of the critic."""
        return copy.deepcopy(self.critic_module)

    def state(self) -> State:
        """Parameters, the optimisers' running values, and how far the random numbers are."""
        parts = {
            "generator": self.generator_module.state_dict(),
            "critic": self.critic_module.state_dict(),
            "generator_optimizer": moments(self.generator_optimizer),
            "critic_optimizer": moments(self.critic_optimizer),
        }
        return {**joined(parts), "draw": self._draw.get_state()}

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from a `state()`, within the epoch that generator iteration `step` is in."""
        self.generator_module.load_state_dict(part(state, "generator"))
        self.critic_module.load_state_dict(part(state, "critic"))
        restore_moments(self.generator_optimizer, part(state, "generator_optimizer"))
        restore_moments(self.critic_optimizer, part(state, "critic_optimizer"))
        self._draw.set_state(state["draw"].cpu())
        epoch, shown = divmod(step * self._recipe.critic_steps, len(self._loader))
        self._batches = self._epochs(epoch)
        for _ in range(shown):
            next(self._batches)

    def _epochs(self, first: int = 0) -> Iterator[Tensor]:
        """Batches without end; the order of each epoch has a key of its own."""
        for epoch in count(first):
            self._shuffle.manual_seed(seeding.key(self._seed, "textbook/shuffle", epoch))
            for batch in self._loader:
                yield batch[0] if isinstance(batch, list) else batch  # TensorDataset's are lists

    def _generate(self, latents: Tensor) -> Tensor:
        with self._autocast():
            samples: Tensor = self.generator_module(latents)
        return samples.to(latents.dtype)

    def _score(self, keep: Sequence[Tensor]) -> Score:
        def score(x: Tensor, call: int) -> Tensor:
            with self._autocast():  # the networks alone: losses and the penalty's norm stay fp32
                scores: Tensor = self.critic_module(x, [masks[call] for masks in keep])
            return scores.to(x.dtype)

        return score

    def _autocast(self) -> AbstractContextManager[Any]:
        lower = self._lower
        return nullcontext() if lower is None else torch.autocast(self._device.type, dtype=lower)

    def _latents(self) -> Tensor:
        shape = (self._recipe.batch_size, self._recipe.network.latent_dim)
        return torch.randn(shape, generator=self._draw, device=self._device)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._draw, device=self._device)

    def _masks(self, calls: int) -> list[Tensor]:
        critic = self.critic_module
        return [
            self._uniform(calls, self._recipe.batch_size, *shape) < critic.keep_probability
            for shape in critic.mask_shapes
        ]


def _norm(module: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


def _note(seen: dict[str, list[Tensor]], terms: Terms) -> None:
    for name, value in terms.items():
        seen[name].append(value)
