"""Losses against closed forms: a linear critic c(x) = w·x has everything in one line."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from bench import registry
from bench.objectives.base import gradient_norms, scores_and_slopes
from bench.objectives.gan import DRAGAN, GANGP, R1, Minimax, NonSaturating
from bench.objectives.hinge import Hinge
from bench.objectives.lsgan import LSGAN
from bench.objectives.relativistic import RelativisticPairing
from bench.objectives.wgan import WGAN, WGANGP, WGANLP

REAL = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
W = torch.tensor([3.0, 4.0], dtype=torch.float64)
NOISE = {
    "epsilon": torch.tensor([0.25, 0.5], dtype=torch.float64),
    "alpha": torch.tensor([0.5, 1.0], dtype=torch.float64),
    "delta": torch.tensor([[0.0, 0.5], [0.25, 1.0]], dtype=torch.float64),
}


def linear(x):
    return x @ W


def undecided(x):
    return 0.0 * x.sum(1)


def half_square(x):
    """A critic whose gradient at x is x itself."""
    return x.square().sum(1) / 2


def gradient_in(weights, objective, critic):
    """The critic loss's gradient in the weights of `critic(x, weights)`."""
    weights = weights.clone().requires_grad_()
    loss, _ = objective.critic_loss(lambda x: critic(x, weights), REAL, FAKE, NOISE)
    loss.backward()
    return weights.grad


def penalty_gradient(objective, critic=torch.mv, weights=W):
    """The share of the penalty in that gradient, its weight included."""
    without = replace(objective, penalty_weight=0.0)
    return gradient_in(weights, objective, critic) - gradient_in(weights, without, critic)


@pytest.mark.parametrize("objective", [NonSaturating(), Minimax(), R1(), DRAGAN(penalty_weight=0)])
def test_standard_critic_at_equilibrium_loses_two_log_two(objective):
    loss, _ = objective.critic_loss(undecided, REAL, FAKE, NOISE)
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
    _, terms = WGANGP().critic_loss(half_square, REAL, FAKE, NOISE)
    first, second = REAL[0] / 4 + FAKE[0] * 3 / 4, REAL[1] / 2 + FAKE[1] / 2
    expected = ((first.norm() - 1) ** 2 + (second.norm() - 1) ** 2) / 2
    assert terms["penalty"].item() == pytest.approx(expected.item(), rel=1e-9)


def test_penalty_has_a_finite_gradient_where_the_critic_is_flat():
    scale = torch.zeros((), dtype=torch.float64, requires_grad=True)
    norms = gradient_norms(lambda x: scale * x.sum(1), REAL)
    norms.sum().backward()
    assert torch.isfinite(scale.grad)


def test_scores_and_slopes_come_from_one_call_of_the_critic():
    calls = []

    def counted(x):
        calls.append(len(x))
        return half_square(x)

    scores, squares = scores_and_slopes(counted, REAL)
    assert calls == [2]
    assert scores.tolist() == [2.5, 12.5]
    assert squares.tolist() == [5.0, 25.0]


def test_one_sided_penalty_leaves_a_slope_below_one_alone():
    flat, steep = ((lambda x, w=w: x @ w) for w in (W / 10, W))
    _, below = WGANLP().critic_loss(flat, REAL, FAKE, NOISE)
    loss, above = WGANLP(penalty_weight=10.0).critic_loss(steep, REAL, FAKE, NOISE)
    assert below["penalty"].item() == 0.0
    assert above["penalty"].item() == pytest.approx((5.0 - 1.0) ** 2)
    assert loss.item() == pytest.approx(-17.5 + 160.0)


def test_gradients_of_the_lipschitz_penalties_of_a_linear_critic():
    # d/dw of λ (|w| − 1)² is 2 λ (|w| − 1) w / |w|
    for objective in (WGANGP(3.0), WGANLP(3.0), GANGP(3.0)):
        expected = 2 * 3.0 * (5.0 - 1.0) * W / 5.0
        assert penalty_gradient(objective).tolist() == pytest.approx(expected.tolist())
    assert penalty_gradient(WGANLP(), weights=W / 10).tolist() == [0.0, 0.0]
    pulled = 2 * 10.0 * (0.5 - 1.0) * W / 5.0
    assert penalty_gradient(WGANGP(), weights=W / 10).tolist() == pytest.approx(pulled.tolist())
    assert penalty_gradient(DRAGAN(), weights=W / 10).tolist() == pytest.approx(pulled.tolist())


def test_gradients_of_the_zero_centred_penalties_of_a_linear_critic():
    # d/dw of γ/2 |w|² is γ w, at real samples and at generated ones
    assert penalty_gradient(R1(penalty_weight=3.0)).tolist() == pytest.approx([9.0, 12.0])
    both = penalty_gradient(RelativisticPairing(penalty_weight=3.0))
    assert both.tolist() == pytest.approx([18.0, 24.0])


def test_gradients_of_the_zero_centred_penalties_know_their_samples():
    # of a |x|² / 2 the slope at x is a x: γ/2 E a² |x|² has the gradient γ a E |x|² in a
    def bowl(x, a):
        return a * half_square(x)

    a = torch.tensor(2.0, dtype=torch.float64)
    real, fake = (5.0 + 25.0) / 2, (1.0 + 1.0) / 2
    assert penalty_gradient(R1(), bowl, a).item() == pytest.approx(10.0 * 2.0 * real)
    both = penalty_gradient(RelativisticPairing(penalty_weight=1.0), bowl, a)
    assert both.item() == pytest.approx(2.0 * (real + fake))


def test_r1_is_the_mean_squared_slope_at_real_samples():
    loss, terms = R1(penalty_weight=10.0).critic_loss(half_square, REAL, FAKE, {})
    plain, _ = NonSaturating().critic_loss(half_square, REAL, FAKE, {})
    assert terms["penalty"].item() == (5.0 + 25.0) / 2
    assert loss.item() == pytest.approx(plain.item() + 5.0 * 15.0)


def test_gan_gp_is_the_standard_loss_with_wgan_gps_penalty():
    loss, terms = GANGP().critic_loss(half_square, REAL, FAKE, NOISE)
    plain, _ = NonSaturating().critic_loss(half_square, REAL, FAKE, {})
    _, of_wgan_gp = WGANGP().critic_loss(half_square, REAL, FAKE, NOISE)
    assert terms["penalty"].item() == of_wgan_gp["penalty"].item()
    assert loss.item() == pytest.approx(plain.item() + 10.0 * terms["penalty"].item())


def test_dragan_looks_half_a_deviation_above_the_data():
    _, terms = DRAGAN().critic_loss(half_square, REAL, FAKE, NOISE)
    half = math.sqrt(1.25) / 2  # of 1, 2, 3, 4, whose variance is 5/4
    first, second = (1.0, 2.0 + 0.25 * half), (3.0 + 0.25 * half, 4.0 + half)
    expected = ((math.hypot(*first) - 1) ** 2 + (math.hypot(*second) - 1) ** 2) / 2
    assert terms["penalty"].item() == pytest.approx(expected, rel=1e-9)


def test_hinge_counts_only_what_is_within_the_margin():
    loss, terms = Hinge().critic_loss(lambda x: x.sum(1) - 3.5, REAL, FAKE, {})
    # scores: real −1/2 and 7/2, generated −5/2 and −9/2
    assert loss.item() == pytest.approx((1.5 + 0.0) / 2 + 0.0)
    assert (terms["real_score"].item(), terms["fake_score"].item()) == (1.5, -3.5)
    assert Hinge().generator_loss(linear, FAKE).item() == -0.5
    assert Hinge().critic_loss(undecided, REAL, FAKE, {})[0].item() == 2.0


def test_least_squares_are_distances_to_one_and_zero():
    loss, _ = LSGAN().critic_loss(linear, REAL, FAKE, {})
    assert loss.item() == pytest.approx((10**2 + 24**2) / 4 + (4**2 + 3**2) / 4)
    assert LSGAN().generator_loss(linear, FAKE).item() == pytest.approx((3**2 + 4**2) / 4)


def test_least_squares_at_equilibrium_lose_a_quarter_and_an_eighth():
    loss, _ = LSGAN().critic_loss(lambda x: undecided(x) + 0.5, REAL, FAKE, {})
    assert loss.item() == 1 / 4
    assert LSGAN().generator_loss(lambda x: undecided(x) + 0.5, FAKE).item() == 1 / 8


def test_relativistic_pairing_compares_each_sample_with_its_neighbour():
    objective = RelativisticPairing(penalty_weight=0.0)
    # differences of scores, real less generated: 1 − (−1), 2 − 4
    critic = {1.0: 1.0, 3.0: 2.0, 0.0: -1.0, -1.0: 4.0}

    def scores(x):
        return torch.stack([x[i, 0] * 0 + critic[x[i, 0].item()] for i in range(len(x))])

    loss = objective.generator_loss(scores, FAKE, REAL)
    assert loss.item() == pytest.approx((math.log1p(math.exp(2)) + math.log1p(math.exp(-2))) / 2)
    swapped = objective.generator_loss(scores, FAKE, REAL.flip(0))
    assert swapped.item() == pytest.approx((math.log1p(math.exp(3)) + math.log1p(math.exp(-3))) / 2)


def test_relativistic_pairing_at_equilibrium_loses_log_two_twice():
    loss, terms = RelativisticPairing().critic_loss(undecided, REAL, FAKE, {})
    assert loss.item() == pytest.approx(math.log(2))
    assert terms["penalty"].item() == 0.0
    generator = RelativisticPairing().generator_loss(undecided, FAKE, REAL)
    assert generator.item() == pytest.approx(math.log(2))


def test_relativistic_losses_do_not_know_a_constant_in_the_scores():
    for shift in (0.0, 7.0):
        loss, _ = RelativisticPairing().critic_loss(
            lambda x, s=shift: linear(x) + s, REAL, FAKE, {}
        )
        expected = sum(math.log1p(math.exp(-gap)) for gap in (11 - 4, 25 + 3)) / 2 + 0.5 * 50.0
        assert loss.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", registry.BUILT_IN["objectives"])
def test_every_objective_names_its_scores_and_keeps_to_its_noise(name):
    objective = registry.load("objectives", name)()
    noise = {key: NOISE[key] for key in (*objective.noise, *objective.sample_noise)}
    calls = []

    def counted(x):
        calls.append(len(x))
        return linear(x)

    loss, terms = objective.critic_loss(counted, REAL, FAKE, noise)
    assert loss.shape == ()
    assert set(terms) - {"penalty"} == {"real_score", "fake_score"}
    assert ("penalty" in terms) == hasattr(objective, "penalty_weight")
    assert sum(calls) == objective.critic_calls * len(REAL)  # batches, in however many calls
