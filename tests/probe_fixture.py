"""Probes that do at once what a test asks of them, and a small suite to name them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import torch
from annotated_types import Ge

from bench import registry
from bench.errors import DataError
from bench.probes.base import Probe
from bench.records import ProbeRow, Quantity, RunSpec

SUITE = """
schema = 1
name = "probed"
dataset = { name = "ring", samples = 200, test_samples = 100 }
network = { name = "toy", generator_widths = [8], critic_widths = [8] }
training = { budget = { generator_steps = 2 }, batch_size = 16, engine = "eager" }
evaluation = { every = { generator_steps = 2 }, samples = 50, metrics = ["modes_any"] }
primary.metric = "modes_any"
matrix = { seeds = [0, 1, 2, 3], devices = ["cpu"] }
[[variant]]
name = "gan"
objective = "gan"
optimizer = { name = "adam" }
[[variant]]
name = "wgan"
objective = "wgan"
optimizer = { name = "rmsprop" }
"""
STEPS: dict[str, int] = {}
"""How often each probe has run here."""


@dataclass(frozen=True)
class Line(Probe):
    """value = slope · x + seed, of each variant; raises for the seeds that it is told."""

    slope: Annotated[float, Ge(0.0)] = 1.0
    fails: tuple[int, ...] = ()
    interrupts: tuple[int, ...] = ()

    title: ClassVar[str] = "A <line>"
    about: ClassVar[str] = "What is drawn."
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "height": Quantity("height | cm", "place", aim=2.0, note="It rises."),
        "root": Quantity("its root", "place", log_x=True, log_y=True),
    }

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        STEPS["line"] = STEPS.get("line", 0) + 1
        if seed in self.fails:
            raise DataError("line: nothing to draw")
        if seed in self.interrupts:
            raise KeyboardInterrupt
        return [
            ProbeRow("line", seed, quantity, name, x, value, exact)
            for name in recipes
            for x in (1.0, 10.0)
            for quantity, value, exact in (
                ("height", self.slope * x + seed, self.slope * x),
                ("root", x**0.5 if x > 1 else float("nan"), None),
            )
        ]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry knows `line`."""
    STEPS.clear()
    entry = registry.Entry("probe_fixture:Line", "line", "a line")
    known = {**registry.BUILT_IN["probes"], "line": entry}
    monkeypatch.setitem(registry.BUILT_IN, "probes", known)
