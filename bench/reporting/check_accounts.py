"""What is said of a check, a calibration, a baseline and a bisection, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import expm1
from typing import TYPE_CHECKING

from bench.records import UNITS, Baseline, CheckResult, CheckRow, Guard
from bench.reporting.check_words import (
    QUANTITIES,
    about,
    faults,
    headline,
    machine,
    moved,
    reading,
    table,
)
from bench.reporting.markdown import bullets, plain
from bench.reporting.markdown import table as markdown_table
from bench.reporting.numbers import exact_percent, growth, measured, number, percent, plural, signed
from bench.stats.sequential import POWER

if TYPE_CHECKING:
    from bench.gate import Bisection, Noise

_NOISE = (
    "case",
    "quantity",
    "spread",
    "margin",
    "false alarms at the margin",
    "smallest margin",
    "rounds",
)


@dataclass(frozen=True)
class Account:
    """What is said of a check, wherever it is shown."""

    headline: str
    about: Sequence[str] = ()
    """What was compared, and where."""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    points: Sequence[str] = ()
    """Faults and notes, a line each."""
    reading: Sequence[str] = ()
    """How the table is read."""

    def markdown(self) -> str:
        """A section of its own."""
        blocks = [
            f"### {plain(self.headline)}",
            "  \n".join(plain(line) for line in self.about),
            markdown_table(self.header, self.rows) if self.rows else "",
            bullets(self.points),
            "\n\n".join(plain(line) for line in self.reading),
        ]
        return "\n\n".join(block for block in blocks if block) + "\n"


def account(result: CheckResult) -> Account:
    """Of a check against a revision or a baseline, or of a calibration."""
    rows = result.rows
    if rows and rows[0].mode == "calibrate":
        return calibration(result, noises(result))
    header, cells = table(rows)
    points = [*faults(rows), *moved(result), *result.notes]
    return Account(headline(rows), about(rows), header, cells, points, reading(rows))


def calibration(result: CheckResult, found: Sequence[Noise]) -> Account:
    """How noisy the machine is, by case."""
    able = sum(noise.smallest_high <= noise.margin for noise in found)
    cases = plural(len(result.rows), "case")
    return Account(
        headline=f"{able} of {cases} can be held to the margin on this machine",
        about=about(result.rows),
        header=_NOISE,
        rows=[
            [
                noise.subject,
                QUANTITIES[noise.quantity],
                growth(noise.spread),
                exact_percent(noise.margin),
                _share(noise),
                _smallest(noise),
                str(noise.rounds),
            ]
            for noise in found
        ],
        points=[*faults(result.rows), *moved(result), *_offsets(found), *result.notes],
        reading=_read_noise(result.rows[0]) if found else (),
    )


def _share(noise: Noise) -> str:
    ends = f"[{100 * noise.alarm_low:.1f}, {100 * noise.alarm_high:.1f}]"
    return f"{percent(noise.alarm_rate, 1)} {ends}"


def _smallest(noise: Noise) -> str:
    ends = f"[{number(100 * noise.smallest_low)}, {number(100 * noise.smallest_high)}]"
    return f"{growth(noise.smallest_margin)} {ends}"


def _offsets(found: Iterable[Noise]) -> Iterator[str]:
    """Where one side takes longer than the other, and not by chance."""
    for noise in found:
        if noise.offset_low > 0 or noise.offset_high < 0:
            ends = (noise.offset, noise.offset_low, noise.offset_high)
            middle, low, high = (signed(100 * expm1(each)) for each in ends)
            yield (
                f"{noise.subject} {QUANTITIES[noise.quantity]}: head differs from base by "
                f"{middle} % [{low}, {high}], though its code is the same"
            )


def _read_noise(row: CheckRow) -> list[str]:
    return [
        "Spread: the standard deviation of a round's head / base, of a revision against itself.",
        "False alarms at the margin: how often a check would find regressed what grew by just the "
        f"margin, with its 95 % interval; the plan allows for {exact_percent(row.alpha)}.",
        "Smallest margin: the one at which a revision that changes nothing is found fine by "
        f"{percent(POWER)} of checks of up to {row.looks[-1]} rounds, with its 95 % interval. A "
        "case held to less than that will often be inconclusive.",
    ]


def noises(result: CheckResult) -> list[Noise]:
    """The noise of each case of a calibration that could be timed; a third of a second each."""
    from bench import gate  # it brings torch along, which a page without checks need not wait for
    from bench.stats import Plan

    return [
        gate.noise(
            result.readings, row.subject, row.quantity, Plan(row.looks, row.alpha), row.margin
        )
        for row in result.rows
        if row.ratio is not None
    ]


@dataclass(frozen=True)
class Stored:
    """A quantity of a subject as a baseline has it."""

    subject: str
    quantity: Guard
    value: float
    """Median over the rounds, in `unit`."""
    unit: str
    rounds: int


def stored(baseline: Baseline) -> list[Stored]:
    """All that a baseline has."""
    from bench.gate.verdicts import typical, used

    found = []
    for subject in dict.fromkeys(each.subject for each in baseline.readings):
        for guard, unit in UNITS.items():
            value = typical(baseline.readings, subject, guard, "head")
            if value is not None:
                rounds = len(used(baseline.readings, subject, "head"))
                found.append(Stored(subject, guard, value, unit, rounds))
    return found


def recorded(
    result: CheckResult, own: Baseline | None, kept: Sequence[Baseline], where: str
) -> Account:
    """A baseline that was recorded: `own`, None where nothing could be timed, among all `kept`."""
    points = [*faults(result.rows), *moved(result), *result.notes]
    machines = len({each.fingerprint for each in kept})
    holds = f"{where} now holds {plural(machines, 'machine')}"
    if own is None:
        return Account(f"Nothing was stored: no case could be timed; {holds}", points=points)
    found = stored(own)
    variants = plural(len({each.subject for each in found}), "variant")
    return Account(
        headline=f"{variants} of {own.commit[:9]} stored for this machine; {holds}",
        about=[f"{own.suite}: on {machine(own.fingerprint)}, {own.fingerprint.clock_policy}"],
        header=["case", "quantity", "median", "rounds"],
        rows=[
            [
                each.subject,
                QUANTITIES[each.quantity],
                measured(each.value, each.unit),
                str(each.rounds),
            ]
            for each in found
        ],
        points=points,
    )


def bisected(found: Bisection) -> Account:
    """The first slow revision between two."""
    first, *others = found.lines()
    return Account(first, others)
