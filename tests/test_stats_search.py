"""The best of k trials: against every subset, closed forms, and simulated coverage."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import fmean, geometric_mean

import numpy as np
import pytest
from scipy.stats import binom

from bench.stats import best_of
from bench.stats.search import order_statistics, weights

SCORES = [3.0, 1.5, 8.0, 2.5, 4.0, 1.5]


@pytest.mark.parametrize("lower", [True, False])
def test_expected_best_is_the_mean_over_every_subset(lower):
    pick = min if lower else max
    for best in best_of(SCORES, lower=lower, scale="raw"):
        subsets = [pick(some) for some in combinations(SCORES, best.k)]
        assert best.expected == pytest.approx(fmean(subsets))
    for best in best_of(SCORES, lower=lower, scale="log"):
        subsets = [pick(some) for some in combinations(SCORES, best.k)]
        assert best.expected == pytest.approx(geometric_mean(subsets))


def test_expected_best_of_uniform_scores_is_that_of_theory():
    chance = np.random.default_rng(0)
    runs = [best_of(chance.random(9).tolist(), lower=True, scale="raw") for _ in range(1500)]
    for k in (1, 3, 9):  # the least of k uniform numbers has the mean 1 / (k + 1)
        found = [best[k - 1].expected for best in runs]
        error = float(np.std(found)) / math.sqrt(len(found))
        assert fmean(found) == pytest.approx(1 / (k + 1), abs=4 * error)


def test_diverged_trial_counts_as_the_worst_and_never_ends_an_interval():
    lost = best_of([*SCORES, None], lower=True, scale="log", worst=8.0)
    assert [a.expected for a in lost] == pytest.approx(
        [b.expected for b in best_of([*SCORES, 8.0], lower=True, scale="log")]
    )
    mostly = best_of([1.0, *[None] * 7], lower=True, scale="log", worst=1.0)
    assert all(best.high is None for best in mostly)
    with pytest.raises(ValueError, match="worst: None"):
        best_of([1.0, None], lower=True, scale="log")


def test_higher_is_better_mirrors_the_intervals():
    down = best_of(SCORES, lower=True, scale="raw")
    up = best_of([-score for score in SCORES], lower=False, scale="raw")
    for one, other in zip(down, up, strict=True):
        assert other.expected == pytest.approx(-one.expected)
        mirrored = [None if end is None else -end for end in (one.high, one.low)]
        assert [other.low, other.high] == mirrored


def test_interval_of_the_median_of_eight_trials_is_from_the_first_to_the_last():
    assert order_statistics(8, 1) == (1, 8)  # misses with 2 × 2⁻⁸
    assert order_statistics(5, 1) == (None, None)  # 2 × 2⁻⁵ is more than 5 %


@pytest.mark.parametrize("n", [8, 12, 20])
def test_each_end_is_missed_at_most_as_often_as_declared(n):
    for k in range(1, n + 1):
        share = 1 - 2 ** (-1 / k)
        better, worse = order_statistics(n, k)
        if better is not None:
            assert binom.cdf(better - 1, n, share) <= 0.025 < binom.cdf(better, n, share)
        if worse is not None:
            assert binom.sf(worse - 1, n, share) <= 0.025 < binom.sf(worse - 2, n, share)
        assert sum(weights(n, k)) == pytest.approx(1)


@pytest.mark.parametrize("diverged", [0.0, 0.15])
def test_interval_holds_for_heavy_tails_and_diverged_trials(diverged):
    """2,000 searches of 12 trials: 95 % and more, where a bootstrap holds 35 to 89 %."""
    chance = np.random.default_rng(1)
    draws = np.exp(chance.standard_t(3, (2000, 12)))
    draws[chance.random(draws.shape) < diverged] = np.inf
    draws.sort(axis=1)
    whole = np.exp(chance.standard_t(3, 400_000))
    whole[chance.random(whole.shape) < diverged] = np.inf
    for k in (1, 2, 4, 12):
        truth = np.quantile(whole, 1 - 2 ** (-1 / k), method="inverted_cdf")
        better, worse = order_statistics(12, k)
        low = draws[:, better - 1] if better else -np.inf
        high = draws[:, worse - 1] if worse else np.inf
        assert ((low <= truth) & (truth <= high)).mean() >= 0.94
