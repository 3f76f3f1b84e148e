"""What reading and writing share: the tables' schemas, and names that stay inside the folder."""

from __future__ import annotations

import os
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.records import (
    FINISHED,
    SCHEMA_VERSION,
    CurveRow,
    MetricRow,
    ProbeRow,
    RunRow,
    TimingRow,
)

TABLES: dict[str, type] = {
    "run": RunRow,
    "curves": CurveRow,
    "metrics": MetricRow,
    "timings": TimingRow,
}
"""Of a run, one file each."""
PROBES = "probes"
"""The folder of a suite's probes, one file a seed, and the name of their table."""
_ROWS = {**TABLES, PROBES: ProbeRow}
_ARROW = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_VERSION_KEY = b"schema_version"
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@cache
def schema(table: str) -> pa.Schema:
    """The Parquet schema of a table, from the fields of its row type."""
    row = _ROWS[table]
    hints = get_type_hints(row)
    columns = [_column(field.name, hints[field.name]) for field in fields(row)]
    return pa.schema(columns, metadata={_VERSION_KEY: str(SCHEMA_VERSION).encode()})


def encode(table: str, rows: Sequence[Any], notes: Mapping[str, str] | None = None) -> bytes:
    """The rows as a Parquet file, compressed with zstd; `notes` stand in its metadata."""
    buffer = pa.BufferOutputStream()
    form = schema(table)
    if notes:
        form = form.with_metadata({**form.metadata, **notes})
    columns = pa.Table.from_pylist([asdict(row) for row in rows], schema=form)
    pq.write_table(columns, buffer, compression="zstd")
    content: bytes = buffer.getvalue().to_pybytes()
    return content


def read_table(path: Path, table: str) -> pa.Table:
    """A table in this version's columns; those that an older version had not are null.

    Raises `StoreError` where it cannot be read or is of a newer version.
    """
    try:
        found = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{path}: not a readable Parquet table ({reason(error)}); "
            "delete its folder and run the suite again"
        ) from error
    _refuse_foreign(path, found.schema)
    columns = [
        found[field.name].cast(field.type)
        if field.name in found.schema.names
        else pa.nulls(len(found), field.type)
        for field in schema(table)
    ]
    return pa.table(columns, schema=schema(table))


def notes_of(path: Path) -> dict[str, str]:
    """What stands in a table's metadata; raises `StoreError` as `read_table` does."""
    try:
        found = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(
            f"{path}: not a readable Parquet table ({reason(error)}); "
            "delete it and run the suite again"
        ) from error
    _refuse_foreign(path, found)
    return {key.decode(): value.decode() for key, value in found.metadata.items()}


def write_file(path: Path, content: bytes) -> None:
    """Write, and flush to the disk, so that a rename never outruns what it commits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


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
    if _VERSION_KEY not in (found.schema.metadata or {}):
        return False
    _refuse_foreign(path, found.schema)
    rows = found.to_pylist()
    return rows != [] and rows[0]["run_id"] == folder.name and rows[0]["status"] in FINISHED


def safe_name(name: str) -> str:
    """The name of a suite or a run, proved to be one plain folder; raises `StoreError`."""
    if not NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot name a folder of results; expected {NAME.pattern}")
    return name


def safe_path(relative: str) -> PurePosixPath:
    """A run's file name, proved to stay in the run's folder and off its tables."""
    path = PurePosixPath(relative)
    leaves = any(part in ("", ".", "..") for part in relative.split("/"))
    if leaves or "\\" in relative or "\0" in relative or path.suffix == ".parquet":
        raise StoreError(f"{relative!r} cannot name a file of a run; expected a plain path in it")
    return path


def reason(error: Exception) -> str:
    """The first line of what the system or the Parquet reader said."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.splitlines() or [type(error).__name__])[0]


def _column(name: str, hint: Any) -> pa.Field:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kind = next(option for option in options if option is not type(None))
    arrow = pa.string() if get_origin(kind) is Literal else _ARROW[kind]
    return pa.field(name, arrow, nullable=type(None) in options)


def _refuse_foreign(path: Path, found: pa.Schema) -> None:
    version = (found.metadata or {}).get(_VERSION_KEY, b"")
    if not version.isdigit():
        raise StoreError(f"{path}: no schema_version; expected a table written by `bench run`")
    if int(version) > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema_version {int(version)} is newer than this bench can read "
            f"({SCHEMA_VERSION}); upgrade gan-bench, or choose another folder with --results"
        )
