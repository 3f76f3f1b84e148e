"""What a seed of a probe is, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.records.rows import Status
from bench.records.specs import Part, RunSpec

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
