"""Where samples that are judged come from: a finished run, a folder of pictures, or a file."""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import RequestError
from bench.sources.base import Source
from bench.sources.files import Array, Pictures
from bench.sources.runs import StoredRun, is_run, named, suite_folder
from bench.sources.tables import Table

__all__ = ["Source", "find"]

_FILES: dict[str, type[Array] | type[Table]] = {".npy": Array, ".parquet": Table}


def find(source: str | os.PathLike[str], results: Path) -> Source:
    """The source that a path, or the name of a run, stands for.

    A suite is looked for under `results`.  Raises `RequestError` or `StoreError` where there is
    no such source.
    """
    name = os.fspath(source)
    path = Path(os.path.expanduser(name))  # os.path raises nothing, whatever the name
    if os.path.isdir(path):
        return _folder(path, results)
    if os.path.lexists(path):
        return _file(path)
    if path.suffix in _FILES:
        raise RequestError(f"{path}: no such file")
    if suite_folder(name, results) is not None:
        raise _several(name)
    return named(name, results)


def _folder(path: Path, results: Path) -> Source:
    if is_run(path):
        return StoredRun.read(path)
    if suite_folder(str(path), results) == path:
        raise _several(str(path))
    return Pictures(str(path), path)


def _file(path: Path) -> Source:
    if path.suffix in _FILES:
        return _FILES[path.suffix](str(path), path)
    raise RequestError(
        f"{path}: found a file that ends in {path.suffix!r}; expected a run's folder, a folder of "
        f"pictures, or a file that ends in {' or '.join(_FILES)}"
    )


def _several(suite: str) -> RequestError:
    return RequestError(f"{suite}: a whole suite; name one of its runs: {suite}/VARIANT/SEED")
