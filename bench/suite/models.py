"""What a suite declares, once it has been read: every default filled in, every name resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bench.costs import RUN_COSTS
from bench.hypotheses import Claim
from bench.records import Amount, Evaluation, Part
from bench.suite.tables import Check, Primary


@dataclass(frozen=True)
class Variant:
    """A recipe with all its settings in effect: every default filled in, every layer laid over."""

    name: str
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
    group: int
    evaluation: Evaluation
    compile: str = "auto"
    threads: int = 1
    packing: int = 1
    spectral_norm: bool = False
    batch_repeats: int = 1
    critic_boost: Part | None = None
    checkpoint_every: Amount | None = None
    """No part of what the run is: see `records.Checkpoints`."""


class Cell(NamedTuple):
    """One run asked for, by its variant's name; the device as the suite names it."""

    variant: str
    seed: int
    device: str


@dataclass(frozen=True)
class Trial:
    """One drawn setting of a variant."""

    number: int
    """From 1 on."""
    variant: Variant
    """As a recipe of its own, called `<variant>-trial-<number>`, over the budget of a trial."""
    recipe: Variant
    """As the comparison has it where this trial wins: the variant's name, the suite's budget."""
    drawn: Mapping[str, Any]
    """The drawn values, by their key in the variant."""


@dataclass(frozen=True)
class Search:
    """An equal-budget random search: as many trials for each variant, before the comparison."""

    seeds: tuple[int, ...]
    """Of every trial; none of the comparison's."""
    trials: Mapping[str, tuple[Trial, ...]]
    """By the variant that is tuned, in the order of the file; as many for each."""
    declared: Mapping[str, Mapping[str, Any]]
    """What each variant has by itself for the keys that are drawn for it."""
    winners: Mapping[str, int] = field(default_factory=dict)
    """Variant → the number of its best trial, once all of its trials have run."""

    @property
    def settled(self) -> bool:
        """Whether every variant has a winner."""
        return not any(map(self.waits_for, self.trials))

    def waits_for(self, variant: str) -> bool:
        """Whether nobody knows yet with which setting the variant is compared."""
        return variant in self.trials and variant not in self.winners


@dataclass(frozen=True)
class Probing:
    """A probe asked for, with all its options."""

    probe: Part
    variants: tuple[str, ...]
    """Of the suite, that it is about; none for a probe that brings its own."""
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Suite:
    """What a suite file asks for, with the options of this call laid over it."""

    name: str
    title: str
    path: Path
    text: str
    """The file's text, as written."""
    overrides: tuple[str, ...]
    primary: Primary
    recipes: Mapping[str, Variant]
    """By name, in the order of the file; a swept variant once for each of its values."""
    cells: tuple[Cell, ...]
    """Every run asked for, variant by variant; `bench.plan` puts them in order of work."""
    baselines: Mapping[str, str]
    """Variant → the one it is compared with; none where every pair of them is compared."""
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    options: tuple[str, ...] = ()
    """What shapes the runs beside the file, as it would stand on the command line."""
    claims: tuple[Claim, ...] = ()
    """In the order of the file."""
    search: Search | None = None
    probes: tuple[Probing, ...] = ()
    check: Check = field(default_factory=Check)
    """How `bench check` times its variants."""
    declared: Suite | None = None
    """What the file asks for without `--variant`, `--seeds` and `--device`; None where it is wrong
    without them, or where there were none."""

    @property
    def timed(self) -> bool:
        """Whether what a run costs is compared, so that every group is timed alone."""
        return self.primary.metric in RUN_COSTS

    @property
    def variants(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self.recipes)
