"""`--set KEY=VALUE`: a setting laid over the suite file, with the option as its position."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench.errors import SuiteError
from bench.suite.base import (
    DEEPEST,
    Key,
    Layer,
    Origin,
    dotted,
    one_line,
    overlay,
    spread,
    unusable,
)

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_OVERRIDE = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=(.*)", re.DOTALL)


def read_overrides(texts: Sequence[str]) -> Layer:
    """One layer of all the overrides; of two on the same key the later one holds.

    Values are TOML; what is not (`--set training.engine=eager`) is a string.  Raises `SuiteError`
    for text that is not KEY=VALUE.
    """
    layer: Layer = {}
    for text in texts:
        key, value = _split(text)
        where = f"--set {text}"

        fault = unusable(value)
        if fault:
            raise SuiteError(one_line(f"{where}: {fault.text}"))
        leaves = spread(value, partial(_origin, where), key)
        layer = _merge(layer, leaves)
    return layer


def _origin(where: str, key: Key) -> Origin:
    return Origin(where, 0, dotted(key))


def _merge(lower: Layer, upper: Layer) -> Layer:
    """As `overlay`, but options and the name of their part may come in any order."""
    names = {key: leaf for key, leaf in upper.items() if key[-1] == "name"}
    return overlay({key: leaf for key, leaf in lower.items() if key not in names}, upper)


def _split(text: str) -> tuple[Key, Any]:
    match = _OVERRIDE.fullmatch(text)
    if match is None:
        expected = "expected KEY=VALUE, for example training.batch_size=32"
        raise SuiteError(one_line(f"--set {text}: {expected}"))
    return _key(text, match[1]), _value(text, match[2].strip())


def _key(text: str, key: str) -> Key:
    try:
        table: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError) as error:
        raise SuiteError(one_line(f"--set {text}: {key!r} is not a key")) from error
    parts: list[str] = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    if unusable(dict.fromkeys(parts, 0)) or len(parts) > DEEPEST:
        raise SuiteError(one_line(f"--set {text}: not a key of a suite"))
    return tuple(parts)


def _value(text: str, value: str) -> Any:
    if not value:
        raise SuiteError(one_line(f"--set {text}: there is no value after the ="))
    try:
        read = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError) as error:
        if value[0] not in "\"'[{":
            return value
        raise SuiteError(one_line(f"--set {text}: {value!r} is not a TOML value")) from error
    if read.keys() != {"value"}:
        raise SuiteError(one_line(f"--set {text}: expected one value on one line"))
    return read["value"]
