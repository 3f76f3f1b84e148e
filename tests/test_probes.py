"""The probes that bring their own data: against closed forms, and twice the same."""

import math

import pytest
import torch
from probe_fixture import SUITE
from scipy.integrate import quad
from scipy.stats import norm, wasserstein_distance
from torch import nn

from bench.plan import expand
from bench.probes.distances import Distances, jensen_shannon
from bench.probes.vanishing_gradient import VanishingGradient, accuracy
from bench.suite import load_suite

CPU = torch.device("cpu")
SMALL = Distances(shifts=(1.0, 4.0), steps=150, batch_size=64, held_out=4000, widths=(16,))


@pytest.mark.parametrize(
    ("shift", "nats"), [(1, 0.111), (2, 0.337), (4, 0.633), (6, 0.689), (8, 0.693)]
)
def test_jensen_shannon_of_shifted_gaussians(shift, nats):
    assert jensen_shannon(shift) == pytest.approx(nats, abs=1e-3)
    mixed = lambda x: (norm.pdf(x) + norm.pdf(x, shift)) / 2  # noqa: E731 - a formula
    half, _ = quad(lambda x: norm.pdf(x) * math.log(norm.pdf(x) / mixed(x)), -12, 12, limit=200)
    assert jensen_shannon(shift) == pytest.approx(half, abs=1e-6)


def test_earth_movers_distance_of_shifted_gaussians_is_the_shift():
    quantiles = norm.ppf((torch.arange(2000) + 0.5) / 2000)
    rows = SMALL.run({}, 0, CPU)
    for row in rows:
        if row.quantity == "earth_mover":
            moved = wasserstein_distance(quantiles, quantiles + row.x)
            assert row.exact == pytest.approx(moved, abs=1e-6)


def test_trained_critics_come_near_what_is_exact():
    probe = Distances(shifts=(1.0, 2.0), steps=400, batch_size=128, widths=(32,), lr=5e-3)
    found = {(r.quantity, r.series, r.x): r for r in probe.run({}, 0, CPU)}
    for shift in probe.shifts:
        standard = found["jensen_shannon", "gan", shift]
        assert standard.value == pytest.approx(standard.exact, abs=0.02)
        penalised = found["earth_mover", "wgan_gp", shift]
        assert 0.8 * shift < penalised.value < 1.05 * shift
        # the best penalised critic is steeper than 1
        gap = found["score_gap", "wgan_gp", shift].value
        assert gap == pytest.approx(shift + shift**2 / 20, rel=0.06)


@pytest.mark.parametrize(
    "probe", [SMALL, VanishingGradient(steps=20, checkpoints=4, held_out=100, widths=(8,))]
)
def test_same_arguments_same_rows(probe):
    first, again = probe.run({}, 3, CPU), probe.run({}, 3, CPU)
    assert first == again
    assert {row.quantity for row in first} == set(probe.quantities)
    assert {row.seed for row in first} == {3}
    assert [row.value for row in first] != [row.value for row in probe.run({}, 4, CPU)]


def test_minimax_gradient_vanishes_and_the_others_stay():
    probe = VanishingGradient(steps=300, checkpoints=5, held_out=500, lr=2e-3)
    rows = [row for row in probe.run({}, 0, CPU) if row.quantity == "relative_gradient_norm"]
    assert [row.x for row in rows[:5]] == [1, 4, 17, 72, 300]
    last = {row.series: row.value for row in rows if row.x == 300}
    assert last["gan_minimax"] < 1e-2
    assert min(last["gan"], last["wgan_gp"], last["wgan"]) > 0.5


def test_gradient_of_a_variant_is_its_own(tmp_path):
    path = tmp_path / "probed.toml"
    path.write_text(SUITE)
    recipes = {spec.variant: spec for spec in expand(load_suite(path, seeds=[0]))}
    rows = VanishingGradient(steps=4, checkpoints=2).run(recipes, 0, CPU)
    assert {row.series for row in rows} == {"gan", "wgan"}
    assert all(row.value is not None for row in rows)


def test_accuracy_is_the_share_of_pairs_ranked_right():
    real, fake = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[2.0], [0.0]])
    critic = nn.Flatten(0)
    # 1 > 0; 2 > 0 and 2 = 2; 3 > both
    assert accuracy(critic, real, fake) == pytest.approx((1 + 1.5 + 2) / 6)
