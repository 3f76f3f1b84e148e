"""The table `[search]`: trials drawn for every variant."""

from __future__ import annotations

from bench.suite.asking import Asking
from bench.suite.models import Search


def read_search(asking: Asking) -> Search | None:
    """Placeholder."""
    return None
