"""What `declaration.json` keeps beside a suite's results: what they are for, said beforehand."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench import plan, probing, store
from bench.errors import DeviceError
from bench.hypotheses import Claim
from bench.records import ProbeSpec, RunSpec
from bench.search import entries
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
    search = _search(suite, before, finished)
    tried = {one["run_id"] for one in search.get("trials", ())}
    complete = set(ids) == {spec.run_id for spec in whole} and not _waiting(suite)
    return {
        "name": suite.name,
        "title": suite.title,
        "primary": primary,
        "primary_changed_from": _changed(before, primary, {*ids, *tried} & {*finished}),
        **_axes(suite, runs),
        **_baselines(suite),
        **_claims(suite, before, len({*ids} & {*finished})),
        "overrides": list(suite.overrides),
        "options": _sets(suite) if complete else list(suite.options),
        **_probes(suite, before, folder),
        "run_ids": ids,
        "runs": [
            {"run_id": run_id, "variant": variant, "seed": seed, "device": device}
            for (variant, seed, device), run_id in runs.items()
        ],
        **search,
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
    there = {part for variant, seed, _ in runs for part in (variant, seed)} | {*_waiting(suite)}
    return {
        "variants": [variant for variant in variants if variant in there],
        "seeds": [seed for seed in seeds if seed in there],
    }


def _baselines(suite: Suite) -> dict[str, Any]:
    """Variant → the one it is compared with, of a suite that says so."""
    file = suite.declared or suite
    found = {**file.baselines, **suite.baselines}
    return {"baselines": found} if suite.primary.against else {}


def _claims(suite: Suite, before: Mapping[str, Any], finished: int) -> dict[str, Any]:
    """The claims, so far as they are not the usual, each with how many runs were finished when it
    was first declared."""
    earlier = {_key(one): one["declared_after"] for one in before.get("claims", ())}
    usual = {field.name: field.default for field in fields(Claim)}
    said = [
        {key: value for key, value in asdict(claim).items() if value != usual[key]}
        for claim in (suite.declared or suite).claims
    ]
    found = [{**one, "declared_after": earlier.get(_key(one), finished)} for one in said]
    return {"claims": found} if found else {}


def _key(claim: Mapping[str, Any]) -> str:
    """A claim as a key, whenever it was declared."""
    return json.dumps({**claim, "declared_after": None}, sort_keys=True)


def _waiting(suite: Suite) -> list[str]:
    """The variants of the file whose search has no winner yet."""
    file = suite.declared or suite
    return [name for name in file.recipes if file.search and file.search.waits_for(name)]


def _search(suite: Suite, before: Mapping[str, Any], finished: Collection[str]) -> dict[str, Any]:
    """The search: its trials, and by which of them each variant is compared.

    Of the file's variants those that are tuned now, and others whose trials were declared before or
    have run.
    """
    file = suite.declared or suite
    if suite.search is None or file.search is None:
        return {}
    earlier = {one["run_id"] for one in before.get("trials", ())} | {*finished}
    found = [
        entry
        for entry in entries(file)
        if entry.variant in suite.search.trials or entry.run_id in earlier
    ]
    return {
        "search": {"seeds": list(file.search.seeds), "declared": file.search.declared},
        "trials": [asdict(entry) for entry in found],
        "winners": {**file.search.winners, **suite.search.winners},
    }


def _probes(suite: Suite, before: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The declared probes, in the order of the file: those asked for now, and of the others those
    that were declared before or have been measured."""
    asked = {spec.probe_id for spec in probing.expand(suite)}
    earlier = {one["probe_id"] for one in before.get("probes", ())}
    earlier |= store.finished_probes(folder.parent, folder.name)
    found = {spec.probe_id: spec for spec in (*_all_probes(suite), *probing.expand(suite))}
    places = [one.probe["name"] for one in (suite.declared or suite).probes]
    order = sorted(found.values(), key=lambda spec: places.index(spec.probe["name"]))
    kept = [spec for spec in order if spec.probe_id in asked | earlier]
    listed = [
        {"probe_id": spec.probe_id, "probe": spec.probe["name"], "seed": spec.seed} for spec in kept
    ]
    return {"probes": listed} if listed else {}


def _all_probes(suite: Suite) -> tuple[ProbeSpec, ...]:
    """Every probe of a suite that the options of a call narrow; none where that is not known."""
    if suite.declared is None:
        return ()
    try:
        return probing.expand(suite.declared)
    except DeviceError:
        return ()


def _sets(suite: Suite) -> list[str]:
    """The options that are left where all the file's runs are declared."""
    return [text for override in suite.overrides for text in ("--set", override)]


def _changed(before: Mapping[str, Any], primary: Mapping[str, Any], finished: set[str]) -> Any:
    """The first primary under which any of these finished runs was declared, if it was another."""
    earlier = {*before.get("run_ids", ()), *(one["run_id"] for one in before.get("trials", ()))}
    if not finished & earlier:
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
