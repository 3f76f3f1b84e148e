"""Settings that know where they were written, and problems that say so.

Every layer of settings (the suite's tables, a preset, a variant, a `--set`) is a flat mapping from
key to leaf, so that laying one over another is a union with two exceptions, both in `overlay`.
"""

from __future__ import annotations

import datetime
import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.errors import SuiteError

Key = tuple[str | int, ...]

PARTS = ("dataset", "network", "objective", "optimizer", "schedule")
SHARED = ("dataset", "network", "training", "evaluation")
"""The tables of a suite that hold for all variants, and that a variant may override."""
RECIPE = (
    "objective", "critic_steps", "optimizer", "schedule", "init", "packing", "spectral_norm",
    "batch_repeats", "critic_boost",
)  # fmt: skip
"""The keys of a variant that the suite's own tables do not have."""
LENGTHS: tuple[Key, ...] = (
    ("training", "budget"),
    ("training", "checkpoint_every"),
    ("evaluation", "every"),
)

DEEPEST = 16
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Origin:
    """Where a setting was written, and under which key, as a user would find it."""

    where: str
    """`suites/mine.toml:14`, or the option that set it."""
    order: int
    """The line; 0 for an option."""
    key: str


class Leaf(NamedTuple):
    """A value that is not a table, and where it comes from."""

    value: Any
    origin: Origin


Layer = dict[Key, Leaf]


class Fault(NamedTuple):
    """What is wrong with a table, by the key within it."""

    key: Key
    text: str
    missing: bool = False
    """Nothing stands there, as against something wrong."""


class Problem(NamedTuple):
    """One line for the user: where, which key, what."""

    origin: Origin
    text: str

    def line(self) -> str:
        """The message; the key is left out where the option shows it already."""
        where, key = self.origin.where, self.origin.key
        shows = where.startswith(("--seeds", "--device", "--variant", f"--set {key}="))
        named = key and not shows
        return one_line(": ".join([where, *([key] if named else []), self.text]))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise `SuiteError` for the first problem by position, if there is any."""
    first = min(problems, key=lambda problem: problem.origin.order, default=None)
    if first is not None:
        raise SuiteError(first.line())


def one_line(text: str) -> str:
    """Text with every control character, line break and lone surrogate spelt out."""
    return "".join(
        character.encode("unicode_escape").decode() if _control(character) else character
        for character in text
    )


def shown(value: Any, width: int = 60) -> str:
    """A value as it stands in a message: as TOML writes it, cut short where it is long."""
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def dotted(key: Key) -> str:
    """A key as a user writes it; a position in a list in brackets, a name with dots in quotes."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += "." * bool(text) + (json.dumps(part) if "." in part or not part else part)
    return text


def unusable(value: Any) -> Fault | None:
    """The first value that no key of a suite can take: dates, NaN, control characters, …"""
    waiting: list[tuple[Key, Any]] = [((), value)]
    while waiting:
        key, found = waiting.pop()
        text = "nested too deeply" if len(key) > DEEPEST else _unusable(found)
        if text:
            return Fault(key, text)
        if isinstance(found, dict):
            odd = next((name for name in found if _has_control(name)), None)
            if odd is not None:
                return Fault(key, f"the key {shown(odd)} has a control character in it")
            waiting += [((*key, name), inner) for name, inner in reversed(found.items())]
        elif isinstance(found, list):
            waiting += [((*key, index), inner) for index, inner in reversed([*enumerate(found)])]
    return None


def _unusable(value: Any) -> str | None:
    if isinstance(value, datetime.date | datetime.time):
        return f"a date or time ({value}) has no place in a suite"
    if isinstance(value, float) and not math.isfinite(value):
        return f"found {value}; expected a finite number"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "the number is too large"
    if isinstance(value, str) and _has_control(value):
        return f"the string {shown(value)} has a control character in it"
    return None


def _has_control(text: str) -> bool:
    return any(map(_control, text))


def _control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def spread(value: Any, origin: Callable[[Key], Origin], key: Key = ()) -> Layer:
    """The leaves of a value that stands at `key`; an empty table of a part says nothing."""
    layer: Layer = {}
    waiting: list[tuple[Key, Any]] = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        if isinstance(value, Mapping) and (value or key in _MAY_BE_EMPTY):
            waiting += [((*key, name), inner) for name, inner in reversed([*value.items()])]
        else:
            layer[key] = Leaf(value, origin(key))
    return layer


_MAY_BE_EMPTY: frozenset[Key] = frozenset({(), *((name,) for name in (*PARTS, *SHARED))})


def always(origin: Origin) -> Callable[[Key], Origin]:
    """For `spread`: every leaf from the same place."""
    return lambda _: origin


def overlay(lower: Layer, upper: Layer) -> Layer:
    """`upper` over `lower`, key by key.

    Where the upper layer names another part than the lower, the lower one's options go with it;
    and a length is replaced whole, since 50 epochs do not add to 1,000 images.
    """
    replaced: list[Key] = [key for key in LENGTHS if _beneath(upper, key)]
    for part in PARTS:
        name: Key = (part, "name")
        if name in upper and name in lower and upper[name].value != lower[name].value:
            replaced.append((part,))
    kept = {
        key: leaf
        for key, leaf in lower.items()
        if not any(key[: len(gone)] == gone for gone in replaced) and not _conflicts(key, upper)
    }
    return kept | upper


def _conflicts(key: Key, upper: Layer) -> bool:
    """Whether the upper layer has a table where this key is a value, or the reverse."""
    return any(other[: len(key)] == key or key[: len(other)] == other for other in upper)


def _beneath(layer: Layer, key: Key) -> bool:
    return any(other[: len(key)] == key for other in layer)


def nest(layer: Layer) -> dict[str, Any]:
    """The tables that a layer flattens."""
    tree: dict[str, Any] = {}
    for key, leaf in layer.items():
        *heads, last = map(str, key)
        table = tree
        for head in heads:
            table = table.setdefault(head, {})
        table[last] = leaf.value
    return tree


def locate(layer: Layer, key: Key, otherwise: Callable[[Key], Origin]) -> Origin:
    """Where the value at `key` was written; the nearest thing to it where nothing was."""
    for length in range(len(key), 0, -1):
        head = key[:length]
        if head in layer:
            return _further(layer[head].origin, key[length:])
    below = [leaf.origin for other, leaf in layer.items() if other[: len(key)] == key]
    if not below:
        return _further(otherwise(key), spoken(key))
    first = min(below, key=lambda origin: origin.order)
    return Origin(first.where, first.order, _cut(first.key, key))


def _further(origin: Origin, rest: Key) -> Origin:
    tail = dotted(rest)
    dot = "." if origin.key and tail and not tail.startswith("[") else ""
    return Origin(origin.where, origin.order, f"{origin.key}{dot}{tail}")


def _cut(text: str, key: Key) -> str:
    """The head of a dotted key that ends with `key`, for a problem of the table it lies in."""
    head, found, _ = text.rpartition(dotted(key))
    return head + found if found else text


def settled(key: Key) -> Key:
    """Where a variant's key lies among the settings: the objective's options stand flat in it."""
    if key == ("objective",):
        return ("objective", "name")
    return key if key[0] in (*SHARED, *RECIPE) else ("objective", *key)


def spoken(key: Key) -> Key:
    """The reverse of `settled`: a setting as the user writes it within a variant."""
    if key[:1] != ("objective",) or len(key) == 1:
        return key
    return ("objective",) if key[1] == "name" else key[1:]
