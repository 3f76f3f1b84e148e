"""What a suite's checks say, as frozen data: the latest one whole, the others in a line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean
from typing import TYPE_CHECKING

from bench.records import CheckResult, CheckRow, Guard, Mode, Reading, Side
from bench.reporting.check_accounts import Account, account, calibration, noises
from bench.reporting.check_words import about, headline
from bench.reporting.numbers import plural

if TYPE_CHECKING:
    from bench.gate import Noise
    from bench.store import Checks

DECIDING: frozenset[Mode] = frozenset({"against", "baseline"})
"""The modes that hold a revision against another one."""
SHOWN = 8
"""Checks before the latest that are told of at once."""


@dataclass(frozen=True)
class Dot:
    """A round of one case."""

    round: int
    ratio: float
    """Head over base; against a baseline, over the geometric mean of what is stored."""
    counts: bool
    """False: its clocks moved, and a repetition stands in its place."""
    moved: str | None
    """What the clocks did meanwhile, if they moved."""
    first: Side
    """The side that was timed first."""


@dataclass(frozen=True)
class Case:
    """A row of a check, and the rounds that its verdict is read off."""

    row: CheckRow
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Past:
    """One check in short."""

    started_at: str
    about: str
    """What was held against what."""
    headline: str


@dataclass(frozen=True)
class Calibrated:
    """One case of a calibration: a revision against itself."""

    row: CheckRow
    noise: Noise
    log_ratios: tuple[float, ...]
    """Of every round in turn."""


@dataclass(frozen=True)
class Checked:
    """All that a report says of a suite's checks."""

    latest: Account | None
    """Of the checks against a revision or a baseline."""
    latest_at: str | None
    cases: tuple[Case, ...]
    """Of the latest."""
    earlier: tuple[Past, ...]
    """The newest first."""
    calibration: Account | None
    """The latest."""
    calibrated_at: str | None
    calibrated: tuple[Calibrated, ...]

    @property
    def before(self) -> str:
        """How many more checks there were than are told of; nothing where there were none."""
        more = len(self.earlier) - SHOWN
        return f"And {plural(more, 'check')} before these." if more > 0 else ""

    @property
    def headline(self) -> str:
        """Of the latest check; of the calibration where there is no other."""
        found = self.latest or self.calibration
        return found.headline if found else ""


def checked(checks: Checks) -> Checked | None:
    """What there is to say; None where nothing was checked and nothing calibrated."""
    deciding = [rows for rows in by_check(checks.rows) if rows[0].mode in DECIDING]
    trials = [rows for rows in by_check(checks.rows) if rows[0].mode == "calibrate"]
    if not deciding and not trials:
        return None
    latest = checks.of(deciding[-1][0].check_id) if deciding else None
    trial = checks.of(trials[-1][0].check_id) if trials else None
    noise = noises(trial) if trial else []
    return Checked(
        latest=account(latest) if latest else None,
        latest_at=latest.rows[0].started_at if latest else None,
        cases=cases(latest) if latest else (),
        earlier=tuple(map(_past, reversed(deciding[:-1]))),
        calibration=calibration(trial, noise) if trial else None,
        calibrated_at=trial.rows[0].started_at if trial else None,
        calibrated=calibrated(trial, noise) if trial else (),
    )


def by_check(rows: Iterable[CheckRow]) -> list[tuple[CheckRow, ...]]:
    """The rows of each check, the oldest check first."""
    found: dict[str, list[CheckRow]] = {}
    for row in rows:
        found.setdefault(row.check_id, []).append(row)
    return sorted((tuple(each) for each in found.values()), key=lambda each: each[0].started_at)


def _past(rows: Sequence[CheckRow]) -> Past:
    named = about(rows)[0].removeprefix(f"{rows[0].suite}: ")
    return Past(rows[0].started_at, named, headline(rows))


def cases(result: CheckResult) -> tuple[Case, ...]:
    """Every case, the rounds that decided it included."""
    return tuple(Case(row, _dots(row, result.readings)) for row in result.rows)


def _dots(row: CheckRow, readings: Sequence[Reading]) -> tuple[Dot, ...]:
    """Those of the rounds that the verdict was read off, and what these rounds replaced."""
    own = [reading for reading in readings if reading.subject == row.subject]
    alone = row.mode == "baseline"
    tried = _tried(own, row.quantity, alone=alone)
    last: dict[int, int] = {}
    for number, attempt in sorted(tried):
        last[number] = attempt
    counting = dict(sorted(last.items())[: row.rounds])
    unit = 0.0
    if alone and counting:
        unit = fmean(tried[place][0] for place in counting.items()) - log(row.ratio or 1.0)
    return tuple(
        Dot(number, exp(ratio - unit), counting[number] == attempt, moved, first)
        for (number, attempt), (ratio, moved, first) in sorted(tried.items())
        if number in counting
    )


_Tried = dict[tuple[int, int], tuple[float, str | None, Side]]
"""(Round, attempt) → its logarithm, what the clocks did, and the side that came first."""


def _tried(readings: Sequence[Reading], guard: Guard, *, alone: bool) -> _Tried:
    from bench import gate  # it brings torch along, which pages without checks need not wait for

    found: _Tried = {}
    for number, attempt in {(reading.round, reading.attempt) for reading in readings}:
        here = [r for r in readings if (r.round, r.attempt) == (number, attempt)]
        heads = [reading for reading in here if reading.side == "head"]
        ratio = (gate.log_values if alone else gate.log_ratios)(here, here[0].subject, guard)
        if len(ratio) and heads:
            first: Side = "head" if heads[0].first else "base"
            found[number, attempt] = (float(ratio[0]), heads[0].moved, first)
    return found


def calibrated(result: CheckResult, found: Sequence[Noise]) -> tuple[Calibrated, ...]:
    """Every case of a calibration that could be timed, by its `noises`."""
    rows = {(row.subject, row.quantity): row for row in result.rows}
    return tuple(
        Calibrated(
            row=rows[noise.subject, noise.quantity],
            noise=noise,
            log_ratios=_log_ratios(result.readings, noise),
        )
        for noise in found
    )


def _log_ratios(readings: Sequence[Reading], noise: Noise) -> tuple[float, ...]:
    from bench import gate

    return tuple(map(float, gate.log_ratios(readings, noise.subject, noise.quantity)))
