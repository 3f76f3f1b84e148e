"""A record as the columns of a table, and a record again.

A field that is itself a record becomes a column for each field of that record: `before_power_w` of
`before: Clocks`; a name that only repeats the type (`reading: Reading`) leads nothing.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Column(NamedTuple):
    """A column: its name, the type of what it holds, and whether that may be null."""

    name: str
    kind: Any
    nullable: bool


def columns(record: type, prefix: str = "") -> Iterator[Column]:
    """The columns of a record's type, in the order of its fields."""
    for part in _parts(record, prefix):
        if part.within is not None:
            yield from columns(part.kind, part.within)
        else:
            yield Column(part.column, part.kind, part.nullable)


def flat(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Column → value."""
    kind: Any = type(record)
    for part in _parts(kind, prefix):
        value = getattr(record, part.name)
        if part.within is not None:
            yield from flat(value, part.within)
        else:
            yield part.column, value


def rebuilt(record: type[T], row: Mapping[str, Any], prefix: str = "") -> T:
    """The record of a row; a list that is null, as an older table has it, is an empty one."""
    kind: Any = record
    found: dict[str, Any] = {}
    for part in _parts(kind, prefix):
        if part.within is not None:
            found[part.name] = rebuilt(part.kind, row, part.within)
        elif part.many:
            found[part.name] = tuple(row[part.column] or ())
        else:
            found[part.name] = row[part.column]
    return record(**found)


class _Part(NamedTuple):
    """A field of a record."""

    name: str
    column: str
    kind: Any
    nullable: bool
    many: bool
    within: str | None
    """What leads the names of its columns, if it is itself a record."""


@cache
def _parts(record: Any, prefix: str) -> tuple[_Part, ...]:
    hints = get_type_hints(record)
    return tuple(_part(each.name, hints[each.name], prefix) for each in fields(record))


def _part(name: str, hint: Any, prefix: str) -> _Part:
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    kind = next(option for option in options if option is not type(None))
    leading = prefix if name == getattr(kind, "__name__", "").lower() else f"{prefix}{name}_"
    return _Part(
        name=name,
        column=prefix + name,
        kind=kind,
        nullable=type(None) in options,
        many=get_origin(kind) is tuple,
        within=leading if is_dataclass(kind) else None,
    )
