"""What reading and writing share: the tables' schemas, and names that stay inside the folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, get_args, get_origin

import pyarrow as pa
import pyarrow.parquet as pq

try:
    import fcntl
except ImportError:  # Windows: of two checks that end at one moment, one may then not be kept
    fcntl = None  # type: ignore[assignment]

from bench.errors import StoreError
from bench.records import (
    CHECK_VERSION,
    FINISHED,
    SCHEMA_VERSION,
    CheckRow,
    CurveRow,
    Fingerprint,
    MetricRow,
    ProbeRow,
    Reading,
    RunRow,
    TimingRow,
)
from bench.records.columns import columns, flat


@dataclass(frozen=True)
class BaselineRow:
    """A reading of a stored baseline."""

    suite: str
    commit: str
    recorded_at: str
    reference_version: int
    spec: str
    """The `run_id` of the subject's first member."""
    fingerprint: Fingerprint
    reading: Reading


TABLES: dict[str, type] = {
    "run": RunRow,
    "curves": CurveRow,
    "metrics": MetricRow,
    "timings": TimingRow,
}
"""Of a run, one file each."""
PROBES = "probes"
"""The folder of a suite's probes, one file a seed, and the name of their table."""
CHECKS, READINGS, BASELINES = "checks", "check_readings", "baselines"
_OF_CHECKS: dict[str, type] = {CHECKS: CheckRow, READINGS: Reading, BASELINES: BaselineRow}
_ROWS = {**TABLES, PROBES: ProbeRow, **_OF_CHECKS}
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_TABLE_KEY = b"table"


@dataclass(frozen=True)
class Format:
    """What the tables of one writer share beside their columns."""

    writer: str
    key: bytes
    """Of the metadata, where the version stands."""
    version: int
    mend: str
    """Of a table that cannot be read."""
    elsewhere: str = "choose another folder with --results"


_RUNS = Format(
    "bench run", b"schema_version", SCHEMA_VERSION, "delete its folder and run the suite again"
)
_HISTORY = Format(
    "bench check",
    b"check_version",
    CHECK_VERSION,
    "it is not overwritten: move it away, and a new history begins",
)
_FORMATS = {
    PROBES: replace(_RUNS, mend="delete it and run the suite again"),
    CHECKS: _HISTORY,
    READINGS: _HISTORY,
    BASELINES: replace(
        _HISTORY,
        writer="bench check --record",
        mend="name another file, or delete this one and record it anew",
        elsewhere="name another file",
    ),
}
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@cache
def schema(table: str) -> pa.Schema:
    """The Parquet schema of a table, from the fields of its row type.

    Those of checks grow from version to version, so a column of theirs may be null in old rows.
    """
    form, grows = _format(table), table in _OF_CHECKS
    found = [
        pa.field(column.name, _arrow_type(column.kind), nullable=grows or column.nullable)
        for column in columns(_ROWS[table])
    ]
    metadata = {form.key: str(form.version).encode()}
    return pa.schema(found, metadata=metadata | ({_TABLE_KEY: table.encode()} if grows else {}))


def arrow(table: str, rows: Sequence[Any]) -> pa.Table:
    """The rows in the table's columns."""
    return pa.Table.from_pylist([dict(flat(row)) for row in rows], schema=schema(table))


def packed(rows: pa.Table, notes: Mapping[str, str] | None = None) -> bytes:
    """The rows as a Parquet file, compressed with zstd; `notes` stand in its metadata."""
    buffer = pa.BufferOutputStream()
    if notes:
        rows = rows.replace_schema_metadata({**rows.schema.metadata, **notes})
    pq.write_table(rows, buffer, compression="zstd")
    content: bytes = buffer.getvalue().to_pybytes()
    return content


def encode(table: str, rows: Sequence[Any], notes: Mapping[str, str] | None = None) -> bytes:
    """The rows of a table as `packed` writes them."""
    return packed(arrow(table, rows), notes)


def read_table(path: Path, table: str) -> pa.Table:
    """A table in this version's columns; those that an older version had not are null.

    Raises `StoreError` where it cannot be read, is another table or is of a newer version.
    """
    with _readable(path, table):
        found = pq.read_table(path, partitioning=None)
    _refuse_foreign(path, found.schema, table)
    with _readable(path, table):
        parts = [
            found[field.name].cast(field.type)
            if field.name in found.schema.names
            else pa.nulls(len(found), field.type)
            for field in schema(table)
        ]
        return pa.table(parts, schema=schema(table))


def notes_of(path: Path, table: str) -> dict[str, str]:
    """What stands in a table's metadata; raises `StoreError` as `read_table` does."""
    with _readable(path, table):
        found = pq.read_schema(path)
    _refuse_foreign(path, found, table)
    return {key.decode(): value.decode() for key, value in found.metadata.items()}


def write_file(path: Path, content: bytes) -> None:
    """Write, and flush to the disk, so that a rename never outruns what it commits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in its place by one rename: a reader finds the old one or the new one, whole."""
    staged = path.with_name(f".{path.name}.partial")
    try:
        write_file(staged, content)
        staged.replace(path)
    finally:  # there is one only where that came to nothing
        staged.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else is in such a block of the same path, a lock's; waits for whoever is.

    Its file is there during the block alone.
    """
    while True:
        with path.open("wb") as file:  # the system takes the lock away with the file
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            if _lies_at(file, path):
                try:
                    yield
                finally:
                    with suppress(OSError):  # Windows takes no open file away
                        path.unlink()
                return


def _lies_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one at the path: its last owner takes it away."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def run_folders(root: Path) -> Iterator[Path]:
    """Every folder that could hold a run: none that is under way, none with another name."""
    if root.is_dir():
        yield from sorted(p for p in root.iterdir() if p.is_dir() and NAME.fullmatch(p.name))


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a result that stays; half written or made by others, it does not.

    Raises `StoreError` for a table of a newer version, which must not be overwritten.
    """
    path = folder / "run.parquet"
    if not path.is_file():
        return False
    try:
        found = pq.read_table(path, columns=["run_id", "status"], partitioning=None)
    except (pa.ArrowException, OSError):
        return False
    if _RUNS.key not in (found.schema.metadata or {}):
        return False
    _refuse_foreign(path, found.schema, "run")
    rows = found.to_pylist()
    return rows != [] and rows[0]["run_id"] == folder.name and rows[0]["status"] in FINISHED


def safe_name(name: str) -> str:
    """The name of a suite or a run, proved to be one plain folder; raises `StoreError`."""
    if not NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot name a folder of results; expected {NAME.pattern}")
    return name


def reason(error: Exception) -> str:
    """The first line of what the system or the Parquet reader said."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.splitlines() or [type(error).__name__])[0]


@contextmanager
def _readable(path: Path, table: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        text = f"not a readable Parquet table ({reason(error)}); {_format(table).mend}"
        raise StoreError(f"{path}: {text}") from error


def _format(table: str) -> Format:
    return _FORMATS.get(table, _RUNS)


def _arrow_type(kind: Any) -> pa.DataType:
    if get_origin(kind) is tuple:  # of one kind, and of any length
        return pa.list_(_arrow_type(get_args(kind)[0]))
    return pa.string() if get_origin(kind) is Literal else _ARROW[kind]


def _refuse_foreign(path: Path, found: pa.Schema, table: str) -> None:
    form, notes = _format(table), found.metadata or {}
    key, version = form.key.decode(), notes.get(form.key, b"")
    if not version.isdigit():
        raise StoreError(f"{path}: no {key}; expected a table written by `{form.writer}`")
    if int(version) > form.version:
        raise StoreError(
            f"{path}: {key} {int(version)} is newer than this bench can read "
            f"({form.version}); upgrade gan-bench, or {form.elsewhere}"
        )
    named = notes.get(_TABLE_KEY, table.encode()).decode(errors="replace")
    if named != table:
        raise StoreError(f"{path}: a table of {named}, where one of {table} was expected")
