"""The loop as a good tutorial writes it: the oracle of the engine, and its yardstick.

One seed, `nn.Module`, autograd, torch's optimisers at their defaults, a shuffling DataLoader with
ToTensor and Normalize, a fresh real batch for each critic step, generated samples detached.  Its
losses are written a second time (`bench.training.forms`), so that a mistake in either writing is a
difference between the two.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision import transforms

from bench import seeding
from bench.networks.base import Critic, Span, pack, packed
from bench.networks.spectral import renewed
from bench.training.base import Recipe, settings
from bench.training.forms import Score, Terms, form
from bench.training.precision import compute_dtype
from bench.training.state import State, joined, moments, part, restore_moments


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
        self._real = torch.zeros((recipe.batch_size, *shape), device=images.device)

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
        real, fake = (pack(samples, self._recipe.packing) for samples in (real, fake))
        self.critic_optimizer.zero_grad()
        score = self._score(keep)
        terms = self._form.critic(self._recipe.objective, score, real, fake, noise)
        terms["critic_loss"].backward()  # type: ignore[no-untyped-call] # torch's
        terms["critic_grad_norm"] = _norm(self.critic_module)
        self.critic_optimizer.step()
        self._form.constrain(self._recipe.objective, self.critic_module)
        held = dict(self.critic_module.named_buffers())
        for name, value in renewed(self.critic_module.state_dict(), held).items():
            held[name].copy_(value)
        return {name: value.detach() for name, value in terms.items()}

    def generator_step(
        self, latents: Tensor, keep: Sequence[Tensor] = (), real: Sequence[Tensor] = ()
    ) -> Terms:
        """Update the generator on latents (B, latent_dim); a paired objective takes real samples
        (B, *shape) beside them."""
        self.generator_optimizer.zero_grad()
        packs = [pack(x, self._recipe.packing) for x in (self._generate(latents), *real)]
        score = self._score(keep)
        loss = self._form.generator(*(score(x, call) for call, x in enumerate(packs)))
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
            for number in range(recipe.pace.before(step), recipe.pace.before(step + 1)):
                if number % recipe.repeats == 0:
                    self._real = next(self._batches).to(self._device)
                calls = recipe.objective.critic_calls
                masks = self._masks(calls)
                _note(seen, self.critic_step(self._real, self._latents(), self._noise(), masks))
            real = [next(self._batches).to(self._device)] if recipe.objective.paired else []
            _note(seen, self.generator_step(self._latents(), self._masks(1 + len(real)), real))
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
        return {**joined(parts), "draw": self._draw.get_state(), "real": self._real}

    def restore(self, state: Mapping[str, Tensor], step: int) -> None:
        """Go on from a `state()`, within the epoch that generator iteration `step` is in."""
        self.generator_module.load_state_dict(part(state, "generator"))
        self.critic_module.load_state_dict(part(state, "critic"))
        restore_moments(self.generator_optimizer, part(state, "generator_optimizer"))
        restore_moments(self.critic_optimizer, part(state, "critic_optimizer"))
        self._draw.set_state(state["draw"].cpu())
        self._real = state["real"].to(self._device, self._real.dtype)
        shown = -(-self._recipe.pace.before(step) // self._recipe.repeats)
        shown += step * self._recipe.objective.paired
        epoch, shown = divmod(shown, len(self._loader))
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

    def _noise(self) -> Terms:
        objective, recipe = self._recipe.objective, self._recipe
        packs = recipe.batch_size // recipe.packing
        shape = packed(tuple(self._real.shape[1:]), recipe.packing)
        own = {name: self._uniform(packs) for name in objective.noise}
        return own | {name: self._uniform(packs, *shape) for name in objective.sample_noise}

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self._draw, device=self._device)

    def _masks(self, calls: int) -> list[Tensor]:
        critic = self.critic_module
        return [
            self._uniform(calls, self._recipe.batch_size // self._recipe.packing, *shape)
            < critic.keep_probability
            for shape in critic.mask_shapes
        ]


def _norm(module: nn.Module) -> Tensor:
    return nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


def _note(seen: dict[str, list[Tensor]], terms: Terms) -> None:
    for name, value in terms.items():
        seen[name].append(value)
