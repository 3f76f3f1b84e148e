"""Spearman's correlation and its interval: published examples, scipy, coverage."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.stats import correlation_inside, correlation_interval, correlations_beyond, spearman

IQ = (106, 100, 86, 101, 99, 103, 97, 113, 112, 110)
HOURS = (7, 27, 2, 50, 28, 29, 20, 12, 6, 17)


def test_correlation_of_the_textbook_example():
    assert spearman(IQ, HOURS) == pytest.approx(-29 / 165)  # 1 − 6 · 194 / (10 · 99)


def test_ties_share_their_ranks_as_in_scipy():
    x, y = (1.0, 2.0, 2.0, 3.0, 5.0), (2.0, 1.0, 4.0, 4.0, 4.0)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_what_does_not_vary_or_is_too_short_has_no_correlation():
    assert spearman((1.0, 1.0, 1.0), (1.0, 2.0, 3.0)) is None
    assert spearman((1.0, 2.0), (1.0, 2.0)) is None
    with pytest.raises(ValueError, match="pairs"):
        spearman((1.0,), ())


def test_interval_is_bonett_and_wrights():
    found = correlation_interval(0.5, 30)
    half = 1.959964 * math.sqrt(1.125 / 27)
    ends = math.tanh(math.atanh(0.5) - half), math.tanh(math.atanh(0.5) + half)
    assert (found.low, found.high) == pytest.approx(ends, abs=1e-6)
    assert correlation_interval(0.5, 3) is None


def test_perfect_order_has_an_interval_that_ends_at_one():
    found = correlation_interval(1.0, 8)
    assert 0 < found.low < 1 == found.high
    assert correlation_interval(-1.0, 8).low == -1.0


def test_interval_covers_as_often_as_it_says():
    rng, rho, inside = np.random.default_rng(5), 0.6, 0
    true = 6 / math.pi * math.asin(rho / 2)  # of a bivariate normal with Pearson's ρ
    for _ in range(2000):
        x, z = rng.normal(size=(2, 12))
        found = correlation_interval(spearman(x, rho * x + math.sqrt(1 - rho**2) * z), 12)
        inside += found.low <= true <= found.high
    assert inside / 2000 >= 0.94


def test_claims_about_correlations():
    assert correlation_inside(0.9, 12, above=0.3, below=None).verdict == "supported"
    assert correlation_inside(-0.9, 12, above=0.3, below=None).verdict == "refuted"
    few = correlation_inside(0.5, 6, above=0.0, below=None)
    assert (few.verdict, few.seeds_needed) == ("not_enough_evidence", 33)
    assert correlation_inside(0.9, 3, above=0.3, below=None).basis == "too_few"
    two = correlations_beyond((0.9, 20), (0.0, 20), toward="higher", margin=0.1)
    assert (two.verdict, two.effect) == ("supported", 0.9)
    assert correlations_beyond((None, 20), (0.0, 20), toward="higher", margin=0.1).low is None
