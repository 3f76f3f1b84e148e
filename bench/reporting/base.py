"""What a report says, as frozen data: computed once, then only rendered (HTML, Markdown, JSON).

Format history of the JSON (`FORMAT_VERSION`):

    1  the first
    2  a suite has baselines, a metric's line a cost, a variant's cost utilisation
    3  a metric's line has preprocessing and k, its cells errors; class shares have their origin
    4  claims, behaviour in training, a search and probes
    5  a suite's regression checks; a suite that has these alone has no other keys
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.claims.base import Judged
from bench.costs import RunCost
from bench.hypotheses import Claim
from bench.reading import At
from bench.records import Direction
from bench.reporting.checked import Checked
from bench.reporting.experiments import Probed, Searched
from bench.stats import Contrast, Description, Interval, Scale

FORMAT_VERSION = 5

MANY = 8
"""Variants, beyond which each is a row where it would else be a column."""


@dataclass(frozen=True)
class Declaration:
    """What the suite declared before its runs: what the verdict is about."""

    name: str
    title: str
    metric: str
    at: At
    margin: float
    """Relative: 0.1 calls anything within 10 % equal."""
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    text: str
    """The suite file as run."""
    runs: tuple[tuple[str, str, int, str], ...] = ()
    """(run_id, variant, seed, device type) of each declared run; none: every variant × seed."""
    options: tuple[str, ...] = ()
    """Options of `bench run` that these runs were made with, as a shell would pass them."""
    changed_from: str | None = None
    """The primary of before, in words, where it was changed after runs had finished."""
    against: Mapping[str, Any] | None = None
    """The settings that make a variant a baseline; None: every pair is compared."""
    baselines: Mapping[str, str] = field(default_factory=dict)
    """Variant → the one it is compared with."""
    claims: tuple[Claim, ...] = ()
    """In the order of the file."""
    claimed_after: tuple[int, ...] = ()
    """Of each claim: how many runs were finished when it was first declared."""


@dataclass(frozen=True)
class Recipe:
    """One variant: what it is made of, and what became of its runs."""

    name: str
    parts: Mapping[str, str]
    """Heading → text, of what was declared (objective, optimiser, budget, …)."""
    seeds: tuple[int, ...]
    completed: int
    diverged: int
    failed: int
    """Runs that ended as `failed`, `timeout` or `lost`."""
    missing: int
    """Declared runs of which there is no trace."""


@dataclass(frozen=True)
class Cell:
    """One metric of one variant: every seed's value, and their description."""

    variant: str
    values: tuple[tuple[int, float], ...]
    """(seed, value), by seed; completed runs alone."""
    description: Description
    errors: tuple[tuple[int, str], ...] = ()
    """(seed, why) of each completed run without a value."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What values were computed from; of what runs cost, nothing."""

    samples: int = 0
    extractor: str = ""
    extractor_sha256: str = ""
    layer: str = ""
    preprocessing: str | None = None
    """None where the version that measured it kept no record."""
    reference: str = ""
    k: int | None = None
    """Of nearest neighbours, where the values depend on one."""


@dataclass(frozen=True, kw_only=True)
class MetricLine(Origin):
    """One metric at the last evaluation, over all variants."""

    metric: str
    label: str
    """As text calls it, extractor included: `FID (digits)`."""
    unit: str
    better: Direction
    scale: Scale
    floor: float | None
    """What real data gets; None where it is not known."""
    cells: tuple[Cell, ...]
    cost: RunCost | None = None
    """Where the values are what runs cost: one a group, at no evaluation and from no samples."""


@dataclass(frozen=True, kw_only=True)
class Shares(Origin):
    """A metric that comes in parts (the share of samples in each class)."""

    metric: str
    label: str
    classes: tuple[int, ...]
    values: Mapping[str, tuple[tuple[int, tuple[float, ...]], ...]]
    """Variant → (seed, share of each class)."""
    floor: tuple[float | None, ...]


@dataclass(frozen=True)
class Reading:
    """The primary metric read in one way (final or best evaluation), and what follows from it."""

    at: At
    headline: str
    pairs: tuple[str, ...]
    """A sentence a pair: who did better, by how much, with interval and margin."""
    details: tuple[str, ...]
    """What stands behind each sentence: the interval's level, chance, p-values, limits."""
    line: MetricLine
    contrasts: tuple[Contrast, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Each pair in full, its detail behind its sentence."""
        both = zip(self.pairs, self.details, strict=True)
        return tuple(f"{pair} {detail}".rstrip() for pair, detail in both)


@dataclass(frozen=True)
class Cost:
    """What one variant took: medians over its completed runs; seconds unless said otherwise."""

    variant: str
    generator_steps: float | None
    critic_steps: float | None
    images: float | None
    step_ms: float | None
    """A generator iteration measured alone."""
    cost: float | None
    """Generator steps × step time measured alone: comparable where machines were shared."""
    ratio: float | None
    """Cost over that of the cheapest variant."""
    at_equal_cost: float | None
    """Median primary metric at the last evaluation within the cheapest variant's cost."""
    images_per_second: float | None
    train_seconds: float | None
    eval_share: float | None
    """Evaluation time over training time."""
    compile_seconds: float | None
    peak_memory_bytes: float | None
    utilisation: float | None
    """The share of the machine's rate of matrix products that a step alone reaches."""


@dataclass(frozen=True)
class Case:
    """One variant beside its baseline, or the baseline itself."""

    variant: str
    label: str
    """By what it differs from the baseline: `compiled bf16`, `compiled in groups of 4`."""
    engine: str
    precision: str
    group: int
    cell: Cell
    contrast: Contrast | None
    """Against the baseline, better where it is higher for a cost that has an inverse: of two step
    times the ratio of speeds.  None for the baseline."""
    word: str
    """The verdict: `faster`, `slower`, `equal`, `not decided`; empty for the baseline."""
    utilisation: float | None
    peak_memory_bytes: float | None


@dataclass(frozen=True)
class Baseline:
    """One baseline and every variant that is compared with it."""

    label: str
    """What they have in common: `MLP, WGAN, batch 64`."""
    sentence: str
    line: MetricLine
    """What is compared, of these variants alone."""
    cases: tuple[Case, ...]
    """The baseline first."""


@dataclass(frozen=True)
class Failure:
    """One run without a value to compare: diverged, failed, out of time, lost or missing."""

    variant: str
    seed: int
    status: str
    step: int | None
    """The last generator step that left a row."""
    error: str


@dataclass(frozen=True)
class Environment:
    """One combination of hardware and software, and how many runs it made."""

    runs: int
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Behaviour:
    """How one variant trained; None where it is not known."""

    variant: str
    late_spread: float | None
    """Standard deviation over mean of the primary metric in the last fifth of training; the median
    over completed runs."""
    tracking: Interval | None
    """Spearman's correlation within runs of the score gap per slope with the primary metric: the
    mean over runs, with its t-interval."""
    gradient_cosine: float | None
    """Between the generator's gradients at successive rows of the curves; the median of medians."""
    collapsed: Interval | None
    """The share of runs that collapsed, as a claim defines it, with Wilson's interval."""

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        found = (self.late_spread, self.tracking, self.gradient_cosine, self.collapsed)
        return any(value is not None for value in found)


@dataclass(frozen=True)
class Summary:
    """All that a report says of one suite."""

    declaration: Declaration
    metric_label: str
    recipes: tuple[Recipe, ...]
    readings: tuple[Reading, ...]
    """The declared reading, then the other one; none where no run has a value."""
    headline: str
    notes: tuple[str, ...]
    """What stands right below the verdict: runs that are missing, what it cannot say, cost."""
    warnings: tuple[str, ...]
    """What is said loudly: mixed environments, engines that were not the declared ones."""
    baselines: tuple[Baseline, ...]
    """Every variant beside the one it is compared with; none where every pair is compared."""
    lines: tuple[MetricLine, ...]
    gaps: tuple[str, ...]
    """A sentence for each reason why completed runs have no value of a metric."""
    shares: tuple[Shares, ...]
    costs: tuple[Cost, ...]
    equal_cost: float | None
    """Seconds: the cheapest variant's cost."""
    failures: tuple[Failure, ...]
    environments: tuple[Environment, ...]
    reproduction: tuple[str, ...]
    """Commands, in order."""
    claims: tuple[Judged, ...] = ()
    """What the suite claims, and what became of it, in the order of the file."""
    behaviour: tuple[Behaviour, ...] = ()
    """How each variant trained; none where nothing of it is known."""
    search: Searched | None = None
    """How the compared settings were found, where a search did."""
    probes: tuple[Probed, ...] = ()
    """What the suite's probes measured, in the order of the file."""
    checks: Checked | None = None
    """What its regression checks say, where there are any."""

    @property
    def verdict(self) -> str:
        """The verdict in words: the headline, and what stands behind it."""
        return "\n".join((self.headline, *self.sentences))

    @property
    def sentences(self) -> tuple[str, ...]:
        """A sentence a pair, or one a baseline, as the suite declared it."""
        if self.baselines:
            return tuple(baseline.sentence for baseline in self.baselines)
        return self.readings[0].sentences if self.readings else ()

    @property
    def others(self) -> tuple[MetricLine, ...]:
        """The metrics that are not told beside baselines."""
        told = self.declaration.metric if self.baselines else ""
        return tuple(line for line in self.lines if line.metric != told)

    @property
    def floor(self) -> float | None:
        """What real data gets of the primary metric."""
        return self.readings[0].line.floor if self.readings else None

    @property
    def costly(self) -> bool:
        """Whether what runs cost is compared."""
        return bool(self.readings) and self.readings[0].line.cost is not None

    @property
    def many(self) -> bool:
        """Whether there are more variants than a table has room for side by side."""
        return len(self.recipes) > MANY

    @property
    def utilised(self) -> bool:
        """Whether it is known of any variant how much of the machine it uses."""
        return any(row.utilisation is not None for row in self.costs)

    @property
    def variants(self) -> tuple[str, ...]:
        """Every variant, in the declared order; its place is its colour."""
        return tuple(recipe.name for recipe in self.recipes)
