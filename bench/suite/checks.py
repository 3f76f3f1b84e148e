"""Checking a table against the dataclass of its options, and saying plainly what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass, is_pydantic_dataclass
from pydantic_core import ErrorDetails

from bench import registry
from bench.errors import BenchError, UnknownName, failure, suggestion
from bench.records import Part
from bench.suite.base import Fault, Key, one_line, shown
from bench.suite.tables import OWN_WORDS, STRICT

T = TypeVar("T")

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "dataclass_type": "a table",
}
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


def check(options: type[T], found: Any, known: Iterable[str] = ()) -> tuple[T | None, list[Fault]]:
    """A table as an instance of its dataclass, or else what is wrong with it.

    `known`: further keys that a suggestion for an unknown one may name.
    """
    if not isinstance(found, Mapping):
        return None, [Fault((), f"expected a table, found {shown(found)}")]
    try:  # as JSON, whose strict mode takes a list for a tuple and a whole number for a float
        hashable: Any = options  # mypy does not see that a class is
        return _adapter(hashable).validate_json(json.dumps(found)), []
    except ValidationError as error:
        return None, [_fault(options, found, detail, known) for detail in error.errors()]


@cache
def _adapter(options: Any) -> TypeAdapter[Any]:
    if is_pydantic_dataclass(options):
        return TypeAdapter(options)
    frozen = options.__dataclass_params__.frozen
    return TypeAdapter(dataclass(config=STRICT, frozen=frozen)(options))


def check_part(kind: str, found: Any, known: Iterable[str] = ()) -> tuple[Part | None, list[Fault]]:
    """A part `{name = …, options}` with every option filled in, or else what is wrong with it.

    `kind` is the registry's: `objectives`, `networks`, …
    """
    if not isinstance(found, Mapping):
        example = f"{{ name = {shown(found)} }}" if isinstance(found, str) else '{ name = "…" }'
        return None, [Fault((), f"expected a table such as {example}, found {shown(found)}")]
    if "name" not in found:
        names = ", ".join(sorted(registry.entries(kind)))
        return None, [Fault(("name",), f"is missing; expected one of: {names}", missing=True)]
    options = _options(kind, found["name"])
    if isinstance(options, str):
        return None, [Fault(("name",), options)]
    given = {key: value for key, value in found.items() if key != "name"}
    part, faults = check(options, given, known)
    return None if part is None else {"name": found["name"]} | options_of(part), faults


def _options(kind: str, name: Any) -> type | str:
    """The dataclass that a name stands for, or why it stands for none."""
    if not isinstance(name, str):
        return f"expected a name in quotes, found {shown(name)}"
    try:
        options = _load(kind, name)
    except UnknownName as error:
        return str(error)
    except (ImportError, AttributeError) as error:
        return f"{name!r} cannot be loaded: {error}"
    except Exception as error:  # a plugin's module runs as it is imported, and may raise anything
        return f"{name!r} cannot be loaded: {failure(error)}"
    if isinstance(options, type) and is_dataclass(options):
        return options
    return f"{name!r} is not a dataclass of options"


@cache
def _load(kind: str, name: str) -> Any:
    """`registry.load`, which asks every installed package for plugins each time."""
    return registry.load(kind, name)


def options_of(part: Any) -> dict[str, Any]:
    """The options of a part, by name."""
    return {field.name: getattr(part, field.name) for field in fields(part) if field.init}


def check_name(kind: str, name: str) -> str | None:
    """What to say of a name that the registry does not hold; None if it does."""
    try:
        # what is known is not imported here; `load` has the message for what is not
        if name not in registry.BUILT_IN[kind] and name not in registry.entries(kind):
            registry.load(kind, name)
    except BenchError as error:
        return str(error)
    return None


def _fault(options: type, found: Any, detail: ErrorDetails, known: Iterable[str]) -> Fault:
    missing = detail["type"] in ("missing", "missing_argument")
    key = _within(found, detail["loc"], missing)
    if detail["type"] in _UNKNOWN:
        return Fault(
            key, f"unknown key{suggestion(str(key[-1]), [*_fields(options, key), *known])}"
        )
    return Fault(key, _text(detail), missing)


def _within(found: Any, location: tuple[int | str, ...], missing: bool) -> Key:
    """Pydantic's location without what is not in the table (the member of a union it tried)."""
    key: Key = ()
    for part in location:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return (*key, part) if missing else key
        key = (*key, part)
    return key


def _fields(options: Any, key: Key) -> list[str]:
    """The names that the table which holds `key` knows."""
    for part in key[:-1]:
        hint = get_type_hints(options).get(str(part))
        options = next((one for one in (hint, *get_args(hint)) if is_dataclass(one)), options)
    return [field.name for field in fields(options) if field.init]


def _text(detail: ErrorDetails) -> str:
    kind, value, context = detail["type"], shown(detail["input"]), detail.get("ctx", {})
    text = f"found {value}: {detail['msg']}"
    if kind in ("missing", "missing_argument"):
        text = "is missing"
    elif kind in _EXPECTED:
        text = f"expected {_EXPECTED[kind]}, found {value}"
    elif kind == "too_short":
        text = f"expected at least {context['min_length']} of them, found {value}"
    elif kind == "too_long":
        text = f"expected at most {context['max_length']} of them, found {value}"
    elif kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        text = f"{value} is out of range; expected {words} {_number(context[bound])}"
    elif kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        text = f"{value} is not one of the choices{suggestion(str(detail['input']), choices)}"
    elif kind in (OWN_WORDS, "value_error"):  # the latter: what a part's __post_init__ raises
        text = one_line(detail["msg"].removeprefix("Value error, "))
    return text


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
