"""One group, from its specs to its results: train, judge, write everything down.

`execute` is what executors run.  A run that diverges ends early and keeps its rows; whatever
else goes wrong in a run becomes its status and its error, never an exception.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

import bench
from bench import environment, seeding
from bench.errors import DataError, RunTimeout, failure
from bench.metrics.evaluator import Evaluator, Measurement, fitting
from bench.networks.base import require_stackable
from bench.records import (
    CurveRow,
    Emit,
    Group,
    MetricRow,
    Placement,
    Progress,
    RunResult,
    RunRow,
    RunSpec,
    Status,
    TimingRow,
    identity,
)
from bench.training.base import Engine, Recipe, resolve
from bench.training.clock import Turnstile, now
from bench.training.diagnostics import diagnostics
from bench.training.engines import ready
from bench.training.loop import Block, train
from bench.training.samples import GRID, generate, grid, judged, weights
from bench.training.textbook import form

_CURVES = {column.name for column in fields(CurveRow)}


def execute(group: Group, placement: Placement, emit: Emit) -> Sequence[RunResult]:
    """Train and judge one group; one result a member, whatever happens."""
    recording = _Recording(group, placement, emit)
    # a critic that has won leaves gradients too small to matter, on which a CPU is slow
    torch.set_flush_denormal(True)
    try:
        recording.run()
    except RunTimeout as error:
        recording.fail("timeout", str(error))
    except Exception as error:  # the one broad except: a fault is a run's status, not the suite's
        recording.fail("failed", failure(error))
    finally:
        torch.set_flush_denormal(False)
    return recording.results()


def check(specs: Sequence[RunSpec]) -> None:
    """Everything about the specs that only the data and the parts can tell, before any is run.

    Loads each distinct data set, builds each distinct network on its shape, and holds the batch
    size and the extractor against the data.  Raises `DataError` or `UnknownName`.
    """
    loaded: dict[str, Tensor] = {}
    seen: set[str] = set()
    for spec in specs:
        key = replace(spec, seed=0, group=()).to_json()
        if key in seen:
            continue
        seen.add(key)
        data = json.dumps(spec.dataset, sort_keys=True)
        if data not in loaded:
            loaded[data], _ = _images(spec)
        _fits(spec, loaded[data])


def _fits(spec: RunSpec, images: Tensor) -> None:
    if spec.batch_size > len(images):
        raise DataError(
            f"variant {spec.variant}: training.batch_size is {spec.batch_size}, but "
            f"{spec.dataset['name']} has {len(images)} training images"
        )
    recipe = Recipe.of([spec])
    shape = tuple(images.shape[1:])
    with torch.device("meta"):  # takes no memory, however large the network
        pair = recipe.network.generator(shape), recipe.network.critic(shape)
    require_stackable(spec.network["name"], *pair)
    if spec.engine == "textbook":
        form(recipe.objective)
    if spec.evaluation.metrics or spec.evaluation.final_metrics:
        fitting(spec.evaluation.extractor, spec.dataset["name"]).sha256()


@dataclass
class _Member:
    """What is written down of one run of the group."""

    spec: RunSpec
    measure: Callable[[nn.Module, Any], dict[str, float | None]]
    latents: Tensor
    """(samples, latent_dim), the same at every evaluation."""
    alive: bool = True
    curves: list[CurveRow] = field(default_factory=list)
    metrics: list[MetricRow] = field(default_factory=list)
    timings: list[TimingRow] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    """Columns of its row that say how far it came."""


class _Recording:
    """A group on its way from specs to results."""

    def __init__(self, group: Group, placement: Placement, emit: Emit) -> None:
        self.group, self.placement, self.emit = group, placement, emit
        self.spec = group.specs[0]
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.members: list[_Member] = []
        self.common: dict[str, Any] = {"threads": placement.threads}
        self.failure: tuple[Status, str] | None = None
        self.train_seconds = 0.0
        self.eval_seconds = 0.0
        self.latest: dict[str, float] = {}

    def run(self) -> None:
        """Train to the end of the budget, or until no member is left alive."""
        device = self._settle()
        turnstile = Turnstile(self.placement.turnstile)
        with turnstile.together():
            images, test, evaluator = self._data(device)
            self.members = [self._member(spec, test, device) for spec in self.group.specs]
            engine = self._engine(images)
        steps, every = self._lengths(len(images))
        blocks = train(
            engine, device, steps=steps, every=every, solo=self.group.solo, turnstile=turnstile
        )
        for block in blocks:
            with turnstile.together():
                self._block(block, steps, engine)
                if block.stop == steps or block.stop % every == 0:
                    self._evaluation(block, steps, engine, evaluator)
            if not any(member.alive for member in self.members):
                break
        self._close(device)

    def fail(self, status: Status, error: str) -> None:
        """Note why the runs of the group are not what was asked."""
        self.failure = (status, error)

    def results(self) -> list[RunResult]:
        """One result a member."""
        if not self.members or self.failure is not None:
            status, error = self.failure or ("failed", "no member was trained")
            return [
                RunResult(
                    RunRow(
                        **identity(self.group.suite, spec),
                        **self._totals(),
                        status=status,
                        error=error,
                    )
                )
                for spec in self.group.specs
            ]
        return [self._result(member) for member in self.members]

    def _result(self, member: _Member) -> RunResult:
        columns = identity(self.group.suite, member.spec) | self._totals() | member.done
        return RunResult(
            RunRow(**columns), member.curves, member.metrics, member.timings, member.files
        )

    def _settle(self) -> torch.device:
        """Take the place that was given: threads, device, and the clock of memory at zero."""
        self._say("starting")
        device = torch.device(self.placement.device)
        if torch.get_num_threads() != self.placement.threads:
            torch.set_num_threads(self.placement.threads)
        environment.reset_peak_memory(device)
        return device

    def _data(self, device: torch.device) -> tuple[Tensor, Tensor, Evaluator]:
        images, test = (split.to(device) for split in _images(self.spec))
        evaluator = _evaluator(self.spec, images, test, device)
        began = time.perf_counter()
        evaluator.prepare()
        self.eval_seconds += time.perf_counter() - began
        return images, test, evaluator

    def _member(self, spec: RunSpec, test: Tensor, device: torch.device) -> _Member:
        recipe = Recipe.of([spec])
        draw = seeding.generator(spec.seed, "evaluation", device=device)
        shape = (max(spec.evaluation.samples, GRID), recipe.network.latent_dim)
        return _Member(
            spec=spec,
            measure=diagnostics(spec.seed, recipe.network, recipe.objective, test),
            latents=torch.randn(shape, generator=draw, device=device),
        )

    def _engine(self, images: Tensor) -> Engine:
        self.recipe = Recipe.of(self.group.specs)
        self._say("compiling" if self.spec.engine == "compiled" else "starting")
        began = now(images.device)
        engine, used = ready(self.spec.engine, self.recipe, images, self._note)
        if used == "compiled":
            self.common["compile_seconds"] = now(images.device) - began
        self.common["engine_used"] = used
        return engine

    def _lengths(self, dataset_size: int) -> tuple[int, int]:
        """Generator steps of the run, and between two evaluations."""
        sizes = (self.spec.critic_steps, self.spec.batch_size, dataset_size)
        return (
            self.spec.budget.generator_steps(*sizes),
            self.spec.evaluation.every.generator_steps(*sizes),
        )

    def _place(self, member: _Member, step: int) -> dict[str, Any]:
        """The columns that say which run a row is of, and how far it had come."""
        critic_steps = step * self.spec.critic_steps
        return {
            "run_id": member.spec.run_id,
            "generator_step": step,
            "critic_steps": critic_steps,
            "images": critic_steps * self.spec.batch_size,
            "train_seconds": self.train_seconds,
        }

    def _block(self, block: Block, steps: int, engine: Engine) -> None:
        """A timing and a curve row for each member that is alive; the end of one that diverged."""
        self.train_seconds += block.seconds
        count, began = block.stop - block.start, time.perf_counter()
        share = block.seconds / count / len(self.members) * 1e3
        for k, member in enumerate(self.members):
            if not member.alive:
                continue
            run_id = member.spec.run_id
            member.timings.append(
                TimingRow(
                    run_id, block.index, block.phase, count, block.seconds, share, len(self.members)
                )
            )
            means = {name: values[k] for name, values in block.means.items()}
            measured = member.measure(engine.generator(k), engine.critic(k))
            # the gap sees the weights after the block's last update, which no loss has seen yet
            judged_by = {**means, "score_gap": measured["score_gap"] or 0.0}
            finite = all(map(math.isfinite, judged_by.values()))
            columns: dict[str, Any] = {
                name: _finite(value)
                for name, value in {**means, **measured}.items()
                if name in _CURVES  # a third party's objective may log terms of its own
            }
            member.curves.append(CurveRow(**self._place(member, block.stop), **columns))
            self._stand(member, block.stop)
            if not finite:
                lost = ", ".join(sorted(n for n, v in judged_by.items() if not math.isfinite(v)))
                member.alive = False
                member.done |= {
                    "status": "diverged",
                    "error": f"{lost} not finite within generator steps {block.start}-{block.stop}",
                }
        self.eval_seconds += time.perf_counter() - began
        self._say("training", block.stop, steps, count / block.seconds)

    def _stand(self, member: _Member, step: int) -> None:
        place = self._place(member, step)
        member.done = {
            "status": "completed",
            "error": None,
            "generator_steps": place["generator_step"],
            "critic_steps": place["critic_steps"],
            "images": place["images"],
            "train_seconds": self.train_seconds,
            "images_per_second": place["images"] / self.train_seconds,
        }

    def _evaluation(self, block: Block, steps: int, engine: Engine, evaluator: Evaluator) -> None:
        """Metrics and a sample grid for each member that is alive; weights at the end."""
        self._say("evaluating", block.stop, steps)
        final, began = block.stop == steps, time.perf_counter()
        for k, member in enumerate(self.members):
            if not member.alive:
                continue
            generator = judged(engine.generator(k), self.recipe, member.spec.seed)
            samples = generate(generator, member.latents, self.recipe.network.range)
            measured = evaluator.evaluate(samples[: member.spec.evaluation.samples], final=final)
            self._measured(member, block.stop, measured)
            member.files[f"samples/{block.stop}.png"] = grid(samples[:GRID])
            if final:
                member.files["generator.safetensors"] = weights(generator, member.spec)
                member.files["critic.safetensors"] = weights(engine.critic(k), member.spec)
        self.eval_seconds += time.perf_counter() - began
        self._say("evaluating", block.stop, steps)

    def _measured(self, member: _Member, step: int, measured: Sequence[Measurement]) -> None:
        for each in measured:
            row = asdict(each)
            reason = row.pop("error")
            member.metrics.append(MetricRow(**self._place(member, step), **row))
            if reason is not None:
                self._note(f"{each.metric} has no value at step {step}: {reason}")
            elif member is next(m for m in self.members if m.alive) and each.value is not None:
                self.latest[each.metric] = each.value

    def _close(self, device: torch.device) -> None:
        self.common["peak_memory_bytes"] = environment.peak_memory_bytes(device)
        solo = [
            [row.step_ms for row in member.timings if row.phase == "solo"]
            for member in self.members
        ]
        longest = max(solo, key=len)  # a member that diverged early has fewer
        if longest:
            self.common["solo_step_ms"] = sorted(longest)[len(longest) // 2]

    def _totals(self) -> dict[str, Any]:
        """The columns that all members share."""
        return {
            **asdict(environment.current(self.placement.device)),
            **self.common,
            "bench_version": bench.__version__,
            "started_at": self.started.isoformat(timespec="seconds"),
            "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_seconds": time.perf_counter() - self.clock,
            "eval_seconds": self.eval_seconds,
        }

    def _say(self, phase: Any, step: int = 0, steps: int = 0, speed: float | None = None) -> None:
        images = self.spec.critic_steps * self.spec.batch_size * len(self.group.specs)
        self.emit(
            Progress(
                label=self.group.label,
                phase=phase,
                step=step,
                steps=steps,
                images_per_second=None if speed is None else speed * images,
                metrics=dict(self.latest),
            )
        )

    def _note(self, line: str) -> None:
        self.emit(Progress(self.group.label, "note", note=line))


def _images(spec: RunSpec) -> tuple[Tensor, Tensor]:
    """The training and the test images of a spec's data set."""
    dataset = resolve("datasets", spec.dataset)
    return dataset.load("train").images, dataset.load("test").images


def _evaluator(
    spec: RunSpec, images: Tensor, test: Tensor, device: torch.device | str
) -> Evaluator:
    asked = spec.evaluation
    return Evaluator(
        asked.extractor,
        asked.metrics,
        asked.final_metrics,
        images,
        test,
        spec.dataset["name"],
        asked.samples,
        device,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
