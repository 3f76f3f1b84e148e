"""What is put on disk: staged beside its place, then committed by one rename."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import StoreError
from bench.records import FINISHED, RunResult
from bench.store.base import encode, is_finished, reason, safe_name, write_file


def prepare(root: Path, suite: str) -> None:
    """Make the suite's folder, and prove that it can be written before anything starts.

    Raises `StoreError` if it cannot.
    """
    folder = root / safe_name(suite)
    probe = folder / f".writable.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be written ({reason(error)}); choose another folder with --results"
        ) from error


def keep_suite(root: Path, suite: str, text: str, declaration: Mapping[str, Any]) -> None:
    """Keep the suite's TOML text, and what it declares, beside its results."""
    folder = root / safe_name(suite)
    declared = json.dumps(declaration, indent=2) + "\n"
    for name, content in (("suite.toml", text), ("declaration.json", declared)):
        staged = folder / f".{name}.partial"
        try:
            write_file(staged, content.encode())
            staged.replace(folder / name)
        except OSError as error:
            raise StoreError(f"{folder / name}: cannot be written ({reason(error)})") from error


@contextmanager
def locked(root: Path, suite: str) -> Iterator[None]:
    """Nobody else who asks for it writes results of this suite until the end of the block.

    Raises `StoreError` where somebody does so already.  No lock on a system without `flock`.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = root / safe_name(suite) / ".lock"
    try:
        file = path.open("wb")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({reason(error)})") from error
    with file:  # the system takes the lock away with the file, however the process ends
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{path.parent}: another `bench run` is at work on this suite; wait for its end, "
                "or choose another folder with --results"
            ) from error
        _restore(path.parent)
        yield


def write(root: Path, suite: str, result: RunResult, *, replace: bool = False) -> Path:
    """Commit one run by one rename; answers with its folder.

    A failure of before is replaced.  A finished run stays, unless `replace` asks for its place and
    the new one is finished too.
    Raises `StoreError` for a file name that would leave the run's folder, and where the disk
    refuses.
    """
    folder = root / safe_name(suite) / safe_name(result.run.run_id)
    staged = folder.with_name(f".{folder.name}.staged")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        _stage(staged, result)
        if is_finished(folder) and not (replace and result.run.status in FINISHED):
            shutil.rmtree(staged)
        else:
            _commit(staged, folder)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({reason(error)})") from error
    return folder


def _stage(folder: Path, result: RunResult) -> None:
    tables = {
        "run": [result.run],
        "curves": result.curves,
        "metrics": result.metrics,
        "timings": result.timings,
    }
    files = {_safe_path(name): content for name, content in result.files.items()}
    for table, rows in tables.items():
        write_file(folder / f"{table}.parquet", encode(table, rows))
    for path, content in files.items():
        write_file(folder / path, content)


def _safe_path(relative: str) -> PurePosixPath:
    """A run's file name, proved to stay in the run's folder and off its tables."""
    path = PurePosixPath(relative)
    leaves = any(part in ("", ".", "..") for part in relative.split("/"))
    if leaves or "\\" in relative or "\0" in relative or path.suffix == ".parquet":
        raise StoreError(f"{relative!r} cannot name a file of a run; expected a plain path in it")
    return path


def _commit(staged: Path, folder: Path) -> None:
    """Put the staged folder in its place; what was there makes way for it."""
    old = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    staged.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path) -> None:
    """Put back a finished run that made way for one that a power cut kept from its place."""
    for old in folder.glob(".*.replaced"):
        place = folder / old.name[1:].removesuffix(".replaced")
        if not place.exists():
            old.rename(place)
