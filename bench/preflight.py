"""What is refused before anything starts: all that the data, the parts and the machine can tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from bench.capacity import available_memory, precisions
from bench.environment import cores, current
from bench.errors import DataError, DeviceError
from bench.metrics.evaluator import fitting
from bench.networks.base import require_range, require_stackable
from bench.records import Group, RunSpec
from bench.training.base import Recipe, resolve
from bench.training.memory import group_bytes
from bench.training.textbook import form


def check(specs: Sequence[RunSpec], devices: Sequence[str] = ("cpu", "cuda:0")) -> None:
    """Everything about the specs that only data, parts and machine can tell, before any is run.

    Loads each distinct data set, builds each distinct network on its shape, holds the batch size
    and the extractor against the data, and precision and threads against the machine.  Raises
    `DataError`, `DeviceError` or `UnknownName`.
    """
    loaded: dict[str, Tensor] = {}
    seen: set[str] = set()
    for spec in specs:
        if (key := _alike(spec)) in seen:
            continue
        seen.add(key)
        for device in devices:
            if device.startswith(spec.device):
                _has_instructions(spec, device)
        data = json.dumps(spec.dataset, sort_keys=True)
        if data not in loaded:
            dataset = resolve("datasets", spec.dataset)
            loaded[data] = dataset.load("train").samples
            dataset.load("test")
        _fits(spec, loaded[data])


def hold(groups: Sequence[Group], devices: Sequence[str]) -> Hold:
    """How many of the groups the CPU's memory holds at once.

    Raises `DeviceError` for a group that is too large for any of `devices`, all of which are of
    this machine (`cpu`, `cuda:0`, …).
    """
    largest = 0.0
    sizes: dict[str, float] = {}
    for group in groups:
        spec = group.specs[0]
        key = _alike(spec)
        if key not in sizes:
            sizes[key] = _bytes(spec)
            _has_room(spec, sizes[key], [one for one in devices if one.startswith(spec.device)])
        if spec.device == "cpu":
            largest = max(largest, sizes[key])
    free = available_memory("cpu")
    if not largest or free is None:
        return Hold(None, largest, free)
    return Hold(max(1, int(free // largest)), largest, free)


@dataclass(frozen=True)
class Hold:
    """What the CPU's memory holds."""

    at_once: int | None
    """Groups at once; None where nothing limits them."""
    largest: float
    """Bytes that the largest group needs."""
    free: int | None
    """Bytes there are; None where the system does not say."""

    def workers(self, asked: int | None) -> int | None:
        """As many as asked for, or fewer."""
        return min((each for each in (asked, self.at_once) if each), default=None)

    @property
    def reason(self) -> str:
        """Why there can be no more at once."""
        free = (self.free or 0) / 2**30
        return f"a group needs about {self.largest / 2**30:.1f} GiB of {free:.1f} GiB available"


def _alike(spec: RunSpec) -> str:
    """The same for specs of which one is refused if and only if the other is."""
    return replace(spec, seed=0, group=(0,) * len(spec.group)).to_json()


def _bytes(spec: RunSpec) -> float:
    train, test, shape = _extent(json.dumps(spec.dataset, sort_keys=True))
    return group_bytes(spec, train, test, shape)


@cache
def _extent(dataset: str) -> tuple[int, int, tuple[int, ...]]:
    """Bytes of both splits, and the shape of a sample."""
    loaded = resolve("datasets", json.loads(dataset))
    train, test = loaded.load("train").samples, loaded.load("test").samples
    return train.nbytes, test.nbytes, tuple(train.shape[1:])


def _has_room(spec: RunSpec, needed: float, devices: Sequence[str]) -> None:
    rooms = [(available_memory(device), device) for device in devices]
    known = [(room, device) for room, device in rooms if room is not None]
    if len(known) < len(rooms) or not known:
        return
    room, device = min(known)
    if needed > room:
        raise DeviceError(
            f"variant {spec.variant}: training.group = {len(spec.group)} with training.batch_size "
            f"= {spec.batch_size} needs about {needed / 2**30:.1f} GiB, but {device} has "
            f"{room / 2**30:.1f} GiB available; set a smaller training.group or batch_size"
        )


def _has_instructions(spec: RunSpec, device: str) -> None:
    """Refuse a precision that would be emulated, and threads without a core of their own."""
    known = precisions(device)
    if spec.precision not in known:
        here = current(device)
        raise DeviceError(
            f"variant {spec.variant}: training.precision is {spec.precision!r}, for which "
            f"{here.gpu or here.cpu or device} has no instructions; expected one of: "
            f"{', '.join(known)}"
        )
    if spec.device == "cpu" and spec.threads > cores():
        raise DeviceError(
            f"variant {spec.variant}: training.threads is {spec.threads}, but this process may use "
            f"{cores()} cores; set at most as many"
        )


def _fits(spec: RunSpec, samples: Tensor) -> None:
    shape = tuple(samples.shape[1:])
    kind = "points" if len(shape) == 1 else "images"
    if spec.batch_size > len(samples):
        raise DataError(
            f"variant {spec.variant}: training.batch_size is {spec.batch_size}, but "
            f"{spec.dataset['name']} has {len(samples)} training {kind}"
        )
    recipe = Recipe.of([spec])
    require_range(spec.network["name"], recipe.network.range, shape)
    with torch.device("meta"):  # takes no memory, however large the network
        pair = recipe.network.generator(shape), recipe.network.critic(shape)
    require_stackable(spec.network["name"], *pair)
    if spec.engine == "textbook":
        form(recipe.objective)
    if spec.evaluation.metrics or spec.evaluation.final_metrics:
        if kind == "points":
            raise DataError(
                f"variant {spec.variant}: {spec.dataset['name']} has points, and every metric of "
                "this release is of images; set evaluation.metrics and evaluation.final_metrics "
                "to []"
            )
        fitting(spec.evaluation.extractor, spec.dataset["name"]).sha256()
