"""The earth mover's distance against Jensen-Shannon's, between Gaussians ever further apart.

Both depend on the distance m of the means alone, whatever the number of dimensions.  The critics
see the plane: on the line a two-sided penalty holds a critic that begins with the wrong sign fast,
since to turn round its slope has to pass through 0, where the penalty is greater than the gain; in
the plane its gradient turns at a slope of 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge, Gt, Le, MinLen
from torch import Tensor, nn

from bench.networks.base import Count, Critic, Network, Widths
from bench.networks.init import torch_default
from bench.networks.toy import Toy
from bench.objectives.base import Objective, gradient_norms
from bench.objectives.gan import NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import Adam, RMSprop
from bench.probes.base import Probe
from bench.probes.frozen import engine, normal, strengthened
from bench.records import ProbeRow, Quantity, RunSpec
from bench.schedules import Constant
from bench.training.base import Recipe

Shift = Annotated[float, Gt(0.0), Le(20.0)]
Rate = Annotated[float, Gt(0.0)]


@dataclass(frozen=True)
class Distances(Probe):
    """N(0, I) against N(m e₁, I) for each shift m: exact, and as trained critics estimate it."""

    shifts: Annotated[tuple[Shift, ...], MinLen(1)] = (0.5, 1.0, 2.0, 4.0, 6.0, 8.0)
    dimensions: Annotated[int, Ge(1), Le(1000)] = 2
    steps: Annotated[int, Ge(1), Le(1_000_000)] = 1500
    """Critic steps, each on a fresh batch."""
    batch_size: Annotated[int, Ge(2), Le(65_536)] = 256
    held_out: Annotated[int, Ge(2), Le(1_000_000)] = 20_000
    """Samples of either kind that the trained critics are asked about."""
    widths: Widths = (64, 64)
    clip: Annotated[float, Gt(0.0)] = 0.1
    penalty_weight: Annotated[float, Ge(0.0)] = 10.0
    lr: Rate = 1e-3
    """Of Adam, for the standard GAN's critic and under the penalty."""
    clipped_lr: Rate = 5e-4
    """Of RMSprop, for the clipped critic."""

    title: ClassVar[str] = "Earth mover's distance against Jensen-Shannon divergence"
    about: ClassVar[str] = (
        "Real data are N(0, 1), generated ones N(m, 1), in the plane with the shift m along one "
        "axis. The earth mover's distance between them is m, without a ceiling; the "
        "Jensen-Shannon divergence levels off at log 2, where it gives a generator nothing to "
        "follow (Arjovsky, Chintala & Bottou 2017, section 2). Beside what is exact stands what a "
        "critic of each kind estimates on held-out samples, after training on fresh ones while "
        "the generator stands still."
    )
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "jensen_shannon": Quantity(
            "Jensen-Shannon divergence, nats",
            "shift m",
            aim=math.log(2),
            note="log 2 less half the standard critic's loss: a lower bound, close where the "
            "critic is good. Beyond m = 6 nothing tells one shift from the next.",
        ),
        "earth_mover": Quantity(
            "Earth mover's distance",
            "shift m",
            note="The critic's mean score of real less that of generated samples, over the "
            "largest slope found on and between them: a lower bound up to sampling error.",
        ),
        "score_gap": Quantity(
            "Score gap, as it stands",
            "shift m",
            log_y=True,
            note="The same before it is divided. A clipped critic has whatever slope its bounds "
            "leave it. The best linear one under the penalty has slope 1 + m/2λ, and so a gap of "
            "m + m²/2λ.",
        ),
    }
    variants: ClassVar[bool] = False

    def series(self, quantity: str, variants: Sequence[str]) -> tuple[str, ...]:
        """A line a kind of critic: each estimates its own distance."""
        del variants
        return ("gan",) if quantity == "jensen_shannon" else ("wgan", "wgan_gp")

    def run(
        self, recipes: Mapping[str, RunSpec], seed: int, device: torch.device
    ) -> Sequence[ProbeRow]:
        """Every shift at once for each kind of critic: the shifts are the engine's stack."""
        rows = [*self._estimated(seed, "gan", NonSaturating(), Adam(self.lr), device)]
        clipped = RMSprop(self.clipped_lr)
        rows += self._estimated(seed, "wgan", WGAN(self.clip), clipped, device)
        penalised, adam = WGANGP(self.penalty_weight), Adam(self.lr, betas=(0.5, 0.9))
        return [*rows, *self._estimated(seed, "wgan_gp", penalised, adam, device)]

    def _estimated(
        self,
        seed: int,
        series: str,
        objective: Objective,
        optimizer: Adam | RMSprop,
        device: torch.device,
    ) -> Iterator[ProbeRow]:
        """What the critics of one kind make of every shift."""
        recipe = Recipe(
            network=_Shifted(latent_dim=self.dimensions, critic_widths=self.widths),
            objective=objective,
            optimizer=optimizer,
            schedule=Constant(),
            init=torch_default,
            seeds=(seed,) * len(self.shifts),
            critic_steps=1,
            batch_size=self.batch_size,
        )
        real = normal(
            seed, "distances/real", (self.steps * self.batch_size, self.dimensions), device
        )
        made = engine(recipe, real, self.steps)
        with torch.no_grad():
            away = torch.tensor(self.shifts, device=device)
            made.generator_parameters["shift"][:, 0] = away
        list(strengthened(made, recipe, [self.steps]))
        held = normal(seed, "distances/held_out", (2, self.held_out, self.dimensions), device)
        for place, shift in enumerate(self.shifts):
            fake = made.generator(place)(held[1]).detach()
            found = _read(objective, made.critic(place), held[0], fake)
            for quantity, value in found.items():
                exact = jensen_shannon(shift) if quantity == "jensen_shannon" else shift
                yield ProbeRow("distances", seed, quantity, series, shift, value, exact)


def jensen_shannon(shift: float) -> float:
    """Between N(0, 1) and N(m, 1), in nats: log 2 − E log(1 + exp(m x − m²/2)) over x ~ N(0, 1).

    The two halves of the definition are equal by symmetry; the integral is a sum over 24 standard
    deviations, whose error is below 1e-10.
    """
    x = np.linspace(-12.0, 12.0, 24_001)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    lost = np.logaddexp(0.0, shift * x - shift**2 / 2)
    return math.log(2) - float((density * lost).sum() * (x[1] - x[0]))


def _read(objective: Objective, critic: Critic, real: Tensor, fake: Tensor) -> dict[str, float]:
    """What a trained critic says of held-out samples (N, D), by quantity."""
    if isinstance(objective, NonSaturating):
        with torch.no_grad():
            loss, _ = objective.critic_loss(critic, real, fake, {})
        return {"jensen_shannon": math.log(2) - loss.item() / 2}
    with torch.no_grad():
        gap = (critic(real).mean() - critic(fake).mean()).item()
    points = torch.cat([real, fake, (real + fake) / 2])
    slope = gradient_norms(critic, points).max().item()
    return {"earth_mover": gap / slope, "score_gap": gap}


@dataclass(frozen=True)
class _Shifted(Network):
    """A generator that adds a constant to its latents, and the toy critic."""

    latent_dim: Count = 1
    critic_widths: Widths = (64, 64)

    range = None

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Maps z (B, D) to z shifted along its first coordinate."""
        return _Shift(*shape)

    def critic(self, shape: tuple[int, ...]) -> Critic:
        """Maps points (B, D) to (B,)."""
        return Toy(critic_widths=self.critic_widths).critic(shape)


class _Shift(nn.Module):
    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dimensions))

    def forward(self, z: Tensor) -> Tensor:
        return z + self.shift
