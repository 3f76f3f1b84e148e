"""A claim against its edge: closed forms, how often it errs, how many seeds it asks for."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.stats import Sample, beyond, edges, inside

A, B = (10.0, 11.0, 9.5, 10.4, 10.1), (20.0, 24.0, 19.0, 21.0, 22.0, 25.0)
TERMS = {"toward": "higher", "margin": 0.5, "scale": "raw"}


def judged(a, b, *, lost=(0, 0), **terms):
    samples = Sample("a", tuple(a), lost[0]), Sample("b", tuple(b), lost[1])
    return beyond(*samples, **(TERMS | terms))


def test_interval_is_welchs():
    found = judged(B, A)
    expected = scipy_stats.ttest_ind(B, A, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.effect, found.verdict) == (pytest.approx(np.mean(B) - np.mean(A)), "supported")


def test_interval_of_a_bound_is_students():
    expected = scipy_stats.ttest_1samp(A, 0).confidence_interval(0.95)
    found = inside(Sample("a", A), above=8.0, below=None, scale="raw")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.verdict == "supported"
    assert inside(Sample("a", A), above=8.0, below=9.0, scale="raw").verdict == "refuted"
    assert inside(Sample("a", A), above=10.0, below=None, scale="raw").verdict != "refuted"


@pytest.mark.parametrize(
    ("margin", "toward", "verdict"),
    [
        (0.8, "higher", "supported"),
        (3.0, "higher", "refuted"),
        (1.05, "higher", "not_enough_evidence"),
        (0.0, "lower", "refuted"),
        (0.5, "lower", "refuted"),
    ],
)
def test_ratio_is_held_against_one_edge(margin, toward, verdict):
    assert judged(B, A, margin=margin, toward=toward, scale="log").verdict == verdict


def test_tie_refutes_more():
    a, b = (10.0, 10.1, 9.9, 10.05, 9.95), (10.02, 10.1, 9.9, 10.05, 9.9)
    assert judged(a, b).verdict == "refuted"
    assert judged(a, b, margin=0.0).verdict == "not_enough_evidence"


@pytest.mark.parametrize(("n", "verdict"), [(3, "not_enough_evidence"), (4, "supported")])
def test_without_spread_the_number_of_seeds_decides(n, verdict):
    found = judged([10.0] * n, [8.0] * n)
    assert (found.verdict, found.basis) == (verdict, "no_spread")
    assert found.seeds_needed == (4 if n < 4 else None)
    assert judged([8.0] * 4, [8.0] * 4, margin=0.0).verdict == "refuted"


@pytest.mark.parametrize(("n", "verdict"), [(5, "not_enough_evidence"), (6, "supported")])
def test_bound_on_equal_seeds_needs_as_many_as_a_sign_test(n, verdict):
    found = inside(Sample("a", (10.0,) * n), above=9.5, below=None, scale="raw")
    assert (found.verdict, found.seeds_needed) == (verdict, 6 if n < 6 else None)


def test_diverged_runs_hold_back_what_speaks_for_them():
    assert judged(B, A, lost=(3, 0)).basis == "diverged"
    assert judged(B, A, lost=(0, 3)).verdict == "supported"
    assert judged(A, B, lost=(3, 0)).verdict == "refuted"
    assert judged(A, B, lost=(0, 6)).verdict == "not_enough_evidence"
    assert judged(B * 2, A * 2, lost=(1, 0)).verdict == "supported"  # the ranks agree


def test_diverged_runs_of_a_number_without_a_better_end_count_against_either_verdict():
    assert judged(B, A, lost=(0, 3), losing=False).verdict == "not_enough_evidence"
    assert judged(A, B, lost=(3, 0), losing=False).verdict == "not_enough_evidence"
    assert judged(B * 2, A * 2, lost=(0, 1), losing=False).verdict == "supported"


def test_bound_is_not_kept_by_a_diverged_run():
    kept = inside(Sample("a", A, 1), above=8.0, below=None, scale="raw")
    broken = inside(Sample("a", A, 1), above=12.0, below=None, scale="raw")
    assert (kept.verdict, kept.basis, broken.verdict) == (
        "not_enough_evidence", "diverged", "refuted"
    )  # fmt: skip


def test_divergence_alone_decides_by_fishers_test():
    found = judged((), A, lost=(6, 0))
    assert (found.verdict, found.basis) == ("refuted", "diverged")
    assert found.p_value == pytest.approx(scipy_stats.fisher_exact([[0, 6], [5, 0]]).pvalue)
    assert judged((), A, lost=(6, 0), losing=False).verdict == "not_enough_evidence"
    assert judged((1.0,), A).basis == "too_few"


@pytest.mark.parametrize("scale", ["raw", "log"])
def test_wrong_verdicts_at_the_margin_are_as_rare_as_said(scale, monkeypatch):
    monkeypatch.setattr(edges, "_more_seeds", lambda *_: None)  # a plan that takes most of the time
    rng, n = np.random.default_rng(7), 4000
    edge = 0.5 if scale == "raw" else np.log(1.5)
    counts = {"supported": 0, "refuted": 0, "not_enough_evidence": 0}
    for _ in range(n):
        x, y = rng.normal(edge, 0.5, 5), rng.normal(0, 0.8, 6)
        a, b = (x, y) if scale == "raw" else (np.exp(x), np.exp(y))
        counts[judged(a, b, scale=scale).verdict] += 1
    for wrong in ("supported", "refuted"):  # true by a hair, or false by one: either may be the lie
        assert counts[wrong] / n == pytest.approx(0.025, abs=3 * (0.025 * 0.975 / n) ** 0.5)


def test_as_many_seeds_as_asked_for_decide_four_times_in_five():
    shape = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) / np.std([-1, -0.5, 0, 0.5, 1], ddof=1)
    needed = judged(1.0 + 0.6 * shape, 0.6 * shape, margin=0.2).seeds_needed
    rng, decided = np.random.default_rng(3), 0
    for _ in range(400):
        a, b = rng.normal(1, 0.6, needed), rng.normal(0, 0.6, needed)
        decided += judged(a, b, margin=0.2).verdict == "supported"
    assert decided / 400 == pytest.approx(0.8, abs=0.07)


def test_value_without_a_logarithm_gives_no_ratio():
    assert judged((-1.0, 2.0), A, scale="log").basis == "not_positive"
