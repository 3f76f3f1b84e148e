"""The hinge GAN: the critic stops pushing once it is right by a margin of 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from bench.objectives.base import Objective, Scores, Terms, score_together


@dataclass(frozen=True)
class Hinge(Objective):
    """Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17, with their signs turned.

    Where the critic says 0 of everything, its loss is 2 and the generator's 0.
    """

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """E max(0, 1 − c(x)) + E max(0, 1 + c(G(z)))."""
        on_real, on_fake = score_together(critic, real, fake)
        loss = (1.0 - on_real).relu().mean() + (1.0 + on_fake).relu().mean()
        return loss, {"real_score": on_real.mean(), "fake_score": on_fake.mean()}

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """−E c(G(z))."""
        return -critic(fake).mean()
