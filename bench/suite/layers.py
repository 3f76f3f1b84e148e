"""The layers of a variant's settings, laid over one another in their order."""

from __future__ import annotations

from functools import reduce

from bench.suite.base import SHARED, Layer, overlay
from bench.suite.document import Declared, shared, variant_sets
from bench.suite.positions import Source
from bench.suite.variants import BUILT_IN


def layered(source: Source, sets: Layer, one: Declared, *given: Layer) -> Layer:
    """Defaults, the suite's tables, the preset, the variant, what is `given`, what `--set` says."""
    above = {key: leaf for key, leaf in sets.items() if key[0] in SHARED}
    layers = (
        shared(source),
        one.preset,
        one.own,
        *given,
        above,
        variant_sets(sets, one.name),
    )
    return reduce(overlay, layers, BUILT_IN)
