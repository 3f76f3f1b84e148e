"""The engines agree step by step, and a bug planted in any objective makes that fail.

GAN training is chaotic, so whole runs are not compared: from a checkpoint trained for some steps,
50 more are taken on the same batches, in fp64 to 1e-10 and in fp32 to 1e-5 (relative to the
largest weight of each tensor, and every loss along the way).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from bench.networks.base import to_range
from bench.networks.dcgan import DCGAN
from bench.networks.init import torch_default
from bench.networks.mlp import MLP
from bench.objectives import gan, wgan
from bench.optimizers import Adam, RMSprop
from bench.schedules import Constant
from bench.training.base import Recipe
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook

OBJECTIVES = {
    "gan": gan.NonSaturating(),
    "gan_minimax": gan.Minimax(),
    "wgan": wgan.WGAN(clip=0.05),
    "wgan_gp": wgan.WGANGP(),
}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
STEPS = 50
"""Critic and generator steps compared, together."""


def recipe(objective, network, batch=16, seeds=(3,)) -> Recipe:
    return Recipe(
        network=network,
        objective=objective,
        optimizer=RMSprop() if isinstance(objective, wgan.WGAN) else Adam(1e-4, (0.5, 0.9)),
        schedule=Constant(),
        init=torch_default,
        seeds=seeds,
        critic_steps=1 if isinstance(objective, gan._Standard) else 4,
        batch_size=batch,
    )


def checkpoint(recipe: Recipe, images: Tensor, dtype, *, compiled=False, warm=20) -> Stacked:
    """An engine that has trained for some steps, so that optimiser state is in play."""
    engine = Stacked(recipe, images, compiled=compiled, dtype=dtype)
    engine.advance(0, warm, 1000)
    return engine


def bring(plain: Textbook, engine: Stacked) -> Textbook:
    """The textbook loop, put where the engine stands: weights and optimiser state."""
    sides = (
        (plain.generator_module, plain.generator_optimizer, engine._generator_optimizer,
         engine.generator_parameters),
        (plain.critic_module, plain.critic_optimizer, engine._critic_optimizer,
         engine.critic_parameters),
    )  # fmt: skip
    for module, optimizer, stacked_optimizer, stacked in sides:
        for name, parameter in module.named_parameters():
            parameter.data.copy_(stacked[name][0])
            optimizer.state[parameter] = {
                key: value.clone() if key == "step" else value[0].clone()
                for key, value in stacked_optimizer.state[stacked[name]].items()
            }
    return plain


def largest_difference(engine: Stacked, plain: Textbook, start: int, *, together: bool) -> float:
    """Over `STEPS` steps of either kind on the same batches: losses and weights after each.

    `together` brings the textbook loop back to the engine's state before each step; without it
    the two run free, and differences grow.
    """
    worst = 0.0
    for step in range(start, start + STEPS // (engine._recipe.critic_steps + 1)):
        for repeat in range(engine._recipe.critic_steps + 1):
            if together:
                bring(plain, engine)
            worst = max(worst, one_step(engine, plain, step, repeat))
    return worst


def one_step(engine: Stacked, plain: Textbook, step: int, repeat: int) -> float:
    """The critic step `repeat` of an iteration, or after the last of them its generator step."""
    recipe = engine._recipe
    if repeat < recipe.critic_steps:
        batch = engine.batches.critic(step, repeat)
        real = to_range(engine._images[batch.indices[0]], recipe.network.range, engine._dtype)
        noise = {name: value[0] for name, value in batch.noise.items()}
        keep = [masks[0] for masks in batch.keep]
        expected = plain.critic_step(real, batch.latents[0], noise, keep)
        losses, stacked, module = (
            engine.critic_step(batch), engine.critic_parameters, plain.critic_module
        )  # fmt: skip
    else:
        batch = engine.batches.generator(step)
        expected = plain.generator_step(batch.latents[0], [masks[0] for masks in batch.keep])
        losses, stacked, module = (
            engine.generator_step(batch), engine.generator_parameters, plain.generator_module
        )  # fmt: skip
    return max(difference(losses, expected), difference(stacked, dict(module.named_parameters())))


def difference(stacked, expected) -> float:
    """The largest ‖a − b‖ / ‖b‖ of any tensor, a norm below 0.01 counted as 0.01."""
    return max(
        ((stacked[name][0] - value).norm() / value.norm().clamp(min=1e-2)).item()
        for name, value in expected.items()
    )
