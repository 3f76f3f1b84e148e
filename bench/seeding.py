"""Keyed random streams: (seed, stream, block) → a generator, with no state to replay.

Every random number of a run is drawn from a stream named for its use, in blocks of a fixed size,
each from a generator of its own.  So a run's numbers do not depend on what ran beside it, on
which blocks were drawn before, or on the global generators: those are touched only for a layer
that draws from them, and put back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def key(seed: int, stream: str, block: int = 0) -> int:
    """A 63-bit key: the head of SHA-256 over the three.

    Torch's CPU generator keeps the low 32 bits of it: two of n streams coincide with a
    probability of about n² / 2³³.
    """
    digest = hashlib.sha256(f"{seed}/{stream}/{block}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(
    seed: int, stream: str, block: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A torch generator at the head of one block of one stream."""
    import torch

    return torch.Generator(device=device).manual_seed(key(seed, stream, block))


@contextmanager
def layers(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Within the block, layers that draw from the global generators draw what belongs to the block
    of training that begins at generator step `step`; after it the generators are as before."""
    import torch

    number = key(seed, "layers", step)
    on_gpu = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=on_gpu):
        torch.default_generator.manual_seed(number)
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(number)
        yield
