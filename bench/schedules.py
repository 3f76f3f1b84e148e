"""Learning-rate schedules: the share of the learning rate left after a share of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

Share = Annotated[float, Ge(0.0), Le(1.0)]


@dataclass(frozen=True)
class Constant:
    """The learning rate as given."""

    def factor(self, done: float) -> float:
        """1, whatever share of the run is done."""
        return 1.0


@dataclass(frozen=True)
class Linear:
    """Along a straight line from the learning rate to `to` times it."""

    to: Share = 0.0

    def factor(self, done: float) -> float:
        """1 at `done` = 0, `to` at `done` = 1."""
        return 1.0 + (self.to - 1.0) * done


@dataclass(frozen=True)
class Cosine:
    """Along half a cosine from the learning rate to `to` times it (Loshchilov & Hutter 2017)."""

    to: Share = 0.0

    def factor(self, done: float) -> float:
        """1 at `done` = 0, `to` at `done` = 1."""
        return self.to + (1.0 - self.to) * (1.0 + math.cos(math.pi * done)) / 2.0
