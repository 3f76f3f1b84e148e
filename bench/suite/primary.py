"""What the verdict is about, held against the variants: is it measured, and what against what?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bench import extractors, registry
from bench.costs import RUN_COSTS
from bench.errors import suggestion
from bench.records import AGREE
from bench.suite.base import Key, Layer, Origin, Problem, dotted, locate, refuse, shown
from bench.suite.models import Variant
from bench.suite.positions import Source
from bench.suite.tables import Against, Primary


def unmeasured(
    source: Source, settings: Layer, primary: Primary, recipes: Mapping[str, Variant]
) -> Iterator[Problem]:
    """The verdict's metric must be a cost, or among those that every variant is judged by.

    A suite that measures nothing, and declares nothing of a verdict, is trained and looked at.
    """
    if primary.metric in RUN_COSTS:
        if primary.at != "final":
            origin = locate(settings, ("primary", "at"), source.nearest)
            text = f"{primary.metric!r} is measured at no evaluation; leave `at` out"
            yield Problem(origin, text)
        return
    measured = any(map(_judges, recipes.values()))
    if not measured and ("primary", "metric") not in settings:
        return
    for variant in recipes.values():
        judged = variant.evaluation.metrics
        if primary.at == "final":
            judged += variant.evaluation.final_metrics
        if primary.metric not in judged:
            origin = locate(settings, ("primary", "metric"), source.nearest)
            text = f"{primary.metric!r} is not among the evaluation metrics of {variant.name!r}"
            known = suggestion(primary.metric, [*judged, *RUN_COSTS])
            yield Problem(origin, f"{text}{known}")
        elif lacking := without_value(primary.metric, variant):
            yield Problem(locate(settings, ("primary", "metric"), source.nearest), lacking)


def without_value(name: str, variant: Variant) -> str | None:
    """Why the metric can have no value for any run of the variant."""
    metric, asked = registry.load("metrics", name), variant.evaluation
    if asked.samples < metric.least:
        return (
            f"{name!r} needs at least {metric.least:,} samples, and {variant.name!r} is judged by "
            f"evaluation.samples = {asked.samples:,}"
        )
    return without_classes(name, variant) if metric.by_class else None


def without_classes(name: str, variant: Variant) -> str | None:
    """Why a number that counts classes can have no value for any run of the variant."""
    extractor = variant.evaluation.extractor
    if extractors.find(extractor).knows_classes:
        return None
    return (
        f"{name!r} counts classes, and extractor {extractor!r} does not know those of "
        f"{variant.dataset['name']!r}; name one that was trained on them"
    )


Where = Callable[[Key], Origin]
"""Where a setting of a variant was written."""


def judged_apart(
    primary: Primary, recipes: Mapping[str, Variant], places: Mapping[str, Where]
) -> Iterator[Problem]:
    """Every variant has the primary metric from the same data, extractor and number of samples.

    Values of different ones are never compared, so the report would refuse them when all is done;
    where costs are compared, it leaves them out.  Expects what `unmeasured` has nothing against.
    """
    first, *others = recipes.values()
    if primary.metric in RUN_COSTS or not _judges(first):
        return
    for variant in others:
        mine, theirs = _basis(variant), _basis(first)
        differing = [key for key in theirs | mine if mine.get(key) != theirs.get(key)]
        for key in differing[:1]:
            # the later line departs from what was said before
            origin = max((places[one.name](key) for one in (variant, first)), key=_late)
            values = [
                "none" if (found := each.get(key)) is None else shown(found)
                for each in (mine, theirs)
            ]
            with_ = f"with {dotted(key)} = {values[0]}, that of {first.name!r} with {values[1]}"
            text = f"{primary.metric!r} of {variant.name!r} is measured {with_}"
            mend = "no report compares the two; set both alike, or write two suites"
            yield Problem(origin, f"{text}: {mend}")


def _judges(variant: Variant) -> bool:
    return bool(variant.evaluation.metrics or variant.evaluation.final_metrics)


def _basis(variant: Variant) -> dict[Key, Any]:
    """What values depend on beside the generator, by key."""
    judging = variant.evaluation
    return {
        **{("dataset", name): value for name, value in variant.dataset.items()},
        ("evaluation", "extractor"): judging.extractor.partition("#")[0],  # whatever the digest
        ("evaluation", "samples"): judging.samples,
    }


def _late(origin: Origin) -> tuple[bool, int]:
    return origin.where.startswith("--"), origin.order


def baselines(
    source: Source,
    settings: Layer,
    against: Against | None,
    recipes: Mapping[str, Variant],
    *,
    whole: bool,
) -> dict[str, str]:
    """Variant → the one it is compared with; those that are compared with have none.

    `whole`: none of the file's variants was left out by an option of the call, so that each must
    find its baseline.  Raises `SuiteError` for one that has none, or several.
    """
    if against is None:
        return {}
    known = [variant for variant in recipes.values() if _matches(variant, against)]
    found = {
        name: [one for one in known if not _differing(variant, one, against)]
        for name, variant in recipes.items()
        if variant not in known
    }
    origin = locate(settings, ("primary", "against"), source.nearest)
    refuse(Problem(origin, text) for text in _ambiguous(against, found))
    if whole:
        text = f"every variant has {_asked(against)}; nothing is left to compare"
        refuse([Problem(origin, text)] if not found else [])
        alone = [recipes[name] for name, matching in found.items() if not matching]
        refuse(Problem(origin, text) for text in _alone(against, alone, known))
    return {name: matching[0].name for name, matching in found.items() if matching}


def _ambiguous(against: Against, found: Mapping[str, list[Variant]]) -> Iterator[str]:
    for name, matching in found.items():
        if len(matching) > 1:
            names = " and ".join(repr(one.name) for one in matching)
            text = f"{name!r} has {len(matching)} baselines with {_asked(against)}: {names}"
            yield f"{text}; expected one: name a further key in which they differ"


def _alone(against: Against, variants: Iterable[Variant], known: list[Variant]) -> Iterator[str]:
    """What to say of variants without a baseline, with the nearest that there is."""
    for variant in variants:
        text = f"{variant.name!r} has no baseline: no variant has {_asked(against)}"
        if not known:
            yield text
            continue
        nearest = min(known, key=lambda one: len(_differing(variant, one, against)))
        differing = ", ".join(_differing(variant, nearest, against))
        yield f"{text} and the same recipe; the nearest, {nearest.name!r}, differs in {differing}"


def _asked(against: Against) -> str:
    return " and ".join(f"{key} = {shown(value)}" for key, value in against.settings.items())


def _matches(variant: Variant, against: Against) -> bool:
    return all(getattr(variant, key) == value for key, value in against.settings.items())


def _differing(variant: Variant, other: Variant, against: Against) -> list[str]:
    compared = [key for key in AGREE if key not in against.settings]
    return [key for key in compared if getattr(variant, key) != getattr(other, key)]
