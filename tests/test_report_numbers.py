from __future__ import annotations

from math import inf, nan

import pytest

from bench.reporting.numbers import (
    duration,
    exact_percent,
    listed,
    memory,
    number,
    p_value,
    percent,
    plural,
    signed,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (142.3, "142"),
        (56.94, "56.9"),
        (7.1666, "7.17"),
        (0.3857, "0.386"),
        (0.0261, "0.0261"),
        (0.0006, "0.000600"),
        (0.00001234, "1.23e-05"),
        (999.7, "1,000"),
        (9.996, "10.0"),
        (18750.4, "18,750"),
        (10.0, "10"),
        (0.0, "0"),
        (-0.5123, "-0.512"),
        (None, "–"),
        (nan, "–"),
        (inf, "–"),
    ],
)
def test_number_keeps_three_significant_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_units_are_those_a_person_would_say() -> None:
    said = [duration(4.08), duration(61.25), duration(754), duration(7500), duration(None)]
    assert said == ["4.08 s", "61.2 s", "12 min 34 s", "2 h 5 min", "–"]
    assert [memory(612e6), memory(2.4e9)] == ["612 MB", "2.40 GB"]
    assert [exact_percent(0.07), exact_percent(0.005)] == ["7 %", "0.5 %"]
    assert [percent(0.1), percent(0.9833, 1), percent(None)] == ["10 %", "98.3 %", "–"]


def test_signs_counts_and_p_values() -> None:
    assert [signed(2.0), signed(-0.25)] == ["+2", "−0.250"]
    assert [p_value(0.0079), p_value(0.0001), p_value(None)] == [
        "p = 0.0079",
        "p < 0.001",
        "p unknown",
    ]
    assert [plural(1, "seed"), plural(5, "seed")] == ["1 seed", "5 seeds"]
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a",
        "a and b",
        "a, b and c",
    ]
