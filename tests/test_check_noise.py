"""The check's error rates in the reference machine's own noise, as measured and as modelled.

The rounds of `results/reference/step_time` compare a revision with itself, so there is nothing to
be found in them; a growth is added where there shall be one.
"""

from __future__ import annotations

from dataclasses import replace
from math import expm1, log1p

import numpy as np
import pytest
from noise_model import (
    SUBJECTS,
    Components,
    checks,
    drawn,
    estimated,
    in_turn,
    log_ratios,
    measured,
    moments_in_time,
    series,
)
from scipy.optimize import brentq
from scipy.stats import binomtest

from bench import gate
from bench.gate import calibration
from bench.records import CheckResult
from bench.stats import Plan

PLAN, ALPHA = Plan(), 0.025
MARGIN = 0.05
EDGE = log1p(MARGIN)
BLOCKS = 10


@pytest.fixture(scope="module")
def noise() -> CheckResult:
    return measured()


@pytest.fixture(scope="module")
def model(noise) -> dict[str, Components]:
    return {subject: estimated(*series(noise, subject)) for subject in SUBJECTS}


@pytest.fixture(scope="module")
def modelled(model) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {subject: checks(of, 8000, 16, rng) for subject, of in model.items()}


@pytest.fixture(scope="module")
def resampled(noise) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {
        subject: calibration.drawn(rounds_of(noise, subject), 20_000, 16, rng)
        for subject in SUBJECTS
    }


def rounds_of(noise: CheckResult, subject: str) -> np.ndarray:
    return gate.log_ratios(noise.readings, subject, "step_time")


def ends(found: np.ndarray, edge: float = EDGE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each check whether it ends with `regressed`, or with `fine`, and what it prints as
    detectable: a relative growth."""
    low, high = PLAN.bounds(found)
    above, below = low > edge, high < edge
    regressed = above[:, 0] | (above[:, 1] & ~below[:, 0])
    fine = below[:, 0] | (below[:, 1] & ~above[:, 0])
    spreads = [found[:, :look].std(axis=1, ddof=1) for look in PLAN.looks]
    spread = np.where(above[:, 0] | below[:, 0], *spreads)
    return regressed, fine, np.expm1(edge + PLAN.detectable * spread)


def found_four_times_in_five(around: np.ndarray) -> float:
    """The relative growth that these checks find with a power of 80 %."""
    return expm1(brentq(lambda grown: ends(around + grown)[0].mean() - 0.8, EDGE, 1.0, xtol=1e-4))


def at_most(wrong: np.ndarray, rate: float) -> bool:
    """Whether so many wrong verdicts do not speak against this rate (of 1000 true ones, one)."""
    count = binomtest(int(wrong.sum()), wrong.size, rate, alternative="greater")
    return bool(count.pvalue > 1e-3)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_measured_rounds_are_whole(noise, subject):
    times, head_first = series(noise, subject)
    assert times.shape == (112, 2, BLOCKS)
    assert (head_first[::2] != head_first[1::2]).all()


def test_wrong_verdicts_in_measured_noise_are_at_most_as_planned(resampled):
    wrong = np.array([ends(EDGE + found)[:2] for found in resampled.values()])
    assert at_most(wrong, ALPHA)
    assert binomtest(int(wrong.sum()), wrong.size).proportion_ci(0.99).low > 0.015  # and no fewer


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_planned_error_lies_in_the_interval_of_each_case(noise, subject):
    found = gate.noise(noise.readings, subject, "step_time", PLAN, MARGIN)
    assert found.alarm_low < ALPHA < found.alarm_high
    assert found.alarm_high - found.alarm_low < 0.1


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_t_interval_holds_for_rounds_as_skewed_and_heavy_as_these(noise, subject):
    rng = np.random.default_rng(3)
    single = rng.choice(rounds_of(noise, subject), (20_000, 16)) * rng.choice([-1, 1], (20_000, 16))
    for wrong in ends(EDGE + single)[:2]:
        assert at_most(wrong, ALPHA)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_wrong_verdicts_in_modelled_noise_are_at_most_as_planned(modelled, subject):
    for wrong in ends(EDGE + modelled[subject])[:2]:
        assert at_most(wrong, ALPHA)
        assert wrong.mean() > 0.018  # nothing is given away either


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_is_printed_as_detectable_is_found_four_times_in_five(modelled, resampled, subject):
    growth = found_four_times_in_five(modelled[subject])
    printed = ends(log1p(growth) + modelled[subject])[2]
    assert growth == pytest.approx(np.median(printed), rel=0.15)
    assert growth - MARGIN == pytest.approx(np.median(printed) - MARGIN, rel=0.15)
    growth = found_four_times_in_five(resampled[subject])
    printed = ends(log1p(growth) + resampled[subject])[2]
    assert growth == pytest.approx(np.median(printed), rel=0.15)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_many_are_judged_as_one_check_is(noise, subject):
    rng, decided = np.random.default_rng(4), 0
    for _ in range(40):
        starts = 2 * rng.integers(0, 56, (4, 1))
        picked = ((starts + np.arange(4)) % 112).ravel()  # runs of four rounds
        readings = [
            replace(one, round=new)
            for new, old in enumerate(picked)
            for one in noise.readings
            if one.subject == subject and one.round == old + 1
        ]
        sample = gate.log_ratios(readings, subject, "step_time")
        assert sample.tolist() == rounds_of(noise, subject)[picked].tolist()
        judged = PLAN.judge(sample[:8], EDGE)
        judged = PLAN.judge(sample, EDGE) if judged.verdict == "inconclusive" else judged
        regressed, fine, printed = ends(sample[None])
        assert (regressed[0], fine[0]) == (judged.verdict == "regressed", judged.verdict == "fine")
        assert printed[0] == pytest.approx(expm1(judged.detectable))
        decided += judged.verdict != "inconclusive"
    assert decided > 20


def test_rounds_of_the_model_are_read_as_a_round_of_the_check_is(noise, model):
    turns = drawn(model["mlp_gan"], 50, BLOCKS, np.random.default_rng(5))
    own = [each for each in noise.readings if each.subject == "mlp_gan" and each.round <= 50]
    made = [
        replace(one, step_ms=tuple(np.exp(turns[one.round - 1, int(one.side == "head")])))
        for one in own
    ]
    found = gate.log_ratios(made, "mlp_gan", "step_time")
    assert found == pytest.approx(log_ratios(turns), abs=5e-4)  # a median of two, of logs or not


def test_components_are_found_again_in_noise_made_of_them():
    made = Components(0.03, 0.02, 0.4, 0.03, 0.9, 0.1, 0.01, np.linspace(0, 0.02, BLOCKS))
    turns = drawn(made, 2000, BLOCKS, np.random.default_rng(6))
    found = estimated(turns, np.zeros(2000, dtype=bool))
    for name in ("between", "own", "own_correlation", "shared", "shared_correlation", "level"):
        assert getattr(found, name) == pytest.approx(getattr(made, name), rel=0.2), name
    assert found.first == pytest.approx(0.01, abs=0.003)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_model_is_as_noisy_as_the_machine(noise, modelled, subject):
    assert modelled[subject].std() == pytest.approx(rounds_of(noise, subject).std(), rel=0.1)


def test_a_machine_that_slows_down_slows_both_sides(model):
    """By half in the course of a check, and by 3 % from the first block of a round to the last."""
    of, rng, number = model["mlp_gan"], np.random.default_rng(7), 4000
    turns = drawn(of, number * 16, BLOCKS, rng) + 0.03 * moments_in_time(BLOCKS) / (2 * BLOCKS)
    turns = turns + np.tile(np.linspace(0, 0.4, 16), number)[:, None, None]
    head_second = (rng.choice([-1.0, 1.0], (number, 8, 1)) * [1, -1]).reshape(number, 16)
    found = log_ratios(turns).reshape(number, 16) * head_second
    for wrong in ends(EDGE + found)[:2]:
        assert at_most(wrong, ALPHA)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_blocks_in_turn_spread_less_than_one_side_after_the_other(noise, subject):
    """Of the same ten blocks of a round: five of each side in turn, or five and then five."""
    turns = in_turn(*series(noise, subject))
    turns = turns - np.median(turns - np.median(turns, axis=-1, keepdims=True), axis=(0, 1))
    early, late = turns[..., :5], turns[..., 5:]
    in_turns = [log_ratios(each).std() for each in (early, late)]
    one = log_ratios(np.stack([early[:, 0], late[:, 1]], axis=1)).std()
    other = log_ratios(np.stack([early[:, 1], late[:, 0]], axis=1)).std()
    assert one + other > 1.4 * sum(in_turns)
