"""The tables that claims are judged by, and the rows of one number in them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.costs import RUN_COSTS
from bench.hypotheses import CURVES, SCORE_GAP_PER_SLOPE
from bench.reading import finite, floor_of

AXES = {
    "generator_steps": "generator_step",
    "critic_steps": "critic_steps",
    "images": "images",
    "cost": "cost",
}
"""Axis of a claim → column."""


@dataclass(frozen=True)
class Tables:
    """One suite's runs; each row of `curves` and `metrics` has its run's variant, seed, status and
    cost in seconds so far."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    metrics: pd.DataFrame
    probes: pd.DataFrame
    """Columns of `ProbeRow`; empty where the suite has none."""
    variants: tuple[str, ...]

    def rows(self, name: str) -> pd.DataFrame:
        """Every row of a metric or a column of `curves`, its number as `value`, in order of time.

        Of a metric also the rows without a value; of a column those alone that have one.
        """
        if name not in CURVES:
            found = self.metrics[self.metrics["metric"] == name]
            value = pd.to_numeric(found["value"], errors="coerce").astype(float)
            return found.assign(value=value).sort_values("generator_step", kind="stable")
        curves = self.curves
        column = "score_gap" if name == SCORE_GAP_PER_SLOPE else name
        value = pd.to_numeric(curves[column], errors="coerce").astype(float)
        if name == SCORE_GAP_PER_SLOPE:
            slope = pd.to_numeric(curves["lipschitz_p50"], errors="coerce").astype(float)
            value /= slope.where(slope > 0)
        found = curves.assign(value=value)
        return found[finite(found["value"])].sort_values("generator_step", kind="stable")

    def of(self, variant: str, status: str | None = None) -> pd.DataFrame:
        """The runs of a variant, of that status if one is given."""
        runs = self.runs[self.runs["variant"] == variant]
        return runs if status is None else runs[runs["status"] == status]

    def unit(self, name: str) -> str:
        """The unit of a metric; empty where none is known."""
        if name == "at_clip_bound":
            return "share"
        units = self.metrics.loc[self.metrics["metric"] == name, "unit"]
        return str(units.iloc[0]) if len(units) else ""

    def direction(self, name: str) -> str:
        """Which end of a metric or a cost is better; empty where none is known."""
        if name in RUN_COSTS:
            return RUN_COSTS[name].better
        found = self.metrics.loc[self.metrics["metric"] == name, "better"]
        return str(found.iloc[0]) if len(found) else ""

    def floor(self, name: str) -> float | None:
        """What real data gets of a metric."""
        return floor_of(self.metrics[self.metrics["metric"] == name])
