"""A suite's pairs together: Holm by hand, error rates by simulation, and who stands where."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from bench.stats import Sample, between, contrast, family, unbeaten, winner

TERMS = {"better": "lower", "scale": "log"}
A = Sample("a", (10.0, 10.6, 9.7, 10.2, 10.1))
B = Sample("b", (13.0, 12.1, 14.5, 12.4, 13.8))
C = Sample("c", (9.7, 11.9, 12.8, 13.3, 12.0))


def drawn(rng: np.random.Generator, centres: list[float], sd: float, n: int) -> list[Sample]:
    rows = [np.exp(rng.normal(centre, sd, n)) for centre in centres]
    return [Sample(str(i), tuple(row)) for i, row in enumerate(rows)]


def truth(difference: float, margin: float) -> str:
    if abs(difference) <= math.log1p(margin):
        return "equal"
    return "worse" if difference > 0 else "better"


def test_holm_by_hand():
    pairs = family((A, B, C), margin=0.0, **TERMS)
    p = [
        scipy_stats.ttest_ind(np.log(x.values), np.log(y.values), equal_var=False).pvalue
        for x, y in ((A, B), (A, C), (B, C))
    ]
    assert p == pytest.approx([0.00058, 0.0405, 0.162], rel=0.01)  # passes α/3, fails α/2, and α/2
    assert [pair.p_holm for pair in pairs] == pytest.approx([3 * p[0], 2 * p[1], p[2]])
    assert [pair.level for pair in pairs] == pytest.approx([1 - 0.05 / 3, 0.975, 0.975])
    assert [pair.verdict for pair in pairs] == ["better", *["not_enough_evidence"] * 2]


def test_family_against_a_baseline_is_those_pairs_alone():
    pairs = family((A, B, C), margin=0.0, against={"b": "a", "c": "a"}, **TERMS)
    assert [(pair.a, pair.b) for pair in pairs] == [("b", "a"), ("c", "a")]
    logs = [np.log(x.values) for x in (A, B, C)]
    p = [scipy_stats.ttest_ind(x, logs[0], equal_var=False).pvalue for x in logs[1:]]
    assert [pair.p_holm for pair in pairs] == pytest.approx([2 * p[0], p[1]])  # Holm over two
    assert [pair.level for pair in pairs] == pytest.approx([0.975, 0.95])
    ends = scipy_stats.ttest_ind(logs[1], logs[0], equal_var=False).confidence_interval(0.975)
    assert (pairs[0].low, pairs[0].high) == pytest.approx((np.exp(ends.low), np.exp(ends.high)))


def test_baseline_without_a_sample_is_refused():
    with pytest.raises(ValueError, match=r"against \['z'\]: expected some of"):
        family((A, B), margin=0.0, against={"a": "z"}, **TERMS)


def test_pair_on_its_own_is_judged_at_the_full_level():
    alone = contrast(A, C, margin=0.0, **TERMS)
    assert (alone.level, alone.verdict) == (0.95, "better")  # p 0.0405; Holm asked for 0.025


def test_adjusted_p_is_at_most_alpha_exactly_where_there_is_a_verdict():
    rng = np.random.default_rng(3)
    for _ in range(40):
        for pair in family(drawn(rng, [0.0, 0.3, 0.5, 1.0], 0.2, 5), margin=0.1, **TERMS):
            assert (pair.p_holm <= 0.05) == (pair.verdict != "not_enough_evidence")


def test_adjusted_p_keeps_the_order_of_the_pairs():
    rng = np.random.default_rng(4)
    for _ in range(20):
        pairs = family(drawn(rng, [0.0, 0.3, 0.6], 0.2, 5), margin=0.0, **TERMS)
        adjusted = [pair.p_holm for pair in sorted(pairs, key=lambda pair: pair.p_value)]
        assert adjusted == sorted(adjusted)


def test_order_of_the_variants_does_not_matter():
    verdicts = set()
    for order in permutations((A, B, C)):
        pairs = family(order, margin=0.02, **TERMS)
        seen = [between(pairs, x, y) for x, y in (("a", "b"), ("a", "c"), ("c", "b"))]
        verdicts.add(tuple((pair.verdict, round(pair.low, 9)) for pair in seen))
    assert len(verdicts) == 1


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_identical_variants_are_seldom_told_apart(margin):
    rng = np.random.default_rng(11)
    wrong = sum(
        any(
            pair.verdict in ("better", "worse")
            for pair in family(drawn(rng, [0.0, 0.0, 0.0], 0.3, 5), margin=margin, **TERMS)
        )
        for _ in range(400)
    )
    # The true rate at margin 0 is 0.037; without Holm's correction it would be 0.11.
    assert scipy_stats.binomtest(wrong, 400, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    ("centres", "sd"),
    [
        ([0.0, 0.0953, 0.0], 0.05),  # just within the margin, log 1.1
        ([0.0, 0.0954, 0.1908], 0.05),  # just beyond it
        ([0.0, 0.0, 3.0], 0.3),  # two alike, one far off: Holm's first step is passed for sure
    ],
)
def test_some_wrong_verdict_in_a_family_is_rarer_than_its_level(centres, sd):
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        pairs = family(drawn(rng, centres, sd, 5), margin=0.1, **TERMS)
        right = [truth(centres[int(pair.a)] - centres[int(pair.b)], 0.1) for pair in pairs]
        wrong += any(
            pair.verdict not in (expected, "not_enough_evidence")
            for pair, expected in zip(pairs, right, strict=True)
        )
    assert wrong / 200 <= 0.05


def test_verdicts_are_found_where_there_is_something_to_find():
    rng = np.random.default_rng(2)
    found = [
        [pair.verdict for pair in family(drawn(rng, [0.0, 0.0, 1.0], 0.1, 20), margin=0.2, **TERMS)]
        for _ in range(50)
    ]
    assert sum(verdicts == ["equal", "better", "better"] for verdicts in found) >= 45


def test_winner_has_beaten_everybody():
    pairs = family((A, Sample("d", (30.0, 31.0, 33.0, 29.0, 35.0)), B), margin=0.1, **TERMS)
    assert unbeaten(pairs) == ("a",)
    assert winner(pairs) == "a"


def test_without_a_winner_the_unbeaten_are_named_in_order():
    pairs = family((C, A, B), margin=0.0, **TERMS)
    assert unbeaten(pairs) == ("c", "a")
    assert winner(pairs) is None


def test_family_of_one_has_no_pairs():
    assert family((A,), margin=0.1, **TERMS) == ()
    assert unbeaten(()) == ()
    assert winner(()) is None


def test_pair_is_found_from_either_side():
    pairs = family((A, B), margin=0.1, **TERMS)
    there, back = between(pairs, "a", "b"), between(pairs, "b", "a")
    assert there is pairs[0]
    assert back == there.mirrored()
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert between(pairs, "a", "z") is None
