"""Exact comparison by rank: who beats whom, and how surprising that would be by chance.

Mann & Whitney (1947), "On a test of whether one of two random variables is stochastically larger
than the other".  Values are placed so that the best is the highest, diverged runs at −∞.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, rankdata

Array = NDArray[np.float64]

EXACT_UP_TO = 50
"""Runs a side up to which the permutation distribution is counted out (0.1 s at most)."""


def win_share(a: Array, b: Array) -> float | None:
    """The probability that a run of `a` beats one of `b`: U / mn, a tie counting half."""
    if not len(a) or not len(b):
        return None
    wins = (a[:, None] > b[None, :]).mean() + (a[:, None] == b[None, :]).mean() / 2
    return float(wins)


def smallest_p(n_a: int, n_b: int) -> float | None:
    """The least two-sided p that the exact test can give at these sizes: 2 / C(a + b, a)."""
    if not n_a or not n_b:
        return None
    return min(1.0, 2 / comb(n_a + n_b, n_a))


def mann_whitney_p(a: Array, b: Array) -> float | None:
    """The two-sided p-value over all ways to deal out the ranks, ties included.

    Above `EXACT_UP_TO` runs a side it is the normal approximation with the correction for ties.
    """
    if not len(a) or not len(b):
        return None
    ranks = rankdata(np.concatenate([a, b]))
    if ranks.min() == ranks.max():
        return 1.0
    if max(len(a), len(b)) > EXACT_UP_TO:
        return float(mannwhitneyu(ranks[: len(a)], ranks[len(a) :], method="asymptotic").pvalue)
    doubled = np.rint(2 * ranks).astype(np.int64)  # a rank shared by an even tie ends in a half
    centre = len(a) * (len(ranks) + 1)
    ways = _sums(doubled, len(a))
    far = np.abs(np.arange(len(ways)) - centre) >= abs(int(doubled[: len(a)].sum()) - centre)
    return float(min(1.0, ways[far].sum() / ways.sum()))


def _sums(numbers: np.ndarray[tuple[int], np.dtype[np.int64]], size: int) -> Array:
    """How many subsets of `size` numbers have each sum 0, 1, 2, …."""
    top = int(np.sort(numbers)[-size:].sum())
    ways = np.zeros((size + 1, top + 1))
    ways[0, 0] = 1
    for number in numbers:
        ways[1:, number:] += ways[:-1, : top + 1 - number]
    return np.asarray(ways[size])
