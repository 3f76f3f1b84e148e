"""The probes of a suite: which seeds of them are to be measured, and the measuring of one.

`measure` is what executors run; a seed of a probe is to them what a group of runs is.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from math import isfinite

from bench import plan
from bench.environment import resolve_device
from bench.errors import RequestError
from bench.records import Emit, Placement, ProbeResult, ProbeRow, ProbeSpec, RunSpec
from bench.suite import Suite


def expand(suite: Suite) -> tuple[ProbeSpec, ...]:
    """Every seed of every probe: the first seed of each before the second of any.

    All are measured on the first of the suite's devices.  Raises `DeviceError` for one that this
    machine does not have.
    """
    device = resolve_device(suite.devices[0])
    rounds = [
        (place, ProbeSpec(asked.probe, _recipes(suite, asked.variants, device, seed), seed, device))
        for asked in suite.probes
        for place, seed in enumerate(asked.seeds)
    ]
    rounds.sort(key=lambda found: found[0])  # stable: probes stay in their order
    return tuple(spec for _, spec in rounds)


def _recipes(suite: Suite, names: Sequence[str], device: str, seed: int) -> dict[str, RunSpec]:
    return {name: plan.alone(suite.recipes[name], device, seed) for name in names}


def pending(specs: Sequence[ProbeSpec], finished: Collection[str]) -> tuple[ProbeSpec, ...]:
    """Those that are not finished, by `probe_id`."""
    return tuple(spec for spec in specs if spec.probe_id not in finished)


def require(specs: Sequence[ProbeSpec]) -> None:
    """Raise `DataError` for a probe about variants that it can do nothing with."""
    from bench.training.base import resolve

    for spec in specs:
        resolve("probes", spec.probe).require(spec.recipes)


def measure(spec: ProbeSpec, placement: Placement, emit: Emit) -> list[ProbeResult]:
    """Measure one seed of a probe; a request that it cannot meet is a failure in one line."""
    import torch

    from bench.probes.base import Probe
    from bench.training.base import resolve
    from bench.training.precision import applied

    del emit  # a probe does not say how far it is
    began = time.perf_counter()
    device = torch.device(placement.device)
    if torch.get_num_threads() != placement.threads:
        torch.set_num_threads(placement.threads)
    # a critic that has won leaves gradients too small to matter, on which a CPU is slow
    torch.set_flush_denormal(True)
    try:
        probe: Probe = resolve("probes", spec.probe)
        with applied("fp32", device):
            rows = probe.run(spec.recipes, spec.seed, device)
    except RequestError as error:
        return spec.every("failed", str(error))
    finally:
        torch.set_flush_denormal(False)
    quantities = {name: asdict(found) for name, found in probe.quantities.items()}
    notes = {"title": probe.title, "about": probe.about, "quantities": quantities}
    seconds = time.perf_counter() - began
    return [ProbeResult(spec, "completed", None, [_known(row) for row in rows], seconds, notes)]


def _known(row: ProbeRow) -> ProbeRow:
    """The row, its value None where it is no number."""
    known = row.value is not None and isfinite(row.value)
    return row if known else replace(row, value=None)
