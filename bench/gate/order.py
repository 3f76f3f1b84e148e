"""Who is first: random, and balanced, so that a machine which slows down slows both sides alike."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TypeVar

T = TypeVar("T")


def turns(sides: Sequence[T], draw: random.Random) -> Iterator[tuple[T, ...]]:
    """The order of the sides, round after round: in every two rounds each side is first once."""
    while True:
        one = tuple(draw.sample(sides, len(sides)))
        yield one
        yield one[::-1]


def places(subjects: Sequence[T], draw: random.Random) -> Iterator[tuple[T, ...]]:
    """The order of the subjects: in as many rounds as there are subjects, each has every place."""
    while True:
        order = draw.sample(subjects, len(subjects))
        for start in range(len(order)):
            yield (*order[start:], *order[:start])


def blocks(order: Sequence[T], number: int) -> Iterator[T]:
    """So many blocks of each, A B B A A B …: a drift within the round cancels."""
    for index in count():
        if index == number:
            return
        yield from order if index % 2 == 0 else reversed(order)
