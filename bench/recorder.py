"""One group, from its specs to its results: train, judge, write everything down.

`execute` is what executors run.  A run that diverges ends early and keeps its rows; whatever
else goes wrong in a run becomes its status and its error, never an exception.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, get_args

import torch
from torch import Tensor, nn

from bench import environment
from bench.datasets.base import Split
from bench.errors import CheckpointError, RunTimeout, failure
from bench.metrics.evaluator import Evaluator, Measurement, RealData
from bench.records import (
    Amount,
    Emit,
    Group,
    Placement,
    Progress,
    RunResult,
    RunRow,
    RunSpec,
    Status,
    identity,
)
from bench.training import checkpoint
from bench.training.account import Account
from bench.training.arithmetic import matmul_rate, step_operations
from bench.training.base import Engine, Recipe, resolve
from bench.training.checkpoint import Checkpoint, due
from bench.training.clock import now
from bench.training.diagnostics import diagnostics
from bench.training.engines import ready
from bench.training.loop import Block, train
from bench.training.memory import MEMORY_ERRORS, out_of_memory
from bench.training.precision import applied
from bench.training.samples import generate, judged, latents, picture, weights
from bench.training.tally import Tally
from bench.turnstile import Turnstile


def execute(group: Group, placement: Placement, emit: Emit) -> Sequence[RunResult]:
    """Train and judge one group; one result a member, whatever happens."""
    recording = _Recording(group, placement, emit)
    # a critic that has won leaves gradients too small to matter, on which a CPU is slow
    torch.set_flush_denormal(True)
    try:
        recording.run()
    except RunTimeout as error:
        recording.fail("timeout", str(error))
    except MEMORY_ERRORS as error:
        recording.fail("failed", out_of_memory(error, group) or failure(error))
    except Exception as error:  # the one broad except: a fault is a run's status, not the suite's
        recording.fail("failed", failure(error))
    finally:
        torch.set_flush_denormal(False)
    return recording.results()


@dataclass(kw_only=True)
class _Member(Account):
    """A run of the group, with what its measurements are made of."""

    measure: Callable[[nn.Module, Any], dict[str, float | None]]
    latents: Tensor
    """(samples, latent_dim), the same at every evaluation."""
    real: Tensor
    """The test split, beside which points are drawn."""


class _Recording:
    """A group on its way from specs to results."""

    def __init__(self, group: Group, placement: Placement, emit: Emit) -> None:
        self.group, self.placement, self.emit = group, placement, emit
        self.spec = group.specs[0]
        self.members: list[_Member] = []
        self.tally = Tally(placement)
        self.failure: tuple[Status, str] | None = None

    def run(self) -> None:
        """Train to the end of the budget, or until no member is left alive."""
        device = self._settle()
        with applied("fp32", device):  # what judges a run is exact; the engine asks for less
            self._run(device)

    def _run(self, device: torch.device) -> None:
        turnstile = Turnstile(self.placement.turnstile)
        with turnstile.together():
            images, test, evaluator = self._data(device)
            self.members = [self._member(spec, test, device) for spec in self.group.specs]
            steps = self._steps(self.spec.budget, images)
            engine = self._engine(images, steps)
            done = self._go_on(engine)
        every = self._steps(self.spec.evaluation.every, images)
        asked = self.group.checkpoints
        blocks = train(
            engine,
            device,
            steps=steps,
            every=every,
            solo=self.group.solo,
            turnstile=turnstile,
            done=done,
        )
        for block in blocks:
            if block.phase == "solo" and "matmul_rate" not in self.tally.common:
                with turnstile.alone():
                    self.tally.common["matmul_rate"] = self._rate()
            with turnstile.together():
                self._block(block, steps, engine)
                if block.stop == steps or block.stop % every == 0:
                    self._evaluation(block, steps, engine, evaluator)
                if not any(member.alive for member in self.members):
                    break
                if asked and due(block, self._steps(asked.every, images)) and block.stop < steps:
                    self._keep(asked.file, block.stop, steps, engine)
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
                        **self.tally.columns(),
                        status=status,
                        error=error,
                    )
                )
                for spec in self.group.specs
            ]
        return [self._result(member) for member in self.members]

    def _result(self, member: _Member) -> RunResult:
        columns = identity(self.group.suite, member.spec) | self.tally.columns() | member.done
        return RunResult(
            RunRow(**columns), member.curves, member.metrics, member.timings, member.files
        )

    def _settle(self) -> torch.device:
        """Take the place that was given: threads, device, and the clock of memory at zero."""
        self._say("starting")
        device = torch.device(self.placement.device)
        gc.collect()  # the engine of a group before
        if device.type == "cuda":  # streams and graphs are of the current device
            torch.cuda.init()  # type: ignore[no-untyped-call] # torch's
            torch.cuda.set_device(device)
            torch.cuda.empty_cache()
            self.tally.common["tf32"] = self.spec.precision == "tf32"
        if torch.get_num_threads() != self.placement.threads:
            torch.set_num_threads(self.placement.threads)
        environment.reset_peak_memory(device)
        return device

    def _data(self, device: torch.device) -> tuple[Tensor, Tensor, Evaluator]:
        data = _real_data(self.spec)
        images, test = (data.split(name).to(device) for name in get_args(Split))
        evaluator = _evaluator(self.spec, data, device)
        began = time.perf_counter()
        evaluator.prepare()
        self.tally.eval_seconds += time.perf_counter() - began
        return images, test, evaluator

    def _member(self, spec: RunSpec, test: Tensor, device: torch.device) -> _Member:
        recipe = Recipe.of([spec])
        points = test.dtype != torch.uint8
        return _Member(
            spec=spec,
            measure=diagnostics(spec.seed, recipe.network, recipe.objective, test, spec.packing),
            latents=latents(
                spec.seed, spec.evaluation.samples, recipe.network.latent_dim, device, points=points
            ),
            real=test,
        )

    def _engine(self, images: Tensor, steps: int) -> Engine:
        self.recipe = Recipe.of(self.group.specs)
        self._say("compiling" if self.spec.engine == "compiled" else "starting")
        began = now(images.device)
        engine, used = ready(self.spec, self.recipe, images, steps, self._note)
        if used == "compiled":
            self.tally.common["compile_seconds"] = now(images.device) - began
        self.tally.common["engine_used"] = used
        shape = tuple(images.shape[1:])
        self.tally.common["step_operations"] = step_operations(self.recipe, shape)
        return engine

    def _steps(self, length: Amount, images: Tensor) -> int:
        """A length of training in generator steps."""
        return length.generator_steps(self.spec.pace, self.spec.batch_size, len(images))

    def _go_on(self, engine: Engine) -> int:
        """The generator steps that are done: those of a checkpoint that is there and fits, or 0."""
        asked = self.group.checkpoints
        if asked is None or not asked.file.exists():
            return 0
        try:
            kept = checkpoint.read(asked.file, self.group.specs, engine.state())
        except CheckpointError as error:
            self._note(f"{error}; starts anew")
            return 0
        engine.restore(kept.state, kept.step)
        self.group = replace(self.group, solo=kept.solo)
        self.members = [
            replace(member, **vars(account))
            for member, account in zip(self.members, kept.accounts, strict=True)
        ]
        for k, member in enumerate(self.members):  # what they remember of the last row
            if member.alive:
                member.measure(engine.generator(k), engine.critic(k))
        changed = self.tally.go_on(kept.totals)
        self._note("; ".join([f"goes on from generator step {kept.step:,}", *changed]))
        return kept.step

    def _keep(self, file: Path, step: int, steps: int, engine: Engine) -> None:
        """Write a checkpoint; the run goes on where the disk refuses."""
        totals = self.tally.totals()
        kept = Checkpoint(step, self.group.solo, totals, self.members, engine.state())
        try:
            checkpoint.write(file, self.group, steps, kept)
        except CheckpointError as error:
            self._note(f"{error}; goes on without it")

    def _block(self, block: Block, steps: int, engine: Engine) -> None:
        """A timing and a curve row for each member that is alive; the end of one that diverged."""
        self.tally.train_seconds += block.seconds
        count, began = block.stop - block.start, time.perf_counter()
        for k, member in enumerate(self.members):
            if member.alive:
                measured = member.measure(engine.generator(k), engine.critic(k))
                member.block(block, k, measured, self.tally.train_seconds, len(self.members))
        self.tally.eval_seconds += time.perf_counter() - began
        self._say("training", block.stop, steps, count / block.seconds)

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
            member.files[f"samples/{block.stop}.png"] = picture(samples, member.real)
            if final:
                member.files["generator.safetensors"] = weights(generator, member.spec)
                member.files["critic.safetensors"] = weights(engine.critic(k), member.spec)
        self.tally.eval_seconds += time.perf_counter() - began
        self._say("evaluating", block.stop, steps)

    def _measured(self, member: _Member, step: int, measured: Sequence[Measurement]) -> None:
        member.evaluated(step, measured, self.tally.train_seconds)
        for each in measured:
            if each.error is not None:
                self._note(f"{each.metric} has no value at step {step}: {each.error}")
            elif member is next(m for m in self.members if m.alive) and each.value is not None:
                self.tally.latest[each.metric] = each.value

    def _close(self, device: torch.device) -> None:
        self.tally.note_peak()
        solo = [
            [row.step_ms for row in member.timings if row.phase == "solo"]
            for member in self.members
        ]
        longest = max(solo, key=len)  # a member that diverged early has fewer
        if longest:
            step_ms = self.tally.common["solo_step_ms"] = median(longest)
            needed = self.tally.common["step_operations"] / self.tally.common["matmul_rate"] * 1e3
            self.tally.common["utilisation"] = needed / step_ms

    def _rate(self) -> float:
        """What the device could do at best, in the run's precision and on its threads."""
        self.tally.note_peak()  # the matrices of the measurement are no part of it
        where = self.placement
        rate = matmul_rate(where.device, self.spec.precision, where.threads)
        environment.reset_peak_memory(torch.device(where.device))
        return rate

    def _say(self, phase: Any, step: int = 0, steps: int = 0, speed: float | None = None) -> None:
        images = self.spec.critic_steps * self.spec.batch_size * len(self.group.specs)
        self.emit(
            Progress(
                label=self.group.label,
                phase=phase,
                step=step,
                steps=steps,
                images_per_second=None if speed is None else speed * images,
                metrics=dict(self.tally.latest),
                floors=self._floors(),
            )
        )

    def _floors(self) -> dict[str, float]:
        rows = self.members[0].metrics if self.members else []
        return {row.metric: row.floor for row in rows if row.floor is not None}

    def _note(self, line: str) -> None:
        self.emit(Progress(self.group.label, "note", note=line))


def _real_data(spec: RunSpec) -> RealData:
    dataset = resolve("datasets", spec.dataset)
    return RealData(spec.dataset["name"], dataset.load("train"), dataset.load("test"))


def _evaluator(spec: RunSpec, data: RealData, device: torch.device | str) -> Evaluator:
    asked = spec.evaluation
    return Evaluator(
        asked.extractor, asked.metrics, asked.final_metrics, data, asked.samples, device
    )
