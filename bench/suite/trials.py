"""The trials of one variant: drawn from the space, laid over its settings, and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bench.suite.asking import Asking
from bench.suite.base import (
    PARTS,
    Key,
    Layer,
    Leaf,
    Origin,
    Problem,
    always,
    locate,
    nest,
    overlay,
    shown,
    spoken,
    spread,
)
from bench.suite.layers import layered
from bench.suite.models import Trial, Variant
from bench.suite.space import Distribution, draws, inner, size
from bench.suite.sweeps import Draft, fitting
from bench.suite.tables import Searching
from bench.suite.variants import resolve


@dataclass(frozen=True)
class Drawn:
    """One key of the space, and the values it may have."""

    text: str
    """As the suite writes it."""
    variant: str | None
    """None: every variant."""
    key: Key
    """Among a variant's settings."""
    values: Distribution
    origin: Origin

    @property
    def own(self) -> str:
        """As it is written within a variant."""
        return inner(spoken(self.key))


@dataclass(frozen=True)
class Tuned:
    """One variant of which trials are drawn."""

    asking: Asking
    asked: Searching
    draft: Draft
    space: list[Drawn]

    @property
    def name(self) -> str:
        """The variant's."""
        return self.draft.name

    @property
    def recipe(self) -> Variant:
        """The variant as the suite has it."""
        return self.asking.recipes[self.name]

    @property
    def keys(self) -> dict[str, Drawn]:
        """What is drawn for it, by the key within the variant; its own holds against all's."""
        about = [each for each in self.space if each.variant in (None, self.draft.declared)]
        about.sort(key=lambda each: each.variant is not None)
        return {each.own: each for each in about}

    def problems(self) -> Iterator[Problem]:
        """What is wrong before anything is drawn."""
        if not self.keys:
            text = f"no key is about {self.name!r}, which would have no trials"
            yield Problem(place(self.asking, "space"), f"{text}; every variant has as many")
            return
        for each in self.keys.values():
            if each.variant is None and (foreign := self._foreign(each)):
                yield Problem(each.origin, foreign)
        there = size(self._distributions())
        if self.asked.trials > there:
            text = f"the space of {self.name!r} holds {there:,.0f} settings"
            mend = f"a search of {self.asked.trials:,} trials makes duplicates; expected no more"
            yield Problem(place(self.asking, "trials"), f"{text}, so {mend}")

    def _foreign(self, each: Drawn) -> str | None:
        """Why a key that is for every variant is none of this one's."""
        if self._takes(self.recipe, each):
            return None
        others = self.asking.recipes.values()
        have = [other.name for other in others if self._takes(other, each)]
        if not have:
            return None  # the checks of a trial say so, with a suggestion
        part = str(each.key[0])
        which = f"{self.name!r}, whose {part} is {getattr(self.recipe, part)['name']!r}"
        mend = " and ".join(f'"variant.{name}.{each.own}"' for name in have)
        return f"no key of {which}; write {mend} instead"

    def _takes(self, recipe: Variant, each: Drawn) -> bool:
        part, *rest = each.key
        named = {other.key for other in self.keys.values()}
        if part not in PARTS or not rest or rest == ["name"] or (part, "name") in named:
            return True
        return rest[0] in getattr(recipe, str(part))

    def _distributions(self) -> dict[str, Distribution]:
        return {name: each.values for name, each in self.keys.items()}

    def trials(self, problems: list[Problem]) -> tuple[Trial, ...]:
        """Every trial; what is wrong with one of them goes to `problems`."""
        asked, found = self.asked, []
        settings = draws(self._distributions(), asked.draw, self.name, asked.trials)
        if len(settings) < asked.trials:
            text = f"only {len(settings)} settings of {self.name!r} differ"
            mend = f"a search of {asked.trials:,} trials makes duplicates"
            problems.append(Problem(place(self.asking, "space"), f"{text}, so {mend}"))
        for number, drawn in enumerate(settings, 1):
            trial, faults = self._trial(number, drawn)
            if faults:
                problems += faults
                break
            found += [trial] if trial else []
        problems += self._alike(found)
        return tuple(found)

    def _trial(self, number: int, drawn: Mapping[str, Any]) -> tuple[Trial | None, list[Problem]]:
        layer: Layer = {}
        for name, value in drawn.items():
            one = self.keys[name]
            layer = overlay(layer, spread(value, always(one.origin), one.key))
        written = self.asking.written[self.draft.declared]
        source = self.asking.source
        given = layered(source, self.asking.sets, written, self.draft.settings, layer)
        if problem := self._replaced(layer, given):
            return None, [problem]
        otherwise = written.otherwise(source)
        recipe, faults = resolve(self.name, given, otherwise)
        name = fitting(f"{self.name}-trial-{number:02d}")
        trial, more = resolve(name, overlay(given, self._budget()), otherwise)
        faults = faults or more
        if recipe is None or trial is None:
            return None, [p._replace(text=self._of(number, drawn, p.text)) for p in faults]
        if name in self.asking.recipes:
            return None, [Problem(place(self.asking), f"there is already a variant {name!r}")]
        if trial.group > len(self.asked.seeds):
            text = f"training.group = {trial.group} of {self.name!r} needs as many search seeds"
            where = place(self.asking, "seeds")
            return None, [Problem(where, f"{text}, found {len(self.asked.seeds)}")]
        return Trial(number, trial, recipe, drawn), []

    def _of(self, number: int, drawn: Mapping[str, Any], text: str) -> str:
        values = ", ".join(f"{name} = {shown(value)}" for name, value in drawn.items())
        return f"{text} (trial {number} of {self.name!r}: {values})"

    def _budget(self) -> Layer:
        length = self.asked.budget
        if length is None:
            return {}
        amount = length.amount
        key: Key = ("training", "budget", amount.unit)
        return {key: Leaf(amount.count, place(self.asking, "budget"))}

    def _replaced(self, layer: Layer, given: Layer) -> Problem | None:
        """A drawn value that a later layer hides."""
        for key, leaf in layer.items():
            if given.get(key) != leaf:
                hides = [o for k, (_, o) in given.items() if meet(k, key)]
                by = hides[0].where if hides else "a --set"
                return Problem(leaf.origin, f"{by} replaces what is drawn; leave one of them out")
        return None

    def _alike(self, found: list[Trial]) -> Iterator[Problem]:
        """Trials that differ in what is drawn and come out as one recipe."""
        for later, trial in enumerate(found):
            for earlier in found[:later]:
                if replace(earlier.variant, name=trial.variant.name) == trial.variant:
                    text = f"trials {earlier.number} and {trial.number} of {self.name!r}"
                    mend = "a search that makes duplicates"
                    yield Problem(place(self.asking, "space"), f"{text} come out the same: {mend}")
                    return

    def declared(self) -> Mapping[str, Any]:
        """What the variant has for the drawn keys by itself; None where it has nothing."""
        written = self.asking.written[self.draft.declared]
        own = layered(self.asking.source, self.asking.sets, written, self.draft.settings)
        tree = nest(own)
        return {name: _value(tree, self.recipe, one.key) for name, one in self.keys.items()}


def _value(tree: Mapping[str, Any], recipe: Variant, key: Key) -> Any:
    """A setting by its key: as written, else the default that the recipe has."""
    for found in (tree, _tables(recipe)):
        value: Any = found
        for part in map(str, key):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _tables(recipe: Variant) -> dict[str, Any]:
    """A recipe in the shape of a suite's tables."""
    return {**vars(recipe), "training": vars(recipe)}


def place(asking: Asking, *key: str) -> Origin:
    """Where a key of `[search]` was written."""
    return locate(asking.settings, ("search", *key), asking.source.nearest)


def meet(one: Key, other: Key) -> bool:
    """Whether two keys are the same, or one lies within the other."""
    return one[: len(other)] == other[: len(one)]
