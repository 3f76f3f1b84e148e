"""Records: amounts of training, and the identity of a run."""

from __future__ import annotations

import pytest

from bench.records import Amount, Pace


@pytest.mark.parametrize(
    ("amount", "steps"),
    [
        (Amount("images", 1_200_000), 3750),
        (Amount("images", 1_200_001), 3751),
        (Amount("epochs", 20), 3750),
        (Amount("epochs", 0.27), 51),
        (Amount("generator_steps", 7), 7),
        (Amount("critic_steps", 11), 3),
        (Amount("images", 1), 1),
    ],
)
def test_amounts_are_rounded_up_to_whole_generator_steps(amount, steps):
    assert amount.generator_steps(Pace(5), batch_size=64, dataset_size=60_000) == steps


def test_a_fraction_of_an_epoch_is_the_decimal_that_was_written():
    assert Amount("epochs", 0.27).generator_steps(Pace(1), 60, 60_000) == 270
    assert Amount("epochs", 8.3).generator_steps(Pace(1), 50, 60_000) == 9960
