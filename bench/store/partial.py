"""What is under way: for each group a hidden folder, which holds its checkpoint."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.records import CHECKPOINT
from bench.store.base import safe_name


@dataclass(frozen=True)
class UnderWay:
    """A group that has begun and has not ended, as its checkpoint has it."""

    run_ids: tuple[str, ...]
    """Of its members; the first names the folder."""
    label: str
    step: int
    """Generator steps done."""
    steps: int
    """Generator steps of the whole run."""
    age: float
    """Seconds since it was written."""


def partial(root: Path, suite: str, run_id: str) -> Path:
    """The folder of a group under way, named after its first run."""
    return root / safe_name(suite) / f".{safe_name(run_id)}.partial"


def discard(root: Path, suite: str, run_ids: Iterable[str]) -> None:
    """Forget what was under way of the groups with these first runs."""
    for run_id in run_ids:
        shutil.rmtree(partial(root, suite, run_id), ignore_errors=True)


def under_way(folder: Path) -> list[UnderWay]:
    """The groups under way in a suite's folder, of those whose checkpoint can be read."""
    files = sorted(folder.glob(f".*.partial/{CHECKPOINT}"))
    return [found for file in files for found in _head(file)]


def _head(file: Path) -> Iterator[UnderWay]:
    """What a checkpoint says of itself; nothing where it is gone by now, or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:  # reads no tensor, and loads no torch
            notes = json.loads((opened.metadata() or {})["checkpoint"])
        age = time.time() - file.stat().st_mtime
        ids, label = tuple(notes["run_ids"]), str(notes["label"])
        yield UnderWay(ids, label, int(notes["step"]), int(notes["steps"]), age)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return
