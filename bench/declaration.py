"""What `declaration.json` keeps beside a suite's results: what they are for, said beforehand."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import plan, store
from bench.errors import DeviceError
from bench.records import RunSpec
from bench.suite import Suite

Cell = tuple[str, int, str]
"""Variant, seed, device type."""


def declare(
    suite: Suite, specs: Sequence[RunSpec], folder: Path, finished: Collection[str]
) -> dict[str, Any]:
    """The declaration of a suite whose runs `specs` are asked for now, for its results' folder.

    Where another `primary` had been declared and runs were finished under it, the first one stays
    as `primary_changed_from`.
    """
    before, whole, primary = _stored(folder), _whole(suite), suite.primary.declaration
    runs = _runs(specs, whole, before, folder)
    ids = list(runs.values())
    complete = set(ids) == {spec.run_id for spec in whole}
    return {
        "name": suite.name,
        "title": suite.title,
        "primary": primary,
        "primary_changed_from": _changed(before, primary, {*ids} & {*finished}),
        **_axes(suite, runs),
        **_baselines(suite),
        "overrides": list(suite.overrides),
        "options": _sets(suite) if complete else list(suite.options),
        "run_ids": ids,
        "runs": [
            {"run_id": run_id, "variant": variant, "seed": seed, "device": device}
            for (variant, seed, device), run_id in runs.items()
        ],
    }


def _runs(
    specs: Sequence[RunSpec], whole: Sequence[RunSpec], before: Mapping[str, Any], folder: Path
) -> dict[Cell, str]:
    """The declared runs by cell: those asked for now, and others of recipes that still hold.

    These have run already, or were declared before and are missing.
    """
    recipes = {_recipe(json.loads(spec.to_json())) for spec in (*whole, *specs)}
    earlier = set(before.get("run_ids", ()))
    kept = (spec for spec in whole if spec.run_id in earlier)
    runs = {(each.variant, each.seed, each.device): each.run_id for each in (*kept, *specs)}
    for run in store.run_rows(folder):
        if _recipe(json.loads(run["spec"])) in recipes:
            runs.setdefault((run["variant"], run["seed"], run["device"]), run["run_id"])
    return runs


def _whole(suite: Suite) -> tuple[RunSpec, ...]:
    """Every run of a suite that the options of a call narrow; none where that is not known."""
    if suite.declared is None:
        return ()
    try:
        return plan.expand(suite.declared)
    except DeviceError:  # the file is written for another machine; `--device` made it run here
        return ()


def _axes(suite: Suite, runs: Collection[Cell]) -> dict[str, list[Any]]:
    """The variants and the seeds that have runs, in the order of the file."""
    file = suite.declared or suite
    variants = dict.fromkeys([*file.variants, *suite.variants])
    seeds = dict.fromkeys([*file.seeds, *suite.seeds, *sorted(seed for _, seed, _ in runs)])
    there = {part for variant, seed, _ in runs for part in (variant, seed)}
    return {
        "variants": [variant for variant in variants if variant in there],
        "seeds": [seed for seed in seeds if seed in there],
    }


def _baselines(suite: Suite) -> dict[str, Any]:
    """Variant → the one it is compared with, of a suite that says so."""
    file = suite.declared or suite
    found = {**file.baselines, **suite.baselines}
    return {"baselines": found} if suite.primary.against else {}


def _sets(suite: Suite) -> list[str]:
    """The options that are left where all the file's runs are declared."""
    return [text for override in suite.overrides for text in ("--set", override)]


def _changed(before: Mapping[str, Any], primary: Mapping[str, Any], finished: set[str]) -> Any:
    """The first primary under which any of these finished runs was declared, if it was another."""
    if not finished & set(before.get("run_ids", ())):
        return None
    first = before.get("primary_changed_from") or before.get("primary")
    return first if first != primary else None


def _stored(folder: Path) -> dict[str, Any]:
    """The declaration that lies there; empty where there is none, or none that can be read."""
    try:
        found = json.loads((folder / "declaration.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _recipe(spec: dict[str, Any]) -> str:
    """A run's declaration but for what tells the runs of one recipe apart, as a key."""
    among = {"seed": None, "device": None, "group": len(spec["group"])}
    return json.dumps({**spec, **among}, sort_keys=True)
