"""Stored baselines: one table, of several suites and machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from bench.errors import StoreError
from bench.records import Baseline
from bench.records.columns import rebuilt
from bench.store.base import (
    BASELINES,
    BaselineRow,
    alone,
    encode,
    read_table,
    reason,
    replace_file,
)


def read_baselines(path: Path, *, missing_ok: bool = False) -> tuple[Baseline, ...]:
    """Every baseline in a file; none where there is no file and that is as well.

    Raises `StoreError` where it cannot be read, is another table or of a newer version.
    """
    if path.is_dir():
        raise StoreError(f"{path}: a folder; expected a Parquet file of baselines")
    if not path.exists():
        if missing_ok:
            return ()
        raise StoreError(f"{path}: no such file; bench check SUITE --record {path} writes one")
    rows = [rebuilt(BaselineRow, row) for row in read_table(path, BASELINES).to_pylist()]
    return tuple(_baseline(list(own)) for _, own in groupby(rows, _identity))


def prepare_baseline(path: Path) -> tuple[Baseline, ...]:
    """Prove that a baseline can be stored in a file; those that are there already.

    Raises `StoreError` where it cannot be written, or what is there be read.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(_lock(path)):
            return read_baselines(path, missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({reason(error)})") from error


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Store a baseline in the place of the one of the same suite and machine; the others stay.

    `specs` are kept of the subjects that have readings.
    Raises `StoreError` as `prepare_baseline` does.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(_lock(path)):
            there = read_baselines(path, missing_ok=True)
            others = [each for each in there if _place(each) != _place(baseline)]
            replace_file(path, encode(BASELINES, list(_rows([*others, baseline]))))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({reason(error)})") from error


def _rows(baselines: Iterable[Baseline]) -> Iterator[BaselineRow]:
    for baseline in baselines:
        for reading in baseline.readings:
            yield BaselineRow(
                suite=baseline.suite,
                commit=baseline.commit,
                recorded_at=baseline.recorded_at,
                reference_version=baseline.reference_version,
                spec=baseline.specs[reading.subject],
                fingerprint=baseline.fingerprint,
                reading=reading,
            )


def _baseline(rows: Sequence[BaselineRow]) -> Baseline:
    first = rows[0]
    return Baseline(
        suite=first.suite,
        commit=first.commit,
        recorded_at=first.recorded_at,
        fingerprint=first.fingerprint,
        reference_version=first.reference_version,
        specs={row.reading.subject: row.spec for row in rows},
        readings=tuple(row.reading for row in rows),
    )


def _identity(row: BaselineRow) -> object:
    """What the rows of one baseline have in common, and of no other beside it."""
    return row.suite, row.fingerprint, row.commit, row.recorded_at


def _place(baseline: Baseline) -> object:
    return baseline.suite, baseline.fingerprint


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
