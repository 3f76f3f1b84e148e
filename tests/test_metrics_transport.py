import numpy as np
import pytest
import torch
from bank_fixture import bank, normal

from bench.metrics.transport import AT_MOST, WASSERSTEIN_2


def test_on_a_line_it_is_the_distance_of_the_sorted_points():
    x, y = normal(300, 1, seed=1), 2 * normal(300, 1, seed=2) + 1
    expected = (x.sort(dim=0).values - y.sort(dim=0).values).square().mean().sqrt()
    assert WASSERSTEIN_2.compute(bank(x), bank(y)) == pytest.approx(expected.item(), rel=1e-6)


def test_of_shifted_and_shuffled_points_it_is_the_length_of_the_shift():
    x = normal(400, 2)
    moved = x.flip(0) + torch.tensor([0.3, -0.4])
    assert WASSERSTEIN_2.compute(bank(moved), bank(x)) == pytest.approx(0.5, rel=1e-6)


def test_of_the_same_points_it_is_zero():
    x = bank(normal(100, 2))
    assert WASSERSTEIN_2.compute(x, x) == 0


def test_of_collapsed_points_it_is_their_root_mean_square_distance():
    x = normal(200, 2)
    collapsed = bank(torch.zeros(200, 2))
    expected = np.sqrt((x**2).sum(dim=1).mean().item())
    assert WASSERSTEIN_2.compute(collapsed, bank(x)) == pytest.approx(expected, rel=1e-6)


def test_it_looks_at_the_first_points_of_both():
    x, y = normal(50, 2, seed=1), normal(20, 2, seed=2)
    found = WASSERSTEIN_2.compute(bank(x), bank(y))
    assert found == WASSERSTEIN_2.compute(bank(x[:20]), bank(y))
    assert WASSERSTEIN_2.at_most == AT_MOST
