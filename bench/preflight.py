"""What is refused before anything starts: all that the data, the parts and the machine can tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import NamedTuple, get_args

import torch

from bench import extractors, registry
from bench.capacity import available_memory, precisions
from bench.datasets.base import Images, Points, Split
from bench.environment import cores, current
from bench.errors import DataError, DeviceError
from bench.networks.base import packed, require_range, require_stackable
from bench.records import Group, RunSpec
from bench.training.base import Recipe, resolve
from bench.training.forms import form
from bench.training.memory import group_bytes


def check(specs: Sequence[RunSpec], devices: Sequence[str] = ("cpu", "cuda:0")) -> None:
    """Everything about the specs that only data, parts and machine can tell, before any is run.

    Loads each distinct data set, builds each distinct network on its shape, holds the batch size
    and the extractor against the data, and precision and threads against the machine.  Raises
    `DataError`, `DeviceError` or `UnknownName`.
    """
    seen: set[str] = set()
    for spec in specs:
        if (key := _alike(spec)) in seen:
            continue
        seen.add(key)
        for device in devices:
            if device.startswith(spec.device):
                _has_instructions(spec, device)
        _fits(spec, extent(json.dumps(spec.dataset, sort_keys=True)))


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
    found = extent(json.dumps(spec.dataset, sort_keys=True))
    size = prod(found.shape) * found.example.samples.element_size()
    train, test = size * found.train, size * found.test
    return group_bytes(spec, train, test, found.shape, _banks(spec, found))


def _banks(spec: RunSpec, data: Extent) -> float:
    """Bytes of the features that a run is judged by: of its samples, the reference, the floor."""
    asked = spec.evaluation
    names = (*asked.metrics, *asked.final_metrics)
    if not names:
        return 0.0
    extractor = extractors.find(asked.extractor)
    against = {registry.load("metrics", name).against for name in names}
    real = data.test + (data.train if "train" in against else 0)
    return 4.0 * extractor.numbers(data.shape) * (2 * asked.samples + real)


class Extent(NamedTuple):
    """What is known of a data set once it was loaded."""

    train: int
    """Samples of the split."""
    test: int
    example: Images | Points
    """The first test sample, and whatever modes the data have."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a sample."""
        return tuple(self.example.samples.shape[1:])


@cache
def extent(dataset: str) -> Extent:
    """A data set's extent, by its part as JSON; loaded once a process."""
    part = json.loads(dataset)
    train, test = (resolve("datasets", part).load(split) for split in get_args(Split))
    return Extent(len(train.samples), len(test.samples), _first(test))


def _first(split: Images | Points) -> Images | Points:
    if isinstance(split, Images):
        return Images(split.images[:1].clone(), None)
    return replace(split, points=split.points[:1].clone(), labels=None)


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


def _fits(spec: RunSpec, data: Extent) -> None:
    shape = data.shape
    if spec.batch_size > data.train:
        kind = "points" if len(shape) == 1 else "images"
        raise DataError(
            f"variant {spec.variant}: training.batch_size is {spec.batch_size}, but "
            f"{spec.dataset['name']} has {data.train} training {kind}"
        )
    recipe = Recipe.of([spec])
    require_range(spec.network["name"], recipe.network.range, shape)
    with torch.device("meta"):  # takes no memory, however large the network
        pair = recipe.network.generator(shape), recipe.network.critic(packed(shape, spec.packing))
    require_stackable(spec.network["name"], *pair)
    if spec.engine == "textbook":
        form(recipe.objective)
    if spec.evaluation.metrics or spec.evaluation.final_metrics:
        try:
            test = resolve("datasets", spec.dataset).load("test")
            found = extractors.find(spec.evaluation.extractor).fitted(spec.dataset["name"], test)
            found.extract(data.example.samples, "cpu")
        except DataError as error:
            raise DataError(f"variant {spec.variant}: evaluation.extractor: {error}") from error
