"""The verdict on one pair: against scipy's Welch, by hand, and under a swap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench.stats import Contrast, Sample, contrast

LOW = (10.0, 11.0, 9.5, 10.4, 10.1)
HIGH = (20.0, 24.0, 19.0, 21.0, 22.0, 25.0)

MIRROR = {"better": "worse", "worse": "better"}
VALUES = st.lists(st.floats(1e-3, 1e3) | st.sampled_from([1.0, 2.0]), max_size=6).map(tuple)
SAMPLES = st.builds(lambda values, diverged: (values, diverged), VALUES, st.integers(0, 4))
TERMS = st.fixed_dictionaries(
    {
        "better": st.sampled_from(["higher", "lower"]),
        "scale": st.sampled_from(["log", "raw"]),
        "margin": st.sampled_from([0.0, 0.1, 0.5, 20.0]),
    }
)


def judged(a, b, **terms) -> Contrast:
    """`a` against `b`, lower being better by more than a tenth, unless said otherwise."""
    terms = {"better": "lower", "margin": 0.1, "scale": "log"} | terms
    return contrast(Sample("a", tuple(a)), Sample("b", tuple(b)), **terms)


def close(x: float | None, y: float | None) -> bool:
    """Equal but for rounding; None only to None."""
    return x == y if x is None or y is None else math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-12)


def read(pair: Contrast) -> str:
    """The verdict as a reader would take it from the printed interval and margin."""
    edge = 1 + pair.margin if pair.scale == "log" else pair.margin
    far = 1 / edge if pair.scale == "log" else -edge
    assert pair.low is not None
    assert pair.high is not None
    if pair.low > edge or pair.high < far:
        return "better" if (pair.low > edge) == (pair.better == "higher") else "worse"
    return "equal" if far < pair.low and pair.high < edge else "not_enough_evidence"


@pytest.mark.parametrize(
    ("scale", "there", "back"), [("raw", np.array, float), ("log", np.log, np.exp)]
)
def test_interval_and_p_are_scipys_welch(scale, there, back):
    pair = judged(LOW, HIGH, margin=0.0, scale=scale)
    found = scipy_stats.ttest_ind(there(LOW), there(HIGH), equal_var=False)
    interval = found.confidence_interval(0.95)
    assert (pair.low, pair.high) == pytest.approx((back(interval.low), back(interval.high)))
    assert (pair.p_value, pair.p_holm) == pytest.approx((found.pvalue, found.pvalue))


def test_effect_is_a_ratio_of_geometric_means_or_a_difference_of_means():
    ratio = scipy_stats.gmean(LOW) / scipy_stats.gmean(HIGH)
    assert judged(LOW, HIGH, scale="log").effect == pytest.approx(ratio)
    difference = np.mean(LOW) - np.mean(HIGH)
    assert judged(LOW, HIGH, scale="raw").effect == pytest.approx(difference)


def test_direction_decides_who_is_better():
    assert judged(LOW, HIGH, better="lower").verdict == "better"
    assert judged(LOW, HIGH, better="higher").verdict == "worse"
    assert judged(HIGH, LOW, better="lower").verdict == "worse"


def test_difference_within_the_margin_is_equal():
    a, b = (10.0, 10.1, 9.9, 10.05), (10.2, 10.3, 10.1, 10.25)
    assert judged(a, b, margin=0.1).verdict == "equal"
    assert judged(a, b, margin=0.0).verdict == "better"


def test_clear_difference_that_straddles_the_margin_is_not_enough():
    pair = judged(LOW, HIGH, margin=1.0)
    assert pair.low < 0.5 < pair.high < 1
    assert pair.p_value > 0.05
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "interval")


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [(1.0999, "equal"), (1 / 1.0999, "equal"), (1.1001, "worse"), (1 / 1.1001, "better")],
)
def test_margin_on_the_logarithm_is_symmetric(ratio, verdict):
    assert judged([ratio] * 5, [1.0] * 5).verdict == verdict


@pytest.mark.parametrize(("n", "verdict"), [(3, "not_enough_evidence"), (4, "better")])
def test_without_spread_a_verdict_needs_enough_seeds_for_the_exact_test(n, verdict):
    pair = judged([10.0] * n, [8.0] * n, better="higher", margin=0.5, scale="raw")
    assert (pair.verdict, pair.grounds, pair.effect) == (verdict, "no_spread", 2.0)
    assert pair.seeds_needed == (4 if n < 4 else None)


def test_same_value_in_every_seed_is_equal():
    pair = judged([0.1] * 5, [0.1] * 5, margin=0.01, scale="raw")
    assert (pair.verdict, pair.low, pair.high) == ("equal", 0.0, 0.0)


def test_spread_on_one_side_is_enough():
    pair = judged([8.0] * 5, (10.0, 10.2, 9.9, 10.1, 10.0), margin=0.5, scale="raw")
    assert (pair.verdict, pair.grounds) == ("better", "interval")


def test_one_seed_a_side_decides_nothing():
    pair = judged([1.0], [100.0])
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "too_few_finished")
    assert (pair.effect, pair.low, pair.p_value, pair.seeds_needed) == (None, None, None, None)
    assert (pair.beats, pair.smallest_p) == (1.0, 1.0)


def test_many_seeds_against_one_decide_nothing():
    pair = judged([1.0 + i / 100 for i in range(50)], [100.0])
    assert pair.mann_whitney_p < 0.05
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "too_few_finished")


def test_value_without_a_logarithm_withholds_the_verdict_and_keeps_the_ranks():
    pair = judged((-1.0, 2.0, 3.0), (5.0, 6.0, 7.0))
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "not_positive")
    assert (pair.effect, pair.beats) == (None, 1.0)


def test_variant_without_runs_is_carried_along():
    pair = judged((), HIGH)
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "too_few_finished")
    assert (pair.beats, pair.mann_whitney_p, pair.smallest_p) == (None, None, None)


@settings(max_examples=150, deadline=None)
@given(SAMPLES, SAMPLES, TERMS)
def test_swapping_two_variants_mirrors_everything(first, second, terms):
    a, b = Sample("a", *first), Sample("b", *second)
    there, back = contrast(a, b, **terms), contrast(b, a, **terms).mirrored()
    assert (there.verdict, there.grounds) == (back.verdict, back.grounds)
    assert there.verdict == MIRROR.get(contrast(b, a, **terms).verdict, there.verdict)
    assert there.seeds_needed == back.seeds_needed
    for name in ("effect", "low", "high", "beats", "p_value", "mann_whitney_p"):
        assert close(getattr(there, name), getattr(back, name)), name
    assert (there.n_a, there.diverged_b) == (back.n_a, back.diverged_b)


@settings(max_examples=150, deadline=None)
@given(SAMPLES, SAMPLES, TERMS)
def test_interval_and_verdict_never_contradict(first, second, terms):
    pair = contrast(Sample("a", *first), Sample("b", *second), **terms)
    if pair.effect is not None and pair.grounds == "interval":
        assert pair.verdict == read(pair)
    elif pair.grounds == "diverged":
        assert pair.diverged_a + pair.diverged_b > 0
    if pair.verdict == "equal":
        assert pair.diverged_a + pair.diverged_b == 0


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, TERMS, st.sampled_from([0.001, 7.0, 4096.0]))
def test_unit_of_a_metric_does_not_matter_to_a_ratio(first, second, terms, factor):
    terms = terms | {"scale": "log"}
    pair = judged(first, second, **terms)
    other = judged([x * factor for x in first], [x * factor for x in second], **terms)
    if pair.effect is not None and pair.grounds == other.grounds == "interval":
        assert close(pair.effect, other.effect)
        assert pair.p_value == pytest.approx(other.p_value, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("terms", [{"margin": -0.1}, {"margin": math.nan}, {"level": 1.0}])
def test_terms_that_make_no_sense_are_refused(terms):
    with pytest.raises(ValueError, match="expected margin ≥ 0"):
        judged(LOW, HIGH, **terms)


def test_variant_given_twice_is_refused():
    twice = Sample("a", LOW)
    with pytest.raises(ValueError, match="expected each once"):
        contrast(twice, twice, better="lower", margin=0.1, scale="log")
