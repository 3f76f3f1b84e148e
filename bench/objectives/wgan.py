"""Wasserstein GANs: the critic estimates the earth mover's distance, up to its own slope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt
from torch import Tensor

from bench.objectives.base import (
    Objective,
    Scores,
    Terms,
    gradient_norms,
    interpolated,
    score_together,
)


@dataclass(frozen=True)
class WGAN(Objective):
    """Weight clipping (Arjovsky et al. 2017, algorithm 1): every weight in [−clip, clip]."""

    clip: Annotated[float, Gt(0.0)] = 0.01

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """E c(G(z)) − E c(x)."""
        on_real, on_fake = (scores.mean() for scores in score_together(critic, real, fake))
        return on_fake - on_real, {"real_score": on_real, "fake_score": on_fake}

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """−E c(G(z))."""
        return -critic(fake).mean()

    def constrain(self, parameters: Iterable[Tensor]) -> None:
        """Clip every weight: after the update, as in the algorithm, not before it."""
        for parameter in parameters:
            parameter.clamp_(-self.clip, self.clip)

    @property
    def weight_bound(self) -> float:
        """The clipping bound."""
        return self.clip


@dataclass(frozen=True)
class WGANGP(Objective):
    """Two-sided gradient penalty (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville 2017, eq. 3)."""

    penalty_weight: Annotated[float, Ge(0.0)] = 10.0

    noise: ClassVar[tuple[str, ...]] = ("epsilon",)
    critic_calls: ClassVar[int] = 3

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """E c(G(z)) − E c(x) + λ E (‖∇c(x̂)‖₂ − 1)², x̂ = εx + (1 − ε)G(z), one ε a sample."""
        on_real, on_fake = (scores.mean() for scores in score_together(critic, real, fake))
        between = interpolated(real, fake, noise["epsilon"])
        penalty = self._excess(gradient_norms(critic, between)).square().mean()
        loss = on_fake - on_real + self.penalty_weight * penalty
        return loss, {"real_score": on_real, "fake_score": on_fake, "penalty": penalty}

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """−E c(G(z))."""
        return -critic(fake).mean()

    def _excess(self, norms: Tensor) -> Tensor:
        """What is squared for each norm: how far it is from 1, on either side."""
        return norms - 1.0


@dataclass(frozen=True)
class WGANLP(WGANGP):
    """One-sided, "Lipschitz", penalty (Petzka, Fischer & Lukovnikov 2018): max(0, ‖∇c(x̂)‖₂ − 1)²
    in the place of WGAN-GP's (‖∇c(x̂)‖₂ − 1)², at the same points."""

    def _excess(self, norms: Tensor) -> Tensor:
        """What is squared for each norm: how far it lies above 1."""
        return (norms - 1.0).relu()
