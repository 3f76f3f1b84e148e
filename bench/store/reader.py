"""What is on disk, as DataFrames."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bench.errors import StoreError, SuiteError, suggestion
from bench.store.base import (
    CHECKS,
    NAME,
    PROBES,
    TABLES,
    is_finished,
    notes_of,
    read_table,
    reason,
    run_folders,
    safe_name,
    schema,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Results:
    """What is on disk of one suite; the frames' columns are the fields of the row types.

    A null is NaN or None in the frames; a run without rows (`lost`, say) is in `runs` alone.
    """

    root: Path
    """The suite's folder."""
    suite: str
    runs: pd.DataFrame
    curves: pd.DataFrame
    metrics: pd.DataFrame
    timings: pd.DataFrame

    def files(self, run_id: str) -> dict[str, Path]:
        """The files beside a run's tables: relative path (`samples/100.png`) → where it lies."""
        folder = self.root / safe_name(run_id)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        return {name: path for name, path in names.items() if path.suffix != ".parquet"}

    @property
    def suite_text(self) -> str | None:
        """The suite's TOML as it was last run."""
        path = self.root / "suite.toml"
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    @property
    def declaration(self) -> dict[str, Any]:
        """What the suite declared that it compares, as `keep_suite` stored it.

        Raises `StoreError` where it is missing or cannot be read.
        """
        path = self.root / "declaration.json"
        try:
            declared = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            mend = "run the suite again with `bench run`, which repeats nothing that is finished"
            raise StoreError(f"{path}: {reason(error)}; {mend}") from error
        if not isinstance(declared, dict):
            raise StoreError(f"{path}: expected a JSON object, found {type(declared).__name__}")
        return declared

    @cached_property
    def probes(self) -> pd.DataFrame:
        """Every row of the declared probes, in the order declared; columns as of a `ProbeRow`.

        Raises `StoreError` for a table that cannot be read or is of a newer version.
        """
        parts = [read_table(path, PROBES) for path in self._probe_files()]
        form = schema(PROBES)
        whole = pa.concat_tables(parts) if parts else pa.Table.from_pylist([], schema=form)
        frame: pd.DataFrame = whole.to_pandas()
        return frame

    @cached_property
    def probe_notes(self) -> tuple[dict[str, Any], ...]:
        """Of each declared seed of a probe that has been measured: its `spec`, and what a report
        says of the probe (`title`, `about`, `quantities`)."""
        found = (notes_of(path, PROBES) for path in self._probe_files())
        return tuple(
            {"spec": json.loads(each["spec"]), **json.loads(each.get("notes", "{}"))}
            for each in found
        )

    def _probe_files(self) -> list[Path]:
        """The tables there are of the declared probes."""
        there = (self.root / "declaration.json").is_file()
        declared = self.declaration.get("probes", ()) if there else ()
        paths = [self.root / PROBES / f"{safe_name(one['probe_id'])}.parquet" for one in declared]
        return [path for path in paths if path.is_file()]

    def only(self, run_ids: Collection[str]) -> Results:
        """The same results, of some runs alone."""

        def part(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["run_id"].isin(list(run_ids))].reset_index(drop=True)

        return replace(
            self,
            runs=part(self.runs),
            curves=part(self.curves),
            metrics=part(self.metrics),
            timings=part(self.timings),
        )


def finished(root: Path, suite: str) -> frozenset[str]:
    """The runs whose results stay; a folder half written or made by others is not among them.

    Raises `StoreError` for results of a newer `bench`, which this one would overwrite.
    """
    folders = run_folders(root / safe_name(suite))
    return frozenset(folder.name for folder in folders if is_finished(folder))


def run_rows(root: Path) -> list[dict[str, Any]]:
    """The row of every run in one suite's folder, of those that can be read at all."""
    rows: list[dict[str, Any]] = []
    for folder in run_folders(root):
        with suppress(StoreError):  # such a run is not finished, and is done again
            rows += read_table(folder / "run.parquet", "run").to_pylist()
    return rows


def load_results(path: str | os.PathLike[str]) -> Results:
    """All runs of one suite's folder, such as `results/mnist_compare`, by variant and seed.

    A suite that has only been checked has none.  Raises `StoreError` where there is no such folder,
    a table cannot be read or is of a newer `bench`.
    """
    root = Path(path)
    if not root.is_dir():
        raise StoreError(f"{root}: no such folder of results; expected results/<suite>")
    folders = [folder for folder in run_folders(root) if (folder / "run.parquet").is_file()]
    frames = {name: _concatenated(folders, name) for name in TABLES}
    runs = frames.pop("run").sort_values(["variant", "seed", "run_id"], ignore_index=True)
    return Results(root, root.resolve().name, runs, **frames)


def suites(root: Path) -> list[str]:
    """The names of the suites under a results folder that have runs or checks."""
    return [folder.name for folder in run_folders(root) if _holds_any(folder)]


def locate(source: str | os.PathLike[str], root: Path) -> Path:
    """The folder of a suite's results, named by its file, its name or the folder itself.

    Raises `StoreError`, with the nearest name that has results, where there is none.
    """
    given = Path(source)
    if given.suffix != ".toml" and _holds_results(given):
        return given
    name = _name_in(given) if given.suffix == ".toml" else str(source)
    folder = root / name
    if not NAME.fullmatch(name) or not folder.is_dir():
        known = suites(root)
        found = suggestion(name, known) if known else "; nothing has been run yet"
        raise StoreError(f"{root}: no results of a suite {name!r}{found}")
    return folder


def _holds_results(folder: Path) -> bool:
    """Whether it is a suite's folder, and not one that is merely called like a suite."""
    return (folder / "declaration.json").is_file() or _holds_any(folder)


def _holds_any(folder: Path) -> bool:
    return (folder / f"{CHECKS}.parquet").is_file() or any(folder.glob("*/run.parquet"))


def _name_in(path: Path) -> str:
    """The name that a suite's file gives; read without checking the rest, and without torch."""
    try:
        name = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("name")
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path}: {reason(error)}") from error
    if not isinstance(name, str):
        raise SuiteError(f"{path}: name: missing; expected the suite's name, a string")
    return name


def _concatenated(folders: list[Path], table: str) -> pd.DataFrame:
    parts = [read_table(folder / f"{table}.parquet", table) for folder in folders]
    whole = pa.concat_tables(parts) if parts else pa.Table.from_pylist([], schema=schema(table))
    frame: pd.DataFrame = whole.to_pandas()
    return frame
