from itertools import permutations

import numpy as np
import pytest
import torch
from bank_fixture import bank, normal

from bench.metrics.transport import AT_MOST, WASSERSTEIN_1, WASSERSTEIN_2

BOTH = pytest.mark.parametrize("metric", [WASSERSTEIN_1, WASSERSTEIN_2], ids=["W1", "W2"])
QUANTILES = torch.special.ndtri((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000)[:, None]
"""As close to N(0, 1) as a thousand points are."""


@BOTH
@pytest.mark.parametrize("dimensions", [1, 2])
def test_of_few_points_it_is_the_least_over_all_pairings(metric, dimensions):
    x, y = normal(6, dimensions, seed=1), 2 * normal(6, dimensions, seed=2) + 1
    power = {WASSERSTEIN_1: 1, WASSERSTEIN_2: 2}[metric]
    lengths = [(x[list(order)] - y).norm(dim=1) for order in permutations(range(6))]
    expected = min((each**power).mean() ** (1 / power) for each in lengths).item()
    assert metric.compute(bank(x), bank(y)) == pytest.approx(expected, rel=1e-6)


@BOTH
def test_on_a_line_it_is_what_the_best_pairing_of_points_in_the_plane_is(metric):
    x, y = normal(300, 1, seed=1), 2 * normal(300, 1, seed=2) + 1
    flat = [bank(torch.cat([each, torch.zeros_like(each)], dim=1)) for each in (x, y)]
    found = metric.compute(bank(x), bank(y))
    assert found == pytest.approx(metric.compute(*flat), rel=1e-6)


@BOTH
def test_of_shifted_gaussians_it_is_the_shift(metric):
    # the noise of a difference of means of a thousand is √(2/1000) = 0.045
    moved = metric.compute(bank(QUANTILES + 0.7), bank(QUANTILES))
    drawn = metric.compute(bank(normal(1000, 1, seed=1) + 3), bank(normal(1000, 1, seed=2)))
    assert moved == pytest.approx(0.7, rel=1e-6)
    assert drawn == pytest.approx(3, abs=4 * 0.045)


def test_of_gaussians_of_different_width_it_is_known_in_closed_form():
    # comonotone: W₁ = |s − 1| E|Z| = |s − 1| √(2/π), W₂ = |s − 1|
    narrow, wide = bank(QUANTILES), bank(3 * QUANTILES)
    assert WASSERSTEIN_1.compute(wide, narrow) == pytest.approx(2 * (2 / np.pi) ** 0.5, rel=2e-3)
    assert WASSERSTEIN_2.compute(wide, narrow) == pytest.approx(2, rel=2e-3)


def test_two_draws_of_one_gaussian_are_as_far_apart_as_theory_says():
    # √N W₁ → √2 ∫ |B(F)| of a Brownian bridge: E = 2 ∫ √(F(1 − F)) dx / √π, of 1,000 points 0.0577
    draws = [bank(normal(1000, 1, seed=seed)) for seed in range(200)]
    found = [WASSERSTEIN_1.compute(*draws[k : k + 2]) for k in range(0, 200, 2)]
    assert np.mean(found) == pytest.approx(0.0577, abs=4 * 0.0206 / 10)


@BOTH
def test_of_shifted_and_shuffled_points_it_is_the_length_of_the_shift(metric):
    x = normal(400, 2)
    moved = x.flip(0) + torch.tensor([0.3, -0.4])
    assert metric.compute(bank(moved), bank(x)) == pytest.approx(0.5, rel=1e-6)


@BOTH
def test_of_the_same_points_it_is_zero(metric):
    x = bank(normal(100, 2))
    assert metric.compute(x, x) == 0


def test_of_collapsed_points_it_is_their_mean_or_root_mean_square_distance():
    x = normal(200, 2)
    collapsed, length = bank(torch.zeros(200, 2)), x.norm(dim=1)
    for metric, expected in (
        (WASSERSTEIN_1, length.mean()),
        (WASSERSTEIN_2, length.square().mean().sqrt()),
    ):
        assert metric.compute(collapsed, bank(x)) == pytest.approx(expected.item(), rel=1e-6)


@BOTH
def test_it_looks_at_the_first_points_of_both(metric):
    x, y = normal(50, 2, seed=1), normal(20, 2, seed=2)
    found = metric.compute(bank(x), bank(y))
    assert found == metric.compute(bank(x[:20]), bank(y))
    assert metric.at_most == AT_MOST
