"""A group under way in one file, from which it goes on and ends as if it had never been stopped.

A safetensors file: the engine's tensors (`engine/<name>`), and as bytes the files of each member so
far (`files/<member>/<path>`) and its rows (`rows`, JSON: metadata have a limit of 100 MB, which a
long run would pass).  One entry of metadata, JSON too, says of which runs it is and how far they
are.  Floats come back as they were; those that JSON has not are written `{"$float": "nan"}`.  The
batches of any step follow from the seed and the step, so there is nothing to replay.

Format history (`FORMAT`):

    1  the first
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from bench.errors import CheckpointError
from bench.records import CurveRow, Group, MetricRow, RunSpec, TimingRow
from bench.training.account import Account
from bench.training.loop import Block
from bench.training.state import part
from bench.training.tally import Totals

FORMAT = 1
_NOTES = "checkpoint"
"""The name of the metadata's one entry; `bench show` reads it too."""
_ROWS_SO_FAR = "rows"
_ROWS: dict[str, type] = {"curves": CurveRow, "metrics": MetricRow, "timings": TimingRow}


@dataclass(frozen=True)
class Checkpoint:
    """A group at the end of a block."""

    step: int
    """Generator steps done."""
    solo: bool
    """Whether the group's step was to be timed alone when it began."""
    totals: Totals
    accounts: Sequence[Account]
    """What is written down of each member."""
    state: Mapping[str, Tensor]
    """The engine's."""


def due(block: Block, every: int) -> bool:
    """Whether a multiple of `every` generator steps lies in a block, its start excluded."""
    return block.stop // every > block.start // every


def write(file: Path, group: Group, steps: int, checkpoint: Checkpoint) -> None:
    """Put a checkpoint in the place of the one before, by one rename; `steps` are the whole run's.

    Raises `CheckpointError` where the disk refuses.
    """
    notes = {
        "format": FORMAT,
        "label": group.label,
        "run_ids": [spec.run_id for spec in group.specs],
        "specs": [spec.to_json() for spec in group.specs],
        "step": checkpoint.step,
        "steps": steps,
        "solo": checkpoint.solo,
        "totals": asdict(checkpoint.totals),
    }
    metadata = {_NOTES: json.dumps(_explicit(notes), allow_nan=False)}
    staged = file.with_name(f"{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(dict(_tensors(checkpoint)), staged, metadata)
        with staged.open("rb+") as written:  # on the disk before the rename that commits it
            os.fsync(written.fileno())
        staged.replace(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file}: cannot be written ({_line(error)})") from error


def read(file: Path, specs: Sequence[RunSpec], state: Mapping[str, Tensor]) -> Checkpoint:
    """The checkpoint of the runs `specs`, for an engine whose `state()` is `state` as yet.

    Raises `CheckpointError` for one that is cut short or unreadable, of another format, of other
    runs or of other tensors.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            notes = json.loads((opened.metadata() or {})[_NOTES], object_hook=_floats)
            tensors = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118 - no mapping
        members = json.loads(tensors.pop(_ROWS_SO_FAR).numpy().tobytes(), object_hook=_floats)
        if notes["format"] != FORMAT:
            raise CheckpointError(f"{file}: format {notes['format']}, expected {FORMAT}")
        if notes["specs"] != [spec.to_json() for spec in specs]:
            raise CheckpointError(
                f"{file}: a checkpoint of other runs ({', '.join(notes['run_ids'])}), "
                f"expected {', '.join(spec.run_id for spec in specs)}"
            )
        accounts = [
            _account(spec, member, _files(tensors, k))
            for k, (spec, member) in enumerate(zip(specs, members, strict=True))
        ]
        checkpoint = Checkpoint(
            int(notes["step"]),
            bool(notes["solo"]),
            Totals(**notes["totals"]),
            accounts,
            part(tensors, "engine"),
        )
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file}: not a whole checkpoint ({_line(error)})") from error
    _require(file, checkpoint.state, state)
    return checkpoint


def _require(file: Path, found: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raises `CheckpointError` unless the tensors found are those of an engine's state.

    A textbook engine has no optimiser state before its first step: what is there must be found.
    """
    for name, value in state.items():
        shape = tuple(found[name].shape) if name in found else None
        if shape != tuple(value.shape):
            told = "is missing" if shape is None else f"has shape {shape}"
            raise CheckpointError(
                f"{file}: tensor {name} {told}, expected shape {tuple(value.shape)}"
            )


def _tensors(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    for name, value in checkpoint.state.items():
        # a copy: tensors that share memory, such as tied weights, are not written
        yield f"engine/{name}", value.detach().cpu().contiguous().clone()
    rows = [_notes(account) for account in checkpoint.accounts]
    yield _ROWS_SO_FAR, _as_tensor(json.dumps(_explicit(rows), allow_nan=False).encode())
    for k, account in enumerate(checkpoint.accounts):
        for path, content in account.files.items():
            yield f"files/{k}/{path}", _as_tensor(content)


def _as_tensor(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _files(tensors: Mapping[str, Tensor], member: int) -> dict[str, bytes]:
    own = part(tensors, f"files/{member}")
    # in the order of the evaluations, not of the alphabet: samples/60.png before samples/120.png
    names = sorted(own, key=lambda name: (len(name), name))
    return {name: own[name].numpy().tobytes() for name in names}


def _notes(account: Account) -> dict[str, Any]:
    rows = {name: [asdict(row) for row in getattr(account, name)] for name in _ROWS}
    return {"alive": account.alive, "done": account.done, **rows}


def _account(spec: RunSpec, notes: Mapping[str, Any], files: dict[str, bytes]) -> Account:
    rows = {name: [row(**columns) for columns in notes[name]] for name, row in _ROWS.items()}
    return Account(spec=spec, alive=notes["alive"], done=notes["done"], files=files, **rows)


def _explicit(value: Any) -> Any:
    """The same, with every float that JSON has not spelt out."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if isinstance(value, Mapping):
        return {name: _explicit(item) for name, item in value.items()}
    return [_explicit(item) for item in value] if isinstance(value, list | tuple) else value


def _floats(found: dict[str, Any]) -> Any:
    return float(found["$float"]) if found.keys() == {"$float"} else found


def _line(error: Exception) -> str:
    """What went wrong, in a line that says of what kind it is."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
