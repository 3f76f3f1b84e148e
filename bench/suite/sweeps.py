"""Sweeps: the variants that a matrix makes of those declared.

A swept key multiplies: `"variant.wgan.clip" = [0.001, 0.01]` makes `wgan-clip-0_001` and
`wgan-clip-0_01` of `wgan`; a key of the suite's tables (`"training.batch_size" = [64, 256]`) does
so with every variant, and holds against presets and variants.  Two sweeps make every pair.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from bench.errors import suggestion
from bench.suite.base import (
    SHARED,
    Key,
    Layer,
    Leaf,
    Origin,
    Problem,
    always,
    overlay,
    refuse,
    settled,
    shown,
    spread,
)
from bench.suite.tables import NAME, Matrix

MOST_RUNS = 10_000
_MATRIX_KEYS = tuple(one.name for one in fields(Matrix))


@dataclass(frozen=True)
class Sweep:
    """One key and its values; `variant` is None for a key of the suite's tables."""

    text: str
    variant: str | None
    key: Key
    values: Sequence[Any]
    origin: Origin


@dataclass(frozen=True)
class Draft:
    """A declared variant with the values that the matrix gives it, its settings not yet checked."""

    declared: str
    chosen: tuple[tuple[Sweep, Any], ...] = ()

    @property
    def name(self) -> str:
        """That of the declared variant and of every swept value, within the length of names."""
        name = "-".join(
            [self.declared, *(_slug(sweep.text, value) for sweep, value in self.chosen)]
        )
        return fitting(name)

    @property
    def swept(self) -> dict[str, Any]:
        """The values, by the key as the suite writes it."""
        return {sweep.text: value for sweep, value in self.chosen}

    @property
    def settings(self) -> Layer:
        """The values as one layer."""
        layer: Layer = {}
        for sweep, value in self.chosen:
            layer = overlay(layer, spread(value, always(sweep.origin), sweep.key))
        return layer


def fitting(name: str) -> str:
    """The name of a variant that is made of another, cut to the length of names."""
    if re.fullmatch(NAME, name):
        return name
    return f"{name[:55]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def split(layer: Layer) -> tuple[Layer, Layer]:
    """The matrix's own keys and the swept ones, each without the leading `matrix`."""
    inner = {key[1:]: leaf for key, leaf in layer.items() if key[0] == "matrix" and len(key) > 1}
    own = {key: leaf for key, leaf in inner.items() if key[0] in _MATRIX_KEYS}
    return own, {key: leaf for key, leaf in inner.items() if key not in own}


def sweeps(layer: Layer, declared: Sequence[str]) -> list[Sweep]:
    """The sweeps among the swept keys; raises `SuiteError` for a key or values that cannot be."""
    found = [_sweep(key, leaf, declared) for key, leaf in layer.items()]
    refuse(problem for problem in found if isinstance(problem, Problem))
    return [sweep for sweep in found if isinstance(sweep, Sweep)]


def _sweep(key: Key, leaf: Leaf, declared: Sequence[str]) -> Sweep | Problem:
    text = ".".join(map(str, key))  # "a.b" = […] and a.b = […] are the same key
    origin = leaf.origin
    if "." not in text:
        known = suggestion(text, [*_MATRIX_KEYS, *SHARED, "variant"])
        return Problem(origin, f"unknown key{known}")
    target = target_of(text, declared, _MATRIX_KEYS)
    if isinstance(target, str):
        return Problem(origin, target)
    if not isinstance(leaf.value, list) or not leaf.value:
        return Problem(origin, f"expected a list of values to sweep, found {shown(leaf.value)}")
    return Sweep(text, *target, leaf.value, origin)


def target_of(
    text: str, declared: Sequence[str], others: Sequence[str]
) -> tuple[str | None, Key] | str:
    """The variant a swept key is about (None: all) and the setting in it, or what is wrong."""
    head, *rest = text.split(".")
    if head in SHARED and all(rest):
        return None, (head, *rest)
    if head != "variant" or len(rest) < 2 or not all(rest):
        return f"unknown key{suggestion(head, [*others, *SHARED, 'variant.NAME.KEY'])}"
    variant, *inner = rest
    if variant not in declared:
        return f"{variant!r} is not a variant{suggestion(variant, declared)}"
    if inner[0] in ("name", "preset"):
        return f"a variant's {inner[0]} cannot be swept; write a [[variant]] for each"
    return variant, settled(tuple(inner))


def drafts(declared: Sequence[str], swept: Sequence[Sweep], matrix: Matrix) -> list[Draft]:
    """Every declared variant, multiplied by the sweeps that are about it."""
    found: list[Draft] = []
    runs_each = len(matrix.seeds) * len(matrix.devices)
    for name in declared:
        about = [sweep for sweep in swept if sweep.variant in (None, name)]
        about.sort(key=lambda sweep: sweep.variant is not None)  # the specific one goes on top
        if math.prod(len(sweep.values) for sweep in about) * runs_each > MOST_RUNS:
            origin = about[0].origin if about else Origin("matrix", 0, "")
            refuse([Problem(origin, f"this makes more than {MOST_RUNS:,} runs of {name!r}")])
        choices = [[(sweep, value) for value in sweep.values] for sweep in about]
        found += [Draft(name, chosen) for chosen in itertools.product(*choices)]
    refuse(_repeated(found))
    return found


def _repeated(found: Sequence[Draft]) -> Iterator[Problem]:
    seen: set[str] = set()
    for draft in found:
        name = draft.name
        if name in seen and draft.chosen:
            text = f"two of the swept values make the same variant {name!r}"
            yield Problem(draft.chosen[0][0].origin, text)
        seen.add(name)


def _slug(text: str, value: Any) -> str:
    """`clip-0_01`: the last telling part of a key, and the value, in the letters of names."""
    parts = text.split(".")
    last = parts[-2] if parts[-1] == "name" else parts[-1]
    written = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^a-z0-9_-]+", "_", f"{last}-{written}".lower()).strip("_")
