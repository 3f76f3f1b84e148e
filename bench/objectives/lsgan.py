"""The least-squares GAN: scores are regressed on 0 and 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from bench.objectives.base import Objective, Scores, Terms, score_together


@dataclass(frozen=True)
class LSGAN(Objective):
    """Mao et al. 2017, equation 9: their codes a = 0 for generated and b = c = 1 for real samples.

    At equilibrium (c = 1/2 everywhere) the critic's loss is 1/4 and the generator's 1/8.
    """

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """½ E (c(x) − 1)² + ½ E c(G(z))²."""
        on_real, on_fake = score_together(critic, real, fake)
        loss = ((on_real - 1.0).square().mean() + on_fake.square().mean()) / 2.0
        return loss, {"real_score": on_real.mean(), "fake_score": on_fake.mean()}

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """½ E (c(G(z)) − 1)²."""
        return (critic(fake) - 1.0).square().mean() / 2.0
