"""The table `[search]`: trials drawn for every variant, each of them checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from bench.costs import RUN_COSTS
from bench.suite.asking import Asking
from bench.suite.base import Key, Leaf, Problem, dotted, nest, refuse, settled
from bench.suite.document import table
from bench.suite.matrix import cells
from bench.suite.models import Cell, Search, Trial
from bench.suite.space import distribution, inner
from bench.suite.sweeps import Draft, Sweep, drafts, split, sweeps, target_of
from bench.suite.tables import Matrix, Searching
from bench.suite.trials import Drawn, Tuned, meet, place

_ALIKE = ("dataset", "evaluation")
"""Tables that must be the same for all that is compared."""


def read_search(asking: Asking) -> Search | None:
    """The trials of every variant; None where the suite asks for none.

    Raises `SuiteError` for the first thing that is wrong with the table or with any trial.
    """
    found = nest(asking.settings).get("search")
    if found is None:
        return None
    if "search" not in asking.source.tree:  # half a table would come out of `--set` alone
        refuse([Problem(place(asking), "the suite has no table [search]; write one")])
    asked = table(Searching, "search", found, asking.settings, asking.source)
    made, runs = _matrix(asking)
    refuse([*_unfit(asking), *_seen_before(asking, asked, runs)])
    space = _space(asking)
    refuse(_swept(asking, space))
    tried: dict[str, tuple[Trial, ...]] = {}
    declared: dict[str, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for draft in made:
        if draft.name in asking.recipes:
            one = Tuned(asking, asked, draft, space)
            problems += one.problems()
            if not problems:
                tried[draft.name], declared[draft.name] = one.trials(problems), one.declared()
    refuse(problems)
    return Search(seeds=asked.seeds, trials=tried, declared=declared)


def _matrix(asking: Asking) -> tuple[list[Draft], list[Cell]]:
    """The variants that the matrix makes, swept ones too, and the comparison's runs."""
    own, swept = split(asking.settings)
    matrix = table(Matrix, "matrix", nest(own), asking.settings, asking.source)
    made = drafts(list(asking.written), sweeps(swept, list(asking.written)), matrix)
    return cells(made, matrix, own)


def _unfit(asking: Asking) -> Iterator[Problem]:
    """Comparisons for which no search can choose."""
    primary = asking.primary
    if primary.metric in RUN_COSTS:
        text = f"trials are judged by primary.metric, and {primary.metric!r} is what runs cost"
        yield Problem(place(asking), f"{text}; expected a metric of their samples")
    elif not all(one.evaluation.metrics for one in asking.recipes.values()):
        text = "trials are judged by primary.metric, and evaluation.metrics is empty"
        yield Problem(place(asking), text)
    if primary.against is not None:
        text = "tunes each variant apart, so none keeps the baseline that primary.against asks for"
        yield Problem(place(asking), f"{text}; leave one of the two out")


def _seen_before(asking: Asking, asked: Searching, runs: Iterable[Cell]) -> Iterator[Problem]:
    """Seeds of the search that are the comparison's too."""
    taken = {*asking.seeds, *(run.seed for run in runs)}
    if both := [seed for seed in asked.seeds if seed in taken]:
        seeds = f"seed {both[0]} is" if len(both) == 1 else f"seeds {_joined(both)} are"
        text = f"{seeds} the comparison's too; winners are compared on seeds of their own"
        yield Problem(place(asking, "seeds"), text)


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _space(asking: Asking) -> list[Drawn]:
    """The keys of the space; what `--set` says of one holds against the file."""
    leaves = {key[2:]: leaf for key, leaf in asking.settings.items() if key[:2] == _SPACE}
    tables: dict[str, dict[str, Leaf]] = {}
    for rest, leaf in leaves.items():
        name, kind = (inner(rest[:-1]), str(rest[-1])) if len(rest) > 1 else (inner(rest), "")
        held = tables.setdefault(name, {})
        above = [kind for kind, other in held.items() if _option(other) < _option(leaf)]
        for gone in above:
            del held[gone]
        if all(_option(other) <= _option(leaf) for other in held.values()):
            held[kind] = leaf
    if not leaves or tables.keys() == {""}:
        refuse([Problem(place(asking, "space"), "is empty; expected keys of a variant to draw")])
    found = [_key(asking, name, held) for name, held in tables.items()]
    refuse(each for each in found if isinstance(each, Problem))
    return [each for each in found if isinstance(each, Drawn)]


_SPACE: Key = ("search", "space")


def _option(leaf: Leaf) -> bool:
    return leaf.origin.order == 0


def _key(asking: Asking, name: str, held: Mapping[str, Leaf]) -> Drawn | Problem:
    first = next(iter(held.values()))
    origin = replace(first.origin, key=dotted((*_SPACE, name)))
    written = {kind: leaf.value for kind, leaf in held.items()}
    values = distribution(written.get("", written))
    if isinstance(values, str):
        return Problem(origin, values)
    target = _target(name, list(asking.written))
    if isinstance(target, str):
        return Problem(origin, target)
    variant, key = target
    if key[0] in _ALIKE or key[:2] == ("training", "budget"):
        text = "this is the same for everything that is compared; it cannot be drawn"
        return Problem(origin, text)
    return Drawn(name, variant, key, values, origin)


def _target(name: str, written: list[str]) -> tuple[str | None, Key] | str:
    """The variant a key is about (None: every one) and the setting in it, or what is wrong."""
    head, *rest = name.split(".")
    if head == "variant":
        return target_of(name, written, ())
    if head in ("name", "preset") or not all((head, *rest)):
        return f"a variant's {head} cannot be drawn" if head else "not a key of a variant"
    return None, settled((head, *rest))


def _swept(asking: Asking, space: Iterable[Drawn]) -> Iterator[Problem]:
    """Keys that are both drawn and swept."""
    _, swept = split(asking.settings)
    for sweep in sweeps(swept, list(asking.written)):
        for each in space:
            if meet(each.key, sweep.key) and _both(each, sweep):
                text = f"matrix sweeps {sweep.text!r} too; leave one of the two out"
                yield Problem(each.origin, text)


def _both(each: Drawn, sweep: Sweep) -> bool:
    return each.variant is None or sweep.variant in (None, each.variant)
