"""The planned looks: their critical values by second means, their error and power by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.optimize import brentq

from bench.stats import Plan

EDGE = np.log1p(0.05)


def within(count: int, of: int, rate: float) -> bool:
    """Whether a count is one that this rate gives, but for one time in 10,000."""
    return scipy_stats.binomtest(int(count), of, rate).pvalue > 1e-4


def found(plan: Plan, samples: np.ndarray, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each sample whether any look says `regressed`, and whether any says `fine`."""
    low, high = plan.bounds(samples)
    return (low > edge).any(axis=1), (high < edge).any(axis=1)


def t_statistics(samples: np.ndarray) -> np.ndarray:
    """Student's t of the first 1, 2, … values of each row; written down anew."""
    n = np.arange(1, samples.shape[1] + 1)
    mean = samples.cumsum(axis=1) / n
    squares = (samples**2).cumsum(axis=1) - n * mean**2
    return mean[:, 1:] / np.sqrt(squares[:, 1:] / (n[1:] - 1) / n[1:])


@pytest.mark.parametrize("seed", range(4))
def test_a_single_look_is_the_ordinary_t_test(seed):
    sample = np.random.default_rng(seed).normal(EDGE + 0.03 * (seed - 1), 0.04, 10)
    judged = Plan((10,)).judge(sample, EDGE)
    of_scipy = scipy_stats.ttest_1samp(sample, EDGE, alternative="two-sided")
    assert (judged.low, judged.high) == pytest.approx(of_scipy.confidence_interval(0.95))
    assert (judged.verdict == "inconclusive") == (of_scipy.pvalue >= 0.05)
    assert (judged.verdict == "regressed") == (of_scipy.pvalue < 0.05 and judged.mean > EDGE)


@pytest.mark.parametrize("looks", [(8, 16), (4, 8), (10, 30)])
def test_two_looks_err_as_often_as_planned(looks):
    rng, plan, number = np.random.default_rng(1), Plan(looks), 200_000
    t = t_statistics(rng.standard_normal((number, looks[1])))
    first, last = plan.critical
    above = t[:, looks[0] - 2] > first
    assert within(above.sum(), number, 0.025 * (looks[0] / looks[1]) ** 2)
    assert within((above | (t[:, -1] > last)).sum(), number, 0.025)


def test_many_rounds_give_the_critical_values_of_two_normals():
    first = scipy_stats.norm.isf(0.025 / 4)
    both = scipy_stats.multivariate_normal([0, 0], [[1, 0.5**0.5], [0.5**0.5, 1]])

    def left(last: float) -> float:
        return scipy_stats.norm.cdf(first) - both.cdf([first, last]) - 0.025 * 3 / 4

    assert Plan((500, 1000)).critical == pytest.approx((first, brentq(left, 1.8, 2.5)), abs=0.01)


@pytest.mark.parametrize("looks", [(2, 4), (4, 1000), (998, 1000)])
@pytest.mark.parametrize("alpha", [1e-4, 0.4])
def test_odd_plans_have_critical_values_too(looks, alpha):
    plan = Plan(looks, alpha)
    assert plan.reach(0.0) == pytest.approx(alpha, rel=1e-4)
    assert plan.reach(plan.detectable) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize("effect", [-0.5, 0.2, 0.9])
def test_the_reach_of_a_single_look_is_the_noncentral_t(effect):
    plan = Plan((10,))
    expected = scipy_stats.nct.sf(plan.critical[0], 9, effect * 10**0.5)
    assert plan.reach(effect) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("rounds", "effect"), [(10, 0.99), (20, 0.66)])
def test_detectable_effects_are_the_designs(rounds, effect):
    assert Plan((rounds,)).detectable == pytest.approx(effect, abs=0.01)


@pytest.mark.parametrize("looks", [(8, 16), (4, 6), (12,)])
def test_what_is_called_detectable_is_found_four_times_in_five(looks):
    rng, plan, number = np.random.default_rng(2), Plan(looks), 100_000
    samples = rng.normal(EDGE + plan.detectable * 0.04, 0.04, (number, looks[-1]))
    assert within(found(plan, samples, EDGE)[0].sum(), number, 0.8)
    assert within(found(plan, 2 * EDGE - samples, EDGE)[1].sum(), number, 0.8)


def test_a_judgement_names_what_its_own_spread_makes_detectable():
    sample = np.random.default_rng(3).normal(0.0, 0.04, 16)
    judged = Plan().judge(sample, EDGE)
    assert judged.spread == pytest.approx(sample.std(ddof=1))
    assert judged.detectable == pytest.approx(EDGE + Plan().detectable * judged.spread)


NOISES = {
    "t3": lambda rng, size: rng.standard_t(3, size),
    "cauchy": lambda rng, size: rng.standard_cauchy(size),
    "a stray in twenty": lambda rng, size: (
        rng.standard_normal(size) * np.where(rng.random(size) < 0.05, 10, 1)
    ),
    "difference of skewed": lambda rng, size: np.diff(rng.exponential(1, (*size, 2)))[..., 0],
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_heavy_tails_make_wrong_verdicts_rarer(noise):
    samples = noise(np.random.default_rng(4), (100_000, 16))
    for wrong in found(Plan(), samples, 0.0):
        assert 0.005 < wrong.mean() < 0.0235


def test_going_on_until_it_is_clear_errs_five_times_as_often():
    t = t_statistics(np.random.default_rng(5).standard_normal((20_000, 100)))[:, 8:]
    rounds = np.arange(10, 101)
    clear = (t > scipy_stats.t.isf(0.025, rounds - 1)).any(axis=1)
    assert clear.mean() == pytest.approx(0.14, abs=0.01)


@pytest.mark.parametrize("rounds", [7, 9, 15, 17])
def test_a_look_that_was_not_planned_is_refused(rounds):
    sample = np.linspace(0, 1, rounds)
    with pytest.raises(
        ValueError, match=rf"{rounds} rounds: the looks are planned after \(8, 16\)"
    ):
        Plan().judge(sample, 0.0)
    with pytest.raises(ValueError, match=f"{rounds} rounds"):
        Plan().judge_against(sample, sample, 0.0)
    with pytest.raises(ValueError, match=f"{rounds} rounds: the last look is after 16"):
        Plan().bounds(sample[None])


@pytest.mark.parametrize(
    ("looks", "alpha"),
    [((), 0.025), ((1,), 0.025), ((8, 9), 0.025), ((16, 8), 0.025), ((4, 8, 12), 0.025)]
    + [((8, 16), alpha) for alpha in (0.0, 0.5, 2.5, float("nan"))],
)
def test_what_cannot_be_planned_is_refused(looks, alpha):
    with pytest.raises(ValueError, match="expected"):
        Plan(looks, alpha)


@pytest.mark.parametrize("rounds", [8, 16])
@pytest.mark.parametrize("shift", [-0.1, -0.02, 0.0, 0.02, 0.1])
def test_swapping_the_sides_swaps_the_verdict(rounds, shift):
    sample = np.random.default_rng(6).normal(shift, 0.03, rounds)
    one, other = Plan().judge(sample, EDGE), Plan().judge(-sample, -EDGE)
    assert (one.low, one.high, one.spread) == pytest.approx((-other.high, -other.low, other.spread))
    swapped = {"regressed": "fine", "fine": "regressed", "inconclusive": "inconclusive"}
    assert other.verdict == swapped[one.verdict]


@pytest.mark.parametrize(
    ("looks", "rounds", "verdict"),
    [((4, 8), 4, "inconclusive"), ((4, 8), 8, "fine"), ((8, 16), 8, "fine"), ((6,), 6, "fine")],
)
def test_rounds_all_alike_are_a_verdict_once_a_sign_test_would_be(looks, rounds, verdict):
    alike = np.full(rounds, 0.1 + 0.2)
    assert Plan(looks).judge(alike, 0.31).verdict == verdict
    assert Plan(looks).judge_against(alike, np.zeros(8), 0.31).verdict == verdict
    assert Plan(looks).judge(alike, 0.1 + 0.2).verdict == "inconclusive"  # on the edge itself


def test_bounds_of_many_samples_are_those_of_each():
    samples = np.random.default_rng(7).normal(EDGE, 0.04, (50, 8))
    samples[:3, :4] = 0.01  # all alike at the first look
    samples[0] = 0.01
    plan = Plan((4, 8))
    low, high = plan.bounds(samples)
    for row, sample in enumerate(samples):
        for look, rounds in enumerate(plan.looks):
            judged = plan.judge(sample[:rounds], EDGE)
            verdict = "regressed" if low[row, look] > EDGE else "inconclusive"
            verdict = "fine" if high[row, look] < EDGE else verdict
            assert judged.verdict == verdict
            if rounds == 8 or row > 2:
                bounds = low[row, look], high[row, look]
                assert bounds == pytest.approx((judged.low, judged.high), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("ratio", "stored"), [(0.3, 16), (1.0, 16), (3.0, 16), (1.0, 4)])
def test_against_a_stored_sample_the_error_is_at_most_the_planned_one(ratio, stored):
    rng, plan, number, wrong = np.random.default_rng(8), Plan(), 4000, 0
    for _ in range(number):
        new, old = rng.normal(EDGE, 1, 16), rng.normal(0, ratio, stored)
        looks = (plan.judge_against(new[:rounds], old, EDGE).verdict for rounds in plan.looks)
        wrong += any(verdict == "regressed" for verdict in looks)
    assert scipy_stats.binomtest(wrong, number, 0.025, alternative="greater").pvalue > 1e-3


def test_against_a_stored_sample_what_is_detectable_is_found_four_times_in_five():
    rng, plan, number = np.random.default_rng(9), Plan(), 2000
    like = np.linspace(-1, 1, 16)
    like = 0.04 * like / like.std(ddof=1)
    effect = plan.judge_against(like, like, EDGE).detectable
    seen = 0
    for _ in range(number):
        new, old = rng.normal(effect, 0.04, 16), rng.normal(0, 0.04, 16)
        looks = (plan.judge_against(new[:rounds], old, EDGE).verdict for rounds in plan.looks)
        seen += any(verdict == "regressed" for verdict in looks)
    assert within(seen, number, 0.8)


def test_what_is_detectable_is_said_of_the_last_look_at_the_first_too():
    long, short = (np.linspace(-1, 1, rounds) for rounds in (16, 8))
    long, short = (0.04 * each / each.std(ddof=1) for each in (long, short))
    for judge in (Plan().judge, lambda sample, edge: Plan().judge_against(sample, long, edge)):
        assert judge(short, EDGE).detectable == pytest.approx(judge(long, EDGE).detectable)
