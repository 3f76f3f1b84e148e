"""What becomes of a claim."""

from __future__ import annotations

from dataclasses import dataclass

from bench.hypotheses import Claim
from bench.stats import Better, Claimed, Finding


@dataclass(frozen=True)
class Side:
    """The numbers of one variant, or of one series of a probe."""

    name: str
    values: tuple[tuple[int, float], ...]
    """(seed, number) of each run that has one; of a rate 1 or 0, of a correlation across runs the
    metric."""
    diverged: int = 0
    """Diverged runs; of a rate and of a time they are among the values."""
    without: int = 0
    """Completed runs without the number."""
    missed: int = 0
    """Of a time: runs that had not reached the target when they ended, or at the limit."""
    against: tuple[float, ...] = ()
    """Of a correlation across runs: the other number of each value."""
    since: tuple[float, ...] = ()
    """Of a time: where each run was last seen before it was at the target, which it may have been
    at any time since."""

    @property
    def numbers(self) -> tuple[float, ...]:
        """The values without their seeds."""
        return tuple(value for _, value in self.values)


@dataclass(frozen=True)
class Judgement:
    """A claim held against its runs: all that a sentence about it needs."""

    claim: Claim
    """Its names are those of the report: of a suite on several devices, `gan (cpu)`."""
    verdict: Claimed
    findings: tuple[Finding, ...]
    """One of a comparison, and of a correlation across all runs; else one a side."""
    sides: tuple[Side, ...]
    edge: float | None = None
    """Of a comparison: the margin as an effect, a ratio or a difference, on the claimed side."""
    toward: Better = "higher"
    """Of a comparison: on which side the first is claimed to lie."""
    limit: float | None = None
    """Of a time: the amount of training, along the axis, up to which it is counted."""
    resolution: float | None = None
    """Of a time: the amount between evaluations."""


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict, as a report tells it."""

    claim: Claim
    verdict: Claimed
    sentence: str
    """What was done and what came out: effect, interval, seeds."""
    judgement: Judgement
    device: str = ""
    """Which device's runs it is judged by, in a suite that ran on several."""
    declared_after: int = 0
    """Runs that were finished when the claim was first declared."""

    @property
    def text(self) -> str:
        """The claim in words, with its device."""
        return f"{self.claim.text} ({self.device})" if self.device else self.claim.text
