"""What a claim is about, held against what is measured of its variants, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from bench import registry
from bench.costs import RUN_COSTS
from bench.errors import suggestion
from bench.hypotheses import CURVES, Claim
from bench.records import Amount, Boost, Evaluation, Pace
from bench.suite.asking import Asking
from bench.suite.base import Fault
from bench.suite.models import Probing, Variant
from bench.suite.primary import without_classes, without_value
from bench.suite.probes import read_probes

_CLASS_SHARE = re.compile(r"class_share_\d{1,2}")
_THROUGH = {"change": 2, "trend": 3, "correlation": 3, "late_variance": 1, "late_spread": 1}
"""Ways of reading a number from several evaluations → the fewest of these."""
_LATE = ("late_variance", "late_spread")
LEAST_LATE = 3
"""The same of evaluations in the last fifth of training."""
_OF_PROBES = ("final", "change", "trend")
_DIRECTED = ("late_variance", "late_spread", "time_to_target", "collapse")
"""Numbers that are better when they are lower, whatever their metric."""


def unmeasured(asking: Asking, claim: Claim) -> Iterator[Fault]:
    """Why a claim could not be judged; expects one of a right form that names variants."""
    if claim.probe is not None:
        yield from _probed(asking, claim)
        return
    variants = _about(asking, claim)
    for key in ("metric", "against"):
        number = getattr(claim, key)
        if key == "against" and number is not None and "." in number:
            yield from _undeclared(asking, number)
        elif number is not None:
            yield from _known(claim, key, number, variants)
            for variant in variants:
                yield from _measured(claim, key, number, variant)


def _about(asking: Asking, claim: Claim) -> list[Variant]:
    """The recipes it names, so far as this call has them."""
    named = [claim.better, claim.higher, claim.lower, claim.than, claim.variant]
    if not any(named):
        return list(asking.recipes.values())
    return [variant for name, variant in asking.recipes.items() if name in named]


def _undeclared(asking: Asking, number: str) -> Iterator[Fault]:
    """A dotted key at which no variant has a number; not asked while one is left out."""
    variants = [asking.recipes.get(name) for name in asking.names]
    declared = {key for variant in variants if variant for key in _numbers(vars(variant))}
    if all(variants) and number not in declared:
        known = suggestion(number, declared)
        yield Fault(("against",), f"{number!r} is no number of any variant{known}")


def _numbers(tree: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted keys of a variant's tables at which a number stands."""
    for name, value in tree.items():
        found = asdict(value) if isinstance(value, Amount | Evaluation) else value
        if isinstance(found, Mapping):
            yield from _numbers(found, f"{above}{name}.")
        elif above and isinstance(found, int | float) and not isinstance(found, bool):
            yield f"{above}{name}"


def _known(claim: Claim, key: str, number: str, variants: list[Variant]) -> Iterator[Fault]:
    """Whether it is a number at all, and one that can be read in this way."""
    kind = "cost" if number in RUN_COSTS else "column" if number in CURVES else "metric"
    if kind == "metric":
        measured = {name for v in variants for name in _every(v)}
        if number not in measured and not _registered(number):
            known = suggestion(number, {*measured, *CURVES, *RUN_COSTS})
            yield Fault((key,), f"{number!r} is neither a metric nor a column of curves{known}")
            return
    elif kind == "cost" and (key == "against" or claim.of != "final"):
        text = f"{number!r} is one number a run; expected of = 'final'"
        yield Fault((key,), text if key == "metric" else f"{number!r} is no metric of evaluations")
    elif kind == "column" and claim.of in ("best", "time_to_target", "collapse"):
        yield Fault(("of",), f"{number!r} has no better end; expected another reading, or a metric")
    if key == "metric":
        yield from _direction(claim, kind)


def _direction(claim: Claim, kind: str) -> Iterator[Fault]:
    """Whether `better` means something, and a target can be reached."""
    direction = ""
    if kind == "cost":
        direction = RUN_COSTS[claim.metric].better
    elif kind == "metric":
        share = _CLASS_SHARE.fullmatch(claim.metric)
        direction = "near_reference" if share else _better(claim.metric)
    if claim.target is not None and direction == "near_reference":
        text = f"{claim.metric!r} should be near what real data gets; no target tells better"
        yield Fault(("metric",), text)
    if claim.better is None or claim.of in _DIRECTED:
        return
    turned = direction == "near_reference" and claim.of == "change"
    if claim.of in ("correlation", "trend") or turned:
        yield Fault(("better",), f"of = {claim.of!r} has no better end; say higher or lower")
    elif not direction:
        yield Fault(("better",), f"{claim.metric!r} has no better end; say higher or lower")


def _measured(claim: Claim, key: str, number: str, variant: Variant) -> Iterator[Fault]:
    """Whether it is measured of a variant, and as often as this reading needs."""
    if number in RUN_COSTS or number in CURVES:
        return
    if number not in _every(variant) and not (_CLASS_SHARE.fullmatch(number) and _every(variant)):
        known = suggestion(number, _every(variant)) if _every(variant) else "; it is not evaluated"
        text = f"{number!r} is not among the evaluation metrics of {variant.name!r}{known}"
        yield Fault((key,), text)
        return
    share = _CLASS_SHARE.fullmatch(number)
    lacking = without_classes(number, variant) if share else without_value(number, variant)
    if lacking:
        yield Fault((key,), lacking)
        return
    through = claim.of in _THROUGH and not claim.across
    if not through and claim.of not in ("best", "time_to_target"):
        return
    if number in variant.evaluation.final_metrics:
        text = f"{number!r} of {variant.name!r} is measured at the end alone"
        yield Fault((key,), f"{text}; move it to evaluation.metrics")
        return
    found = evaluations(variant)
    if found is None:
        return
    least = claim.consecutive if claim.of == "time_to_target" else _THROUGH.get(claim.of, 1)
    if found.all < least:
        text = f"{variant.name!r} is evaluated {found.all} times; of = {claim.of!r} needs {least}"
        yield Fault((key,), f"{text}; lower evaluation.every")
    elif claim.of in _LATE and found.late < LEAST_LATE:
        text = f"{variant.name!r} is evaluated {found.late} times in the last fifth of training"
        mend = f"of = {claim.of!r} needs {LEAST_LATE}; lower evaluation.every"
        yield Fault((key,), f"{text}; {mend}")


def _every(variant: Variant) -> tuple[str, ...]:
    return (*variant.evaluation.metrics, *variant.evaluation.final_metrics)


def _registered(number: str) -> bool:
    return bool(_CLASS_SHARE.fullmatch(number)) or number in registry.entries("metrics")


def _better(metric: str) -> str:
    return str(registry.load("metrics", metric).better)


@dataclass(frozen=True)
class Evaluations:
    """How often a run is judged."""

    all: int
    late: int
    """In the last fifth of training."""


def evaluations(variant: Variant) -> Evaluations | None:
    """How often a run of the variant is judged; None where only its data could tell."""
    budget, every = variant.budget, variant.evaluation.every
    if (budget.unit == "epochs") != (every.unit == "epochs"):
        return None
    steps, apart = _steps(budget, variant), _steps(every, variant)
    all_ = steps // apart + (steps % apart > 0)
    return Evaluations(all_, all_ - (ceil(4 * steps / (5 * apart)) - 1))


def _steps(amount: Amount, variant: Variant) -> int:
    boost = Boost(**variant.critic_boost) if variant.critic_boost else None
    pace = Pace(variant.critic_steps, variant.batch_repeats, boost)
    # of two lengths in epochs the ratio is the same whatever the size
    return amount.generator_steps(pace, variant.batch_size, dataset_size=60_000)


def _probed(asking: Asking, claim: Claim) -> Iterator[Fault]:
    """A probe of the suite, a quantity that it has, a reading that fits points along an axis."""
    written = asking.source.tree.get("probe", [])
    names = [one.get("name") for one in written if isinstance(one, dict)]
    if claim.probe not in names:
        text = f"{claim.probe!r} is not a probe of this suite"
        mend = suggestion(str(claim.probe), map(str, names)) if names else "; it has no [[probe]]"
        yield Fault(("probe",), f"{text}{mend}")
        return
    probes = read_probes(asking)  # whatever is wrong with the probe is said of the probe
    quantities = registry.load("probes", str(claim.probe)).quantities
    if claim.metric not in quantities:
        text = f"{claim.metric!r} is not a quantity of probe {claim.probe!r}"
        yield Fault(("metric",), f"{text}{suggestion(claim.metric, quantities)}")
    else:
        for asked in probes:  # without one about variants that `--variant` leaves out
            if asked.probe["name"] == claim.probe:
                yield from _unseen(claim, asked)
    if claim.better is not None:
        yield Fault(("better",), f"{claim.metric!r} has no better end; say higher or lower")
    if claim.of not in _OF_PROBES:
        known = ", ".join(_OF_PROBES)
        yield Fault(
            ("of",), f"of = {claim.of!r} is not read from a probe; expected one of: {known}"
        )
    elif claim.of != "final" and claim.at is not None:
        yield Fault(("at",), f"of = {claim.of!r} is read along the whole axis; leave it out")


def _unseen(claim: Claim, asked: Probing) -> Iterator[Fault]:
    """Series that the probe's quantity does not have, where it knows them beforehand."""
    options = {key: value for key, value in asked.probe.items() if key != "name"}
    probe = registry.load("probes", asked.probe["name"])(**options)
    series = probe.series(claim.metric, asked.variants)
    for key in ("higher", "lower", "than", "variant"):
        name = getattr(claim, key)
        if name is not None and series is not None and name not in series:
            text = f"{name!r} is not a series of {claim.metric!r} of probe {claim.probe!r}"
            yield Fault((key,), f"{text}{suggestion(name, series)}")
