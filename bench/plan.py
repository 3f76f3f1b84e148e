"""Suite → runs: what is to be done, in which order, and what of it is not done yet.

The order goes by rounds: the first group of every variant comes before the second of any, so that
what is there when a run is cut short can be compared, and a machine that slows down meanwhile slows
every variant.  With groups of one, a round is a seed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench import extractors
from bench.environment import available_devices, resolve_device
from bench.records import Group, RunSpec
from bench.suite import Suite, Variant
from bench.suite.models import Trial


def expand(suite: Suite) -> tuple[RunSpec, ...]:
    """Every run of a suite, the members of a group side by side.

    A device's type is what a run is known by; `auto` becomes `cuda` where there is one.  A
    variant's seeds are dealt to groups in the order of the matrix; the last group may be smaller.
    A variant whose search has no winner yet has no runs.
    Raises `DeviceError` for a device that this machine does not have.
    """
    types = {name: resolve_device(name) for name in suite.devices}
    seeds: dict[tuple[str, str], list[int]] = {}
    for cell in suite.cells:
        if suite.search and suite.search.waits_for(cell.variant):
            continue
        dealt = seeds.setdefault((cell.variant, types[cell.device]), [])
        if cell.seed not in dealt:
            dealt.append(cell.seed)
    order = {seed: place for place, seed in enumerate(suite.seeds)}
    rounds = [
        (place, group)
        for (name, device), dealt in seeds.items()
        for place, group in enumerate(
            _groups(suite.recipes[name], device, sorted(dealt, key=order.__getitem__))
        )
    ]
    rounds.sort(key=lambda found: found[0])  # stable: variants stay in their order
    return tuple(spec for _, group in rounds for spec in group)


def _groups(variant: Variant, device: str, seeds: Sequence[int]) -> Iterator[list[RunSpec]]:
    for start in range(0, len(seeds), variant.group):
        members = tuple(seeds[start : start + variant.group])
        yield [_spec(variant, device, seed, members) for seed in members]


def alone(variant: Variant, device: str, seed: int) -> RunSpec:
    """The run of a variant in a group of one, on a device's type."""
    return _spec(variant, device, seed, (seed,))


def _spec(variant: Variant, device: str, seed: int, group: tuple[int, ...]) -> RunSpec:
    return RunSpec(
        variant=variant.name,
        dataset=variant.dataset,
        network=variant.network,
        objective=variant.objective,
        optimizer=variant.optimizer,
        schedule=variant.schedule,
        init=variant.init,
        critic_steps=variant.critic_steps,
        batch_size=variant.batch_size,
        budget=variant.budget,
        engine=variant.engine,
        precision=variant.precision,
        evaluation=replace(
            variant.evaluation, extractor=extractors.pinned(variant.evaluation.extractor)
        ),
        seed=seed,
        group=group,
        device=device,
        compile=variant.compile,
        threads=variant.threads,
        packing=variant.packing,
        spectral_norm=variant.spectral_norm,
        batch_repeats=variant.batch_repeats,
        critic_boost=variant.critic_boost,
    )


class TrialRun(NamedTuple):
    """One run of one trial of a search."""

    spec: RunSpec
    variant: str
    """That is tuned."""
    trial: Trial


def trials(suite: Suite) -> tuple[TrialRun, ...]:
    """Every run of the search's trials, the first trial of every variant before any second one.

    A variant is tuned on the first device that it is compared on.
    """
    if suite.search is None:
        return ()
    found: list[tuple[int, TrialRun]] = []
    for name, tried in suite.search.trials.items():
        device = resolve_device(next(cell.device for cell in suite.cells if cell.variant == name))
        found += [
            (one.number, TrialRun(spec, name, one))
            for one in tried
            for group in _groups(one.variant, device, suite.search.seeds)
            for spec in group
        ]
    return tuple(run for _, run in sorted(found, key=lambda pair: pair[0]))


def trial_groups(suite: Suite) -> tuple[Group, ...]:
    """The trials' runs as they are trained; none is timed alone, since no trial's cost is told."""
    made = groups([run.spec for run in trials(suite)], suite.name)
    return tuple(replace(group, solo=False) for group in made)


def groups(specs: Sequence[RunSpec], suite_name: str, *, timed: bool = False) -> tuple[Group, ...]:
    """The runs, put together as they are trained, in the order of each group's first.

    The first group of each variant on each type of device has its step timed alone (`solo`);
    where times are what is compared (`timed`), every group has.
    """
    members: dict[str, list[RunSpec]] = {}
    for spec in specs:
        members.setdefault(_leader(spec), []).append(spec)
    first: dict[tuple[str, str], str] = {}
    for leader, group in members.items():
        first.setdefault((group[0].variant, group[0].device), leader)
    return tuple(
        Group(suite_name, tuple(group), solo=timed or leader in first.values())
        for leader, group in members.items()
    )


def pending(groups: Sequence[Group], finished: Collection[str]) -> tuple[Group, ...]:
    """The groups that are not finished, by `run_id`; one with a run missing is done again whole.

    They are what they were among all: which of them is timed alone does not depend on what has run.
    """
    return tuple(
        group for group in groups if any(spec.run_id not in finished for spec in group.specs)
    )


def _leader(spec: RunSpec) -> str:
    """The `run_id` of the first of a run's group, which is the same for all of its members."""
    return replace(spec, seed=spec.group[0]).run_id


def devices(suite: Suite) -> tuple[str, ...]:
    """The physical devices that an executor may use: `cpu`, `cuda:0`, …

    `cuda` and `auto` stand for every GPU, `cuda:1` for that one.  Raises `DeviceError` for a
    device that this machine does not have.
    """
    available = available_devices()
    pool: list[str] = []
    for name in suite.devices:
        kind = resolve_device(name)
        wanted = [name] if name in available else [one for one in available if one.startswith(kind)]
        pool += [one for one in wanted if one not in pool]
    return tuple(pool)
