"""Claims held against tables: which number of a run they read, and what becomes of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from claims_fixture import flat, judged, tables

from bench.claims.judging import judge
from bench.hypotheses import Claim
from bench.stats import spearman

LOW, HIGH = (10.0, 11.0, 9.5, 10.4, 10.1), (20.0, 24.0, 19.0, 21.0, 22.0)
TWO = {"fid": {"gan": flat(*HIGH), "wgan": flat(*LOW)}}
COURSES = [[9.0, 4.0, 5.0, 2.0], [8.0, 6.0, 3.0, 1.0], [7.0, 2.0, 2.5, 2.0]]


def test_better_follows_the_metrics_direction():
    for better, verdict in (("lower", "supported"), ("higher", "refuted")):
        found = judged(tables(TWO, better=better), better="wgan", than="gan", margin=0.5)
        assert (found.verdict, found.findings[0].scale) == (verdict, "log")
        assert found.edge == pytest.approx(1 / 1.5 if better == "lower" else 1.5)


def test_higher_and_lower_do_not():
    assert judged(tables(TWO, better="lower"), higher="gan", than="wgan").verdict == "supported"
    assert judged(tables(TWO, better="lower"), lower="gan", than="wgan").verdict == "refuted"


def test_bounded_metric_is_compared_by_difference():
    modes = {"modes": {"gan": flat(6, 7, 8, 6), "wgan": flat(10, 10, 10, 10)}}
    found = judged(
        tables(modes, better="higher", unit="classes"),
        "modes",
        better="wgan",
        than="gan",
        margin=0.5,
    )
    assert (found.verdict, found.findings[0].scale, found.findings[0].effect) == (
        "supported", "raw", 3.25
    )  # fmt: skip


def test_metric_near_real_data_is_better_when_it_is_nearer():
    share = {"share": {"gan": flat(0.2, 0.25, 0.22), "wgan": flat(0.9, 1.1, 1.0)}}
    of = tables(share, better="near_reference", floor=1.0)
    assert judged(of, "share", better="wgan", than="gan").verdict == "supported"
    assert judged(of, "share", lower="gan", than="wgan").verdict == "supported"
    none = tables(share, better="near_reference")
    assert judged(none, "share", better="wgan", than="gan").sides[0].values == ()


def test_relative_margin_stays_one_where_a_value_has_no_logarithm():
    near, far = [0.002, -0.0005, 0.001, 0.0015], [0.05, 0.052, 0.048, 0.051]
    of = tables({"kid": {"gan": flat(*far), "wgan": flat(*near)}})
    found = judged(of, "kid", better="wgan", than="gan", margin=0.1)
    assert (found.verdict, found.findings[0].basis) == ("not_enough_evidence", "not_positive")
    assert judged(of, "kid", better="wgan", than="gan").verdict == "supported"  # by difference


def test_less_variance_is_better_whatever_a_metric_should_be_near():
    steady, unsteady = [[0.5, 0.5 + d] * 10 for d in (1e-3, 2e-3, 1.5e-3)], [[0.1, 1.9] * 10] * 3
    of = tables({"share": {"gan": unsteady, "wgan": steady}}, better="near_reference", floor=0.9)
    found = judged(of, "share", of="late_variance", better="wgan", than="gan")
    assert found.verdict == "supported"
    assert max(found.sides[0].numbers) < 1e-5  # not how far from 0.9 that is


@pytest.mark.parametrize(
    ("of", "values"),
    [
        ("final", (2.0, 1.0, 2.0)),
        ("best", (2.0, 1.0, 2.0)),
        ("change", (2 / 9, 1 / 8, 2 / 7)),
        ("trend", (-0.8, -1.0, -1.5 / math.sqrt(5 * 4.5))),
        ("late_variance", ()),
    ],
)
def test_number_of_a_run(of, values):
    found = judged(tables({"fid": {"gan": COURSES}}), of=of, variant="gan", below=10.0)
    if of == "trend":  # of the third course the ranks are 4, 1.5, 3, 1.5
        values = (-0.8, -1.0, spearman((1, 2, 3, 4), COURSES[2]))
    assert found.sides[0].numbers == pytest.approx(values)


def test_late_readings_take_the_last_fifth():
    course = [50.0] * 7 + [2.0, 4.0, 6.0]
    found = tables({"fid": {"gan": [course, course]}})
    assert judged(found, of="late_variance", variant="gan", below=5).sides[0].numbers == (4.0, 4.0)
    assert judged(found, of="late_spread", variant="gan", below=5).sides[0].numbers == (0.5, 0.5)


def test_score_gap_is_divided_by_the_slope_and_correlated_where_both_are_known():
    curves = {
        "score_gap": {"gan": [[8.0, 3.0, 6.0, 2.0]] * 2},
        "lipschitz_p50": {"gan": [[2.0, 1.0, 2.0, 0.0]] * 2},
    }
    found = tables({"fid": {"gan": [[9.0, 4.0, 3.0, 1.0]] * 2}}, curves=curves)
    terms = {"of": "correlation", "against": "fid", "variant": "gan", "above": 0.0}
    (side,) = judged(found, "score_gap_per_slope", **terms).sides
    assert side.numbers == pytest.approx((spearman((4, 3, 3), (9, 4, 3)),) * 2)


def test_a_recipe_that_is_looked_at_less_often_is_not_found_slower():
    courses = [[10.0 - i - late for i in range(10)] for late in (0.0, 0.5, 1.0, 1.5, 1.0)]
    asked = {"of": "time_to_target", "target": 3.0, "better": "wgan", "than": "gan"}
    asked |= {"axis": "generator_steps", "consecutive": 1, "margin": 0.1}
    same = tables({"fid": {"gan": courses, "wgan": courses}})
    assert judged(same, **asked).verdict != "supported"
    rows = same.metrics
    seldom = rows[(rows["variant"] == "wgan") | rows["generator_step"].isin([500, 1000])]
    found = judged(replace(same, metrics=seldom), **asked)
    assert found.findings[0].high < 1 / 1.1  # by what was seen, a fifth sooner
    assert (found.verdict, found.findings[0].basis) == ("not_enough_evidence", "grid")


def test_time_to_target_censors_what_never_got_there():
    slow, fast = [9.0, 8.0, 7.0, 6.0, 5.0], [9.0, 2.0, 2.0, 9.0, 9.0]
    found = judged(
        tables({"fid": {"gan": [slow] * 5, "wgan": [fast] * 5}}),
        of="time_to_target", target=3.0, better="wgan", than="gan", axis="generator_steps",
    )  # fmt: skip
    wgan, gan = found.sides
    assert (wgan.numbers, wgan.missed) == ((200.0,) * 5, 0)
    assert (gan.numbers, gan.missed) == ((500.0,) * 5, 5)
    assert (found.verdict, found.limit, found.resolution) == ("supported", 500.0, 100.0)
    assert found.findings[0].effect == pytest.approx(0.4)


def test_time_is_counted_as_far_as_all_have_trained():
    long, short = [9.0] * 4 + [2.0, 2.0], [9.0, 2.0, 2.0]
    found = judged(
        tables({"fid": {"gan": [long] * 4, "wgan": [short] * 4}}),
        of="time_to_target", target=3.0, better="wgan", than="gan",
    )  # fmt: skip
    assert found.limit == 300 * 64
    assert found.sides[1].missed == 4  # at 500 steps, which wgan has not


def test_misses_hold_back_a_verdict_that_speaks_for_them():
    fast, never, late = [2.0, 2.0] + [9.0] * 8, [9.0] * 10, [9.0] * 8 + [2.0, 2.0]
    terms = {"of": "time_to_target", "target": 3.0, "better": "wgan", "than": "gan"}
    some = tables({"fid": {"gan": [late] * 3, "wgan": [fast] * 5 + [never]}})
    found = judged(some, **terms)
    assert (found.verdict, found.findings[0].basis) == ("not_enough_evidence", "missed")
    nobody = tables({"fid": {"gan": [never] * 5, "wgan": [never] * 5}})
    assert judged(nobody, **terms).findings[0].basis == "unreached"
    bound = {"of": "time_to_target", "target": 3.0, "variant": "gan"}
    missed = tables({"fid": {"gan": [late, late, never]}})
    assert judged(missed, **bound, below=1e9).findings[0].basis == "missed"


def test_diverged_run_keeps_the_time_it_reached_before():
    runs = [[2.0, 2.0, 2.0], [2.0, 2.0, 2.0], [2.0, 2.0], [9.0]]
    found = judged(
        tables({"fid": {"gan": runs}}, diverged={"gan": 2}),
        of="time_to_target", target=3.0, variant="gan", below=1e9,
    )  # fmt: skip
    assert found.sides[0].numbers == (6400.0, 6400.0, 6400.0, 3 * 6400.0)
    assert (found.sides[0].missed, found.sides[0].diverged) == (1, 2)


def test_diverged_run_has_collapsed():
    ends = {"gan": flat(1, 9, 9, 9, 9, 1), "wgan": flat(1, 1, 1, 1, 1, 1)}
    found = judged(
        tables({"fid": ends}, diverged={"gan": 1}),
        of="collapse", target=3.0, better="wgan", than="gan",
    )  # fmt: skip
    assert [sum(side.numbers) for side in found.sides] == [0, 5]
    assert found.verdict == "supported"
    assert found.findings[0].p_value == pytest.approx(2 * 6 / math.comb(12, 5))


ACROSS = {"of": "correlation", "against": "critic_loss", "across": True, "above": 0.5}


def test_correlation_across_the_runs_of_one_variant():
    curves = {"critic_loss": {"gan": flat(*range(10, 90, 10))}}
    found = judged(tables({"fid": {"gan": flat(*range(1, 9))}}, curves=curves), **ACROSS)
    assert (found.findings[0].effect, found.verdict) == (1.0, "supported")


def test_correlation_across_recipes_is_of_their_means():
    # within every recipe the two numbers fall together, across the recipes one rises
    ends = {name: flat(i, i + 2) for i, name in enumerate("abcdefgh")}
    losses = {name: flat(10 * i + 12, 10 * i + 10) for i, name in enumerate("abcdefgh")}
    found = judged(tables({"fid": ends}, curves={"critic_loss": losses}), **ACROSS)
    assert (found.findings[0].effect, found.verdict) == (1.0, "supported")
    few = {name: ends[name] for name in "abc"}
    kept = {"critic_loss": {name: losses[name] for name in "abc"}}
    assert judged(tables({"fid": few}, curves=kept), **ACROSS).verdict == "not_enough_evidence"


def test_runs_of_one_recipe_are_no_evidence_of_their_own():
    # no correlation of the recipes, whose runs lie close together: pooled, a fifth were "refuted"
    draw = np.random.default_rng(0)
    verdicts = []
    for _ in range(120):
        x, y = draw.normal(size=(2, 7, 1)) + 0.2 * draw.normal(size=(2, 7, 5))
        names = "abcdefg"
        ends = {name: flat(*row) for name, row in zip(names, x, strict=True)}
        curves = {"critic_loss": {name: flat(*row) for name, row in zip(names, y, strict=True)}}
        verdicts.append(judged(tables({"fid": ends}, curves=curves), **ACROSS | {"above": 0.0}))
    wrong = sum(found.verdict == "supported" for found in verdicts)
    assert wrong <= 8  # of 120, 2.5 % each: with probability 0.997


def test_correlation_across_runs_with_a_declared_number():
    ends = {name: flat(value) for name, value in zip("abcde", (1, 2, 3, 4, 5), strict=True)}
    specs = {name: {"objective": {"clip": 0.1 / (i + 1)}} for i, name in enumerate("abcde")}
    found = judged(
        tables({"fid": ends}, specs=specs),
        of="correlation", against="objective.clip", across=True, below=0.0,
    )  # fmt: skip
    assert found.findings[0].effect == -1.0


def test_bound_on_every_variant_is_broken_by_one():
    found = judged(tables(TWO), below=15.0)
    assert [each.verdict for each in found.findings] == ["refuted", "supported"]
    assert (found.verdict, found.findings[0].level) == ("refuted", 0.975)
    assert judged(tables(TWO), below=40.0).verdict == "supported"
    assert judged(tables(TWO), below=21.0).verdict == "not_enough_evidence"


def test_cost_is_read_once_a_group():
    found = judged(tables(TWO), "step_ms", below=20.0, variant="gan")
    assert found.sides[0].numbers == (5.0, 6.0, 7.0, 8.0, 9.0)


def test_series_of_a_probe_are_read_where_the_claim_says():
    rows = [
        ("distances", seed, "estimate", series, x, base * x + seed / 100)
        for seed in range(3)
        for series, base in (("js", 0.1), ("w1", 1.0))
        for x in (1.0, 8.0)
    ]
    of = tables({}, probes=rows)
    end = judge(Claim("t", "estimate", higher="w1", than="js", probe="distances"), of)
    assert end.sides[0].numbers == pytest.approx((8.0, 8.01, 8.02))
    at = judge(Claim("t", "estimate", above=0.5, variant="w1", probe="distances", at=1.0), of)
    assert (end.verdict, at.sides[0].numbers) == ("supported", pytest.approx((1.0, 1.01, 1.02)))
    every = judge(Claim("t", "estimate", of="trend", above=0.5, probe="distances"), of)
    assert [side.name for side in every.sides] == ["js", "w1"]


def test_run_without_the_number_is_counted_and_not_guessed():
    of = tables({"fid": {"gan": [[3.0], [math.nan], [4.0]], "wgan": flat(1, 2, 3)}})
    found = judged(of, better="wgan", than="gan")
    assert (found.sides[1].values, found.sides[1].without) == (((0, 3.0), (2, 4.0)), 1)
