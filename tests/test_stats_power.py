"""How many seeds would decide: the noncentral t, the design's figures, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.stats import Sample, contrast
from bench.stats.base import Moments, Welch


def exactly(name: str, mean: float, sd: float, n: int) -> Sample:
    """A sample whose values have this mean and standard deviation on the raw scale."""
    shape = np.linspace(-1, 1, n)
    return Sample(name, tuple(mean + sd * shape / shape.std(ddof=1)))


def pair_of(difference: float, sd: float, n: int, margin: float):
    a, b = exactly("a", difference, sd, n), exactly("b", 0.0, sd, n)
    return contrast(a, b, better="higher", margin=margin, scale="raw")


@pytest.mark.parametrize("n", [2, 5, 20])
@pytest.mark.parametrize("distance", [0.1, 0.3, 0.8])
def test_power_beyond_the_margin_is_the_noncentral_t(n, distance):
    welch = Welch(Moments(distance + 0.1, 0.04, n), Moments(0.0, 0.04, n))
    quantile = scipy_stats.t.ppf(0.975, 2 * n - 2)
    expected = scipy_stats.nct.sf(quantile, 2 * n - 2, distance / welch.error)
    assert welch.power(0.1, 0.95) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("n", "power"), [(5, 0.07), (20, 0.86)])
def test_power_to_call_equal_is_the_designs(n, power):
    welch = Welch(Moments(0.0, 0.01, n), Moments(0.0, 0.01, n))  # 10 % spread, 10 % margin
    assert welch.power(0.10, 0.90) == pytest.approx(power, abs=0.005)


@pytest.mark.parametrize(
    ("difference", "sd", "margin"), [(0.5, 0.5, 0.1), (-0.4, 0.25, 0.0), (0.02, 0.1, 0.1)]
)
def test_as_many_seeds_as_asked_for_decide_four_times_in_five(difference, sd, margin):
    pair = pair_of(difference, sd, 4, margin)
    assert pair.verdict == "not_enough_evidence"
    needed = pair.seeds_needed
    assert needed is not None
    rng = np.random.default_rng(1)
    decided = 0
    for _ in range(250):
        a = Sample("a", tuple(rng.normal(difference, sd, needed)))
        b = Sample("b", tuple(rng.normal(0, sd, needed)))
        again = contrast(a, b, better="higher", margin=margin, scale="raw")
        decided += again.verdict != "not_enough_evidence"
    assert decided / 250 == pytest.approx(0.8, abs=0.08)


def test_seeds_needed_is_the_least_that_reaches_the_power():
    welch = Welch(Moments(0.5, 0.25, 4), Moments(0.0, 0.09, 4))
    needed = welch.seeds_needed(0.1, 0.95)
    assert needed is not None
    at = [
        Welch(Moments(0.5, 0.25, n), Moments(0.0, 0.09, n)).power(0.1, 0.95)
        for n in (needed - 1, needed)
    ]
    assert at[0] < 0.8 <= at[1]


def test_more_seeds_are_asked_for_than_there_are():
    assert pair_of(0.3, 0.5, 6, 0.1).seeds_needed > 6
    assert pair_of(0.0, 0.1, 6, 0.1).seeds_needed > 6


def test_no_number_of_seeds_where_the_effect_sits_on_the_margin():
    assert pair_of(0.1001, 0.5, 5, 0.1).seeds_needed is None
    assert pair_of(0.0, 0.5, 5, 0.0).seeds_needed is None


def test_no_number_of_seeds_where_there_is_a_verdict():
    pair = pair_of(5.0, 0.5, 5, 0.1)
    assert (pair.verdict, pair.seeds_needed) == ("better", None)
