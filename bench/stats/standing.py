"""Who stands where, once every pair has its verdict."""

from __future__ import annotations

from collections.abc import Sequence

from bench.stats.base import Contrast


def between(contrasts: Sequence[Contrast], a: str, b: str) -> Contrast | None:
    """The contrast of two variants seen from `a`, whichever way round it was computed."""
    for pair in contrasts:
        if (pair.a, pair.b) == (a, b):
            return pair
        if (pair.a, pair.b) == (b, a):
            return pair.mirrored()
    return None


def unbeaten(contrasts: Sequence[Contrast]) -> tuple[str, ...]:
    """The variants to which no other was found better, in their order."""
    names = dict.fromkeys(name for pair in contrasts for name in (pair.a, pair.b))
    beaten = {pair.a for pair in contrasts if pair.verdict == "worse"}
    beaten |= {pair.b for pair in contrasts if pair.verdict == "better"}
    return tuple(name for name in names if name not in beaten)


def winner(contrasts: Sequence[Contrast]) -> str | None:
    """The variant that was found better than every other; None if there is none."""
    names = {name for pair in contrasts for name in (pair.a, pair.b)}
    for name in unbeaten(contrasts):
        won = sum(
            (pair.a == name and pair.verdict == "better")
            or (pair.b == name and pair.verdict == "worse")
            for pair in contrasts
        )
        if won == len(names) - 1:
            return name
    return None
