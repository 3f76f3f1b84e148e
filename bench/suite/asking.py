"""What claims, a search and probes are held against: the suite as it has been read so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.suite.base import Layer
from bench.suite.document import Declared
from bench.suite.models import Variant
from bench.suite.positions import Source
from bench.suite.tables import Primary


@dataclass(frozen=True)
class Asking:
    """The suite but for its claims, its search and its probes."""

    source: Source
    settings: Layer
    """Of the document: `search` is among them, with what `--set` says of it."""
    sets: Layer
    """Everything that `--set` says, `probe.NAME.KEY` too."""
    recipes: Mapping[str, Variant]
    """The variants that have a run in this call; `--variant` may leave some of the file's out."""
    primary: Primary
    written: Mapping[str, Declared]
    """Every `[[variant]]` of the file."""
    seeds: Sequence[int]
    """The comparison's."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Every variant that the file has runs of, swept ones too → the `[[variant]]` it is made of."""
