"""What a critic looks like from outside, measured on held-out data between blocks of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench import seeding
from bench.networks.base import Critic, Network, pack, to_range
from bench.objectives.base import Objective

SAMPLES = 256
"""Held-out samples, and as many generated ones, behind each row of `curves`."""


def diagnostics(
    seed: int, network: Network, objective: Objective, held_out: Tensor, packing: int = 1
) -> Callable[[nn.Module, Critic], dict[str, float | None]]:
    """A function of a generator and its critic to the measured columns of a `CurveRow`.

    `held_out` are images or points (N, *shape) that training never shows; the first 256 are used,
    with the same latents and the same points between real and generated ones at every call.  It
    remembers the generator's gradient from one call to the next.
    """
    device = held_out.device
    used = min(SAMPLES, len(held_out)) // packing * packing
    real = to_range(held_out[:used], network.range, torch.float32)
    draw = seeding.generator(seed, "diagnostics", device=device)
    latents = torch.randn((len(real), network.latent_dim), generator=draw, device=device)
    real = pack(real, packing)
    epsilon = torch.rand((len(real), *[1] * (real.dim() - 1)), generator=draw, device=device)
    before: Tensor | None = None
    bound = objective.weight_bound

    def measure(generator: nn.Module, critic: Critic) -> dict[str, float | None]:
        nonlocal before
        generator, critic = generator.eval(), critic.eval()  # copies; nothing is dropped
        fake = pack(generator(latents), packing)
        gradient = _generator_gradient(generator, critic, objective, fake, real)
        turned = None if before is None else cosine(before, gradient)
        before = gradient
        fake = fake.detach()
        with torch.no_grad():
            gap = critic(real).mean() - critic(fake).mean()
        norms = slopes(critic, epsilon * real + (1.0 - epsilon) * fake)
        return {
            "score_gap": gap.item(),
            "lipschitz_p50": norms.median().item(),
            "lipschitz_max": norms.max().item(),
            "at_clip_bound": None if bound is None else share_at(critic, bound),
            "gradient_cosine": turned,
        }

    return measure


def _generator_gradient(
    generator: nn.Module, critic: Critic, objective: Objective, fake: Tensor, real: Tensor
) -> Tensor:
    """The generator loss's gradient in the generator's parameters, as one vector."""
    loss = objective.generator_loss(critic, fake, *((real,) if objective.paired else ()))
    gradients = torch.autograd.grad(loss, [*generator.parameters()])
    return torch.cat([gradient.flatten() for gradient in gradients])


def cosine(one: Tensor, other: Tensor) -> float | None:
    """Of the angle between two vectors; None where one of them is 0 or no number."""
    # scaled first: the squares of gradients that have vanished are no numbers any more
    lengths = [each.double().norm() for each in (one, other)]
    if not all(length > 0 and length.isfinite() for length in lengths):
        return None
    return torch.dot(one.double() / lengths[0], other.double() / lengths[1]).item()


def slopes(critic: Critic, points: Tensor) -> Tensor:
    """‖∇c‖₂ at each point: (N, *shape) → (N,)."""
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sum(), points)
    norms: Tensor = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    return norms


def share_at(critic: Critic, bound: float) -> float:
    """The share of weights at the clipping bound."""
    # the bound as the weights' own dtype holds it, which may lie on either side of it
    nearest = torch.tensor(bound, dtype=next(critic.parameters()).dtype)
    weights = torch.cat([parameter.detach().flatten() for parameter in critic.parameters()])
    return (weights.abs() >= nearest.to(weights.device)).float().mean().item()
