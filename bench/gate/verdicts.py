"""Readings → what is found of each case: held against its margin at the planned looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import numpy as np

from bench.records import CheckRow, CheckVerdict, Guard, Reading, Side

ALPHA = 0.025
"""The probability of each wrong verdict of a case at its margin, at most; one-sided."""
BOTH: tuple[Side, Side] = ("base", "head")


def value(reading: Reading, guard: Guard) -> float | None:
    """What a reading says of a quantity, in the quantity's unit; None where it was not measured."""
    if guard == "step_time":
        return median(reading.step_ms)
    if guard == "peak_memory":
        return reading.peak_memory_bytes
    return reading.compile_seconds


def used(readings: Iterable[Reading], subject: str, side: Side) -> dict[int, Reading]:
    """A side's readings of a subject that count, by round: a repetition stands for the first."""
    found: dict[int, Reading] = {}
    for reading in readings:
        if reading.subject == subject and reading.side == side:
            before = found.get(reading.round)
            if before is None or reading.attempt > before.attempt:
                found[reading.round] = reading
    return found


def log_ratios(readings: Sequence[Reading], subject: str, guard: Guard) -> np.ndarray:
    """The log of head over base of each round in turn; what the verdict is about."""
    base, head = (used(readings, subject, side) for side in BOTH)
    both = sorted(base.keys() & head.keys())
    found = [_log_ratio(base[number], head[number], guard) for number in both]
    return np.array([each for each in found if each is not None])


def _log_ratio(base: Reading, head: Reading, guard: Guard) -> float | None:
    """Of a step's time the median over its blocks, each of head against the one of base beside it.

    What the machine did meanwhile is in both, and so in neither: on a busy machine the rounds
    spread by a third less than ratios of the two sides' medians (docs/check.md).
    """
    if guard == "step_time":
        beside = zip(base.step_ms, head.step_ms, strict=True)
        return median(math.log(after / before) for before, after in beside)
    before, after = value(base, guard), value(head, guard)
    return math.log(after / before) if before and after else None


def log_values(readings: Sequence[Reading], subject: str, guard: Guard) -> np.ndarray:
    """The log of head's value of each round in turn, a step's in units of the reference kernel."""
    found = used(readings, subject, "head")
    values = []
    for number in sorted(found):
        own = value(found[number], guard)
        if guard == "step_time":
            beside = zip(found[number].step_ms, found[number].reference_ms, strict=True)
            values.append(median(math.log(step / kernel) for step, kernel in beside))
        elif own:
            values.append(math.log(own))
    return np.array(values)


def typical(readings: Sequence[Reading], subject: str, guard: Guard, side: Side) -> float | None:
    """The median over the rounds, in the quantity's unit."""
    values = [value(each, guard) for each in used(readings, subject, side).values()]
    known = [each for each in values if each is not None]
    return median(known) if known else None


_CODES: Mapping[CheckVerdict, int] = {
    "fine": 0,
    "regressed": 1,
    "not_comparable": 4,
    "inconclusive": 5,
}
_ORDER = (3, 1, 4, 5, 0)


def exit_code(rows: Iterable[CheckRow], *, inconclusive: str = "fail") -> int:
    """Of a whole check: the first of 3, 1, 4, 5 that any case has, else 0.

    `inconclusive`: "pass" counts what cannot be told as passed.
    """
    codes = {_code(row, inconclusive) for row in rows}
    return next((code for code in _ORDER if code in codes), 0)


def _code(row: CheckRow, inconclusive: str) -> int:
    if row.verdict in {"missing", "crashed"}:
        return 3 if row.side == "head" else 4
    if row.mode == "calibrate":  # what it found is the answer, whatever that is
        return 0
    if row.verdict == "inconclusive" and inconclusive == "pass":
        return 0
    return _CODES[row.verdict]
