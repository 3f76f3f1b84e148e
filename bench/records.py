"""The frozen records that travel the one way from the plan to the store.

`RunSpec` is what a run is; `RunResult` is what became of it; the four row types are the four
tables of the results (their fields, in order, are the columns, and the store derives its Parquet
schemas from them).  `None` means "does not apply" or "not known", never 0.

Format history of the tables (`SCHEMA_VERSION`):

    1  the first
    2  `run` gains step_operations, matmul_rate and utilisation
    3  `metrics` gains preprocessing, k and error
    4  `curves` gains gradient_cosine
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any, Literal

SCHEMA_VERSION = 4

RECIPE_VERSION = 2
"""Part of every run's identity; raised when the same declaration starts to give another result.

    1  the first
    2  real and generated samples scored together, which rounds otherwise; short runs not compiled;
       the textbook engine's shuffle keyed by epoch
"""

Part = Mapping[str, Any]
"""A part that a suite names: its `name`, and every option of it, defaults filled in."""

Status = Literal["completed", "diverged", "failed", "timeout", "lost"]
FINISHED: tuple[Status, ...] = ("completed", "diverged")
"""Results that stay; a run with any other status is tried again."""

Unit = Literal["images", "epochs", "generator_steps", "critic_steps"]
Direction = Literal["higher", "lower", "near_reference"]


@dataclass(frozen=True)
class Amount:
    """A length of training: `count` real images shown to the critic, epochs of them, or steps."""

    unit: Unit
    count: float

    def generator_steps(self, pace: Pace, batch_size: int, dataset_size: int) -> int:
        """The amount in whole generator steps, rounded up; at least one.

        An epoch shows every sample of the data once, or as often as batches are repeated.
        """
        exact = Fraction(repr(self.count))  # as written: 0.27 epochs are 27 hundredths
        if self.unit == "generator_steps":
            return max(1, ceil(exact))
        batches = {
            "images": exact / batch_size,
            "epochs": exact * dataset_size * pace.repeats / batch_size,
            "critic_steps": exact,
        }[self.unit]
        return pace.generator_steps(batches)


@dataclass(frozen=True)
class Boost:
    """More critic steps than usual: `steps` of them before each of the `first` generator steps and
    before every `every`-th (Arjovsky et al. 2017, their code: 100, 25, 500)."""

    steps: int
    first: int
    every: int

    def times(self, step: int) -> int:
        """How many of the generator steps 0 … step − 1 it holds for."""
        later = ceil(Fraction(step, self.every)) - ceil(Fraction(min(step, self.first), self.every))
        return min(step, self.first) + later


@dataclass(frozen=True)
class Pace:
    """How many critic steps there are to a generator step, and on how many batches."""

    critic_steps: int
    """n_critic."""
    repeats: int = 1
    """Critic steps in a row that are shown the same real batch."""
    boost: Boost | None = None

    def at(self, step: int) -> int:
        """Critic steps before generator step `step` (the first is 0)."""
        return self.before(step + 1) - self.before(step)

    def before(self, step: int) -> int:
        """Critic steps of the generator iterations 0 … step − 1, all together."""
        if self.boost is None:
            return self.critic_steps * step
        more = self.boost.steps - self.critic_steps
        return self.critic_steps * step + more * self.boost.times(step)

    def generator_steps(self, critic_steps: Fraction) -> int:
        """The fewest generator steps, at least one, with so many critic steps before them."""
        most = max(1, ceil(critic_steps / self.critic_steps))
        if self.boost is None:
            return most
        if self.boost.steps < self.critic_steps:
            most = max(1, ceil(critic_steps / self.boost.steps))
        fewest = 0
        while most - fewest > 1:
            middle = (most + fewest) // 2
            fewest, most = (
                (fewest, middle) if self.before(middle) >= critic_steps else (middle, most)
            )
        return most


@dataclass(frozen=True)
class Evaluation:
    """When a run is judged, from how many samples, by which metrics and which extractor."""

    every: Amount
    samples: int
    metrics: tuple[str, ...]
    final_metrics: tuple[str, ...]
    extractor: str


@dataclass(frozen=True)
class RunSpec:
    """All that is declared of one run and determines its result."""

    variant: str
    dataset: Part
    network: Part
    objective: Part
    optimizer: Part
    schedule: Part
    init: str
    critic_steps: int
    batch_size: int
    budget: Amount
    engine: str
    precision: str
    evaluation: Evaluation
    seed: int
    group: tuple[int, ...]
    device: str
    """The device's type, `cpu` or `cuda`; which one of them is the executor's choice."""
    recipe_version: int = RECIPE_VERSION
    compile: str = "auto"
    """`auto`: a run too short to earn the compilation back runs eager; `always`: it compiles."""
    threads: int = 1
    """CPU threads; the number decides in which order sums are rounded."""
    packing: int = 1
    """Samples that the critic judges together (PacGAN; Lin et al. 2018)."""
    spectral_norm: bool = False
    """Whether every weight of the critic is divided by its largest singular value."""
    batch_repeats: int = 1
    """Critic steps in a row that are shown the same real batch."""
    critic_boost: Part | None = None
    """`steps`, `first`, `every` of a `Boost`; None: every generator step has `critic_steps`."""

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; what `run_id` digests and `run.spec` stores.

        What is newer than the first results is written only where it is set, so that what was run
        before keeps its name.
        """
        whole = asdict(self)
        for name, usual in _LATER.items():
            if whole[name] == usual:
                del whole[name]
        return json.dumps(whole, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RunSpec:
        """The spec whose `to_json` that is; raises `KeyError`, `TypeError` or `ValueError`."""
        found = json.loads(text)
        asked = found["evaluation"]
        judged = {name: tuple(asked[name]) for name in ("metrics", "final_metrics")}
        own = {
            "budget": Amount(**found["budget"]),
            "evaluation": Evaluation(**{**asked, **judged, "every": Amount(**asked["every"])}),
            "group": tuple(found["group"]),
        }
        return cls(**{**found, **own})

    @property
    def run_id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @cached_property
    def pace(self) -> Pace:
        """How many critic steps there are to a generator step."""
        boost = Boost(**self.critic_boost) if self.critic_boost else None
        return Pace(self.critic_steps, self.batch_repeats, boost)

    @property
    def label(self) -> str:
        """How a person names this run: `variant/seed`."""
        return f"{self.variant}/{self.seed}"


_LATER: Mapping[str, Any] = {
    "packing": 1, "spectral_norm": False, "batch_repeats": 1, "critic_boost": None
}  # fmt: skip
"""Fields of a spec that the first results had not, and what they had instead."""

AGREE = (
    "dataset", "network", "objective", "optimizer", "schedule", "init", "critic_steps",
    "packing", "spectral_norm", "batch_repeats", "critic_boost", "batch_size", "budget",
    "evaluation",
)  # fmt: skip
"""What a variant and its baseline have in common, but for what `against` names."""

CHECKPOINT = "checkpoint.safetensors"
"""A checkpoint's file, in the folder of a group under way."""


@dataclass(frozen=True)
class Checkpoints:
    """Where a group under way is kept, and how often; no part of what its result is."""

    folder: str
    """`results/<suite>/.<run_id of the first member>.partial`."""
    every: Amount

    @property
    def file(self) -> Path:
        """Where the latest one lies."""
        return Path(self.folder, CHECKPOINT)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone and are trained as one stack; the unit of work."""

    suite: str
    specs: tuple[RunSpec, ...]
    solo: bool = False
    """Whether its step is timed with nothing beside it: the first group of each variant."""
    checkpoints: Checkpoints | None = None
    """None: a group that is killed starts anew."""

    @property
    def leader(self) -> str:
        """The `run_id` of its first run, by which the whole group is known."""
        return self.specs[0].run_id

    @property
    def device(self) -> str:
        """The device's type."""
        return self.specs[0].device

    @property
    def threads(self) -> int:
        """CPU threads."""
        return self.specs[0].threads

    @property
    def label(self) -> str:
        """`variant/seed` of a group of one, `variant/first-last` of a larger one."""
        first, last = self.specs[0], self.specs[-1]
        return first.label if len(self.specs) == 1 else f"{first.label}-{last.seed}"

    def complete(self, results: Sequence[RunResult]) -> list[RunResult]:
        """One result for each of its runs, in its order; one that is missing has failed."""
        found = {result.run.run_id: result for result in results}
        return [
            found.get(spec.run_id)
            or RunResult.without_rows(self.suite, spec, "failed", "the work gave no result for it")
            for spec in self.specs
        ]

    def every(self, status: Status, error: str) -> list[RunResult]:
        """The same end for each of its runs."""
        return [RunResult.without_rows(self.suite, spec, status, error) for spec in self.specs]


@dataclass(frozen=True)
class Placement:
    """Where a group runs: one device, and its share of the CPU threads."""

    device: str = "cpu"
    threads: int = 1
    turnstile: str | None = None
    """A folder all groups of the run share, for the locks by which one is timed alone; None
    where one group runs at a time."""


@dataclass(frozen=True)
class Progress:
    """What a running group says of itself, a few times a second at most."""

    label: str
    phase: Literal["starting", "compiling", "training", "evaluating", "note"]
    step: int = 0
    """Generator steps done."""
    steps: int = 0
    """Generator steps of the whole run."""
    images_per_second: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The latest value of each metric (the first member's)."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """What real data gets of each, where that is known."""
    note: str = ""
    """A line for the user, in phase `note`."""


@dataclass(frozen=True)
class RunRow:
    """The one row of `run.parquet`: identity, status, configuration, totals, environment."""

    run_id: str
    suite: str
    variant: str
    objective: str
    network: str
    dataset: str
    seed: int
    device: str
    engine: str
    precision: str
    group_size: int
    status: Status
    error: str | None
    spec: str
    schema_version: int = SCHEMA_VERSION
    bench_version: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    started_at: str | None = None
    """ISO 8601, UTC."""
    finished_at: str | None = None
    wall_seconds: float | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    compile_seconds: float | None = None
    generator_steps: int | None = None
    critic_steps: int | None = None
    images: int | None = None
    images_per_second: float | None = None
    solo_step_ms: float | None = None
    """One generator iteration (its critic steps included) measured alone, a member's share."""
    peak_memory_bytes: int | None = None
    threads: int | None = None
    os: str | None = None
    python: str | None = None
    torch: str | None = None
    cpu: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    gpu: str | None = None
    gpu_count: int | None = None
    driver: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    tf32: bool | None = None
    deterministic: bool | None = None
    engine_used: str | None = None
    """`eager` where `compiled` was asked for and the run was too short to earn its compilation, or
    this machine has no C++ compiler."""
    workers: int | None = None
    """How many groups shared the machine."""
    step_operations: float | None = None
    """Floating-point operations of the matrix products and convolutions of one generator iteration
    (its critic steps included), of one member; a multiply-add is two."""
    matmul_rate: float | None = None
    """Floating-point operations a second of a large matrix product on the same device, threads and
    precision, measured beside `solo_step_ms`."""
    utilisation: float | None = None
    """step_operations / solo_step_ms / matmul_rate: the share of the device's rate that a step
    reaches."""


@dataclass(frozen=True)
class CurveRow:
    """Losses and diagnostics at one point of training.

    Losses, scores and the penalty are means over the steps since the row before; the gradient
    norms are L2 norms over all parameters, likewise averaged; the score gap, the Lipschitz
    figures and the clipped share are measured at the row, on held-out data.
    """

    run_id: str
    generator_step: int
    critic_steps: int
    images: int
    train_seconds: float
    critic_loss: float | None = None
    """As minimised, the weighted penalty included."""
    generator_loss: float | None = None
    real_score: float | None = None
    fake_score: float | None = None
    score_gap: float | None = None
    """Mean real minus mean fake critic output on held-out data: an estimate of the Wasserstein
    distance only up to the critic's Lipschitz constant."""
    penalty: float | None = None
    """E[(‖∇c(x̂)‖₂ − 1)²], not weighted."""
    critic_grad_norm: float | None = None
    generator_grad_norm: float | None = None
    lipschitz_p50: float | None = None
    """Median of ‖∇c‖₂ at points between held-out and generated samples."""
    lipschitz_max: float | None = None
    at_clip_bound: float | None = None
    """Share of the critic's weights at the clipping bound."""
    gradient_cosine: float | None = None
    """Between the generator's gradient, on the same latents, here and at the row before."""


@dataclass(frozen=True)
class MetricRow:
    """One metric at one evaluation."""

    run_id: str
    generator_step: int
    critic_steps: int
    images: int
    train_seconds: float
    metric: str
    value: float | None
    unit: str
    better: Direction
    samples: int
    extractor: str
    reference: str
    floor: float | None
    """What real data of the same size gets against the same reference."""
    seconds: float
    extractor_sha256: str = ""
    layer: str = ""
    """Which of the extractor's layers the features are."""
    preprocessing: str | None = None
    """What happens to a sample before the extractor sees it: range, channels, resizing."""
    k: int | None = None
    """Of nearest neighbours, where the metric depends on one."""
    error: str | None = None
    """Why there is no value."""


@dataclass(frozen=True)
class TimingRow:
    """One timed block of steps; `step_ms` is a generator iteration, a member's share."""

    run_id: str
    block: int
    phase: Literal["warmup", "train", "solo"]
    steps: int
    seconds: float
    step_ms: float
    group_size: int


@dataclass(frozen=True)
class RunResult:
    """What became of one run: its rows, and the files that lie beside them."""

    run: RunRow
    curves: Sequence[CurveRow] = ()
    metrics: Sequence[MetricRow] = ()
    timings: Sequence[TimingRow] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Relative path → content: `samples/<generator_step>.png`, `generator.safetensors`, …"""

    @staticmethod
    def without_rows(suite: str, spec: RunSpec, status: Status, error: str) -> RunResult:
        """A run of which nothing is left but what was asked and why it is missing."""
        return RunResult(RunRow(**identity(suite, spec), status=status, error=error))

    def among(self, workers: int) -> RunResult:
        """The same, with how many groups shared the machine."""
        return replace(self, run=replace(self.run, workers=workers))


PROBE_VERSION = 1
"""Part of what a probe's table is known by; raised when a probe starts to measure otherwise."""


@dataclass(frozen=True)
class ProbeSpec:
    """One seed of a probe, a controlled experiment that is no training run; the unit of work."""

    probe: Part
    """Its `name`, and every option of it, defaults filled in."""
    recipes: Mapping[str, RunSpec]
    """The suite's variants that it is about, by name; each on the probe's seed, in a group of
    one."""
    seed: int
    device: str
    """The device's type."""

    def to_json(self) -> str:
        """Canonical JSON, as of a run's spec."""
        recipes = {name: json.loads(spec.to_json()) for name, spec in self.recipes.items()}
        whole = {**asdict(replace(self, recipes={})), "recipes": recipes}
        if PROBE_VERSION > 1:  # the first was not written down
            whole["version"] = PROBE_VERSION
        return json.dumps(whole, sort_keys=True, separators=(",", ":"))

    @property
    def probe_id(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    @property
    def leader(self) -> str:
        """Its name among all that is run."""
        return self.probe_id

    @property
    def label(self) -> str:
        """How a person names it: `probe NAME/seed`."""
        return f"probe {self.probe['name']}/{self.seed}"

    @property
    def threads(self) -> int:
        """CPU threads."""
        return 1

    def complete(self, results: Sequence[ProbeResult]) -> list[ProbeResult]:
        """Its one result; a failure where there is none."""
        return list(results) or self.every("failed", "the work gave no result for it")

    def every(self, status: Status, error: str) -> list[ProbeResult]:
        """Its end without rows."""
        return [ProbeResult(self, status, error)]


@dataclass(frozen=True)
class ProbeRow:
    """One point that a probe measured."""

    probe: str
    seed: int
    quantity: str
    """What was measured, one of the probe's `quantities`; a panel of the report."""
    series: str
    """Of what: a variant, an objective; a line of the panel."""
    x: float
    value: float | None
    """None where it is not defined, or not finite."""
    exact: float | None = None
    """What theory says it is, where theory does."""


@dataclass(frozen=True)
class Quantity:
    """How a quantity of a probe is drawn and read."""

    label: str
    """With its unit."""
    x: str
    """What the axis counts."""
    log_x: bool = False
    log_y: bool = False
    aim: float | None = None
    """Where theory wants it, for a dashed line."""
    note: str = ""
    """What a reader should see in it, in a sentence."""


@dataclass(frozen=True)
class ProbeResult:
    """What became of one seed of a probe."""

    spec: ProbeSpec
    status: Status
    error: str | None = None
    rows: Sequence[ProbeRow] = ()
    seconds: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What a report says of the probe: `title`, `about`, and `quantities` by name."""

    def among(self, workers: int) -> ProbeResult:
        """The same: a probe keeps no time that would depend on what ran beside it."""
        return self


def identity(suite: str, spec: RunSpec) -> dict[str, Any]:
    """The columns of `run.parquet` that follow from the suite's name and the spec."""
    return {
        "run_id": spec.run_id,
        "suite": suite,
        "variant": spec.variant,
        "objective": spec.objective["name"],
        "network": spec.network["name"],
        "dataset": spec.dataset["name"],
        "seed": spec.seed,
        "device": spec.device,
        "engine": spec.engine,
        "precision": spec.precision,
        "group_size": len(spec.group),
        "spec": spec.to_json(),
    }


Emit = Callable[[Progress], None]
"""Hears how far a task is."""
