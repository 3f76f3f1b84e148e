"""The tables `[[probe]]`: which experiments, with which options, about which variants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from bench import registry
from bench.errors import suggestion
from bench.suite.asking import Asking
from bench.suite.base import (
    Fault,
    Key,
    Layer,
    Origin,
    Problem,
    dotted,
    locate,
    nest,
    overlay,
    refuse,
    shown,
    spread,
)
from bench.suite.checks import check, check_name, check_part
from bench.suite.models import Probing
from bench.suite.tables import ProbeTable

SEEDS = 3
"""Of the comparison's first: as many as a probe has that names none."""

_TABLE = tuple(field.name for field in fields(ProbeTable))


@dataclass(frozen=True)
class _Written:
    """One table, what `--set` says of it laid over it."""

    name: str
    settings: Layer
    otherwise: Callable[[Key], Origin]

    def problems(self, faults: list[Fault]) -> Iterator[Problem]:
        """The faults, at the places where their settings were written."""
        for fault in faults:
            of_one = fault.key and locate(self.settings, fault.key, self.otherwise)
            yield Problem(of_one or self.otherwise(()), fault.text)


def read_probes(asking: Asking) -> tuple[Probing, ...]:
    """The probes of a suite, in the order of the file.

    One about a variant that `--variant` leaves out of this call is left out with it.
    Raises `SuiteError`, one line for the first thing that is wrong, by position.
    """
    tables = _written(asking)
    found = [_probing(asking, table) for table in tables.values()]
    refuse(_set_problems(asking.sets, tables))
    return tuple(each for each in found if set(each.variants) <= set(asking.recipes))


def _written(asking: Asking) -> dict[str, _Written]:
    source = asking.source
    listed = source.tree.get("probe", [])
    if not isinstance(listed, list):
        text = f"expected [[probe]] tables, found {shown(listed)}"
        refuse([Problem(source.origin(("probe",)), text)])
    tables: dict[str, _Written] = {}
    for index, one in enumerate(listed):
        key: Key = ("probe", index)
        refuse(_misnamed(one, source.origin(key), source.origin((*key, "name")), tables))
        tables[one["name"]] = _table(asking, one, key)
    return tables


def _misnamed(
    one: Any, table: Origin, named: Origin, others: Mapping[str, _Written]
) -> Iterator[Problem]:
    if not isinstance(one, dict):
        yield Problem(table, f"expected a [[probe]] table, found {shown(one)}")
        return
    name = one.get("name")
    if "name" not in one:
        known = ", ".join(sorted(registry.entries("probes")))
        yield Problem(named, f"is missing; expected one of: {known}")
    elif not isinstance(name, str):
        yield Problem(named, f"expected a name in quotes, found {shown(name)}")
    elif text := check_name("probes", name):
        yield Problem(named, text)
    elif name in others:
        yield Problem(named, f"there is already a probe {name!r}; expected one table of each")


def _table(asking: Asking, one: Mapping[str, Any], key: Key) -> _Written:
    source, name = asking.source, one["name"]

    def origin(inner: Key) -> Origin:
        return source.origin((*key, *inner), f"probe.{name}.{dotted(inner)}")

    own = spread({head: value for head, value in one.items() if head != "name"}, origin)
    own = {inner: leaf for inner, leaf in own.items() if inner}
    above = {k[2:]: leaf for k, leaf in asking.sets.items() if k[:2] == ("probe", name) and k[2:]}
    return _Written(name, overlay(own, above), lambda _: source.origin(key, f"probe.{name}"))


def _set_problems(sets: Layer, tables: Mapping[str, _Written]) -> Iterator[Problem]:
    for key, leaf in sets.items():
        if key[0] != "probe":
            continue
        if len(key) < 3:
            yield Problem(leaf.origin, "expected probe.NAME.KEY=VALUE")
        elif key[1] not in tables:
            mend = suggestion(str(key[1]), tables) if tables else "; it has no [[probe]]"
            yield Problem(leaf.origin, f"{str(key[1])!r} is not a probe of this suite{mend}")
        elif key[2] == "name":
            yield Problem(leaf.origin, "a probe's name cannot be set; edit the suite")


def _probing(asking: Asking, table: _Written) -> Probing:
    tree = nest(table.settings)
    named = {key: tree.pop(key) for key in _TABLE if key in tree}
    if "name" in tree:  # of a --set, which `_set_problems` refuses
        del tree["name"]
    probe, faults = check_part("probes", {"name": table.name, **tree}, known=_TABLE)
    own, more = check(ProbeTable, named)
    refuse(table.problems([*faults, *more]))
    assert probe is not None  # there were no faults
    assert own is not None
    variants, wrong = _variants(asking, table.name, own.variants)
    refuse(table.problems(wrong))
    return Probing(probe, variants, own.seeds or tuple(asking.seeds[:SEEDS]))


def _variants(
    asking: Asking, probe: str, wanted: tuple[str, ...] | None
) -> tuple[tuple[str, ...], list[Fault]]:
    """The variants that a probe is about, and what is wrong with those named.

    The name of a `[[variant]]` that is swept stands for all that the sweep makes of it.
    """
    kind = registry.load("probes", probe)
    if wanted is None:
        return tuple(asking.names) if kind.variants and kind.every_variant else (), []
    if not kind.variants:
        return (), [Fault(("variants",), f"{probe!r} is about no variants; leave the key out")]
    found: dict[str, None] = {}
    faults: list[Fault] = []
    for index, name in enumerate(wanted):
        meant = [one for one, made_of in asking.names.items() if name in (one, made_of)]
        found |= dict.fromkeys(meant)
        if not meant:
            faults.append(Fault(("variants", index), _unknown(asking, name)))
    return tuple(found), faults


def _unknown(asking: Asking, name: str) -> str:
    if name in asking.written:
        return f"{name!r} has no run in this suite"
    return f"{name!r} is not a variant{suggestion(name, {*asking.names, *asking.written})}"
