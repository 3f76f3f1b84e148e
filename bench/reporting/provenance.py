"""Where the numbers come from: recipes, failed runs, machines, and how to do it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

from bench.registry import label
from bench.reporting.base import Declaration, Environment, Failure, Recipe
from bench.reporting.frames import Frames, different, recipe
from bench.reporting.numbers import listed, memory, plural

HARDWARE = ("cpu", "cores", "memory", "gpu", "gpus")
"""Facts without which timings cannot be compared."""

_KINDS = {
    "objective": "objectives",
    "network": "networks",
    "dataset": "datasets",
    "optimizer": "optimizers",
    "schedule": "schedules",
}
_HEADINGS = {
    "objective": "Objective",
    "optimizer": "Optimiser",
    "critic_steps": "Critic steps",
    "critic_boost": "More critic steps",
    "batch_repeats": "Steps on a real batch",
    "packing": "Packing",
    "spectral_norm": "Spectral norm",
    "schedule": "Schedule",
    "network": "Network",
    "init": "Initialisation",
    "dataset": "Data",
    "batch_size": "Batch size",
    "budget": "Budget",
    "engine": "Engine",
    "precision": "Precision",
    "evaluation": "Evaluation",
}
_WHERE_DIFFERENT = {"compile": "Compilation", "threads": "Threads", "group": "Group"}
"""Settings that most suites leave as they are: told only where variants differ in them."""
_DEFAULTS = {"compile": "auto", "threads": 1}
"""What a spec that does not say has."""


def recipes(frames: Frames) -> tuple[Recipe, ...]:
    """Every variant, in the declared order, with what became of its runs."""
    runs = {name: frames.of(name) for name in frames.variants}
    how = {name: _trained(rows) for name, rows in runs.items() if len(rows)}
    headings = [h for h in _WHERE_DIFFERENT.values() if len({each[h] for each in how.values()}) > 1]
    return tuple(
        _recipe(frames, name, {h: how[name][h] for h in headings if name in how})
        for name in frames.variants
    )


def _trained(runs: pd.DataFrame) -> dict[str, str]:
    """How a variant's runs were trained, by heading; of groups the largest, the declared one."""
    specs = [_DEFAULTS | json.loads(str(spec)) for spec in runs["spec"]]
    found = specs[0] | {"group": max(len(spec["group"]) for spec in specs)}
    return {heading: _option(found[key]) for key, heading in _WHERE_DIFFERENT.items()}


def _recipe(frames: Frames, name: str, trained: dict[str, str]) -> Recipe:
    runs = frames.of(name)
    status = runs["status"].value_counts()
    completed, diverged = int(status.get("completed", 0)), int(status.get("diverged", 0))
    seeds = tuple(sorted(int(seed) for seed in runs["seed"].unique()))
    return Recipe(
        name=name,
        parts=_parts(json.loads(str(runs["spec"].iloc[0]))) | trained if len(runs) else {},
        seeds=seeds,
        completed=completed,
        diverged=diverged,
        failed=len(runs) - completed - diverged,
        missing=sum(variant == name for variant, _ in frames.missing),
    )


def _parts(spec: Mapping[str, Any]) -> dict[str, str]:
    known = {key: heading for key, heading in _HEADINGS.items() if key in spec}
    return {heading: _part(key, spec[key]) for key, heading in known.items()}


def _part(key: str, value: Any) -> str:
    if key in _KINDS:
        options = [f"{name} {_option(v)}" for name, v in value.items() if name != "name" and v]
        named = label(_KINDS[key], value["name"])
        return f"{named} ({', '.join(options)})" if options else named
    if key == "init":
        return label("inits", value)
    if key == "budget":
        return _amount(value)
    if key == "critic_boost":
        return f"{value['steps']:,} at the first {value['first']:,} and every {value['every']:,}"
    if key == "evaluation":
        return f"{value['samples']:,} samples every {_amount(value['every'])}"
    return _option(value)


def _amount(value: Mapping[str, Any]) -> str:
    return (
        f"{value['count']:,g} {value['unit'].replace('_', ' ')}"
        if value["count"] < 1e6
        else (f"{value['count']:,.0f} {value['unit'].replace('_', ' ')}")
    )


def _option(value: Any) -> str:
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"({', '.join(_option(item) for item in value)})"
    return json.dumps(value)


def spoken_key(key: str) -> str:
    """A key of a recipe as a sentence has it: `initialisation`, `batch size`."""
    return (_HEADINGS | _WHERE_DIFFERENT).get(key, key).lower()


def differences(frames: Frames) -> str:
    """In what the recipes differ, and so what a difference between them may be credited to."""
    firsts = [
        recipe(str(runs["spec"].iloc[0])) for v in frames.variants if len(runs := frames.of(v))
    ]
    keys = different(firsts) if len(firsts) > 1 else []
    if not keys:
        return ""
    names = [spoken_key(key) for key in keys]
    if keys == ["objective"]:
        return "The recipes differ in the objective alone, so a difference may be credited to it."
    return (
        f"The recipes differ in {listed(sorted(names))}: whole recipes are compared, and no "
        "difference can be credited to the objective alone."
    )


def standing(found: tuple[Recipe, ...]) -> str:
    """How many of the declared runs there are, and what became of the others."""
    total = sum(each.completed + each.diverged + each.failed + each.missing for each in found)
    completed = sum(each.completed for each in found)
    if completed == total:
        return f"All {plural(total, 'run')} completed."
    parts = [f"{completed} completed"]
    for noun in ("diverged", "failed", "missing"):
        numbers = {each.name: getattr(each, noun) for each in found if getattr(each, noun)}
        if numbers:
            who = ", ".join(f"{name} {n}" for name, n in numbers.items())
            parts.append(f"{sum(numbers.values())} {noun} ({who})")
    tail = " A diverged run is a result: it counts as a loss, and is in no median." * any(
        each.diverged for each in found
    )
    gone = " Failed and missing runs are compared with nothing; bench run tries them again." * any(
        each.failed or each.missing for each in found
    )
    return f"Of {plural(total, 'run')}, {listed(parts)}.{tail}{gone}"


def failures(frames: Frames) -> tuple[Failure, ...]:
    """Every run that did not complete, and every declared one of which there is no trace."""
    last = frames.curves.groupby("run_id")["generator_step"].max()
    bad = frames.runs[frames.runs["status"] != "completed"]
    seen = [
        Failure(
            variant=str(row["variant"]),
            seed=int(row["seed"]),
            status=str(row["status"]),
            step=int(last[row["run_id"]]) if row["run_id"] in last.index else None,
            error="" if pd.isna(row["error"]) else str(row["error"]),
        )
        for _, row in bad.iterrows()
    ]
    gone = [
        Failure(variant, seed, "missing", None, "declared, and not run yet")
        for variant, seed in frames.missing
    ]
    order = {name: place for place, name in enumerate(frames.variants)}
    return tuple(sorted([*seen, *gone], key=lambda f: (order[f.variant], f.seed)))


def environments(frames: Frames) -> tuple[Environment, ...]:
    """Each combination of hardware and software that made runs, the commonest first."""
    made = frames.runs[frames.runs["started_at"].notna()]
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for _, row in made.iterrows():
        facts = tuple((name, text) for name, text in _facts(row).items() if text)
        counts[facts] = counts.get(facts, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return tuple(Environment(runs, dict(facts)) for facts, runs in ordered)


def _facts(row: pd.Series[Any]) -> dict[str, str]:
    def text(column: str) -> str:
        value = row[column]
        if pd.isna(value):
            return ""
        return f"{value:g}" if isinstance(value, float) else str(value)

    dirty = not pd.isna(row["dirty"]) and bool(row["dirty"])
    size = row["memory_bytes"]
    return {
        "cpu": text("cpu"),
        "cores": text("cores"),
        "memory": "" if pd.isna(size) else memory(float(size)),
        "gpu": text("gpu"),
        "gpus": text("gpu_count"),
        "driver": text("driver"),
        "cuda": text("cuda"),
        "cudnn": text("cudnn"),
        "os": text("os"),
        "python": text("python"),
        "torch": text("torch"),
        "bench": text("bench_version"),
        "commit": text("commit")[:12] + (" with uncommitted changes" if dirty else ""),
        # the declared engine is the recipe's own, and no fact about the machine
        "engine used": text("engine_used") if row["engine_used"] != row["engine"] else "",
        "groups at once": text("workers"),
        "tf32": text("tf32"),
        "deterministic": text("deterministic"),
    }


def mixed(found: tuple[Environment, ...]) -> list[str]:
    """The facts in which the environments differ."""
    names = {name: None for each in found for name in each.facts}
    return [name for name in names if len({each.facts.get(name) for each in found}) > 1]


def warnings(
    frames: Frames, found: tuple[Environment, ...], changed_from: str | None
) -> tuple[str, ...]:
    """What a reader must not miss: a primary chosen late, and machines that differ."""
    said = []
    if changed_from is not None:
        said.append(f"The primary was changed after runs had finished: it was {changed_from}.")
    if differing := mixed(found):
        hard = [name for name in differing if name in HARDWARE]
        consequence = (
            " Timings and costs of different hardware must not be compared." if hard else ""
        )
        said.append(
            f"These runs come from {len(found)} environments, which differ in "
            f"{listed(differing)}.{consequence}"
        )
    swapped = frames.runs[
        frames.runs["engine_used"].notna() & (frames.runs["engine_used"] != frames.runs["engine"])
    ]
    for (asked, used), rows in swapped.groupby(["engine", "engine_used"]):
        said.append(f"{plural(len(rows), 'run')} asked for the engine {asked} and used {used}.")
    return tuple(said)


def reproduction(frames: Frames, declaration: Declaration) -> tuple[str, ...]:
    """The commands that make these results again."""
    file = shlex.quote(f"{declaration.name}.toml")
    options = f" {shlex.join(declaration.options)}" if declaration.options else ""
    return (
        *_code(frames.runs),
        f"bench run {file}{options}    # the suite as printed in this report, saved by this name",
        f"bench report {file}",
    )


def _code(runs: pd.DataFrame) -> list[str]:
    """Which code made the runs: the commit to check out, else the version of bench."""
    commits = _distinct(runs["commit"])
    if not commits:
        versions = _distinct(runs["bench_version"])
        return [f"# made by bench {listed(versions)}; no commit is recorded"] if versions else []
    dirty = bool((runs["dirty"] == True).any())  # noqa: E712 - null is neither
    checkout = f"git checkout {shlex.quote(commits[0])}"
    if dirty or len(commits) > 1:
        why = "with uncommitted changes" if dirty else f"the first of {len(commits)}"
        checkout += f"    # {why}"
    return [checkout]


def _distinct(column: pd.Series[Any]) -> list[str]:
    return list(dict.fromkeys(str(value) for value in column.dropna()))
