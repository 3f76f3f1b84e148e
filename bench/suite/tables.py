"""The tables of a suite file as they are written; the ranges in their fields are what is checked.

They are read strictly (no number for a string, no true for 1) and completely (a key that is not a
field is an error).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from bench.datasets.base import Kind
from bench.records import Amount, Evaluation, Guard, Unit

STRICT = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)

OWN_WORDS = "bench"
"""The type of pydantic's errors whose message is ours."""

NAME = r"[a-z0-9_-]{1,64}"
RESERVED = ("reference", "baselines")
"""Folders of the results that hold what is committed; no suite may be called that."""


def _whole(count: float) -> float:
    if not count.is_integer():
        raise PydanticCustomError(OWN_WORDS, "expected a whole number")
    return count


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise PydanticCustomError(
                OWN_WORDS, "{value} stands there twice", {"value": repr(value)}
            )
        seen.add(value)
    return values


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", name):
        told = "{name} is not a device; expected auto, cpu, cuda or cuda:N"
        raise PydanticCustomError(OWN_WORDS, told, {"name": repr(name)})
    return name


Engine = Literal["compiled", "eager", "textbook"]
Precision = Literal["fp32", "tf32", "bf16"]
Compile = Literal["auto", "always"]
Threads = Annotated[int, Ge(1), Le(1024)]
Count = Annotated[int, Ge(1), Le(2**31 - 1)]
Whole = Annotated[float, Gt(0), Le(1e15), AfterValidator(_whole)]
Distinct = AfterValidator(_distinct)


@dataclass(frozen=True, config=STRICT)
class Length:
    """A length of training in one unit of the four; epochs may be fractions."""

    images: Whole | None = None
    epochs: Annotated[float, Gt(0), Le(1e15)] | None = None
    generator_steps: Whole | None = None
    critic_steps: Whole | None = None

    def __post_init__(self) -> None:  # noqa: D105 - a check
        if len(self._given()) != 1:
            units = ", ".join(get_args(Unit))
            raise PydanticCustomError(
                OWN_WORDS, f"expected exactly one of {units}, such as {{ images = 64000 }}"
            )

    def _given(self) -> list[tuple[Unit, float]]:
        counts = [(unit, getattr(self, unit)) for unit in get_args(Unit)]
        return [(unit, count) for unit, count in counts if count is not None]

    @property
    def amount(self) -> Amount:
        """The same as the plan's record."""
        ((unit, count),) = self._given()
        return Amount(unit, count)


@dataclass(frozen=True, config=STRICT)
class Training:
    """The table `[training]`."""

    budget: Length
    batch_size: Count = 64
    engine: Engine = "compiled"
    precision: Precision = "fp32"
    group: Count = 1
    compile: Compile = "auto"
    threads: Threads = 1
    checkpoint_every: Length | None = None


METRICS: Mapping[Kind, tuple[str, ...]] = {
    "images": ("fid", "inception_score", "modes", "class_kl"),
    "points": ("modes_any", "high_quality", "reverse_kl", "wasserstein_2"),
}
"""What samples are judged by where a suite does not say."""
WITHOUT_MODES = ("wasserstein_1", "wasserstein_2")
"""The same of points that come from no modes of known place and width."""


@dataclass(frozen=True, config=STRICT)
class Judging:
    """The table `[evaluation]`; without `every`, a fifth of the budget."""

    every: Length | None = None
    samples: Annotated[int, Ge(2), Le(10_000_000)] = 10_000
    metrics: Annotated[tuple[str, ...], Distinct] | None = None
    final_metrics: Annotated[tuple[str, ...], Distinct] = ()
    extractor: str = "auto"
    """By name, or a file of weights; `auto`: the one that is made for the data."""

    def judged_by(self, kind: Kind, *, modes: bool = True) -> tuple[str, ...]:
        """The metrics of every evaluation, the usual ones where the table names none."""
        usual = METRICS[kind] if modes else WITHOUT_MODES
        return usual if self.metrics is None else self.metrics

    def evaluation(
        self, budget: Amount, kind: Kind, extractor: str, *, modes: bool = True
    ) -> Evaluation:
        """The same as the plan's record, for a run of that budget on data of that kind."""
        every = self.every.amount if self.every else Amount(budget.unit, budget.count / 5)
        metrics = self.judged_by(kind, modes=modes)
        return Evaluation(every, self.samples, metrics, self.final_metrics, extractor)


@dataclass(frozen=True, config=STRICT)
class CriticBoost:
    """The table `critic_boost` of a variant, see `records.Boost`."""

    steps: Count
    first: Annotated[int, Ge(0), Le(2**31 - 1)]
    every: Count


@dataclass(frozen=True, config=STRICT)
class Rhythm:
    """The plain keys of a variant's recipe: how often, on what, and from which weights."""

    critic_steps: Count = 1
    init: str = "torch"
    packing: Annotated[int, Ge(1), Le(1024)] = 1
    spectral_norm: bool = False
    batch_repeats: Count = 1
    critic_boost: CriticBoost | None = None


@dataclass(frozen=True, config=STRICT)
class Against:
    """The table `against` of `[primary]`: keys of `[training]` by which baselines are known."""

    engine: Engine | None = None
    precision: Precision | None = None
    batch_size: Count | None = None
    group: Count | None = None
    compile: Compile | None = None
    threads: Threads | None = None

    def __post_init__(self) -> None:  # noqa: D105 - a check
        if not self.settings:
            keys = ", ".join(self.__dataclass_fields__)
            raise PydanticCustomError(OWN_WORDS, f"is empty; expected at least one of {keys}")

    @property
    def settings(self) -> dict[str, Any]:
        """What is asked of a baseline, by key."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True, config=STRICT)
class Primary:
    """What the verdict is about, declared before the runs."""

    metric: str = "fid"
    at: Literal["final", "best"] = "final"
    margin: Annotated[float, Ge(0), Lt(1)] = 0.10
    """Relative; smaller differences are called equal."""
    against: Against | None = None
    """Each variant is compared with its baseline alone; None: every pair of them."""

    @property
    def declaration(self) -> dict[str, Any]:
        """As results keep it: what came later is left out where it is not used."""
        plain = {"metric": self.metric, "at": self.at, "margin": self.margin}
        return plain | ({"against": self.against.settings} if self.against else {})


Seed = Annotated[int, Ge(0), Le(2**63 - 1)]
Device = Annotated[str, AfterValidator(_device)]


@dataclass(frozen=True, config=STRICT)
class Matrix:
    """The keys of `[matrix]` that are not swept."""

    seeds: Annotated[tuple[Seed, ...], MinLen(1), Distinct] = (0, 1, 2, 3, 4)
    devices: Annotated[tuple[Device, ...], MinLen(1), Distinct] = ("auto",)
    include: tuple[dict[str, Any], ...] = ()
    exclude: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, config=STRICT)
class ProbeTable:
    """The keys of a `[[probe]]` beside the name and the options of the probe itself."""

    variants: Annotated[tuple[str, ...], MinLen(1), Distinct] | None = None
    seeds: Annotated[tuple[Seed, ...], MinLen(1), Distinct] | None = None


@dataclass(frozen=True, config=STRICT)
class Rule:
    """A table of `include` or `exclude`, without the settings in it; empty: any."""

    variant: tuple[str, ...] = ()
    seed: tuple[Seed, ...] = ()
    device: tuple[Device, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Searching:
    """The table `[search]` as written."""

    trials: Annotated[int, Ge(1), Le(1000)]
    """For each variant."""
    seeds: Annotated[tuple[Seed, ...], MinLen(1), Distinct]
    space: dict[str, Any]
    """Key of a variant → distribution; see `bench.suite.space`."""
    draw: Seed = 0
    """The seed of the draws."""
    budget: Length | None = None
    """Of a trial; the comparison's where there is none."""


def _looks(looks: tuple[int, ...]) -> tuple[int, ...]:
    if any(look % 2 or not 4 <= look <= 1000 for look in looks):
        told = "expected even numbers of rounds from 4 to 1000: sides take turns at being first"
        raise PydanticCustomError(OWN_WORDS, told)
    if len(looks) not in {1, 2} or sorted(set(looks)) != list(looks):
        raise PydanticCustomError(OWN_WORDS, "expected one look or two, such as [8, 16]")
    return looks


@dataclass(frozen=True, config=STRICT)
class Guarding:
    """A quantity under check: `{ margin = 0.05, variants = ["mlp_gan"] }`."""

    margin: Annotated[float, Gt(0), Le(10)] | None = None
    """Relative growth up to which it counts as none; None: the quantity's own."""
    variants: Annotated[tuple[str, ...], Distinct] | None = None
    """Of which it is guarded; None: of all."""


@dataclass(frozen=True, config=STRICT)
class Check:
    """The table `[check]`, for `bench check`."""

    looks: Annotated[tuple[int, ...], AfterValidator(_looks)] = (8, 16)
    """Rounds after which a verdict is planned."""
    blocks: Annotated[int, Ge(3), Le(1000)] = 10
    """Timed in a round, of each side."""
    block_seconds: Annotated[float, Gt(0), Le(60)] = 0.1
    step_time: Guarding = Guarding()
    peak_memory: Guarding = Guarding()
    compile_time: Guarding = Guarding(variants=())
    """From an empty cache; it costs seconds a round, so nothing is guarded that is not named."""

    @property
    def guarded(self) -> Mapping[Guard, Guarding]:
        """By quantity."""
        return {guard: getattr(self, guard) for guard in get_args(Guard)}

    def margin(self, guard: Guard) -> float:
        """Of a quantity; its default where the table names only variants."""
        own = self.guarded[guard].margin
        return _MARGINS[guard] if own is None else own


_MARGINS: Mapping[Guard, float] = {"step_time": 0.05, "peak_memory": 0.05, "compile_time": 0.25}
