"""Exact ranks: against scipy, against counting out every deal, and the smallest p."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.stats import Sample, contrast
from bench.stats.base import mann_whitney_p, smallest_p, win_share

TIED = st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, -np.inf]), min_size=1, max_size=5)


def every_deal(a: list[float], b: list[float]) -> float:
    """The share of all ways to pick len(a) of the runs that win as lopsidedly as `a` did."""
    runs = np.array(a + b)

    def lopsided(picked: tuple[int, ...]) -> float:
        rest = np.delete(runs, picked)
        wins = sum((x > rest).sum() + (x == rest).sum() / 2 for x in runs[list(picked)])
        return abs(float(wins) - len(a) * len(b) / 2)

    seen = lopsided(tuple(range(len(a))))
    deals = [lopsided(picked) for picked in combinations(range(len(runs)), len(a))]
    return float(np.mean([deal >= seen for deal in deals]))


@pytest.mark.parametrize("sizes", [(3, 3), (4, 7), (12, 5), (1, 6)])
def test_exact_p_without_ties_is_scipys(sizes):
    rng = np.random.default_rng(sum(sizes))
    a, b = rng.normal(0.7, 1, sizes[0]), rng.normal(0, 1, sizes[1])
    found = scipy_stats.mannwhitneyu(a, b, method="exact")
    assert mann_whitney_p(a, b) == pytest.approx(found.pvalue)
    assert win_share(a, b) == pytest.approx(found.statistic / (sizes[0] * sizes[1]))


@settings(max_examples=60, deadline=None)
@given(TIED, TIED)
def test_exact_p_with_ties_counts_every_deal(a, b):
    assert mann_whitney_p(np.array(a), np.array(b)) == pytest.approx(every_deal(a, b))


def test_many_runs_take_the_normal_approximation():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.4, 1, 60), rng.normal(0, 1, 60)
    exact = scipy_stats.mannwhitneyu(a, b, method="exact").pvalue
    assert mann_whitney_p(a, b) == pytest.approx(exact, abs=0.002)
    assert mann_whitney_p(a[:50], b[:50]) == pytest.approx(
        scipy_stats.mannwhitneyu(a[:50], b[:50], method="exact").pvalue, rel=1e-9
    )


@pytest.mark.parametrize(("n", "p"), [(3, 0.10), (4, 0.029), (5, 0.0079)])
def test_smallest_p_is_reached_by_complete_separation(n, p):
    above, below = np.arange(n) + 100.0, np.arange(n) + 0.0
    assert smallest_p(n, n) == pytest.approx(p, rel=0.02)
    assert mann_whitney_p(above, below) == pytest.approx(smallest_p(n, n))


def test_ranks_without_runs_say_nothing():
    nobody, somebody = np.array([]), np.array([1.0])
    assert (
        win_share(nobody, somebody) is mann_whitney_p(somebody, nobody) is smallest_p(0, 3) is None
    )


def test_diverged_run_loses_to_every_finished_one_and_ties_with_its_like():
    a, b = Sample("a", (9.0, 9.5), diverged=2), Sample("b", (3.0,), diverged=1)
    pair = contrast(a, b, better="higher", margin=0.1, scale="raw")
    assert pair.beats == (2 * 2 + 2 * 0.5) / 8  # two finished beat both, two diverged tie with one
    assert contrast(a, b, better="lower", margin=0.1, scale="raw").beats == (2 + 2 * 0.5) / 8


def test_identical_runs_beat_each_other_half_the_time():
    a, b = Sample("a", (2.0,) * 5), Sample("b", (2.0,) * 5)
    pair = contrast(a, b, better="lower", margin=0.1, scale="log")
    assert (pair.beats, pair.mann_whitney_p) == (0.5, 1.0)
