"""The history of a suite's checks, on disk: two tables that only grow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bench.errors import StoreError
from bench.records import CheckResult, CheckRow, Reading
from bench.records.columns import rebuilt
from bench.store.base import (
    CHECKS,
    READINGS,
    alone,
    arrow,
    notes_of,
    packed,
    read_table,
    reason,
    replace_file,
    safe_name,
    schema,
)


@dataclass(frozen=True)
class Checks:
    """Every check of a suite that was kept, in the order in which they ended."""

    rows: tuple[CheckRow, ...]
    notes: Mapping[str, tuple[str, ...]]
    """By `check_id`, of those that have any."""
    measured: pa.Table
    """The readings, as the table has them; of a long history few are asked for."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The `check_id` of each check in turn."""
        return tuple(dict.fromkeys(row.check_id for row in self.rows))

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """Those of every check."""
        return _readings(self.measured)

    def of(self, check_id: str) -> CheckResult:
        """One check as it came out; without rows where there is none of that name."""
        rows = tuple(row for row in self.rows if row.check_id == check_id)
        own = self.measured.filter(pc.field("check_id") == check_id)
        return CheckResult(rows, _readings(own), self.notes.get(check_id, ()))


def prepare_checks(root: Path, suite: str) -> None:
    """Make the suite's folder, and prove that one more check can be kept in it.

    Raises `StoreError` where it cannot be written, and where a history is there that this version
    cannot read: it is not overwritten.
    """
    folder = root / safe_name(suite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(_lock(folder)):
            pass
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({reason(error)}); choose another folder with --results"
        ) from error
    _kept_notes(root, suite)
    for table in (READINGS, CHECKS):
        _kept(root, suite, table)


def append_check(root: Path, suite: str, result: CheckResult) -> None:
    """Keep a check after those that are there, with nothing else that appends meanwhile.

    Raises `StoreError` where the disk refuses or the history cannot be read.
    """
    folder = root / safe_name(suite)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with alone(_lock(folder)):
            _append(root, suite, result)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({reason(error)})") from error


def load_checks(root: Path, suite: str) -> Checks:
    """Every check of a suite; none where none was kept.

    Raises `StoreError` for a table that cannot be read or is of a newer version.
    """
    # in the order contrary to that of writing: what a row stands on is there
    rows = _kept(root, suite, CHECKS).to_pylist()
    notes = _kept_notes(root, suite)
    return Checks(
        rows=tuple(rebuilt(CheckRow, row) for row in rows),
        notes={name: tuple(lines) for name, lines in notes.items()},
        measured=_kept(root, suite, READINGS),
    )


def _append(root: Path, suite: str, result: CheckResult) -> None:
    notes = _kept_notes(root, suite)
    if result.notes:
        notes |= {row.check_id: list(result.notes) for row in result.rows}
    readings = [_kept(root, suite, READINGS), arrow(READINGS, result.readings)]
    rows = [_kept(root, suite, CHECKS), arrow(CHECKS, result.rows)]
    # readings without a row belong to no check, a row without its readings to half of one
    replace_file(_file(root, suite, READINGS), packed(pa.concat_tables(readings)))
    told = {"notes": json.dumps(notes)}
    replace_file(_file(root, suite, CHECKS), packed(pa.concat_tables(rows), told))


def _readings(table: pa.Table) -> tuple[Reading, ...]:
    return tuple(rebuilt(Reading, row) for row in table.to_pylist())


def _kept(root: Path, suite: str, table: str) -> pa.Table:
    path = _file(root, suite, table)
    return read_table(path, table) if path.exists() else schema(table).empty_table()


def _kept_notes(root: Path, suite: str) -> dict[str, Any]:
    path = _file(root, suite, CHECKS)
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(notes_of(path, CHECKS).get("notes", "{}"))
    return found


def _file(root: Path, suite: str, table: str) -> Path:
    return root / safe_name(suite) / f"{table}.parquet"


def _lock(folder: Path) -> Path:
    return folder / ".checks.lock"
