"""Where the time of a variant's training goes, for whoever wants to make it faster.

`nox -s profile -- suites/mnist_compare.toml wgan_gp` trains the first group of a variant as
`bench run` would (its engine, precision, threads and group), and traces 20 generator iterations
once everything is warm.  It writes `reports/profile/<suite>-<variant>.json`, which ui.perfetto.dev
and chrome://tracing draw, and prints the costliest operations and the achieved share of the
device's rate of matrix products.  That share is of iterations that nothing watches: tracing slows
them.

All of these iterations are of one block, so the drawing of the next block's latents, once in 50
iterations, is not among them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

import torch
from torch.profiler import ProfilerActivity, profile

from bench import plan, preflight
from bench.errors import BenchError, RequestError, StoreError
from bench.records import Group
from bench.reporting.numbers import percent, plural
from bench.suite import load_suite
from bench.training.arithmetic import matmul_rate, step_operations
from bench.training.base import Engine, Recipe, resolve
from bench.training.clock import Stopwatch
from bench.training.engines import ready

SUITE = "suites/mnist_compare.toml"
WARM, TRACED = 10, 20
"""Generator iterations before, and in the trace; together fewer than a block."""
SHOWN = 15
"""Operations in the table."""
NAMED_KERNELS = {"cpp.enable_kernel_profile": True}
"""Makes inductor's own loops on a CPU events of the trace, by what they fuse."""


@dataclass(frozen=True)
class Subject:
    """What is profiled: one group of one variant, and the device it trains on."""

    group: Group
    device: torch.device

    @classmethod
    def of(cls, path: str, variant: str | None, overrides: Sequence[str]) -> Subject:
        """The first group of a variant, the suite's first without a name.

        Raises what `bench run` raises of the same suite before it starts anything.
        """
        suite = load_suite(path, overrides=overrides, variants=[variant] if variant else ())
        name = variant if variant in suite.recipes else suite.variants[0]
        if variant and variant != name and len(suite.variants) > 1:
            known = ", ".join(suite.variants)
            raise RequestError(f"variant {variant!r} is swept; expected one of: {known}")
        specs = [spec for spec in plan.expand(suite) if spec.variant == name]
        group, devices = plan.groups(specs, suite.name)[0], plan.devices(suite)
        preflight.check(group.specs, devices)
        preflight.hold([group], devices)
        kind = group.specs[0].device
        return cls(group, torch.device(next(each for each in devices if each.startswith(kind))))


@dataclass(frozen=True)
class Cost:
    """An operation on the device, over all its calls in the trace."""

    name: str
    calls: int
    seconds: float
    """Its own, without those of the operations it calls."""


@dataclass(frozen=True)
class Profile:
    """What came of it."""

    engine: str
    """The engine that ran."""
    seconds: float
    """A generator iteration of the group that nothing watches."""
    operations: float
    """Floating-point operations of such an iteration."""
    rate: float
    """Operations a second of a large matrix product on the same device."""
    costs: tuple[Cost, ...]
    """The costliest first."""


def profiled(subject: Subject, file: Path, note: Callable[[str], None]) -> Profile:
    """Train until everything is warm, time some iterations, trace as many, and write the trace."""
    spec, device = subject.group.specs[0], subject.device
    torch.set_num_threads(spec.threads)
    torch.set_flush_denormal(True)  # as every run has it
    if device.type == "cuda":  # streams and graphs are of the current device
        torch.cuda.set_device(device)
    recipe = Recipe.of(subject.group.specs)
    samples = resolve("datasets", spec.dataset).load("train").samples.to(device)
    budget = spec.budget.generator_steps(spec.pace, spec.batch_size, len(samples))
    steps = max(budget, WARM + TRACED)  # a schedule has no place beyond its end
    with torch._inductor.config.patch(NAMED_KERNELS):
        engine, used = ready(spec, recipe, samples, budget, note)
    engine.advance(0, WARM, steps)
    timed = [_seconds(engine, device, steps)]
    while len(timed) < 5 and sum(timed) * TRACED < 1.0:  # a small network's first says little
        timed.append(_seconds(engine, device, steps))
    with profile(activities=_activities(device), record_shapes=True) as traced:
        _seconds(engine, device, steps)
    traced.export_chrome_trace(str(file))
    return Profile(
        engine=used,
        seconds=median(timed),
        operations=len(recipe.seeds) * step_operations(recipe, tuple(samples.shape[1:])),
        rate=matmul_rate(str(device), spec.precision, spec.threads),
        costs=_costs(traced, device),
    )


def _seconds(engine: Engine, device: torch.device, steps: int) -> float:
    """Of an iteration: the mean over those that are traced, and over no others."""
    watch = Stopwatch(device)
    engine.advance(WARM, WARM + TRACED, steps)
    return watch.seconds() / TRACED


def _activities(device: torch.device) -> list[ProfilerActivity]:
    on_gpu = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    return [ProfilerActivity.CPU, *on_gpu]


def _costs(traced: Any, device: torch.device) -> tuple[Cost, ...]:
    """A GPU's kernels, or what a CPU does, apart by the shapes they are given."""
    found = []
    for event in traced.key_averages(group_by_input_shape=True):
        if event.device_type.name.lower() != device.type:
            continue
        on_gpu = device.type == "cuda"
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        found.append(Cost(f"{event.key} {_shapes(event)}".strip(), event.count, own / 1e6))
    return tuple(sorted(found, key=lambda cost: -cost.seconds))


def _shapes(event: Any) -> str:
    """`64×784 784×256`: what the tensors are that an operation was given."""
    shapes = [shape for shape in event.input_shapes or () if shape]
    plain = [shape for shape in shapes if all(isinstance(size, int) for size in shape)]
    return " ".join("×".join(map(str, shape)) for shape in plain[:3])


def told(subject: Subject, found: Profile, file: Path) -> str:
    """What is printed."""
    spec = subject.group.specs[0]
    threads = f", {plural(spec.threads, 'thread')}" if subject.device.type == "cpu" else ""
    whole = sum(cost.seconds for cost in found.costs) or 1.0
    share = percent(found.operations / found.rate / found.seconds)
    lines = [
        f"{subject.group.label}: engine {found.engine}, {spec.precision}, group of "
        f"{len(spec.group)}, batch {spec.batch_size}, {subject.device}{threads}",
        "",
        f"{'calls':>8}  {'ms':>9}  {'share':>5}  operation (a generator iteration; traced)",
    ]
    for cost in found.costs[:SHOWN]:
        calls, each = cost.calls / TRACED, cost.seconds / TRACED * 1e3
        lines.append(f"{calls:8.1f}  {each:9.4f}  {cost.seconds / whole:5.1%}  {cost.name[:90]}")
    return "\n".join(
        [
            *lines,
            "",
            f"{found.seconds * 1e3:.3f} ms a generator iteration, not traced: "
            f"{found.operations / 1e6:,.1f} million operations, {share} of what the matrix "
            f"products of this device reach ({found.rate / 1e9:,.0f} GFLOP/s)",
            f"{file}: to be opened in ui.perfetto.dev or chrome://tracing",
        ]
    )


class _Parser(argparse.ArgumentParser):
    """Argparse, but for its usage above every error: one line says what is wrong."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message}; --help shows what can be given")


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="nox -s profile --", description="A torch-profiler trace of a variant.")
    parser.add_argument("suite", nargs="?", default=SUITE, metavar="SUITE.toml")
    parser.add_argument("variant", nargs="?", help="without one, the suite's first")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument("--reports", default="reports", metavar="DIR", type=Path)
    return parser.parse_args(arguments)


def _writable(folder: Path, name: str) -> Path:
    """The file of that name, known to be writable before anything takes time."""
    file = folder / "profile" / name
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("ab").close()
    except OSError as error:
        raise StoreError(f"{file}: cannot be written ({error.strerror})") from error
    return file


def main(arguments: Sequence[str] | None = None) -> int:
    """Profile what is asked for; answers with the exit code, as `bench` does."""
    try:
        asked = _asked(arguments)
        subject = Subject.of(asked.suite, asked.variant, asked.sets)
        name = f"{subject.group.suite}-{subject.group.specs[0].variant}.json"
        file = _writable(asked.reports, name)
        found = profiled(subject, file, lambda line: print(f"note: {line}", file=sys.stderr))
    except BenchError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    print(told(subject, found, file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
