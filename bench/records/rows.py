"""What became of a run: the rows of the four tables of its results, and the files beside them.

The fields of a row, in order, are the columns; the store derives its Parquet schemas from them.

Format history of the tables (`SCHEMA_VERSION`):

    1  the first
    2  `run` gains step_operations, matmul_rate and utilisation
    3  `metrics` gains preprocessing, k and error
    4  `curves` gains gradient_cosine
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bench.records.specs import RunSpec

SCHEMA_VERSION = 4

Status = Literal["completed", "diverged", "failed", "timeout", "lost"]
FINISHED: tuple[Status, ...] = ("completed", "diverged")
"""Results that stay; a run with any other status is tried again."""

Direction = Literal["higher", "lower", "near_reference"]


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
