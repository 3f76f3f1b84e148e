"""A suite's checks across its revisions: machine by machine, since times of two tell nothing.

Format history of the JSON (`HISTORY_FORMAT`):

    1  the first
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

from bench.records import CheckRow, Fingerprint, Guard
from bench.reporting.check_words import QUANTITIES, words
from bench.reporting.checked import DECIDING, by_check
from bench.reporting.markdown import bullets, plain, table
from bench.reporting.numbers import NONE, exact_percent, measured, moment, ratio

HISTORY_FORMAT = 1
COLUMNS = (
    "committed",
    "revision",
    "case",
    "verdict",
    "base",
    "head",
    "head / base",
    "margin",
    "held against",
)


@dataclass(frozen=True)
class Head:
    """A revision that was head of a check."""

    commit: str
    committed_at: str | None
    """ISO 8601."""
    subject: str | None
    """The first line of its message."""

    @property
    def short(self) -> str:
        """The commit's first digits."""
        return self.commit[:7]


@dataclass(frozen=True)
class Line:
    """One case on one machine, in the order of its revisions, and of its checks within each."""

    subject: str
    quantity: Guard
    rows: tuple[CheckRow, ...]


@dataclass(frozen=True)
class Machine:
    """What was checked on one machine."""

    fingerprint: Fingerprint
    revisions: tuple[Head, ...]
    """By the date of the commit."""
    lines: tuple[Line, ...]
    """As the newest check has them in order."""

    @property
    def name(self) -> str:
        """Of what does the work."""
        return self.fingerprint.gpu or self.fingerprint.cpu or "Unknown machine"

    @property
    def facts(self) -> Mapping[str, str]:
        """What is known of it."""
        found = asdict(self.fingerprint).items()
        return {name.replace("_", " "): str(value) for name, value in found if value is not None}

    @property
    def guarded(self) -> Mapping[Guard, Sequence[Line]]:
        """Its lines by quantity."""
        there = {
            guard: [each for each in self.lines if each.quantity == guard] for guard in QUANTITIES
        }
        return {guard: own for guard, own in there.items() if own}


@dataclass(frozen=True)
class History:
    """Every check of a suite against a revision or a baseline."""

    suite: str
    machines: tuple[Machine, ...]
    """The one checked last comes first."""


def history(suite: str, rows: Iterable[CheckRow]) -> History:
    """The rows as a history; without a machine where none is of such a check."""
    found: dict[Fingerprint, list[CheckRow]] = {}
    for row in sorted(rows, key=lambda row: row.started_at):
        if row.mode in DECIDING:
            own = fingerprint(row)
            found[own] = [*found.pop(own, ()), row]
    return History(suite, tuple(_machine(*one) for one in reversed(found.items())))


def fingerprint(row: CheckRow) -> Fingerprint:
    """What a row's times belong to."""
    return Fingerprint(**{field.name: getattr(row, field.name) for field in fields(Fingerprint)})


def _machine(of: Fingerprint, rows: Sequence[CheckRow]) -> Machine:
    ordered = sorted(rows, key=_committed)  # stable: checks of one revision stay in their order
    revisions = {
        row.head_commit or "": Head(row.head_commit or "", row.head_committed_at, row.head_subject)
        for row in ordered
    }
    newest = [row for check in reversed(by_check(rows)) for row in check]
    cases = {(row.subject, row.quantity): list[CheckRow]() for row in newest}
    for row in ordered:
        cases[row.subject, row.quantity].append(row)
    own = tuple(Line(*case, tuple(found)) for case, found in cases.items())
    return Machine(of, tuple(revisions.values()), own)


def _committed(row: CheckRow) -> tuple[datetime, str]:
    """The moment of head's commit, in any time zone; of the check, where that is not known."""
    at = datetime.fromisoformat(row.head_committed_at or row.started_at)
    return at if at.tzinfo else at.replace(tzinfo=UTC), row.head_commit or ""


def numbers(machine: Machine, guard: Guard) -> Iterator[list[str]]:
    """A line a check of a case, revision by revision; as in `COLUMNS`."""
    order = {revision.commit: place for place, revision in enumerate(machine.revisions)}
    rows = [row for line in machine.guarded[guard] for row in line.rows]
    for row in sorted(rows, key=lambda row: order[row.head_commit or ""]):
        yield [
            moment(row.head_committed_at) if row.head_committed_at else NONE,
            " ".join(filter(None, [(row.head_commit or "")[:7], row.head_subject])),
            row.subject,
            words(row),
            measured(row.base_value, row.unit),
            measured(row.head_value, row.unit),
            ratio(row.ratio, row.low, row.high),
            exact_percent(row.margin),
            based(row),
        ]


def based(row: CheckRow) -> str:
    """What head was held against: `main (1f0e2d3)`, `1f0e2d3, a baseline`."""
    short = (row.base_commit or "")[:7] or NONE
    if row.mode == "baseline":
        return f"{short}, a baseline"
    known = row.base is None or (row.base_commit or "").startswith(row.base)
    return short if known else f"{row.base} ({short})"


def render_history_json(found: History) -> str:
    """`{"format_version": 1, "suite": …, "machines": […]}`."""
    whole = {"format_version": HISTORY_FORMAT, **asdict(found)}
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def render_history_markdown(found: History) -> str:
    """A section a machine, a table a quantity."""
    blocks = [f"# {plain(found.suite)}: its checks across revisions"]
    for machine in found.machines:
        blocks.append(f"## {plain(machine.name)}")
        blocks.append(bullets(f"{name}: {fact}" for name, fact in machine.facts.items()))
        for guard in machine.guarded:
            label = QUANTITIES[guard]
            blocks.append(f"### {label[:1].upper()}{label[1:]}")
            blocks.append(table(COLUMNS, numbers(machine, guard)))
    return "\n\n".join(blocks) + "\n"


RENDERED: Mapping[str, Callable[[History], str]] = {
    "md": render_history_markdown,
    "json": render_history_json,
}
"""Format → its text."""
