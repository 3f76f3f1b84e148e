"""A suite file as a document: its head, its tables, its variants as written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bench import registry
from bench.errors import suggestion
from bench.suite.base import (
    RECIPE,
    SHARED,
    Key,
    Layer,
    Origin,
    Problem,
    dotted,
    locate,
    nest,
    refuse,
    settled,
    shown,
    spread,
)
from bench.suite.base import overlay as over
from bench.suite.checks import check, check_name
from bench.suite.positions import Source
from bench.suite.tables import NAME, RESERVED

T = TypeVar("T")

_OWN = ("schema", "name", "title", "primary", "matrix", "search", "check")
_LISTED = ("claim", "probe")
"""Tables of which there may be several."""
_NAMES = "1 to 64 of the characters a-z, 0-9, _ and -"


def document(source: Source, sets: Layer) -> Layer:
    """All of the file but its variants and shared tables, with what `--set` says of it."""
    refuse(_unknown(source, sets))
    file = {name: value for name, value in source.tree.items() if name in _OWN}
    layer = spread(file, source.origin) if file else {}
    return over(layer, {key: leaf for key, leaf in sets.items() if key[0] in _OWN})


def shared(source: Source) -> Layer:
    """The tables that hold for all variants."""
    file = {name: value for name, value in source.tree.items() if name in SHARED}
    return spread(file, source.origin)


def _unknown(source: Source, sets: Layer) -> Iterator[Problem]:
    origins = {name: source.origin((name,)) for name in source.tree}
    origins |= {str(key[0]): leaf.origin for key, leaf in sets.items()}
    for name, origin in origins.items():
        if name in RECIPE or name == "preset":
            yield Problem(origin, f"this belongs to a variant; expected variant.NAME.{name}")
        elif name == "matrix" and not isinstance(source.tree.get(name, {}), dict):
            yield Problem(origin, f"expected a table, found {shown(source.tree[name])}")
        elif name not in (known := (*_OWN, *_LISTED, *SHARED, "variant")):
            yield Problem(origin, f"unknown key{suggestion(name, known)}")


def head(settings: Layer, source: Source) -> tuple[str, str]:
    """The suite's name and title."""
    where = {
        name: locate(settings, (name,), source.nearest) for name in ("schema", "name", "title")
    }
    values = nest(settings)
    schema, name = values.get("schema"), values.get("name")
    title = values.get("title", name)
    refuse([*_schema(schema, where["schema"]), *name_problems(name, where["name"])])
    if name in RESERVED:
        refuse(
            [Problem(where["name"], f"{name!r} is a folder of the results; expected another name")]
        )
    if not isinstance(title, str):
        refuse([Problem(where["title"], f"expected a string, found {shown(title)}")])
    return str(name), str(title)


def _schema(schema: Any, origin: Origin) -> Iterator[Problem]:
    if schema is None:
        yield Problem(origin, "is missing; expected schema = 1 at the top of the file")
    elif isinstance(schema, bool) or schema != 1:
        yield Problem(origin, f"found {shown(schema)}; this version of bench reads schema = 1")


def name_problems(name: Any, origin: Origin) -> Iterator[Problem]:
    """What keeps a name from being one (of a folder, of a column)."""
    if name is None:
        yield Problem(origin, f"is missing; expected {_NAMES}")
    elif not isinstance(name, str) or not re.fullmatch(NAME, name):
        yield Problem(origin, f"{shown(name)} is not a name; expected {_NAMES}")


def table(options: type[T], name: str, found: Any, settings: Layer, source: Source) -> T:
    """One of the document's tables, checked."""
    checked, faults = check(options, found)
    refuse(
        Problem(locate(settings, (name, *fault.key), source.nearest), fault.text)
        for fault in faults
    )
    assert checked is not None  # there were no faults
    return checked


@dataclass(frozen=True)
class Declared:
    """A `[[variant]]` as written: the preset it starts from, and its own settings."""

    name: str
    preset: Layer
    own: Layer
    key: Key
    """Where it stands in the file."""

    def otherwise(self, source: Source) -> Callable[[Key], Origin]:
        """The position of a setting that no layer has: the suite's table, else the variant."""

        def origin(key: Key) -> Origin:
            if key[0] in SHARED:
                return source.origin(key[:1], "")
            return source.origin(self.key, f"variant.{self.name}")

        return origin


def declared(source: Source, sets: Layer) -> dict[str, Declared]:
    """Every variant of the file, by name and in order."""
    found = source.tree.get("variant")
    origin = source.origin(("variant",))
    if not isinstance(found, list) or not found:
        given = "found none" if not found else f"found {shown(found)}"
        refuse([Problem(origin, f"expected at least one [[variant]], {given}")])
        return {}
    variants: dict[str, Declared] = {}
    for index, one in enumerate(found):
        refuse(_variant_problems(source, index, one, variants))
        variants[one["name"]] = _declared(source, index, one)
    refuse(_set_problems(sets, variants))
    return variants


def _variant_problems(
    source: Source, index: int, one: Any, others: Mapping[str, Declared]
) -> Iterator[Problem]:
    key: Key = ("variant", index)
    if not isinstance(one, dict):
        yield Problem(source.origin(key), f"expected a [[variant]] table, found {shown(one)}")
        return
    name = one.get("name")
    origin = source.origin((*key, "name"))
    yield from name_problems(name, origin)
    if isinstance(name, str) and name in others:
        yield Problem(origin, f"there is already a variant {name!r}")
    preset = one.get("preset")
    if "preset" in one:
        at = source.origin((*key, "preset"), f"variant.{name}.preset")
        if not isinstance(preset, str):
            yield Problem(at, f"expected the name of a preset, found {shown(preset)}")
        elif text := check_name("presets", preset):
            yield Problem(at, text)


def _declared(source: Source, index: int, one: Mapping[str, Any]) -> Declared:
    name, key = one["name"], ("variant", index)

    def origin(inner: Key) -> Origin:
        return source.origin((*key, *inner), f"variant.{name}.{dotted(inner)}")

    def of_preset(inner: Key) -> Origin:
        preset = f"variant.{name}.preset {one['preset']!r}"
        return source.origin((*key, "preset"), f"{preset}: {dotted(inner)}")

    own = {head: value for head, value in one.items() if head not in ("name", "preset")}
    preset = registry.load("presets", one["preset"]) if "preset" in one else {}
    return Declared(name, _relative(spread(preset, of_preset)), _relative(spread(own, origin)), key)


def _relative(layer: Layer) -> Layer:
    return {settled(key): leaf for key, leaf in layer.items()}


def variant_sets(sets: Layer, name: str) -> Layer:
    """What `--set` says of one variant."""
    return {settled(key[2:]): leaf for key, leaf in sets.items() if key[:2] == ("variant", name)}


def _set_problems(sets: Layer, variants: Mapping[str, Declared]) -> Iterator[Problem]:
    for key, leaf in sets.items():
        if key == ("matrix",):
            yield Problem(leaf.origin, f"expected a table, found {shown(leaf.value)}")
        if key[0] != "variant":
            continue
        if len(key) < 3:
            yield Problem(leaf.origin, "expected variant.NAME.KEY=VALUE")
        elif key[1] not in variants:
            known = suggestion(str(key[1]), variants)
            yield Problem(leaf.origin, f"{str(key[1])!r} is not a variant{known}")
        elif key[2] in ("name", "preset"):
            yield Problem(leaf.origin, f"a variant's {key[2]} cannot be set; edit the suite")
