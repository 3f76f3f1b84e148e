"""In which numbers the matrix products are taken; all else of a step stays fp32.

    fp32   IEEE single precision, on a GPU too (where torch may otherwise round to TF32)
    tf32   inputs of a GPU's products rounded to 10 bits of mantissa
    bf16   parameters and inputs cast to 8 bits of mantissa inside the networks

Parameters, optimiser state, losses and the gradient penalty's norm are fp32 in all three.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.backends import cuda, cudnn


def compute_dtype(precision: str) -> torch.dtype | None:
    """What the networks' parameters and inputs are cast to; None: nothing is cast."""
    return torch.bfloat16 if precision == "bf16" else None


def cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    """`x` in that type; as it is where there is none."""
    return x if dtype is None else x.to(dtype)


@contextmanager
def applied(precision: str, device: torch.device) -> Iterator[None]:
    """A GPU's products rounded as asked within the block, and as before after it."""
    if device.type != "cuda":
        yield
        return
    wanted = "tf32" if precision == "tf32" else "ieee"
    switches = (cuda.matmul, cudnn.conv)  # type: ignore[attr-defined] # made by setattr
    before = [switch.fp32_precision for switch in switches]
    for switch in switches:
        switch.fp32_precision = wanted
    try:
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value
