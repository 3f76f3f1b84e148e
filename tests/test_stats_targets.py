"""When a run reached its target, and how it swayed at the end."""

import numpy as np
import pytest

from bench.stats import late, late_spread, late_variance, restricted, time_to_target
from bench.suite.measured import LEAST_LATE

AT = (10.0, 20.0, 30.0, 40.0, 50.0)


@pytest.mark.parametrize(
    ("reached", "k", "time"),
    [
        ((0, 1, 1, 0, 0), 2, 20.0),
        ((0, 1, 0, 1, 1), 2, 40.0),
        ((0, 1, 0, 1, 0), 2, None),
        ((0, 1, 0, 1, 0), 1, 20.0),
        ((1, 1, 1, 1, 1), 5, 10.0),
        ((1, 1, 1, 1, 1), 6, None),
        ((), 1, None),
    ],
)
def test_time_is_the_first_of_so_many_in_a_row(reached, k, time):
    assert time_to_target(AT[: len(reached)], [bool(good) for good in reached], k) == time


def test_misses_and_what_lies_beyond_the_limit_are_counted_up_to_it():
    assert restricted((10.0, None, 45.0), 40.0) == ((10.0, 40.0, 40.0), 2)


def test_last_fifth_holds_the_evaluation_on_its_border():
    steps = [240_000 * (i + 1) for i in range(5)]
    assert late(steps, AT, end=1_200_000) == (40.0, 50.0)
    assert late([i * 0.1 for i in range(1, 11)], range(10), end=1.0) == (7, 8, 9)


def test_spread_is_relative_and_asks_for_three_values():
    values = (2.0, 4.0, 6.0)
    assert late_variance(values) == pytest.approx(np.var(values, ddof=1)) == 4.0
    assert late_spread(values) == 0.5
    assert late_variance(values[:2]) is None
    assert late_spread(()) is None
    assert late_spread((-1.0, 0.0, 1.0)) is None


def test_suite_asks_for_as_many_evaluations_as_a_variance_needs():
    assert late_variance((1.0,) * LEAST_LATE) == 0.0
    assert late_variance((1.0,) * (LEAST_LATE - 1)) is None
