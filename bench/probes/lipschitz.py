"""How steep a critic is: the norm of its gradient, along training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.probes.base import Probe
from bench.probes.trained import Checkpoints, Rows, Samples, Steps, Subject, subjects
from bench.records import ProbeRow, Quantity, RunSpec
from bench.training.diagnostics import slopes

_X = "generator steps"
_PLACES = ("real", "generated", "between")
"""As `Sample.places` calls them."""


@dataclass(frozen=True)
class Lipschitz(Probe):
    """Gradient norms on held-out samples, on generated ones, and between the two."""

    steps: Steps = 1000
    """Generator steps of training."""
    checkpoints: Checkpoints = 8
    samples: Samples = 1000
    """Points of each kind."""

    title: ClassVar[str] = "How steep the critic is"
    about: ClassVar[str] = (
        "The norm of the critic's gradient in its input, at held-out, at generated and at "
        "interpolated samples, while the variants train. The Wasserstein distance asks for a "
        "norm of at most 1 everywhere; the gradient penalty pulls it to 1 between the two kinds "
        "(Gulrajani et al. 2017, section 4), and clipping only bounds the weights. A packed "
        "critic's norm is that of its whole pack."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "p50": Quantity(
            "gradient norm, median", _X, log_y=True, aim=1.0,
            note="A penalty that works holds it near 1; under clipping it is whatever the bound "
            "and the depth make of it.",
        ),
        "p95": Quantity("gradient norm, 95th percentile", _X, log_y=True, aim=1.0),
        "max": Quantity(
            "gradient norm, largest", _X, log_y=True, aim=1.0,
            note="A critic is 1-Lipschitz only if this is at most 1, and at these points alone "
            "that is seen.",
        ),
        "share_above_1": Quantity(
            "share of points with a norm above 1", _X,
            note="A two-sided penalty aims at 1 and not below it, so that about half lie above "
            "it where it works.",
        ),
    }  # fmt: skip

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...]:
        """A line a variant and kind of place."""
        del quantity
        return tuple(f"{name} · {place}" for name in variants for place in _PLACES)

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every checkpoint of every variant."""
        found = subjects(recipes, device)
        return [row for name in found for row in self._along(name, found[name], seed)]

    def _along(self, name: str, subject: Subject, seed: int) -> Iterator[ProbeRow]:
        sample = subject.sample(subject.held_out[: self.samples], "lipschitz")
        rows = Rows("lipschitz", seed)
        for moment in subject.moments(self.steps, self.checkpoints):
            for place, points in sample.places(moment.generator).items():
                for quantity, value in described(slopes(moment.critic, points)).items():
                    yield rows.row(quantity, f"{name} · {place}", moment.step, value)


def described(norms: Tensor) -> dict[str, float | None]:
    """The probe's quantities of norms (N,); None where training has diverged."""
    if not norms.isfinite().all():
        return dict.fromkeys(Lipschitz.quantities)
    return {
        "p50": norms.quantile(0.5).item(),
        "p95": norms.quantile(0.95).item(),
        "max": norms.max().item(),
        "share_above_1": (norms > 1.0).double().mean().item(),
    }
