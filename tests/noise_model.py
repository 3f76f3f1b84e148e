"""The noise of the reference machine: as it was measured, and a model of it to draw more from.

Measured are the rounds of `results/reference/step_time`: a revision against itself.  The model has
what such noise is made of, each part estimated from those readings:

    between     a process differs from the next one for as long as it lives (where its memory lies)
    own         its blocks differ, each alike to the one before: AR(1)
    shared      what happens to the machine, and so to both sides, at that moment: AR(1)
    profile     work that is due in the same block of every process (data are drawn ahead)
    level       what happens from round to round, to both sides
    first       what the side that goes first loses
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from bench import store
from bench.gate import used
from bench.records import CheckResult

ROOT = Path(__file__).parent.parent / "results" / "reference"
SUBJECTS = ("mlp_gan", "mlp_wgan_gp")
STRAY = 3.0
"""Robust standard deviations at which a block's deviation is cut off for the estimates: strays are
in the measured rounds, and a normal model has none."""


@dataclass(frozen=True)
class Components:
    """Of the log of a block's step time; standard deviations, and correlations of neighbours."""

    between: float
    own: float
    own_correlation: float
    shared: float
    shared_correlation: float
    """From one block to the next in time, of whichever side."""
    level: float
    first: float
    """First side over second."""
    profile: np.ndarray


def measured() -> CheckResult:
    """A revision against itself, 112 times."""
    checks = store.load_checks(ROOT, "step_time")
    return checks.of(checks.ids[0])


def series(result: CheckResult, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the block times (round, side, block), base before head; whether head was first."""
    base, head = (used(result.readings, subject, side) for side in ("base", "head"))
    times = [[base[number].step_ms, head[number].step_ms] for number in sorted(base)]
    return np.log(times), np.array([head[number].first for number in sorted(base)])


def in_turn(times: np.ndarray, head_first: np.ndarray) -> np.ndarray:
    """The same with the first side before the second."""
    return np.where(head_first[:, None, None], times[:, ::-1], times)


def moments_in_time(blocks: int) -> np.ndarray:
    """When each block of the first and of the second side is run: A B B A A B …; (side, block)."""
    block = np.arange(blocks)
    first = 2 * block + block % 2
    return np.stack([first, 4 * block + 1 - first])


def estimated(times: np.ndarray, head_first: np.ndarray) -> Components:
    """The components behind measured block times."""
    turns = in_turn(times, head_first)
    blocks = turns.shape[-1]
    within = turns - np.median(turns, axis=-1, keepdims=True)
    profile = np.median(within, axis=(0, 1))
    own, own_next, shared, shared_next = _within(within - profile)
    ratio = log_ratios(turns)
    bare = Components(0, own, own_next, shared, shared_next, 0, 0, profile)
    inside = log_ratios(drawn(bare, 20_000, blocks, np.random.default_rng(0))).var()
    return Components(
        between=float(max(0.0, (ratio.var(ddof=1) - inside) / 2) ** 0.5),
        own=own,
        own_correlation=own_next,
        shared=shared,
        shared_correlation=shared_next,
        level=float(np.median(turns, axis=(1, 2)).std(ddof=1)),
        first=-float(ratio.mean()),
        profile=profile,
    )


def _within(deviation: np.ndarray) -> tuple[float, ...]:
    """What fits the covariances of the blocks of a round best: own and shared, and how alike.

    A process's mean is taken off its blocks, and so it is off the model's.
    """
    rounds, _, blocks = deviation.shape
    cut = STRAY * 1.4826 * np.median(np.abs(deviation))
    kept = np.clip(deviation, -cut, cut)
    kept = (kept - kept.mean(axis=-1, keepdims=True)).reshape(rounds, -1)
    found = kept.T @ kept / rounds
    centre = np.kron(np.eye(2), np.eye(blocks) - 1 / blocks)
    when, block = moments_in_time(blocks).ravel(), np.tile(np.arange(blocks), 2)
    same = np.kron(np.eye(2), np.ones((blocks, blocks)))
    apart, own_apart = (np.abs(np.subtract.outer(each, each)) for each in (when, block))

    def left(own: float, own_next: float, shared: float, shared_next: float) -> np.ndarray:
        model = own**2 * own_next**own_apart * same + shared**2 * shared_next**apart
        return ((centre @ model @ centre - found) / found.max()).ravel()

    starts = [(0.03, one, 0.03, other) for one in (0.1, 0.9) for other in (0.1, 0.9)]
    bounds = ([0, 0, 0, 0], [1, 0.98, 1, 0.98])
    fits = [least_squares(lambda guess: left(*guess), start, bounds=bounds) for start in starts]
    return tuple(min(fits, key=lambda fit: fit.cost).x.tolist())


def drawn(of: Components, rounds: int, blocks: int, rng: np.random.Generator) -> np.ndarray:
    """Logs of block times of two sides of the same code, in turn: (round, side, block)."""
    own = of.own * _alike(rng, (rounds, 2, blocks), of.own_correlation)
    shared = of.shared * _alike(rng, (rounds, 2 * blocks), of.shared_correlation)
    process = rng.normal(0, of.between, (rounds, 2, 1))
    process[:, 0] += of.first
    level = rng.normal(0, of.level, (rounds, 1, 1))
    return level + process + own + shared[:, moments_in_time(blocks)] + of.profile


def _alike(rng: np.random.Generator, shape: tuple[int, ...], by: float) -> np.ndarray:
    """AR(1) of unit spread along the last axis."""
    found = rng.standard_normal(shape)
    for at in range(1, shape[-1]):
        found[..., at] = by * found[..., at - 1] + (1 - by**2) ** 0.5 * found[..., at]
    return found


def log_ratios(turns: np.ndarray) -> np.ndarray:
    """Second over first of each round, as `bench.gate.log_ratios` has head over base."""
    return np.median(turns[..., 1, :] - turns[..., 0, :], axis=-1)


def checks(of: Components, number: int, rounds: int, rng: np.random.Generator) -> np.ndarray:
    """Log ratios of head over base, which are the same code: (check, round).

    Each side goes first once in every two rounds.
    """
    turns = drawn(of, number * rounds, len(of.profile), rng)
    second_is_head = rng.choice([-1.0, 1.0], (number, rounds // 2, 1)) * [1, -1]
    return log_ratios(turns).reshape(number, rounds) * second_is_head.reshape(number, rounds)
