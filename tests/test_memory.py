"""Memory: what a group is said to need, what it takes, and that a long run takes no more."""

import ctypes
import sys

import numpy as np
import pytest
import torch
from test_arithmetic import recipe
from test_preflight import group
from test_recorder import execute, spec

from bench import recorder
from bench.networks.mlp import MLP
from bench.objectives.wgan import WGAN
from bench.training.memory import group_bytes, out_of_memory
from bench.training.stacked import Stacked

_LIBC = ctypes.CDLL(None)
BOUND = 200
"""Bytes a step: what is less is noise."""


_COUNTS = [
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
]


class _Heap(ctypes.Structure):
    """What glibc says of its heap (mallinfo2(3))."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _COUNTS)


def in_use():
    """Bytes of the process that are allocated; what resident memory shows only now and then."""
    heap = _LIBC.mallinfo2()
    small = 64 * sys.getallocatedblocks()  # Python's own small objects lie in pools beside it
    return heap.uordblks + heap.hblkhd + small


def growth(engine, steps, leak=0):
    """Bytes a step that the process grows by over these steps, with `leak` bytes kept of each."""
    kept, sizes = [], []
    for start in range(*steps, 25):
        engine.advance(start, start + 25, 10_000)
        kept += [b"x" * leak for _ in range(25)]
        sizes.append(in_use())
    return np.polyfit(25 * np.arange(len(sizes)), sizes, 1)[0]


@pytest.mark.skipif(not hasattr(_LIBC, "mallinfo2"), reason="glibc alone tells what is in use")
def test_a_long_run_does_not_grow():
    _LIBC.mallinfo2.restype = _Heap
    torch.set_num_threads(1)  # more gain nothing here, and wait for each other on a busy machine
    small = MLP(latent_dim=4, generator_widths=(8,), critic_widths=(8,))
    data = torch.zeros(512, 1, 28, 28, dtype=torch.uint8)
    engine = Stacked(recipe(WGAN(), small, batch_size=8, critic_steps=1), data, compiled=False)
    growth(engine, (0, 200))  # fills caches
    assert growth(engine, (200, 1200)) < BOUND
    assert growth(engine, (1200, 1500), leak=1024) > BOUND  # so a leak of 1 KiB a step is seen


def test_estimate_grows_by_what_a_member_adds():
    def estimate(size):
        return group_bytes(spec(group=tuple(range(size))), 47_040_000, 7_840_000, (1, 28, 28))

    one, two, four = (estimate(size) for size in (1, 2, 4))
    assert four - two == pytest.approx(2 * (two - one))
    member = 4 * (247_440 + 233_985)
    assert 4 * member < two - one < 12 * member  # weights and RMSprop's mean, twice; the rest


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_memory_that_runs_out_is_said_plainly(error, monkeypatch):
    monkeypatch.setattr(recorder, "ready", lambda *arguments, **options: _raise(error))
    (result,) = execute(spec())
    assert result.run.status == "failed"
    assert result.run.error == (
        "out of memory on cpu with training.group = 1 and training.batch_size = 32; "
        "a smaller one of them, or of evaluation.samples, needs less"
    )


def test_what_the_cpu_allocator_says_is_understood():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**62, dtype=torch.uint8)

    assert "out of memory on cpu" in out_of_memory(raised.value, group())
    assert out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), group()) is None


def _raise(error):
    raise error
