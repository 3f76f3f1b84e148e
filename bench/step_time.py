"""How long a step takes that nothing has run yet: its counted cost, times a few constants.

The constants are fitted to one machine's CPU (`nox -s step_time` prints them); the rate of its
matrix products, which weighs most in all but the smallest networks, is measured where they are
used.  `nox -s step_time -- --again` prints how near they come to the steps in `docs/step_time.csv`,
which that machine took; elsewhere they come as near as the machines are alike.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

from bench.training.arithmetic import StepCost


@dataclass(frozen=True)
class Coefficients:
    """What each part of a step costs under one engine."""

    product: float
    """Times what the matrix products take at the machine's rate."""
    byte: float
    """Seconds for each byte that an operation writes."""
    update: float
    """Seconds for each parameter that an optimiser changes."""
    call: float
    """Seconds for each operation where every one is called from Python, else for each step."""
    image: float
    """Seconds for each image that the textbook's DataLoader puts into a batch."""


FEATURES = tuple(field.name for field in fields(Coefficients))

_CPU = {
    "textbook": Coefficients(product=1.22, byte=1.6e-10, update=5.1e-9, call=5.6e-6, image=7.8e-5),
    "eager": Coefficients(product=1.23, byte=3.7e-10, update=5.0e-9, call=1.1e-5, image=0),
    "compiled": Coefficients(product=1.37, byte=3.7e-11, update=1.3e-9, call=1.0e-4, image=0),
}


def step_seconds(  # noqa: PLR0913 - a step's own numbers
    cost: StepCost, engine: str, *, members: int, critic_steps: int, images: int, rate: float
) -> float:
    """Seconds of a generator iteration of a group.

    `rate` is `matmul_rate` of its place; `images` are those of a batch, 0
    where the data are points.
    """
    parts = features(
        engine,
        members,
        critic_steps,
        images,
        rate=rate,
        operations=cost.operations,
        bytes=cost.bytes,
        calls=cost.calls,
        updates=cost.updates,
    )
    return float(sum(part * each for part, each in zip(parts, astuple(_CPU[engine]), strict=True)))


def features(  # noqa: PLR0913 - a step's own numbers
    engine: str,
    members: float,
    critic_steps: float,
    images: float,
    *,
    rate: float,
    operations: float,
    bytes: float,
    calls: float,
    updates: float,
) -> tuple[float, ...]:
    """What the coefficients are for, in their order; all but a call counts for each member."""
    return (
        members * operations / rate,
        members * bytes,
        members * updates,
        critic_steps + 1 if engine == "compiled" else calls,
        members * critic_steps * images if engine == "textbook" else 0.0,
    )
