"""Spectral normalisation: every weight of a critic divided by its largest singular value.

Miyato, Kataoka, Koyama, Yoshida 2018, algorithm 1.  The singular value is u·Wv, with u and v from
one step of power iteration after each update of the weights, and constant within a step.  They are
buffers, so that they stack over seeds and travel with a checkpoint like weights.  Where the stacked
engine computes in bf16, so does it the singular value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils import parametrize

NORMALISED = (nn.Linear, nn.Conv2d)
FIRST_STEPS = 15
"""Of power iteration from random vectors, before the first update; as torch's own."""

M = TypeVar("M", bound=nn.Module)


class _Spectral(nn.Module):
    """W / (u · W v), W as a matrix (outputs, the rest)."""

    u: Tensor
    v: Tensor

    def __init__(self, u: Tensor, v: Tensor) -> None:
        super().__init__()
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its largest singular value, u and v taken as constants."""
        along = (weight.flatten(1) @ self.v).to(self.u.dtype)  # autocast may have lowered it
        return weight / torch.dot(self.u, along)


def spectrally_normalized(critic: M, generator: torch.Generator | None = None) -> M:
    """The same module, the weights of its linear and convolutional layers normalised in place."""
    for layer in [module for module in critic.modules() if isinstance(module, NORMALISED)]:
        weight = layer.weight.detach()
        # drawn on the CPU, whatever device the module is on
        u = torch.randn(len(weight), generator=generator, device="cpu").to(weight)
        v = weight.new_empty(weight[0].numel())
        for _ in range(FIRST_STEPS):
            u, v = _iterated(weight, u)
        parametrize.register_parametrization(layer, "weight", _Spectral(u, v))
    return critic


def renewed(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One step of power iteration: the buffers that belong to these parameters, by name.

    Both may carry leading axes, such as that of stacked seeds.
    """
    found = {}
    for name, u in buffers.items():
        stem, _, last = name.rpartition(".0.")
        if last == "u":
            found[name], found[f"{stem}.0.v"] = _iterated(parameters[f"{stem}.original"], u)
    return found


def _iterated(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The next u (…, outputs) and v (…, the rest) of a weight (…, outputs, *rest)."""
    matrix = weight.flatten(u.dim())
    v = normalize(torch.einsum("...oi,...o->...i", matrix, u), dim=-1)
    return normalize(torch.einsum("...oi,...i->...o", matrix, v), dim=-1), v
