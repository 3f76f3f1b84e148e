"""Lengths of training, and how many critic steps there are to a generator step."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Literal

Unit = Literal["images", "epochs", "generator_steps", "critic_steps"]


@dataclass(frozen=True)
class Amount:
    """A length of training: `count` real images shown to the critic, epochs of them, or steps."""

    unit: Unit
    count: float

    def generator_steps(self, pace: Pace, batch_size: int, dataset_size: int) -> int:
        """The amount in whole generator steps, rounded up; at least one.

        An epoch shows every sample of the data once, or as often as batches are repeated.
        """
        exact = Fraction(repr(self.count))  # as written: 0.27 epochs are 27 hundredths
        if self.unit == "generator_steps":
            return max(1, ceil(exact))
        batches = {
            "images": exact / batch_size,
            "epochs": exact * dataset_size * pace.repeats / batch_size,
            "critic_steps": exact,
        }[self.unit]
        return pace.generator_steps(batches)


@dataclass(frozen=True)
class Boost:
    """More critic steps than usual: `steps` of them before each of the `first` generator steps and
    before every `every`-th (Arjovsky et al. 2017, their code: 100, 25, 500)."""

    steps: int
    first: int
    every: int

    def times(self, step: int) -> int:
        """How many of the generator steps 0 … step − 1 it holds for."""
        later = ceil(Fraction(step, self.every)) - ceil(Fraction(min(step, self.first), self.every))
        return min(step, self.first) + later


@dataclass(frozen=True)
class Pace:
    """How many critic steps there are to a generator step, and on how many batches."""

    critic_steps: int
    """n_critic."""
    repeats: int = 1
    """Critic steps in a row that are shown the same real batch."""
    boost: Boost | None = None

    def at(self, step: int) -> int:
        """Critic steps before generator step `step` (the first is 0)."""
        return self.before(step + 1) - self.before(step)

    def before(self, step: int) -> int:
        """Critic steps of the generator iterations 0 … step − 1, all together."""
        if self.boost is None:
            return self.critic_steps * step
        more = self.boost.steps - self.critic_steps
        return self.critic_steps * step + more * self.boost.times(step)

    def generator_steps(self, critic_steps: Fraction) -> int:
        """The fewest generator steps, at least one, with so many critic steps before them."""
        most = max(1, ceil(critic_steps / self.critic_steps))
        if self.boost is None:
            return most
        if self.boost.steps < self.critic_steps:
            most = max(1, ceil(critic_steps / self.boost.steps))
        fewest = 0
        while most - fewest > 1:
            middle = (most + fewest) // 2
            fewest, most = (
                (fewest, middle) if self.before(middle) >= critic_steps else (middle, most)
            )
        return most
