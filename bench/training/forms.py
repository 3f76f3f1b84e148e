"""Every objective's losses a second time, as a tutorial writes them with autograd.

They share nothing with `bench.objectives`, so that a mistake in either is a difference between the
engine and the textbook loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UnknownName
from bench.objectives.base import Objective
from bench.objectives.gan import DRAGAN, GANGP, R1, Minimax, NonSaturating
from bench.objectives.hinge import Hinge
from bench.objectives.lsgan import LSGAN
from bench.objectives.relativistic import RelativisticPairing
from bench.objectives.wgan import WGAN, WGANGP, WGANLP

Terms = dict[str, Tensor]
Score = Callable[[Tensor, int], Tensor]
"""Samples and the number of the call (which dropout masks) → scores (B,)."""


class Form(NamedTuple):
    """The critic's loss, the generator's, and what follows a critic update.

    The generator's loss is of its scores (B,), and of a paired objective's real ones (B,) beside
    them.
    """

    critic: Callable[..., Terms]
    generator: Callable[..., Tensor]
    constrain: Callable[[Any, nn.Module], None]


def form(objective: Objective) -> Form:
    """The second writing of an objective; raises `UnknownName` for one that has none."""
    kind = type(objective)
    if kind not in FORMS:
        raise UnknownName(
            f"objective {kind.__name__} has no textbook form; use engine 'eager' or 'compiled'"
        )
    return FORMS[kind]


def _cross_entropy(logits: Tensor, target: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def _standard(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0), score(fake, 1)
    loss = _cross_entropy(on_real, 1.0) + _cross_entropy(on_fake, 0.0)
    return {"critic_loss": loss, "real_score": on_real.mean(), "fake_score": on_fake.mean()}


def _zero_centred(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    real = real.detach().requires_grad_()
    on_real, on_fake = score(real, 0), score(fake, 1)
    loss = _cross_entropy(on_real, 1.0) + _cross_entropy(on_fake, 0.0)
    penalty = torch.mean(_squared_norms(on_real, real))
    return {
        "critic_loss": loss + objective.penalty_weight / 2 * penalty,
        "real_score": on_real.mean(),
        "fake_score": on_fake.mean(),
        "penalty": penalty,
    }


def _around_data(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    terms = _standard(objective, score, real, fake, noise)
    spread = torch.sqrt(torch.mean((real - real.mean()) ** 2))
    disturbed = real + 0.5 * spread * noise["delta"]
    alpha = noise["alpha"].view(-1, *[1] * (real.dim() - 1))
    near = torch.lerp(real, disturbed, alpha.expand_as(real)).requires_grad_()
    norms = torch.sqrt(_squared_norms(score(near, 2), near) + 1e-12)
    terms["penalty"] = torch.mean((norms - 1) ** 2)
    terms["critic_loss"] = terms["critic_loss"] + objective.penalty_weight * terms["penalty"]
    return terms


def _wasserstein(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0).mean(), score(fake, 1).mean()
    return {"critic_loss": -(on_real - on_fake), "real_score": on_real, "fake_score": on_fake}


def _norms_between(score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Tensor:
    """The norm of the critic's gradient at a point between each real and its generated sample."""
    epsilon = noise["epsilon"].view(-1, *[1] * (real.dim() - 1))
    mixed = torch.lerp(fake, real, epsilon.expand_as(real)).requires_grad_()
    return torch.sqrt(_squared_norms(score(mixed, 2), mixed) + 1e-12)


def _penalized(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    terms = _wasserstein(objective, score, real, fake, noise)
    terms["penalty"] = torch.mean((_norms_between(score, real, fake, noise) - 1) ** 2)
    terms["critic_loss"] = terms["critic_loss"] + objective.penalty_weight * terms["penalty"]
    return terms


def _standard_penalized(
    objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms
) -> Terms:
    terms = _standard(objective, score, real, fake, noise)
    terms["penalty"] = torch.mean((_norms_between(score, real, fake, noise) - 1) ** 2)
    terms["critic_loss"] = terms["critic_loss"] + objective.penalty_weight * terms["penalty"]
    return terms


def _one_sided(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    terms = _wasserstein(objective, score, real, fake, noise)
    excess = torch.clamp(_norms_between(score, real, fake, noise) - 1, min=0)
    terms["penalty"] = torch.mean(excess**2)
    terms["critic_loss"] = terms["critic_loss"] + objective.penalty_weight * terms["penalty"]
    return terms


def _hinge(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0), score(fake, 1)
    loss = torch.mean(functional.relu(1 - on_real)) + torch.mean(functional.relu(1 + on_fake))
    return {"critic_loss": loss, "real_score": on_real.mean(), "fake_score": on_fake.mean()}


def _least_squares(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    on_real, on_fake = score(real, 0), score(fake, 1)
    loss = 0.5 * (_distance(on_real, 1.0) + _distance(on_fake, 0.0))
    return {"critic_loss": loss, "real_score": on_real.mean(), "fake_score": on_fake.mean()}


def _distance(scores: Tensor, target: float) -> Tensor:
    return functional.mse_loss(scores, torch.full_like(scores, target))


def _paired(objective: Any, score: Score, real: Tensor, fake: Tensor, noise: Terms) -> Terms:
    real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
    on_real, on_fake = score(real, 0), score(fake, 1)
    r1, r2 = _squared_norms(on_real, real).mean(), _squared_norms(on_fake, fake).mean()
    loss = _cross_entropy(on_real - on_fake, 1.0) + objective.penalty_weight / 2 * (r1 + r2)
    return {
        "critic_loss": loss,
        "real_score": on_real.mean(),
        "fake_score": on_fake.mean(),
        "penalty": r1 + r2,
    }


def _squared_norms(output: Tensor, points: Tensor) -> Tensor:
    """‖∇‖² of each point's own output: (B,) and (B, *shape) → (B,)."""
    (gradient,) = torch.autograd.grad(
        output, points, grad_outputs=torch.ones_like(output), create_graph=True
    )
    return torch.sum(gradient.view(len(gradient), -1) ** 2, dim=1)


def _clip(objective: Any, critic: nn.Module) -> None:
    with torch.no_grad():
        for parameter in critic.parameters():
            parameter.clamp_(-objective.clip, objective.clip)


def _nothing(objective: Any, critic: nn.Module) -> None:
    pass


def _fooling(scores: Tensor) -> Tensor:
    return _cross_entropy(scores, 1.0)


def _raising(scores: Tensor) -> Tensor:
    return -scores.mean()


FORMS: dict[type[Objective], Form] = {
    NonSaturating: Form(_standard, _fooling, _nothing),
    Minimax: Form(_standard, lambda scores: -_cross_entropy(scores, 0.0), _nothing),
    R1: Form(_zero_centred, _fooling, _nothing),
    GANGP: Form(_standard_penalized, _fooling, _nothing),
    DRAGAN: Form(_around_data, _fooling, _nothing),
    WGAN: Form(_wasserstein, _raising, _clip),
    WGANGP: Form(_penalized, _raising, _nothing),
    WGANLP: Form(_one_sided, _raising, _nothing),
    Hinge: Form(_hinge, _raising, _nothing),
    LSGAN: Form(_least_squares, lambda scores: 0.5 * _distance(scores, 1.0), _nothing),
    RelativisticPairing: Form(
        _paired, lambda scores, real: _cross_entropy(scores - real, 1.0), _nothing
    ),
}
