"""What an objective is: two losses to minimise, and what happens after a critic step.

The losses are pure functions of a batch: the engine differentiates them, stacks them over seeds and
compiles them.  `critic` maps samples (B, *shape) to scores (B,); samples do not interact in it.
Every loss here is minimised; the critic's objective of the WGAN papers, which is maximised, appears
with its sign turned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

Scores = Callable[[Tensor], Tensor]
"""Samples (n · B, *shape), n batches one after the other, → scores (n · B,)."""
Terms = Mapping[str, Tensor]
"""0-d parts of a critic loss worth logging: `real_score` and `fake_score` always, `penalty`
(unweighted) where there is one."""

_TINY = 1e-12
"""Under the root of a squared norm, whose slope is infinite at 0."""


@dataclass(frozen=True)
class Objective(ABC):
    """The losses of one kind of GAN, with their hyper-parameters as fields."""

    noise: ClassVar[tuple[str, ...]] = ()
    """Names of the random numbers the critic loss needs: each (B,), uniform on [0, 1), drawn by
    the engine from the run's streams."""
    sample_noise: ClassVar[tuple[str, ...]] = ()
    """The same, with a number for every coordinate of every sample: (B, *shape) each."""
    critic_calls: ClassVar[int] = 2
    """How many batches `critic_loss` shows the critic, in however many calls (each batch gets
    dropout masks of its own)."""
    paired: ClassVar[bool] = False
    """Whether the generator's loss compares its samples with real ones, of which it gets as many:
    `generator_loss(critic, fake, real)`."""
    state: ClassVar[Mapping[str, float]] = {}
    """Numbers that the objective carries from critic step to critic step, by name, with their
    first values.  `noise` holds them, 0-d, beside the random numbers; the term of the same name
    that `critic_loss` answers with is the next value."""

    @abstractmethod
    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """The critic's 0-d loss on real and generated samples (B, *shape), and its terms."""

    @abstractmethod
    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """The generator's 0-d loss on its own samples (B, *shape); `real` is one batch more where
        the objective is `paired`, else nothing."""

    def constrain(self, parameters: Iterable[Tensor]) -> None:  # noqa: B027 - optional on purpose
        """Project the critic's parameters, in place, after each of its updates; nothing here."""

    @property
    def weight_bound(self) -> float | None:
        """The largest absolute value `constrain` leaves a weight, or None for no bound."""
        return None


def score_together(critic: Scores, *batches: Tensor) -> tuple[Tensor, ...]:
    """The scores (B,) of each batch (B, *shape), by one call of the critic.

    The larger matrix products run nearer to the machine's rate, and each weight's gradient is
    one product instead of a sum of several.
    """
    return critic(torch.cat(batches)).chunk(len(batches))


def scores_and_slopes(critic: Scores, x: Tensor) -> tuple[Tensor, Tensor]:
    """c(x) and ‖∇c(x)‖₂² of each sample, both (B,), by one call of the critic.

    Both are differentiable in the critic's parameters.
    """

    def total(points: Tensor) -> tuple[Tensor, Tensor]:
        scores = critic(points)
        return scores.sum(), scores

    gradient, scores = torch.func.grad(total, has_aux=True)(x)
    return scores, gradient.flatten(1).square().sum(1)


def gradient_norms(critic: Scores, x: Tensor) -> Tensor:
    """‖∇c(x)‖₂ of each sample: (B, *shape) → (B,), differentiable in the critic's parameters."""
    _, squares = scores_and_slopes(critic, x)
    return (squares + _TINY).sqrt()


def interpolated(real: Tensor, fake: Tensor, epsilon: Tensor) -> Tensor:
    """εx + (1 − ε)G(z), of real and generated samples (B, *shape) with one ε (B,) a sample."""
    share = one_for_each(epsilon, real)
    return share * real + (1.0 - share) * fake


def one_for_each(numbers: Tensor, samples: Tensor) -> Tensor:
    """Numbers (B,), shaped to multiply samples (B, *shape) with."""
    return numbers.reshape(-1, *(1 for _ in samples.shape[1:]))
