"""The space of a search: a distribution a key, and values drawn from it.

    choice = [1, 5]              one of these, each as likely
    int_uniform = [1, 10]        a whole number, both ends included
    uniform = [0.0, 0.9]         a number, each as likely
    log_uniform = [1e-5, 1e-2]   a number whose logarithm is uniform

A draw depends on the seed of the draws, the variant's name, the trial's number and the key alone,
and is rounded to `DIGITS` significant digits, so that every machine tries the same settings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.errors import suggestion
from bench.seeding import key as number_of
from bench.suite.base import Key, shown

DIGITS = 4
_ATTEMPTS = 1000
"""Draws for each trial asked for, until a space that repeats itself is called exhausted."""
_EXAMPLE = "such as { log_uniform = [1e-5, 1e-2] }"


@dataclass(frozen=True)
class Distribution:
    """Where the values of one key come from."""

    kind: str
    values: tuple[Any, ...]
    """All of them for `choice`, else the low and the high end."""

    @property
    def size(self) -> float:
        """How many values there are."""
        if self.kind == "choice":
            return len(self.values)
        low, high = self.values
        return high - low + 1 if self.kind == "int_uniform" else math.inf

    def at(self, number: int) -> Any:
        """The value that a random number below 2⁶³ stands for."""
        return _DRAWN[self.kind](self.values, number)


def _choice(values: Sequence[Any], number: int) -> Any:
    return values[number % len(values)]


def _int_uniform(ends: Sequence[int], number: int) -> int:
    low, high = ends
    return low + number % (high - low + 1)


def _uniform(ends: Sequence[float], number: int) -> float:
    low, high = ends
    return _rounded(low + (high - low) * number / 2**63, low, high)


def _log_uniform(ends: Sequence[float], number: int) -> float:
    low, high = ends
    return _rounded(math.exp(math.log(low) + math.log(high / low) * number / 2**63), low, high)


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.{DIGITS}g}"), float(low)), float(high))


_DRAWN: Mapping[str, Callable[[Sequence[Any], int], Any]] = {
    "choice": _choice,
    "int_uniform": _int_uniform,
    "log_uniform": _log_uniform,
    "uniform": _uniform,
}


def distribution(found: Any) -> Distribution | str:
    """The distribution in a table such as `{ choice = [1, 5] }`, or what is wrong with it."""
    if not isinstance(found, Mapping) or not found:
        return f"expected a distribution {_EXAMPLE}, found {shown(found)}"
    if len(found) > 1:
        return f"expected one distribution, found {' and '.join(found)}"
    ((kind, values),) = found.items()
    if kind not in _DRAWN:
        return f"{kind!r} is not a distribution{suggestion(kind, _DRAWN)}"
    if not isinstance(values, list) or not values:
        return f"{kind}: expected a list of values, found {shown(values)}"
    wrong = _repeated(values) if kind == "choice" else _no_range(kind, values)
    return f"{kind}: {wrong}" if wrong else Distribution(kind, tuple(values))


def _repeated(values: Sequence[Any]) -> str | None:
    seen: set[str] = set()
    for value in values:
        if (text := json.dumps(value, sort_keys=True)) in seen:
            return f"{shown(value)} stands there twice; a search would make duplicates"
        seen.add(text)
    return None


def _no_range(kind: str, ends: Sequence[Any]) -> str | None:
    kinds = (int,) if kind == "int_uniform" else (int, float)
    noun = "whole numbers" if kind == "int_uniform" else "numbers"
    plain = all(isinstance(end, kinds) and not isinstance(end, bool) for end in ends)
    if len(ends) != 2 or not plain:
        return f"expected a low and a high end, two {noun}, found {shown(list(ends))}"
    low, high = ends
    if low >= high:
        return f"expected the low end first and below the high one, found {shown(list(ends))}"
    if kind == "log_uniform" and low <= 0:
        return f"{shown(low)} has no logarithm; expected two numbers above 0"
    return None


def size(space: Mapping[str, Distribution]) -> float:
    """How many settings there are."""
    return math.prod(each.size for each in space.values())


def draws(
    space: Mapping[str, Distribution], seed: int, variant: str, trials: int
) -> list[dict[str, Any]]:
    """The setting of each trial, none twice; fewer where no more are found.

    The first trials of a longer search are those of a shorter one.
    """
    found: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number in range(1, trials + 1):
        for setting in _attempts(space, seed, variant, number, trials):
            if (text := json.dumps(setting, sort_keys=True)) not in seen:
                seen.add(text)
                found.append(setting)
                break
        else:
            break
    return found


def _attempts(
    space: Mapping[str, Distribution], seed: int, variant: str, number: int, trials: int
) -> Iterator[dict[str, Any]]:
    for attempt in range(_ATTEMPTS + 10 * trials):
        yield {
            name: each.at(number_of(seed, f"search/{variant}/{number}/{name}", attempt))
            for name, each in space.items()
        }


def inner(key: Key) -> str:
    """A key as the suite writes it, `"a.b"` and `a.b` alike."""
    return ".".join(map(str, key))
