"""What a critic looks like from outside, measured on held-out data between blocks of training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench import seeding
from bench.networks.base import Critic, Network, to_range
from bench.objectives.base import Objective

SAMPLES = 256
"""Held-out samples, and as many generated ones, behind each row of `curves`."""


def diagnostics(
    seed: int, network: Network, objective: Objective, held_out: Tensor
) -> Callable[[nn.Module, Critic], dict[str, float | None]]:
    """A function of a generator and its critic to the measured columns of a `CurveRow`.

    `held_out` are images or points (N, *shape) that training never shows; the first 256 are used,
    with the same latents and the same points between real and generated ones at every call.
    """
    device = held_out.device
    real = to_range(held_out[:SAMPLES], network.range, torch.float32)
    draw = seeding.generator(seed, "diagnostics", device=device)
    latents = torch.randn((len(real), network.latent_dim), generator=draw, device=device)
    epsilon = torch.rand((len(real), *[1] * (real.dim() - 1)), generator=draw, device=device)

    def measure(generator: nn.Module, critic: Critic) -> dict[str, float | None]:
        generator, critic = generator.eval(), critic.eval()  # copies; nothing is dropped
        with torch.no_grad():
            fake = generator(latents)
            gap = critic(real).mean() - critic(fake).mean()
        norms = _gradient_norms(critic, epsilon * real + (1.0 - epsilon) * fake)
        return {
            "score_gap": gap.item(),
            "lipschitz_p50": norms.median().item(),
            "lipschitz_max": norms.max().item(),
            "at_clip_bound": _share_at(critic, objective.weight_bound),
        }

    return measure


def _gradient_norms(critic: Critic, points: Tensor) -> Tensor:
    """‖∇c‖₂ at each point: (N, *shape) → (N,)."""
    points = points.detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sum(), points)
    norms: Tensor = torch.linalg.vector_norm(gradients.flatten(1), dim=1)
    return norms


def _share_at(critic: Critic, bound: float | None) -> float | None:
    """The share of weights at the clipping bound; None where nothing is clipped."""
    if bound is None:
        return None
    # the bound as the weights' own dtype holds it, which may lie on either side of it
    nearest = torch.tensor(bound, dtype=next(critic.parameters()).dtype)
    weights = torch.cat([parameter.detach().flatten() for parameter in critic.parameters()])
    return (weights.abs() >= nearest.to(weights.device)).float().mean().item()
