"""Tables of imaginary runs, and claims about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from bench.claims.judging import judge
from bench.claims.tables import Tables
from bench.hypotheses import CURVES, Claim
from bench.records import MetricRow, ProbeRow

IMAGES = 64


def tables(
    metrics: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
    *,
    curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]] | None = None,
    better: str = "lower",
    unit: str = "",
    floor: float | None = None,
    diverged: Mapping[str, int] | None = None,
    specs: Mapping[str, Mapping[str, object]] | None = None,
    probes: Sequence[tuple[str, int, str, str, float, float]] = (),
) -> Tables:
    """Name → variant → a run's values, one a hundred steps, seed by seed.

    `diverged`: so many of a variant's last runs did.
    """
    names = list(
        dict.fromkeys(v for own in (*metrics.values(), *(curves or {}).values()) for v in own)
    )
    runs, metric_rows, curve_rows = {}, [], {}
    for kind, source in (("metric", metrics), ("curve", curves or {})):
        for name, by_variant in source.items():
            for variant, courses in by_variant.items():
                lost = (diverged or {}).get(variant, 0)
                for seed, values in enumerate(courses):
                    status = "diverged" if seed >= len(courses) - lost else "completed"
                    run = {
                        "run_id": f"{variant}{seed}",
                        "variant": variant,
                        "seed": seed,
                        "status": status,
                    }
                    spec = {"group": [seed], **(specs or {}).get(variant, {})}
                    runs[run["run_id"]] = {
                        **run,
                        "spec": json.dumps(spec),
                        "solo_step_ms": 5.0 + seed,
                    }
                    for place, value in enumerate(values):
                        step = 100 * (place + 1)
                        at = {
                            **run, "generator_step": step, "critic_steps": step,
                            "images": step * IMAGES, "cost": step / 100,
                        }  # fmt: skip
                        if kind == "metric":
                            kept = {"metric": name, "value": value, "unit": unit, "better": better}
                            metric_rows.append(
                                {**at, **kept, "floor": floor, "extractor": "digits"}
                            )
                        else:
                            curve_rows.setdefault((run["run_id"], step), at)[name] = value
    columns = [
        *dict.fromkeys(
            [
                "run_id",
                "variant",
                "seed",
                "status",
                "generator_step",
                "critic_steps",
                "images",
                "cost",
            ]
        )
    ]
    own = [name for name in MetricRow.__annotations__ if name not in columns]
    return Tables(
        runs=pd.DataFrame(list(runs.values())),
        curves=pd.DataFrame(list(curve_rows.values()), columns=[*columns, *CURVES[:-1]]),
        metrics=pd.DataFrame(metric_rows, columns=[*columns, *own]),
        probes=pd.DataFrame(list(probes), columns=list(ProbeRow.__annotations__)[:6]),
        variants=tuple(names),
    )  # fmt: skip


def judged(found: Tables, metric: str = "fid", **claim):
    return judge(Claim("So it is.", metric, **claim), found)


def flat(*values: float) -> list[list[float]]:
    """Runs of one evaluation."""
    return [[value] for value in values]
