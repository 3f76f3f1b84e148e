"""What probes measured, on disk: one table a seed, committed by one rename."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.records import FINISHED, ProbeResult
from bench.store.base import PROBES, encode, notes_of, reason, safe_name, write_file


def probe_file(root: Path, suite: str, probe_id: str) -> Path:
    """Where the table of one seed of a probe lies."""
    return root / safe_name(suite) / PROBES / f"{safe_name(probe_id)}.parquet"


def write_probe(root: Path, suite: str, result: ProbeResult) -> None:
    """Commit a finished seed in the place of what was there; of any other nothing is kept.

    The table's metadata hold the spec, and what a report says of the probe.
    Raises `StoreError` where the disk refuses.
    """
    if result.status not in FINISHED:
        return
    path = probe_file(root, suite, result.spec.probe_id)
    staged = path.with_name(f".{path.name}.partial")
    notes = {"spec": result.spec.to_json(), "notes": json.dumps(result.notes)}
    if result.seconds is not None:
        notes["seconds"] = f"{result.seconds:.3f}"
    try:
        write_file(staged, encode(PROBES, result.rows, notes))
        staged.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({reason(error)})") from error


def finished_probes(root: Path, suite: str) -> frozenset[str]:
    """The `probe_id`s whose tables stay; one that cannot be read is not among them.

    Raises `StoreError` for a table of a newer version, which must not be overwritten.
    """
    files = (root / safe_name(suite) / PROBES).glob("*.parquet")
    return frozenset(path.stem for path in files if _readable(path))


def _readable(path: Path) -> bool:
    try:
        whole = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return False
    return "spec" in notes_of(path, PROBES) and whole.num_columns > 0
