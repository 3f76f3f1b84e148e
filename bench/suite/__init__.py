"""Reading a suite: TOML → layers of settings → checked variants → `Suite`.

The layers, each over the one before: built-in defaults, the suite's own tables, the variant's
preset, the variant, what the matrix sweeps, what `--set` says.  So `--set training.batch_size=32`
holds for every variant, and `--set variant.wgan.clip=0.1` for that one.  A layer that names
another part (another network, another objective) starts its options afresh.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.errors import SuiteError, suggestion
from bench.suite.asking import Asking
from bench.suite.base import (
    Layer,
    Leaf,
    Origin,
    Problem,
    locate,
    nest,
    overlay,
    refuse,
)
from bench.suite.checking import read_check
from bench.suite.claims import read_claims
from bench.suite.document import Declared, declared, document, head, shared, table
from bench.suite.layers import layered
from bench.suite.matrix import cells
from bench.suite.models import Cell, Suite, Variant
from bench.suite.overrides import read_overrides
from bench.suite.positions import Source, read
from bench.suite.primary import Where, baselines, judged_apart, unmeasured
from bench.suite.probes import read_probes
from bench.suite.search import read_search
from bench.suite.sweeps import Draft, drafts, split, sweeps
from bench.suite.tables import Matrix, Primary
from bench.suite.variants import BUILT_IN, resolve, shared_problems

__all__ = ["Cell", "Primary", "Suite", "Variant", "load_suite"]


def load_suite(
    path: Path | str,
    *,
    overrides: Sequence[str] = (),
    variants: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    devices: Sequence[str] = (),
) -> Suite:
    """The suite in a TOML file, checked whole.

    `overrides` are KEY=VALUE as after `--set`; `variants` keeps those named (a swept one by its own
    name or that of the variant it is made of); `seeds` and `devices` replace the matrix's.
    Raises `SuiteError`, one line for the first thing that is wrong, by position.
    """
    source, sets = read(path), read_overrides(overrides)
    asked = _suite(source, sets, variants, seeds, devices)
    return replace(
        asked,
        overrides=tuple(overrides),
        options=_called(overrides, variants, seeds, devices),
        declared=_declared(source, sets) if variants or devices or seeds is not None else None,
    )


def _declared(source: Source, sets: Layer) -> Suite | None:
    """The suite without the options that narrow it; None where only they make it right."""
    try:
        return _suite(source, sets, (), None, ())
    except SuiteError:
        return None


def _suite(
    source: Source,
    sets: Layer,
    variants: Sequence[str],
    seeds: Sequence[int] | None,
    devices: Sequence[str],
) -> Suite:
    settings = overlay(document(source, sets), _options(seeds, devices))
    name, title = head(settings, source)
    written = declared(source, sets)
    own, swept = split(settings)
    matrix = table(Matrix, "matrix", nest(own), settings, source)
    primary = table(Primary, "primary", nest(settings).get("primary", {}), settings, source)
    made = drafts(list(written), sweeps(swept, list(written)), matrix)
    found, asked = cells(made, matrix, own)
    there = {cell.variant for cell in asked}
    names = {draft.name: draft.declared for draft in found if draft.name in there}
    asked = _chosen(found, asked, variants, seeds, devices)
    recipes, places = _recipes(source, sets, written, found, asked)
    refuse(unmeasured(source, settings, primary, recipes))
    refuse(judged_apart(primary, recipes, places))
    asking = Asking(source, settings, sets, recipes, primary, written, matrix.seeds, names)
    all_asked = not variants and not devices and seeds is None
    return Suite(
        claims=read_claims(asking),
        search=read_search(asking),
        check=read_check(asking),
        probes=read_probes(asking),
        name=name,
        title=title,
        path=Path(source.path),
        text=source.text,
        overrides=(),
        primary=primary,
        recipes=recipes,
        cells=tuple(asked),
        baselines=baselines(source, settings, primary.against, recipes, whole=all_asked),
        seeds=tuple(sorted({cell.seed for cell in asked}, key=_places(matrix.seeds))),
        devices=tuple(dict.fromkeys(cell.device for cell in asked)),
    )


def _places(seeds: Sequence[int]) -> Callable[[int], tuple[int, int]]:
    """The matrix's seeds in its order, then those that `include` adds."""
    places = {seed: place for place, seed in enumerate(seeds)}
    return lambda seed: (places.get(seed, len(places)), seed)


def _called(
    overrides: Sequence[str],
    variants: Sequence[str],
    seeds: Sequence[int] | None,
    devices: Sequence[str],
) -> tuple[str, ...]:
    """The options of the call as they would stand on the command line."""
    named = {"--set": overrides, "--variant": variants, "--device": devices}
    said = [(option, value) for option, values in named.items() for value in values]
    if seeds is not None:
        said.append(("--seeds", _ranges(seeds)))
    return tuple(text for pair in said for text in pair)


def _ranges(seeds: Sequence[int]) -> str:
    """`0-4,7`: numbers that follow one another as a range."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _options(seeds: Sequence[int] | None, devices: Sequence[str]) -> Layer:
    """What stands for the matrix's own seeds and devices."""
    layer: Layer = {}
    if seeds is not None:
        numbers = [operator.index(seed) for seed in seeds]
        layer["matrix", "seeds"] = Leaf(numbers, Origin("--seeds", 0, ""))
    if devices:
        layer["matrix", "devices"] = Leaf(list(devices), Origin("--device", 0, ""))
    return layer


def _chosen(
    found: Sequence[Draft],
    asked: Sequence[Cell],
    variants: Sequence[str],
    seeds: Sequence[int] | None,
    devices: Sequence[str],
) -> list[Cell]:
    """The runs that the options of the call leave."""
    names = {draft.name: draft.declared for draft in found}
    for name in variants:
        if name not in names and name not in names.values():
            text = f"not a variant of this suite{suggestion(name, {*names, *names.values()})}"
            refuse([Problem(Origin(f"--variant {name}", 0, ""), text)])
    left = [
        cell
        for cell in asked
        if (not variants or cell.variant in variants or names[cell.variant] in variants)
        and (seeds is None or cell.seed in seeds)
        and (not devices or cell.device in devices)
    ]
    if not left:
        refuse(
            [Problem(Origin("--variant, --seeds, --device", 0, ""), "these leave no run at all")]
        )
    return left


def _recipes(
    source: Source,
    sets: Layer,
    written: Mapping[str, Declared],
    found: Sequence[Draft],
    asked: Sequence[Cell],
) -> tuple[dict[str, Variant], dict[str, Where]]:
    """The variants that have a run, each with all its layers laid over one another, and where these
    were written."""
    problems = shared_problems(overlay(BUILT_IN, shared(source)), source.nearest)
    recipes: dict[str, Variant] = {}
    places: dict[str, Where] = {}
    for draft in found:
        seeds = {cell.seed for cell in asked if cell.variant == draft.name}
        if not seeds:
            continue
        one = written[draft.declared]
        settings = layered(source, sets, one, draft.settings)
        places[draft.name] = partial(locate, settings, otherwise=one.otherwise(source))
        variant, faults = resolve(draft.name, settings, one.otherwise(source))
        problems += faults
        if variant is not None:
            problems += _swept_in_vain(draft, variant, recipes.values())
            if variant.group > len(seeds):
                origin = locate(settings, ("training", "group"), source.nearest)
                text = f"a group of {variant.group} needs as many seeds, found {len(seeds)}"
                problems.append(Problem(origin, text))
            recipes[draft.name] = variant
    refuse(problems)
    return recipes, places


def _swept_in_vain(draft: Draft, variant: Variant, others: Iterable[Variant]) -> Iterator[Problem]:
    """A sweep whose values a later layer replaces makes one recipe under two names."""
    for other in others:
        if draft.chosen and replace(other, name=variant.name) == variant:
            same = f"{other.name!r} and {variant.name!r} come out the same"
            text = f"{same}; something, perhaps a --set, replaces what is swept"
            yield Problem(draft.chosen[0][0].origin, text)
