"""Relativistic pairing: the critic says which of two samples is the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn.functional import softplus

from bench.objectives.base import Objective, Scores, Terms, score_together, scores_and_slopes


@dataclass(frozen=True)
class RelativisticPairing(Objective):
    """RpGAN with R1 and R2 (Jolicoeur-Martineau 2018; Huang, Gokaslan, Kuleshov & Tompkin 2024,
    R3GAN, equations 2 and 3); `penalty_weight` is their γ, of which half is the factor.

    The generator's loss is the non-saturating one of their code, not the negative of the critic's.
    Their γ goes with the data: 0.05 (CIFAR-10), 1 (stacked MNIST), 150 (FFHQ at 256 pixels).  Where
    the critic cannot tell, both losses are log 2.
    """

    penalty_weight: Annotated[float, Ge(0.0)] = 1.0

    paired: ClassVar[bool] = True

    def critic_loss(
        self, critic: Scores, real: Tensor, fake: Tensor, noise: Mapping[str, Tensor]
    ) -> tuple[Tensor, Terms]:
        """−E log σ(c(x) − c(G(z))) + γ/2 (E ‖∇c(x)‖₂² + E ‖∇c(G(z))‖₂²)."""
        scores, squares = scores_and_slopes(critic, torch.cat([real, fake]))
        on_real, on_fake = scores.chunk(2)
        penalty = 2.0 * squares.mean()  # two means over as many samples each
        loss = softplus(on_fake - on_real).mean() + self.penalty_weight / 2.0 * penalty
        terms = {"real_score": on_real.mean(), "fake_score": on_fake.mean(), "penalty": penalty}
        return loss, terms

    def generator_loss(self, critic: Scores, fake: Tensor, *real: Tensor) -> Tensor:
        """−E log σ(c(G(z)) − c(x)); each generated sample is compared with one real one."""
        on_fake, on_real = score_together(critic, fake, *real)
        return softplus(on_real - on_fake).mean()
