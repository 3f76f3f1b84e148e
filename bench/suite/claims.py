"""The tables `[[claim]]`, held against the variants and what is measured of them."""

from __future__ import annotations

from bench.hypotheses import Claim
from bench.suite.asking import Asking


def read_claims(asking: Asking) -> tuple[Claim, ...]:
    """Placeholder."""
    return ()
