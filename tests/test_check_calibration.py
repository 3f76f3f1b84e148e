"""The noise of a machine: of synthetic noise whose error rate and spread are known."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log1p

import numpy as np
import pytest

from bench.gate import Noise, calibration, noise
from bench.records import Reading
from bench.stats import Plan

PLAN = Plan()
SPREAD = 0.03


def readings(log_ratios) -> list[Reading]:
    """Both sides' readings of rounds with these log ratios."""
    one = Reading(
        check_id="c",
        round=1,
        attempt=1,
        side="base",
        subject="toy",
        first=True,
        started_at="",
        steps=10,
        step_ms=(2.0,),
        reference_ms=(),
        compile_seconds=None,
        peak_memory_bytes=None,
        engine="eager",
    )
    pairs = [
        (replace(one, round=number), replace(one, round=number, side="head", step_ms=(2 * exp(d),)))
        for number, d in enumerate(log_ratios, start=1)
    ]
    return [reading for pair in pairs for reading in pair]


def noise_of(log_ratios, plan: Plan = PLAN) -> Noise:
    return noise(readings(log_ratios), "toy", "step_time", plan, 0.05)


def correlated(rng: np.random.Generator, *shape: int, by: float) -> np.ndarray:
    """Rounds of which each shares something with the next one: AR(1), of unit spread."""
    found = rng.standard_normal(shape)
    for at in range(1, shape[-1]):
        found[..., at] = by * found[..., at - 1] + (1 - by**2) ** 0.5 * found[..., at]
    return found


def wrong(checks: np.ndarray) -> float:
    """How often checks of noise about the margin find `regressed`."""
    low, high = PLAN.bounds(checks)
    return float(np.mean((low[:, 0] > 0) | ((low[:, 1] > 0) & ~(high[:, 0] < 0))))


def test_independent_rounds_give_the_planned_error_and_the_plans_smallest_margin():
    found = noise_of(np.random.default_rng(1).normal(0, SPREAD, 1000))
    assert found.rounds == 1000
    assert found.spread == pytest.approx(SPREAD, rel=0.05)
    assert found.offset_low < 0 < found.offset_high
    assert found.alarm_low < 0.025 < found.alarm_high
    assert found.alarm_rate == pytest.approx(0.025, abs=0.008)
    assert found.smallest_margin == pytest.approx(np.expm1(PLAN.detectable * SPREAD), rel=0.06)


def test_rounds_that_share_something_are_seen_to_err_more_often():
    truth = wrong(correlated(np.random.default_rng(2), 20_000, 16, by=0.5))
    found = noise_of(SPREAD * correlated(np.random.default_rng(3), 1000, by=0.5))
    assert truth > 0.1
    assert found.alarm_low > 0.03
    assert found.alarm_rate == pytest.approx(truth, rel=0.4)  # runs of four lose some of it


def test_what_the_first_side_gains_cancels_over_two_rounds():
    rng = np.random.default_rng(4)
    gain = (rng.choice([-1, 1], 100)[:, None] * [1, -1]).ravel() * 2 * SPREAD
    found = noise_of(gain + rng.normal(0, SPREAD, 200))
    assert found.alarm_high < 0.01
    assert found.spread == pytest.approx(5**0.5 * SPREAD, rel=0.1)


def test_a_side_that_is_slower_though_its_code_is_the_same_is_told():
    found = noise_of(np.random.default_rng(5).normal(0.02, SPREAD, 112))
    assert found.offset_low > 0
    assert found.offset == pytest.approx(0.02, abs=0.01)


@pytest.mark.parametrize("noisy", ["normal", "heavy"])
def test_the_interval_holds_the_true_rate_of_a_short_calibration(noisy, monkeypatch):
    monkeypatch.setattr(calibration, "_DRAWS", 100)
    monkeypatch.setattr(calibration, "_CHECKS_EACH", 500)
    rng = np.random.default_rng(6)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) if noisy == "normal" else rng.standard_t(3, shape)

    truth = wrong(drawn(50_000, 16))
    found = [noise_of(SPREAD * drawn(32)) for _ in range(30)]
    assert sum(each.alarm_low <= truth <= each.alarm_high for each in found) >= 25
    assert np.mean([each.alarm_high - each.alarm_low for each in found]) > 0.03


def test_the_smallest_margin_is_where_four_of_five_checks_find_fine():
    measured = np.random.default_rng(7).normal(0, SPREAD, 112)
    edge = log1p(noise_of(measured).smallest_margin)
    checks = calibration.drawn(measured, 2000, 16, np.random.default_rng(8))
    fine = 0
    for check in checks:
        first = PLAN.judge(check[:8], edge).verdict
        verdict = PLAN.judge(check, edge).verdict if first == "inconclusive" else first
        fine += verdict == "fine"
    assert fine / 2000 == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("looks", [(8, 16), (6,), (10, 32)])
def test_the_rate_is_that_of_the_plan_judging_each_check(looks, monkeypatch):
    monkeypatch.setattr(calibration, "_CHECKS", 2000)
    plan, edge = Plan(looks), log1p(0.05)
    measured = np.random.default_rng(9).normal(0, SPREAD, 64)
    found = noise_of(measured, plan)
    ends = {"regressed": 0, "fine": 0, "inconclusive": 0}
    for check in edge + calibration.drawn(measured, 2000, looks[-1], np.random.default_rng(0)):
        verdicts = [plan.judge(check[:look], edge).verdict for look in looks]
        ends[next((each for each in verdicts if each != "inconclusive"), "inconclusive")] += 1
    assert found.alarm_rate == pytest.approx((ends["regressed"] + ends["fine"]) / 4000, abs=1e-12)
    assert ends["inconclusive"] > 1700


def test_the_same_rounds_give_the_same_noise():
    measured = np.random.default_rng(11).normal(0, SPREAD, 32)
    assert noise_of(measured) == noise_of(measured)


def test_rounds_all_alike_alarm_never_and_support_any_margin():
    found = noise_of(np.zeros(16))
    assert (found.spread, found.alarm_rate, found.alarm_high, found.smallest_margin) == (0, 0, 0, 0)
    assert noise_of(np.zeros(16), Plan((4,))).smallest_margin == float("inf")


def test_too_few_rounds_for_the_last_look_are_refused():
    with pytest.raises(ValueError, match="15 rounds: the last look is after 16"):
        noise_of(np.zeros(15))
