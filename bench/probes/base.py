"""What a probe is: a controlled experiment, one seed at a time, to points that can be drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from bench.records import ProbeRow, Quantity, RunSpec


@dataclass(frozen=True)
class Probe(ABC):
    """An experiment; its fields are its options."""

    title: ClassVar[str]
    """Its heading in a report."""
    about: ClassVar[str]
    """What is done and what it is to show, in two or three sentences, with the source."""
    quantities: ClassVar[Mapping[str, Quantity]]
    """What it measures, by the name in its rows; each a panel."""
    variants: ClassVar[bool] = True
    """Whether it can be about variants of the suite, which its table names."""
    every_variant: ClassVar[bool] = True
    """Whether it is about all of them where its table names none; else it is about none then."""

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...] | None:
        """The lines of a quantity's panel, of a probe about these variants; None where only a
        run can tell."""
        del quantity, variants
        return None

    def require(self, recipes: Mapping[str, RunSpec]) -> None:  # noqa: B027 - optional on purpose
        """Raise `DataError` for variants that it can do nothing with, before anything is run."""

    @abstractmethod
    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every point of one seed; the same rows for the same arguments on one machine's CPU.

        `recipes` are the named variants' specs, which `require` has let pass; none where `variants`
        is false.
        """
