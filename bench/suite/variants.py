"""From the settings of a variant, all layers laid over one another, to the variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, cast

from bench import extractors, registry
from bench.datasets.base import Kind
from bench.errors import DataError, UnknownName, suggestion
from bench.metrics.evaluator import fitting_metric
from bench.records import Part
from bench.suite.base import (
    PARTS,
    RECIPE,
    SHARED,
    Fault,
    Key,
    Layer,
    Leaf,
    Origin,
    Problem,
    locate,
    nest,
    shown,
)
from bench.suite.checks import check, check_name, check_part
from bench.suite.models import Variant
from bench.suite.tables import WITHOUT_MODES, Judging, Rhythm, Training

BUILT_IN: Layer = {("schedule", "name"): Leaf("constant", Origin("built in", 0, "schedule.name"))}
"""The lowest layer; the other defaults stand in the dataclasses of their tables."""

AUTO = "auto"
"""Of an extractor: the one that is made for the data."""

_VARIANT_KEYS = ("name", "preset", *RECIPE, *SHARED)


def resolve(
    name: str, settings: Layer, otherwise: Callable[[Key], Origin]
) -> tuple[Variant | None, list[Problem]]:
    """The variant, or what is wrong with its settings.

    `otherwise` gives the position of a setting that no layer has.
    """
    checked, faults = _check(nest(settings))
    if faults:  # what is missing may be there under a wrong key: that comes first
        faults = [fault for fault in faults if not fault.missing] or faults
        return None, [Problem(locate(settings, f.key, otherwise), f.text) for f in faults]
    training, judging, rhythm = checked["training"], checked["evaluation"], checked["rhythm"]
    budget = training.budget.amount
    return Variant(
        name=name,
        **{part: cast(Part, checked[part]) for part in PARTS},
        init=rhythm.init,
        critic_steps=rhythm.critic_steps,
        packing=rhythm.packing,
        spectral_norm=rhythm.spectral_norm,
        batch_repeats=rhythm.batch_repeats,
        critic_boost=asdict(rhythm.critic_boost) if rhythm.critic_boost else None,
        batch_size=training.batch_size,
        budget=budget,
        engine=training.engine,
        precision=training.precision,
        group=training.group,
        compile=training.compile,
        threads=training.threads,
        checkpoint_every=training.checkpoint_every.amount if training.checkpoint_every else None,
        evaluation=judging.evaluation(
            budget, *_judged(checked), modes=_has_modes(checked["dataset"])
        ),
    ), []


def _judged(checked: Mapping[str, Any]) -> tuple[Kind, str]:
    """What samples there are to judge, and the extractor that judges them."""
    kind, asked = _kind(checked["dataset"]), checked["evaluation"].extractor
    if asked != AUTO:
        return kind, asked
    try:
        return kind, extractors.default(checked["dataset"]["name"], kind)
    except DataError:  # needed by nothing: `_conflicts` has seen to that
        return kind, AUTO


def _kind(dataset: Part) -> Kind:
    kind: Kind = registry.load("datasets", dataset["name"]).kind
    return kind


def _has_modes(dataset: Part) -> bool:
    """Whether classes of its samples can be counted; images' are their extractor's affair."""
    modes: bool = registry.load("datasets", dataset["name"]).known_modes
    return modes


def shared_problems(settings: Layer, otherwise: Callable[[Key], Origin]) -> list[Problem]:
    """What is wrong with the suite's own tables, though every variant may override it."""
    _, faults = _check(nest(settings))
    return [
        Problem(locate(settings, fault.key, otherwise), fault.text)
        for fault in faults
        if fault.key[0] in SHARED and not fault.missing
    ]


def _check(tree: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Every table of a variant, checked, with all faults by their key in the variant."""
    rhythm = {field.name: tree[field.name] for field in fields(Rhythm) if field.name in tree}
    results = {
        **{part: _part(part, tree.get(part, {})) for part in PARTS},
        "training": check(Training, tree.get("training", {})),
        "evaluation": check(Judging, tree.get("evaluation", {})),
    }
    checked: dict[str, Any] = {name: value for name, (value, _) in results.items()}
    found = [
        Fault((name, *f.key), f.text, f.missing) for name, (_, fs) in results.items() for f in fs
    ]
    checked["rhythm"], faults = check(Rhythm, rhythm)
    return checked, [*found, *faults, *_names(checked), *_conflicts(checked)]


def _part(part: str, table: Any) -> tuple[Part | None, list[Fault]]:
    if part != "objective":
        return check_part(f"{part}s", table)
    if table and "name" not in table:  # keys of the variant that can only be slips of the pen
        known = [(key, suggestion(key, _VARIANT_KEYS)) for key in table]
        return None, [Fault((key,), f"unknown key{mend}") for key, mend in known]
    checked, faults = check_part("objectives", table, known=_VARIANT_KEYS)
    named = f"unknown key with objective {shown(table.get('name'))}"
    return checked, [f._replace(text=f.text.replace("unknown key", named, 1)) for f in faults]


def _names(checked: dict[str, Any]) -> Iterator[Fault]:
    """The names that stand alone: of an initialisation, of metrics, of an extractor."""
    named: list[tuple[Key, str, str]] = []
    if checked["rhythm"]:
        named.append((("init",), "inits", checked["rhythm"].init))
    if judging := checked["evaluation"]:
        if judging.extractor != AUTO and not extractors.is_file(judging.extractor):
            named.append((("evaluation", "extractor"), "extractors", judging.extractor))
        for field in ("metrics", "final_metrics"):
            for index, metric in enumerate(getattr(judging, field) or ()):
                named.append((("evaluation", field, index), "metrics", metric))
    for key, kind, name in named:
        text = check_name(kind, name)
        if text:
            yield Fault(key, text)


def _conflicts(checked: dict[str, Any]) -> Iterator[Fault]:
    training, judging = checked["training"], checked["evaluation"]
    if training and training.engine == "textbook" and training.group > 1:
        text = f"the textbook engine trains one seed at a time; expected 1, found {training.group}"
        yield Fault(("training", "group"), text)
    rhythm = checked["rhythm"]
    if training and rhythm and training.batch_size % rhythm.packing:
        text = (
            f"{rhythm.packing} does not divide training.batch_size, {training.batch_size} samples"
        )
        yield Fault(("packing",), text)
    if judging and checked["dataset"]:
        yield from _misjudged(judging, checked["dataset"])


def _misjudged(judging: Judging, dataset: Part) -> Iterator[Fault]:
    """Metrics named twice, and metrics and an extractor that mean nothing on the data."""
    kind, modes = _kind(dataset), _has_modes(dataset)
    for index, metric in enumerate(judging.final_metrics):
        if metric in judging.judged_by(kind, modes=modes):
            text = f"{metric!r} is among evaluation.metrics, which are final too"
            yield Fault(("evaluation", "final_metrics", index), text)
    for field in ("metrics", "final_metrics"):
        for index, metric in enumerate(getattr(judging, field) or ()):
            with suppress(UnknownName):  # which is said by `_names`
                if unfit := _unfit(metric, dataset):
                    yield Fault(("evaluation", field, index), unfit)
    if extractors.is_file(judging.extractor):
        try:
            extractors.pinned(judging.extractor)
        except DataError as error:
            yield Fault(("evaluation", "extractor"), str(error))
    if judging.extractor == AUTO and (judging.judged_by(kind) or judging.final_metrics):
        try:
            extractors.default(dataset["name"], kind)
        except DataError as error:
            yield Fault(("dataset", "name"), str(error))


def _unfit(metric: str, dataset: Part) -> str | None:
    """Why the metric means nothing on the data."""
    try:
        found = fitting_metric(metric, _kind(dataset))
    except DataError as error:
        return str(error)
    if found.by_class and not _has_modes(dataset):
        told = f"{metric!r} counts modes, and {dataset['name']!r} has none"
        return f"{told}; expected others, such as {WITHOUT_MODES[-1]!r}"
    return None
