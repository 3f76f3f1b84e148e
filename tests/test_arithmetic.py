"""A step's arithmetic, against what its matrices say by hand."""

from dataclasses import replace

import pytest
import torch

from bench import registry
from bench.networks.dcgan import DCGAN
from bench.networks.mlp import MLP
from bench.objectives.gan import Minimax, NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import RMSprop
from bench.training.arithmetic import (
    _Counter,
    forward_operations,
    matmul_rate,
    step_cost,
    step_operations,
)
from bench.training.base import Recipe

SHAPE, B = (1, 28, 28), 64
GENERATOR = 2 * B * (100 * 128 + 128 * 256 + 256 * 784)
FIRST_G = 2 * B * 100 * 128
FIRST, LAST = 2 * B * 784 * 256, 2 * B * 128
CRITIC = FIRST + 2 * B * 256 * 128 + LAST
GENERATOR_STEP = (3 * GENERATOR - FIRST_G) + 2 * CRITIC
"""Forward, weight and input gradients of the generator (no gradient of its latents), and through
the critic to its input (no gradient of its weights)."""
ON_BOTH = 2 * (3 * CRITIC - FIRST)
"""The critic on real and generated samples: forward, weight and input gradients, but for the
first layer's input."""
PENALTY = CRITIC + CRITIC + (2 * CRITIC - LAST)
"""Forward; the gradient at the points; and that differentiated: in each weight, and in what comes
into each layer from above (for the last layer a constant)."""


def recipe(objective, network=None, **changes):
    constant = registry.load("schedules", "constant")()
    common = {"schedule": constant, "init": registry.load("inits", "torch"), "seeds": (0,)}
    steps = 1 if isinstance(objective, NonSaturating | Minimax) else 5
    made = Recipe(
        network or MLP(), objective, RMSprop(), critic_steps=steps, batch_size=B, **common
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("objective", "critic_step"),
    [
        (NonSaturating(), GENERATOR + ON_BOTH),
        (Minimax(), GENERATOR + ON_BOTH),
        (WGAN(), GENERATOR + ON_BOTH),
        (WGANGP(), GENERATOR + ON_BOTH + PENALTY),
    ],
    ids=lambda value: type(value).__name__,
)
def test_operations_of_an_mlp_are_those_of_its_matrices(objective, critic_step):
    made = recipe(objective)
    expected = made.critic_steps * critic_step + GENERATOR_STEP
    assert step_operations(made, SHAPE) == expected


def test_operations_of_convolutions_are_those_of_their_kernels():
    first, second = 2 * B * 14 * 14 * 64 * 25, 2 * B * 7 * 7 * 128 * 64 * 25
    critic = first + second + 2 * B * 128 * 49
    dense = 2 * B * 100 * 12_544
    ups = (7, 256, 128), (7, 128, 64), (14, 64, 1)
    generator = dense + sum(2 * B * size**2 * 25 * a * b for size, a, b in ups)
    expected = 5 * (generator + 2 * (3 * critic - first)) + (3 * generator - dense) + 2 * critic
    assert step_operations(recipe(WGAN(), DCGAN()), SHAPE) == expected
    assert forward_operations(recipe(WGAN(), DCGAN()), SHAPE) == (generator / B, critic / B)


def test_a_batch_twice_as_large_costs_twice_as_much():
    once, twice = (step_cost(recipe(WGANGP(), batch_size=size), SHAPE) for size in (32, 64))
    assert twice.operations == 2 * once.operations
    assert twice.updates == once.updates == 5 * 233_985 + 247_440
    assert once.held_bytes < twice.held_bytes < 2 * once.held_bytes  # gradients stay as they are


def test_what_is_held_at_once_is_counted_until_it_is_let_go():
    with _Counter() as counter, torch.device("meta"):
        a = torch.empty(10)
        b = a + 1
        view = b.view(2, 5)
        del a, b
        c = torch.mm(view.T, view)
    assert c.shape == (5, 5)
    assert counter.most == 4 * (10 + 25)  # b, which the view keeps, and c
    assert (counter.operations, counter.bytes) == (2 * 5 * 2 * 5, 4 * (10 + 10 + 25))


def test_nothing_is_computed_to_count_it():
    huge = MLP(generator_widths=(65_536, 65_536), critic_widths=(65_536, 65_536))
    assert step_operations(recipe(WGAN(), huge), SHAPE) > 1e13  # its weights alone: 69 GB


def test_rate_is_that_of_the_product_in_the_threads_asked_for():
    before = torch.get_num_threads()
    a = torch.ones(256, 256)
    with torch.profiler.profile() as profile:
        rate = matmul_rate("cpu", "fp32", 1)
    assert torch.get_num_threads() == before
    assert 1e8 < rate < 1e13
    assert any(event.key == "aten::mm" and event.count >= 5 for event in profile.key_averages())
    assert a.sum() == 256**2
