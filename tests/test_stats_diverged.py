"""What diverged runs do to a verdict: they count against a variant and never help it."""

from __future__ import annotations

import pytest

from bench.stats import Sample, contrast

GOOD = (10.0, 10.5, 9.8, 10.2, 10.1)
BAD = (30.0, 31.0, 29.0, 30.5, 30.2)


def judged(a: Sample, b: Sample):
    return contrast(a, b, better="lower", margin=0.1, scale="log")


def test_divergence_of_the_loser_leaves_the_verdict():
    pair = judged(Sample("a", GOOD), Sample("b", BAD[:3], diverged=2))
    assert (pair.verdict, pair.grounds, pair.diverged_b) == ("better", "interval", 2)


def test_winner_that_diverges_in_one_of_five_is_held_back():
    pair = judged(Sample("a", GOOD[:4], diverged=1), Sample("b", BAD))
    assert pair.high is not None
    assert pair.high < 1 / 1.1  # the interval alone would say better
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "diverged")
    assert (pair.beats, pair.seeds_needed) == (0.8, None)


def test_winner_that_seldom_diverges_still_wins():
    pair = judged(Sample("a", GOOD * 4, diverged=1), Sample("b", BAD * 4))
    assert pair.verdict == "better"
    assert pair.p_value == pair.mann_whitney_p  # the rank test is the harder of the two to pass


def test_winner_that_mostly_diverges_does_not_win_whatever_the_number_of_seeds():
    pair = judged(Sample("a", GOOD * 4, diverged=30), Sample("b", BAD * 4))
    assert (pair.verdict, pair.grounds, pair.p_value) == ("not_enough_evidence", "diverged", None)


def test_variants_with_diverged_runs_are_never_called_equal():
    near = tuple(value * 1.001 for value in GOOD)
    assert judged(Sample("a", GOOD), Sample("b", near)).verdict == "equal"
    pair = judged(Sample("a", GOOD, diverged=1), Sample("b", near, diverged=1))
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "diverged")


def test_variant_that_always_diverges_is_worse():
    pair = judged(Sample("a", (), diverged=5), Sample("b", GOOD))
    assert (pair.verdict, pair.grounds, pair.beats) == ("worse", "diverged", 0.0)
    assert pair.p_value == pytest.approx(2 / 252)
    assert (pair.effect, pair.low) == (None, None)


def test_one_survivor_however_good_does_not_win():
    pair = judged(Sample("a", (0.1,), diverged=4), Sample("b", GOOD))
    assert (pair.verdict, pair.grounds) == ("worse", "diverged")
    assert pair.p_value == pytest.approx(0.0476, abs=1e-4)  # Fisher, 4 of 5 against 0 of 5


@pytest.mark.parametrize("n", [1, 3])
def test_too_few_runs_cannot_show_divergence(n):
    pair = judged(Sample("a", (), diverged=n), Sample("b", GOOD[:n]))
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "too_few_finished")


def test_two_variants_that_always_diverge_are_not_called_equal():
    pair = judged(Sample("a", (), diverged=5), Sample("b", (), diverged=5))
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "too_few_finished")
    assert (pair.beats, pair.mann_whitney_p) == (0.5, 1.0)


def test_divergence_is_heard_where_no_value_varies():
    pair = contrast(
        Sample("a", (10.0,) * 5, diverged=2), Sample("b", (8.0,) * 5),
        better="higher", margin=0.5, scale="raw",
    )  # fmt: skip
    assert (pair.verdict, pair.grounds) == ("not_enough_evidence", "diverged")
