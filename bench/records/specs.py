"""What a run is: all that is declared of it and determines its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bench.records.lengths import Amount, Boost, Pace

RECIPE_VERSION = 2
"""Part of every run's identity; raised when the same declaration starts to give another result.

    1  the first
    2  real and generated samples scored together, which rounds otherwise; short runs not compiled;
       the textbook engine's shuffle keyed by epoch
"""

Part = Mapping[str, Any]
"""A part that a suite names: its `name`, and every option of it, defaults filled in."""


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
