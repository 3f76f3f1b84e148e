"""How a claim reads its number, in words."""

from __future__ import annotations

from bench.claims.measures import as_distance
from bench.claims.tables import Tables
from bench.costs import RUN_COSTS
from bench.hypotheses import CURVES, Claim
from bench.reporting.comparison import metric_label

COLUMNS = {
    "penalty": "gradient penalty",
    "critic_grad_norm": "gradient norm of the critic",
    "generator_grad_norm": "gradient norm of the generator",
    "lipschitz_p50": "median slope of the critic",
    "lipschitz_max": "largest slope of the critic",
    "at_clip_bound": "share of weights at the clip bound",
    "score_gap_per_slope": "score gap over the critic’s slope",
}
"""Columns of `curves` that text calls by more than their name."""
READINGS = {
    "final": "final {}",
    "best": "{} at the best evaluation",
    "change": "last over first {}",
    "late_variance": "variance of {} over the last fifth of training",
    "late_spread": "relative spread of {} over the last fifth of training",
    "trend": "Spearman’s correlation of {} with the progress of training",
    "correlation": "Spearman’s correlation of {} with {}",
    "time_to_target": "until {} is {} or better",
    "collapse": "runs that collapsed ({} worse than {} at the end, or diverged)",
}


def what(claim: Claim, tables: Tables) -> str:
    """How the number is read."""
    called = _label(claim.metric, claim, tables)
    if claim.probe is not None:
        at = f" at {exact(claim.at)}" if claim.at is not None else " at the end"
        called = f"{called} (probe {claim.probe})"
        if claim.of == "final":
            return f"{called}{at}"
        along = {**READINGS, "trend": "Spearman’s correlation of {} with its place along the axis"}
        return along[claim.of].format(called)
    if claim.metric in RUN_COSTS:
        return called
    if claim.of == "correlation":
        assert claim.against is not None
        way = "across runs, at their ends," if claim.across else "within runs"
        other = _label(claim.against, claim, tables)
        return f"{READINGS[claim.of].format(called, other)} {way}"
    if claim.of in ("time_to_target", "collapse"):
        assert claim.target is not None
        times = "" if claim.consecutive == 1 else f" at {claim.consecutive} evaluations in a row"
        rows = times if claim.of == "time_to_target" else ""
        return READINGS[claim.of].format(called, exact(claim.target)) + rows
    away = ", as distance to what real data gets," if as_distance(claim, tables) else ""
    return f"{READINGS[claim.of].format(called)}{away}"


def _label(name: str, claim: Claim, tables: Tables) -> str:
    if claim.probe is not None or name in CURVES:
        return COLUMNS.get(name, name.replace("_", " "))
    if "." in name:
        return name
    extractors = tables.metrics.loc[tables.metrics["metric"] == name, "extractor"]
    return metric_label(name, str(extractors.iloc[0]) if len(extractors) else "")


def exact(value: float) -> str:
    """A declared number, all its digits kept: `0.5`, `60,000`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def axis(claim: Claim) -> str:
    """What a time counts, in the plural."""
    return "seconds of cost" if claim.axis == "cost" else claim.axis.replace("_", " ")
