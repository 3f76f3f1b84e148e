"""Losses against closed forms: a linear critic c(x) = w·x has everything in one line."""

from __future__ import annotations

import math

import pytest
import torch

from bench import registry
from bench.objectives.gan import Minimax, NonSaturating
from bench.objectives.wgan import WGAN, WGANGP, gradient_norms

REAL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
W = torch.tensor([3.0, 4.0], dtype=torch.float64)
NOISE = {"epsilon": torch.tensor([0.25, 0.5], dtype=torch.float64)}


def linear(x):
    return x @ W


def undecided(x):
    return 0.0 * x.sum(1)


@pytest.mark.parametrize("objective", [NonSaturating(), Minimax()])
def test_standard_critic_at_equilibrium_loses_two_log_two(objective):
    loss, _ = objective.critic_loss(undecided, REAL, FAKE, {})
    assert loss.item() == pytest.approx(2 * math.log(2), abs=1e-15)


def test_generators_at_equilibrium_lose_plus_and_minus_log_two():
    assert NonSaturating().generator_loss(undecided, FAKE).item() == pytest.approx(math.log(2))
    assert Minimax().generator_loss(undecided, FAKE).item() == pytest.approx(-math.log(2))


def test_standard_critic_loss_is_the_cross_entropy_of_probabilities():
    loss, _ = NonSaturating().critic_loss(linear, REAL / 10, FAKE / 10, {})
    right, wrong = torch.sigmoid(linear(REAL / 10)), torch.sigmoid(linear(FAKE / 10))
    assert loss.item() == pytest.approx(-(right.log().mean() + (1 - wrong).log().mean()).item())


def test_standard_loss_of_a_certain_critic_stays_finite():
    loss, _ = NonSaturating().critic_loss(lambda x: -1e4 * x.sum(1), REAL, FAKE, {})
    assert torch.isfinite(loss)


def test_minimax_gradient_vanishes_where_the_other_does_not():
    slopes = []
    for objective in (Minimax(), NonSaturating()):
        shift = torch.tensor(-30.0, dtype=torch.float64, requires_grad=True)
        objective.generator_loss(lambda x, s=shift: undecided(x) + s, FAKE).backward()
        slopes.append(shift.grad.item())
    assert slopes == pytest.approx([-math.exp(-30.0), -1.0], rel=1e-9)


def test_wasserstein_loss_is_the_difference_of_means():
    loss, terms = WGAN().critic_loss(linear, REAL, FAKE, {})
    assert terms["real_score"].item() == (11 + 25) / 2
    assert terms["fake_score"].item() == (4 - 3) / 2
    assert loss.item() == 0.5 - 18.0
    assert WGAN().generator_loss(linear, FAKE).item() == -0.5


def test_clipping_leaves_no_weight_beyond_the_bound():
    weights = [torch.linspace(-1, 1, 9), torch.tensor([0.02, -0.005])]
    WGAN(clip=0.01).constrain(weights)
    assert max(w.abs().max().item() for w in weights) == pytest.approx(0.01)
    assert weights[1][1].item() == pytest.approx(-0.005)


def test_penalty_of_a_linear_critic_is_the_squared_excess_of_its_norm():
    loss, terms = WGANGP(penalty_weight=10.0).critic_loss(linear, REAL, FAKE, NOISE)
    assert terms["penalty"].item() == pytest.approx((5.0 - 1.0) ** 2)
    assert loss.item() == pytest.approx(-17.5 + 160.0)


def test_penalty_takes_the_norm_of_each_sample_between_real_and_fake():
    def half_square(x):  # its gradient at x is x itself
        return x.square().sum(1) / 2

    _, terms = WGANGP().critic_loss(half_square, REAL, FAKE, NOISE)
    first, second = REAL[0] / 4 + FAKE[0] * 3 / 4, REAL[1] / 2 + FAKE[1] / 2
    expected = ((first.norm() - 1) ** 2 + (second.norm() - 1) ** 2) / 2
    assert terms["penalty"].item() == pytest.approx(expected.item(), rel=1e-9)


def test_penalty_has_a_finite_gradient_where_the_critic_is_flat():
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    norms = gradient_norms(lambda x: scale * x.sum(1), REAL)
    norms.sum().backward()
    assert torch.isfinite(scale.grad)


@pytest.mark.parametrize("name", registry.BUILT_IN["objectives"])
def test_every_objective_names_its_scores_and_keeps_to_its_noise(name):
    objective = registry.load("objectives", name)()
    noise = {key: torch.rand(2, dtype=torch.float64) for key in objective.noise}
    calls = []

    def counted(x):
        calls.append(len(x))
        return linear(x)

    loss, terms = objective.critic_loss(counted, REAL, FAKE, noise)
    assert loss.shape == ()
    assert {"real_score", "fake_score"} <= set(terms)
    assert sum(calls) == objective.critic_calls * len(REAL)  # batches, in however many calls
