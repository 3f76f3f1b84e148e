"""The standard GAN (Goodfellow et al. 2014), with either generator loss or a penalty on gradients.

The discriminator's output is a logit l; −log σ(l) is softplus(−l), which neither overflows nor
loses digits.  At equilibrium (σ = 1/2) the critic's loss is 2 log 2 and the non-saturating
generator's log 2.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import softplus

from bench.objectives.base import (
    Objective,
    Scores,
    Terms,
    gradient_norms,
    interpolated,
    one_for_each,
    score_together,
    scores_and_slopes,
)


@dataclass(frozen=True)
class _Standard(Objective, ABC):
    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log D(x) − E log(1 − D(G(z))), equation 1 of the paper with its sign turned."""
        return _telling_apart(*score_together(critic, real, fake))


@dataclass(frozen=True)
class NonSaturating(_Standard):
    """The generator minimises −E log D(G(z)): the loss the paper recommends (section 3)."""

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """−E log D(G(z))."""
        return softplus(-critic(fake)).mean()


@dataclass(frozen=True)
class Minimax(_Standard):
    """The generator minimises E log(1 − D(G(z))): the loss whose gradient is said to vanish."""

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """E log(1 − D(G(z)))."""
        return -softplus(critic(fake)).mean()


@dataclass(frozen=True)
class R1(NonSaturating):
    """Non-saturating, with a zero-centred penalty on real samples alone (Mescheder, Geiger &
    Nowozin 2018, equation 9); `penalty_weight` is their γ, of which half is the factor."""

    penalty_weight: Annotated[float, Ge(0.0)] = 10.0

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log D(x) − E log(1 − D(G(z))) + γ/2 E ‖∇c(x)‖₂²."""
        on_real, squares = scores_and_slopes(critic, real)
        loss, terms = _telling_apart(on_real, critic(fake))
        penalty = squares.mean()
        return loss + self.penalty_weight / 2.0 * penalty, {**terms, "penalty": penalty}


@dataclass(frozen=True)
class GANGP(NonSaturating):
    """Non-saturating, with WGAN-GP's penalty at WGAN-GP's points (Fedus et al. 2018, "Many paths to
    equilibrium", section 2.3): what the penalty does without the Wasserstein loss."""

    penalty_weight: Annotated[float, Ge(0.0)] = 10.0

    noise: ClassVar[tuple[str, ...]] = ("epsilon",)
    critic_calls: ClassVar[int] = 3

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log D(x) − E log(1 − D(G(z))) + λ E (‖∇c(x̂)‖₂ − 1)², x̂ = εx + (1 − ε)G(z)."""
        loss, terms = _telling_apart(*score_together(critic, real, fake))
        between = interpolated(real, fake, noise["epsilon"])
        penalty = (gradient_norms(critic, between) - 1.0).square().mean()
        return loss + self.penalty_weight * penalty, {**terms, "penalty": penalty}


@dataclass(frozen=True)
class DRAGAN(NonSaturating):
    """Non-saturating, with a two-sided penalty around real samples (Kodali, Abernethy, Hays & Kira
    2017), in the form of the authors' code.

    There x̂ = x + α · s/2 · u with s the standard deviation of all numbers of the batch, u uniform
    on [0, 1) for each coordinate and α for each sample.  The paper's noise is normal instead.
    """

    penalty_weight: Annotated[float, Ge(0.0)] = 10.0

    noise: ClassVar[tuple[str, ...]] = ("alpha",)
    sample_noise: ClassVar[tuple[str, ...]] = ("delta",)
    critic_calls: ClassVar[int] = 3

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log D(x) − E log(1 − D(G(z))) + λ E (‖∇c(x̂)‖₂ − 1)²."""
        loss, terms = _telling_apart(*score_together(critic, real, fake))
        spread = real.std(correction=0)
        near = real + one_for_each(noise["alpha"], real) * (0.5 * spread * noise["delta"])
        penalty = (gradient_norms(critic, near) - 1.0).square().mean()
        return loss + self.penalty_weight * penalty, {**terms, "penalty": penalty}


def _telling_apart(on_real: Tensor, on_fake: Tensor) -> tuple[Tensor, Terms]:
    """The discriminator's cross-entropy on scores (B,) of either kind, and its terms."""
    loss = softplus(-on_real).mean() + softplus(on_fake).mean()
    return loss, {"real_score": on_real.mean(), "fake_score": on_fake.mean()}
