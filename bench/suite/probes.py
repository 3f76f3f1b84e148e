"""The tables `[[probe]]`."""

from __future__ import annotations

from bench.suite.asking import Asking
from bench.suite.models import Probing


def read_probes(asking: Asking) -> tuple[Probing, ...]:
    """Placeholder."""
    return ()
