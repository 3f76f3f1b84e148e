"""How each variant trained: steadiness, what its critic's score is worth, how often it fails."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np
import pandas as pd

from bench.claims.base import Side
from bench.claims.measures import measured, per_run
from bench.claims.outcomes import ends
from bench.claims.tables import Tables
from bench.costs import RUN_COSTS
from bench.hypotheses import SCORE_GAP_PER_SLOPE, Claim
from bench.reporting.base import Behaviour, Summary
from bench.reporting.numbers import NONE, interval, number, percent
from bench.stats import Interval, wilson
from bench.stats.base import mean_interval, moments


def behaviour(tables: Tables, metric: str, claims: Sequence[Claim]) -> tuple[Behaviour, ...]:
    """A row a variant; none where nothing of it is known, or what runs cost is compared.

    What a collapse is, the suite's first claim about one says.
    """
    if metric in RUN_COSTS:
        return ()
    names = tables.variants
    late = measured(Claim("", metric, of="late_spread"), tables, names)
    follows = Claim("", SCORE_GAP_PER_SLOPE, of="correlation", against=metric)
    tracking = measured(follows, tables, names)
    cosines = per_run(tables.rows("gradient_cosine"), names, _median)
    defined = next((claim for claim in claims if claim.of == "collapse"), None)
    rates = ends(defined, tables, names) if defined else None
    found = tuple(
        Behaviour(
            variant=name,
            late_spread=_middle(late[place].numbers),
            tracking=_mean(tracking[place].numbers),
            gradient_cosine=_middle([value for _, value in cosines[name]]),
            collapsed=_rate(rates[place]) if rates else None,
        )
        for place, name in enumerate(names)
    )
    return found if any(each.known for each in found) else ()


def headings(summary: Summary) -> list[str]:
    """The columns of `rows`."""
    shown = ["Variant", "Late spread", "Score gap and metric", "Gradient cosine"]
    return [*shown, "Collapsed"] if _collapsing(summary) else shown


def rows(summary: Summary) -> list[list[str]]:
    """A row a variant, as text."""
    collapsing = _collapsing(summary)
    return [
        [
            each.variant,
            percent(each.late_spread, 1),
            _told(each.tracking),
            number(each.gradient_cosine, 2),
            *([_share(each.collapsed)] if collapsing else []),
        ]
        for each in summary.behaviour
    ]


def about(summary: Summary) -> str:
    """What the columns are."""
    metric = summary.metric_label
    said = [
        f"Late spread: the standard deviation of {metric} over its mean, in the last fifth of "
        "training (of at least 3 evaluations).",
        "Score gap and metric: Spearman’s correlation within runs of the held-out score gap over "
        f"the critic’s slope with {metric}, its mean over runs and the 95 % t-interval; far from "
        "0, the critic tells how good the samples are.",
        "Gradient cosine: between the generator’s gradients on the same latents, one row of the "
        "curves and the next; below 0, it turns around.",
    ]
    if _collapsing(summary):
        claim = next(c for c in summary.declaration.claims if c.of == "collapse")
        target = f"{claim.target:g}" if claim.target is not None else NONE
        said.append(
            f"Collapsed: runs that end with {claim.metric} worse than {target} or diverge, and "
            "Wilson’s interval."
        )
    return " ".join([*said, "Medians over completed runs, unless said otherwise."])


def _collapsing(summary: Summary) -> bool:
    return any(each.collapsed is not None for each in summary.behaviour)


def _median(own: pd.DataFrame) -> float | None:
    return float(own["value"].median())


def _middle(values: Sequence[float]) -> float | None:
    return float(median(values)) if values else None


def _mean(values: Sequence[float]) -> Interval | None:
    """The mean of correlations and its t-interval, which ends where they do; as wide as it can be
    of one."""
    if not values:
        return None
    if len(values) < 2:
        return Interval(values[0], -1.0, 1.0, 0.95, 1)
    of = moments(np.array(values))
    low, high = mean_interval(of, 0.95)
    return Interval(of.mean, max(-1.0, low), min(1.0, high), 0.95, of.n)


def _rate(side: Side) -> Interval:
    return wilson(int(sum(side.numbers)), len(side.values))


def _told(found: Interval | None) -> str:
    return NONE if found is None else f"{number(found.centre, 2)} {interval(found)}"


def _share(found: Interval | None) -> str:
    if found is None or not found.n:
        return NONE
    ends = f"[{percent(found.low)}, {percent(found.high)}]"
    return f"{round(found.centre * found.n)} of {found.n} {ends}"
