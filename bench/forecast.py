"""About how long runs will take: from earlier runs of the recipe, else from its counted cost."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from json import dumps, loads
from statistics import median
from typing import Any

import torch

from bench import environment, extractors, registry
from bench.errors import BenchError
from bench.networks.base import NORMS
from bench.preflight import extent
from bench.records import Amount, Evaluation, Group, RunSpec
from bench.step_time import step_seconds
from bench.training.arithmetic import forward_operations, matmul_rate, step_cost
from bench.training.base import Recipe
from bench.training.diagnostics import SAMPLES
from bench.training.engines import EARNED
from bench.training.loop import SOLO_BLOCKS, blocks
from bench.training.samples import POPULATION

Rows = Sequence[Mapping[str, Any]]
"""Rows of `run.parquet`."""

_START = 5.0
"""Seconds until a worker has imported torch and read the data."""
_DRIVER = 5.0
"""Seconds that `bench run` itself takes, before the first worker and after the last."""
_COMPILE = {"cold": 17.0, "cached": 3.0}
"""Seconds to compile both steps, with an empty cache and with one that has them: medians of the 20
compiled cases of engine_speed, two workers at a time (docs/engine_speed.csv)."""
_JUDGED = 2e-6
"""Seconds to judge a sample by its features, once they are extracted."""
_DISTANCE = 3e-9
"""Seconds a distance between two samples, in the metrics of nearest neighbours: as in the final
evaluations of results/reference/mnist_compare, and so the next one."""
_KID = 0.6
"""Seconds, however many samples there are."""
_BLOCK_END = 6e-3
"""Seconds of bookkeeping at a block's end, the networks' passes not counted."""
_PLAIN = 0.6
"""Of the rate of a large matrix product, reached by passes without gradients, not compiled."""
_BESIDE = 1.05
"""How much longer a step takes beside another worker."""
_FREE = ("variant", "seed", "group", "budget", "evaluation")
"""Fields of a spec that do not change how long a step takes; another recipe version may."""


@dataclass(frozen=True)
class Estimate:
    """Of one group, in seconds."""

    seconds: float
    """From the start of its worker to its results."""
    alone: float
    """For which it has the machine to itself, and the others wait."""


def forecast(
    groups: Sequence[Group], earlier: Sequence[Rows], workers: int, *, spawned: bool = True
) -> tuple[Estimate | None, ...]:
    """What each group will take, `workers` of them at once; None on a GPU nothing has run on yet.

    `earlier` are rows of runs to learn from, the nearest first.  Where no row is of the recipe,
    the first group of it is taken to compile from an empty cache.  `spawned`: each group has a
    worker of its own to start; else the first start is the only one.
    """
    compiled: set[str] = set()
    found: list[Estimate | None] = []
    for group in groups:
        recipe = _recipe(loads(group.specs[0].to_json()))
        starting = _START if spawned or not found else 0.0
        estimate = _estimate(group, earlier, workers, first=recipe not in compiled)
        found.append(estimate and replace(estimate, seconds=starting + estimate.seconds))
        compiled.add(recipe)
    return tuple(found)


def total(estimates: Sequence[Estimate], workers: int) -> float:
    """Seconds until all are done, each group taken up in its order by the next free worker."""
    if not estimates:
        return 0.0
    free = [0.0] * max(1, workers)
    for each in estimates:
        heapq.heappush(free, heapq.heappop(free) + each.seconds)
    waiting = sum(each.alone for each in estimates) * (1.0 - 1.0 / len(free))
    return _DRIVER + max(free) + waiting


def _estimate(
    group: Group, earlier: Sequence[Rows], workers: int, *, first: bool
) -> Estimate | None:
    spec = group.specs[0]
    lengths = _lengths(spec)
    judging = _judging_seconds(spec, lengths)
    for rows in earlier:
        if known := _known(spec, rows, judging):
            step, rest = known
            break
    else:
        if spec.device != "cpu":
            return None
        step = _step_seconds(spec) * (_BESIDE if workers > 1 else 1.0)
        compiling = _COMPILE["cold" if first else "cached"]
        rest = judging + (compiling if _engine(spec, lengths[0]) == "compiled" else 0.0)
    alone = step * _timed_steps(*lengths) if group.solo else 0.0
    return Estimate(rest + step * lengths[0], alone)


def _timed_steps(steps: int, every: int) -> int:
    """Generator steps of the blocks that are timed alone: the first after the one that warms up."""
    spans = list(islice(blocks(steps, every), SOLO_BLOCKS + 1))
    return sum(stop - start for start, stop in spans[1:] or spans)


def _known(spec: RunSpec, rows: Rows, judging: float) -> tuple[float, float] | None:
    """Seconds a step and beside the steps, in earlier runs of the same recipe; None without any.

    Compilation is counted at its shortest: what an earlier run has compiled lies in the cache.
    """
    recipe = _recipe(loads(spec.to_json()))
    engine = _engine(spec, _lengths(spec)[0])
    alike = [
        run
        for run in rows
        if run["status"] == "completed" and run["generator_steps"] and run["train_seconds"]
        if run["group_size"] == len(spec.group)
        if _engine(spec, run["generator_steps"]) == engine  # one too short to compile tells nothing
        if _recipe(loads(run["spec"])) == recipe
    ]
    # where nothing can be compiled, every row has fallen back, and so will the next
    alike = [run for run in alike if run["engine_used"] == engine] or alike
    scale = _scale(spec, alike)
    if scale is None:
        return None
    step = median(run["train_seconds"] / run["generator_steps"] for run in alike)
    judged = median(run["eval_seconds"] / _judged_before(spec, run) for run in alike)
    compiling = min(run["compile_seconds"] or 0.0 for run in alike)
    return scale * step, scale * judged * judging + compiling


def _scale(spec: RunSpec, rows: Rows) -> float | None:
    """How much longer than in these rows a step takes here; None where nothing tells."""
    if not rows:
        return None
    here = environment.current("cpu" if spec.device == "cpu" else "cuda:0")
    if all((run["cpu"], run["gpu"]) == (here.cpu, here.gpu) for run in rows):
        return 1.0
    rates = [run["matmul_rate"] for run in rows if run.get("matmul_rate")]
    if not rates or spec.device != "cpu":
        return None
    return float(median(rates)) / _rate(spec.precision, spec.threads)


def _judged_before(spec: RunSpec, run: Mapping[str, Any]) -> float:
    """What the model says of the judging in a run of the same recipe."""
    found = loads(run["spec"])
    asked = found["evaluation"] | {"every": Amount(**found["evaluation"]["every"])}
    budget, evaluation = Amount(**found["budget"]), Evaluation(**asked)
    return _judging_seconds(spec, _lengths(spec, budget, evaluation), evaluation)


def _recipe(spec: dict[str, Any]) -> str:
    return dumps({k: v for k, v in spec.items() if k not in _FREE}, sort_keys=True)


def _lengths(
    spec: RunSpec, budget: Amount | None = None, evaluation: Evaluation | None = None
) -> tuple[int, int]:
    """Generator steps of a run, and between two evaluations."""
    sizes = spec.pace, spec.batch_size, extent(dumps(spec.dataset, sort_keys=True)).train
    every = (evaluation or spec.evaluation).every
    return (budget or spec.budget).generator_steps(*sizes), every.generator_steps(*sizes)


def _engine(spec: RunSpec, steps: int) -> str:
    """The engine that a run of so many steps gets."""
    short = spec.compile == "auto" and spec.pace.before(steps) + steps < EARNED
    return "eager" if spec.engine == "compiled" and short else spec.engine


def _step_seconds(spec: RunSpec) -> float:
    """A step that nothing has run yet, on the CPU."""
    shape = _shape(spec)
    steps, usual = _lengths(spec)[0], spec.critic_steps + 1
    more = (spec.pace.before(steps) + steps) / (usual * steps)  # where critic steps are boosted
    return more * step_seconds(
        step_cost(Recipe.of([spec]), shape),
        _engine(spec, _lengths(spec)[0]),
        members=len(spec.group),
        critic_steps=spec.critic_steps,
        images=spec.batch_size if len(shape) > 1 else 0,
        rate=_rate(spec.precision, spec.threads),
    )


def _judging_seconds(
    spec: RunSpec, lengths: tuple[int, int], evaluation: Evaluation | None = None
) -> float:
    """The curves' diagnostics at every block's end, and the evaluations."""
    asked = evaluation or spec.evaluation
    steps, every = lengths
    generating, scoring = forward_operations(Recipe.of([spec]), _shape(spec))
    rate = _rate(spec.precision, spec.threads) * _PLAIN if spec.device == "cpu" else float("inf")
    ends = sum(1 for _ in blocks(steps, every))
    diagnosing = _BLOCK_END + SAMPLES * (generating + 6 * scoring) / rate
    population = POPULATION * spec.batch_size if _normalised(spec) else 0
    judging = (asked.samples + population) * generating / rate
    once, at_end = 0.0, 0.0
    if asked.metrics or asked.final_metrics:
        extracting = _JUDGED + _operations(asked.extractor) / rate
        judging += asked.samples * extracting + _metric_seconds(spec, asked, asked.metrics)
        once = asked.samples * extracting  # references lie in the cache, most often
        at_end = _metric_seconds(spec, asked, asked.final_metrics)
    times = -(-steps // every)
    return len(spec.group) * (ends * diagnosing + times * judging + at_end) + once


def _operations(extractor: str) -> float:
    """Of an extractor on a sample; none of one that is gone, by which an earlier run was judged."""
    try:
        return extractors.find(extractor).operations
    except BenchError:
        return 0.0


def _metric_seconds(spec: RunSpec, asked: Evaluation, names: Sequence[str]) -> float:
    """One evaluation by the metrics that take their time."""
    found = {name: registry.load("metrics", name) for name in names}
    data, count = extent(dumps(spec.dataset, sort_keys=True)), asked.samples
    # precision, recall, density and coverage come from the same distances
    looked = {(each.k is not None and each.against) for each in found.values()}
    distances = (count + data.test if "test" in looked else 0) + (
        data.train if "train" in looked else 0
    )
    return _DISTANCE * count * distances + (_KID if "kid" in found else 0.0)


def _normalised(spec: RunSpec) -> bool:
    """Whether the generator has batch norms, whose statistics are estimated before it is judged."""
    with torch.device("meta"):
        generator = Recipe.of([spec]).network.generator(_shape(spec))
    return any(isinstance(module, NORMS) for module in generator.modules())


def _shape(spec: RunSpec) -> tuple[int, ...]:
    return extent(dumps(spec.dataset, sort_keys=True)).shape


@cache
def _rate(precision: str, threads: int) -> float:
    return matmul_rate("cpu", precision, threads)
