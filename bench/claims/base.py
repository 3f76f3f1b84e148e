"""What becomes of a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.hypotheses import Claim

Verdict = Literal["supported", "refuted", "not_enough_evidence"]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict."""

    claim: Claim
    verdict: Verdict
    sentence: str
    """What was done and what came out: effect, interval, seeds."""
