"""Rates: Newcombe's published intervals, and the exact error rates of verdicts on them."""

import numpy as np
import pytest
from scipy.stats import binom

from bench.stats import Rate, newcombe, rate_inside, rates_beyond, wilson

PUBLISHED = [  # Newcombe 1998, table II, method 10
    ((56, 70), (48, 80), 0.0524, 0.3339),
    ((9, 10), (3, 10), 0.1705, 0.8090),
    ((6, 7), (2, 7), 0.0582, 0.8062),
    ((5, 56), (0, 29), -0.0381, 0.1926),
    ((0, 10), (0, 20), -0.1611, 0.2775),
    ((0, 10), (0, 10), -0.2775, 0.2775),
    ((10, 10), (0, 20), 0.6791, 1.0000),
    ((10, 10), (0, 10), 0.6075, 1.0000),
]


@pytest.mark.parametrize(("a", "b", "low", "high"), PUBLISHED)
def test_difference_has_newcombes_published_interval(a, b, low, high):
    found = newcombe(Rate(*a), Rate(*b))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.centre == pytest.approx(a[0] / a[1] - b[0] / b[1])


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 5), (10, 6)])
def test_wrong_verdicts_on_two_rates_are_at_most_as_frequent_as_said(n, m, margin):
    verdicts = np.array(
        [
            [
                rates_beyond(Rate(x, n), Rate(y, m), toward="higher", margin=margin).verdict
                for y in range(m + 1)
            ]
            for x in range(n + 1)
        ]
    )
    for lesser in np.linspace(0, 1 - margin, 37):
        chance = np.outer(
            binom.pmf(np.arange(n + 1), n, lesser + margin), binom.pmf(np.arange(m + 1), m, lesser)
        )
        for wrong in ("supported", "refuted"):
            assert chance[verdicts == wrong].sum() <= 0.025 + 1e-4  # found on a grid of rates


@pytest.mark.parametrize("bound", [0.1, 0.5])
@pytest.mark.parametrize("n", [3, 6, 20])
def test_wrong_verdicts_on_a_bound_are_at_most_as_frequent_as_said(n, bound):
    found = [rate_inside(Rate(x, n), above=bound, below=None).verdict for x in range(n + 1)]
    chance = binom.pmf(np.arange(n + 1), n, bound)
    for wrong in ("supported", "refuted"):
        assert chance[[verdict == wrong for verdict in found]].sum() <= 0.025


def test_collapse_of_all_against_none_is_told_from_four_runs_on():
    def verdict(n):
        return rates_beyond(Rate(0, n), Rate(n, n), toward="lower", margin=0.0).verdict

    assert [n for n in range(2, 7) if verdict(n) == "supported"] == [4, 5, 6]


def test_interval_that_is_clear_without_an_exact_test_holds_the_verdict_back():
    found = rate_inside(Rate(4, 4), above=0.5, below=None)
    assert found.low > 0.5
    assert (found.verdict, found.basis) == ("not_enough_evidence", "exact")
    assert found.seeds_needed > 4


def test_sides_and_signs_turn_together():
    one = rates_beyond(Rate(1, 12), Rate(10, 12), toward="lower", margin=0.2)
    other = rates_beyond(Rate(10, 12), Rate(1, 12), toward="higher", margin=0.2)
    assert one.verdict == other.verdict == "supported"
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
    assert one.p_value == other.p_value < 0.001


def test_bound_on_a_rate_is_wilsons():
    found, expected = rate_inside(Rate(2, 9), above=None, below=0.9), wilson(2, 9)
    assert (found.low, found.high, found.verdict) == (expected.low, expected.high, "supported")


def test_no_runs_are_no_rate():
    assert rate_inside(Rate(0, 0), above=0.5, below=None).basis == "too_few"
    assert rates_beyond(Rate(0, 0), Rate(1, 2), toward="lower", margin=0.0).basis == "too_few"
    with pytest.raises(ValueError, match="at least one of each"):
        newcombe(Rate(0, 0), Rate(1, 2))
