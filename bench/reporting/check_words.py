"""What a regression check found, in words: the same on a terminal, in Markdown and in JUnit XML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from bench.records import CheckResult, CheckRow, CheckVerdict, Fingerprint, Guard, Side
from bench.reporting.numbers import (
    exact_percent,
    growth,
    listed,
    measured,
    percent,
    plural,
    ratio,
)
from bench.stats.sequential import POWER

QUANTITIES: Mapping[Guard, str] = {
    "step_time": "step time",
    "peak_memory": "peak memory",
    "compile_time": "compile time",
}
COLUMNS = (
    "case",
    "quantity",
    "verdict",
    "base",
    "head",
    "head / base",
    "margin",
    "detectable",
    "rounds",
)
_NAMED = 3
"""Cases that a headline names of each verdict; the others it counts."""
_WORST: tuple[tuple[CheckVerdict, Side | None], ...] = (
    ("crashed", "head"),
    ("missing", "head"),
    ("regressed", None),
    ("crashed", "base"),
    ("missing", "base"),
    ("not_comparable", None),
    ("inconclusive", None),
    ("fine", None),
)
"""In the order in which they decide the exit code."""


def headline(rows: Sequence[CheckRow]) -> str:
    """What was found, the worst first: `1 of 6 cases regressed: mlp_gan step time; 5 are fine`."""
    if not rows:
        return "No case was checked"
    if all(row.verdict == "fine" for row in rows):
        return f"{_all(len(rows))} fine: none grew by more than its margin"
    found = [(_of(rows, *kind), kind) for kind in _WORST]
    parts: list[str] = []
    for own, (verdict, side) in found:
        if own:
            total = "" if parts else f" of {plural(len(rows), 'case')}"
            names = "" if verdict == "fine" else f": {_names(own)}"
            parts.append(f"{len(own)}{total} {_predicate(verdict, side, len(own))}{names}")
    return "; ".join(parts)


def verdict(rows: Sequence[CheckRow]) -> CheckVerdict | None:
    """Of the whole check: the one that decides its exit code; None without a case."""
    return next((kind[0] for kind in _WORST if _of(rows, *kind)), None)


def words(row: CheckRow) -> str:
    """The verdict of a case: `regressed`, `crashed at head`."""
    at = f" at {row.side}" if row.side and row.verdict in {"crashed", "missing"} else ""
    return f"{row.verdict.replace('_', ' ')}{at}"


def named(row: CheckRow) -> str:
    """A case by what it is: `mlp_gan step time`."""
    return f"{row.subject} {QUANTITIES[row.quantity]}"


def table(rows: Iterable[CheckRow]) -> tuple[list[str], list[list[str]]]:
    """The columns' names, and a line a case."""
    return list(COLUMNS), [
        [
            row.subject,
            QUANTITIES[row.quantity],
            words(row),
            measured(row.base_value, row.unit),
            measured(row.head_value, row.unit),
            ratio(row.ratio, row.low, row.high),
            exact_percent(row.margin),
            growth(row.detectable),
            f"{row.rounds} of {row.looks[-1]}",
        ]
        for row in rows
    ]


def told(row: CheckRow) -> str:
    """All that was found of a case, as a sentence."""
    if row.ratio is None or row.error is not None:
        return f"{named(row)}: {words(row)}: {row.error or 'not told why'}"
    found = f"{named(row)}: {words(row)}; head / base is {ratio(row.ratio, row.low, row.high)}"
    values = f"{measured(row.base_value, row.unit)} → {measured(row.head_value, row.unit)}"
    return (
        f"{found}, {values}; margin {exact_percent(row.margin)}, detectable "
        f"{growth(row.detectable)}, {row.rounds} of {row.looks[-1]} rounds, "
        f"α = {exact_percent(row.alpha)}"
    )


def about(rows: Sequence[CheckRow]) -> list[str]:
    """What was compared, and on what machine; nothing without a row."""
    if not rows:
        return []
    row = rows[0]
    subject = f" “{row.head_subject}”" if row.head_subject else ""
    against = {
        "against": f" against {_revision(row.base, row.base_commit)}",
        "baseline": f" against the stored baseline of {_revision(row.base, row.base_commit)}",
        "calibrate": " against itself",
        "record": " alone",
    }[row.mode]
    head = _revision(row.head, row.head_commit)
    return [f"{row.suite}: {head}{subject}{against}", f"On {machine(row)}"]


def machine(of: CheckRow | Fingerprint) -> str:
    """What times were taken on."""
    known = [
        of.gpu or of.cpu or "an unknown processor",
        plural(of.cores, "core"),
        of.os,
        f"Python {of.python}",
        f"torch {of.torch}",
        *([f"driver {of.driver}"] if of.driver else []),
        *([f"CUDA {of.cuda}"] if of.cuda else []),
    ]
    return ", ".join(known)


def faults(rows: Iterable[CheckRow]) -> list[str]:
    """A line for every subject that was not compared, with why."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row.error is not None:
            key = (row.subject, words(row), row.error)
            found.setdefault(key, []).append(QUANTITIES[row.quantity])
    return [
        f"{subject} ({listed(quantities)}) {said}: {error}"
        for (subject, said, error), quantities in found.items()
    ]


def moved(result: CheckResult) -> list[str]:
    """A line for every subject whose clocks moved during a round, which was measured once more."""
    found: dict[str, dict[int, str]] = {}
    for reading in result.readings:
        if reading.moved is not None and reading.attempt == 1:
            found.setdefault(reading.subject, {})[reading.round] = reading.moved
    return [
        f"{subject}: the clocks moved in {plural(len(rounds), 'round')}, measured once more each: "
        + "; ".join(f"round {number}, {what}" for number, what in rounds.items())
        for subject, rounds in found.items()
    ]


def reading(rows: Sequence[CheckRow]) -> list[str]:
    """How the table is read, and how surely its verdicts hold; nothing where none was judged."""
    judged = [row for row in rows if row.ratio is not None]
    if not judged:
        return []
    alpha = max(row.alpha for row in judged)
    lines = [
        "A case has regressed where the whole interval of head / base lies above 1 plus the "
        "margin, and is fine where all of it lies below; anything else is inconclusive.",
        f"Detectable: a growth of so much is found by {percent(POWER)} of such checks.",
        f"Each verdict alone is wrong with a probability of at most {exact_percent(alpha)}: so "
        "often where the true growth of its case is the margin, less often the further it is from "
        "that.",
    ]
    if len(judged) > 1:
        lines[-1] += (
            f" With {len(judged)} cases, at least one is wrong with a probability of at most "
            f"{exact_percent(min(1.0, len(judged) * alpha))}."
        )
    if any(row.verdict == "inconclusive" for row in judged):
        lines.append(
            "Inconclusive: the rounds differ too much among themselves to tell. A quieter machine, "
            "more or longer blocks or more rounds (the suite's [check] table) tell more; "
            "--calibrate says what this machine can tell."
        )
    return lines


def _of(rows: Sequence[CheckRow], kind: CheckVerdict, side: Side | None) -> list[CheckRow]:
    """The rows of a verdict; of `crashed` and `missing`, at that side."""
    return [
        row
        for row in rows
        if row.verdict == kind and (kind not in {"crashed", "missing"} or _side(row) == side)
    ]


def _side(row: CheckRow) -> Side:
    return "head" if row.side == "head" else "base"


def _all(number: int) -> str:
    return "The one case is" if number == 1 else f"All {number} cases are"


def _predicate(kind: CheckVerdict, side: Side | None, number: int) -> str:
    be = "is" if number == 1 else "are"
    if kind == "crashed":
        return f"crashed at {side}"
    if kind == "missing":
        return f"{be} missing at {side}"
    return kind if kind == "regressed" else f"{be} {kind.replace('_', ' ')}"


def _names(rows: Sequence[CheckRow]) -> str:
    """The first few of them, what they grew by where they regressed."""
    names = [
        f"{named(row)} ({ratio(row.ratio)})" if row.verdict == "regressed" else named(row)
        for row in rows[:_NAMED]
    ]
    more = len(rows) - len(names)
    return listed([*names, f"{more} more"] if more else names)


def _revision(asked: str | None, commit: str | None) -> str:
    """`main (1f0e2d3c4)`, or the commit alone where that is what was asked for."""
    short = commit[:9] if commit else "an unknown revision"
    known = asked is None or (commit or "").startswith(asked)
    return short if known else f"{asked} ({short})"
