"""The standard GAN (Goodfellow et al. 2014), with either generator loss.

The discriminator's output is a logit l; −log σ(l) is softplus(−l), which neither overflows nor
loses digits.  At equilibrium (σ = 1/2) the critic's loss is 2 log 2 and the non-saturating
generator's log 2.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from bench.objectives.base import Objective, Scores, Terms, score_together


@dataclass(frozen=True)
class _Standard(Objective, ABC):
    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log D(x) − E log(1 − D(G(z))), equation 1 of the paper with its sign turned."""
        on_real, on_fake = score_together(critic, real, fake)
        loss = softplus(-on_real).mean() + softplus(on_fake).mean()
        return loss, {"real_score": on_real.mean(), "fake_score": on_fake.mean()}


@dataclass(frozen=True)
class NonSaturating(_Standard):
    """The generator minimises −E log D(G(z)): the loss the paper recommends (section 3)."""

    def generator_loss(self, critic: Scores, fake: Tensor) -> Tensor:
        """−E log D(G(z))."""
        return softplus(-critic(fake)).mean()


@dataclass(frozen=True)
class Minimax(_Standard):
    """The generator minimises E log(1 − D(G(z))): the loss whose gradient is said to vanish."""

    def generator_loss(self, critic: Scores, fake: Tensor) -> Tensor:
        """E log(1 − D(G(z)))."""
        return -softplus(critic(fake)).mean()
