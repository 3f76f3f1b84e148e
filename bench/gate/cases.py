"""A suite as a check sees it: the groups that both sides train, and what of each is guarded."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch

from bench import plan, registry
from bench.environment import peak_memory_bytes
from bench.errors import BenchError, RequestError
from bench.records import Group, Guard, RunSpec, Subject
from bench.suite import Suite, load_suite

Case = tuple[str, Guard]
"""The name of a subject and what is guarded of it."""


def subjects(suite: Suite) -> tuple[Subject, ...]:
    """The first group of each variant on each type of device, in the order of the suite.

    Raises `RequestError` where nothing is guarded.
    """
    devices = plan.devices(suite)
    groups: dict[tuple[str, str], Group] = {}
    for group in plan.groups(plan.expand(suite), suite.name):
        groups.setdefault((group.specs[0].variant, group.device), group)
    several = len({kind for _, kind in groups}) > 1
    found = []
    for (variant, kind), group in groups.items():
        guarded = tuple(guard for guard in get_args(Guard) if _guards(suite, guard, group.specs[0]))
        if guarded:
            name = f"{variant}@{kind}" if several else variant
            device = next(each for each in devices if each.startswith(kind))
            found.append(Subject(name, group.specs, device, guarded))
    if not found:
        raise RequestError(
            f"{suite.path}: nothing of these variants is guarded; expected at least one in "
            "check.step_time, check.peak_memory or check.compile_time"
        )
    return tuple(found)


def cases(found: Iterable[Subject]) -> tuple[Case, ...]:
    """Every case, subject by subject."""
    return tuple((subject.name, guard) for subject in found for guard in subject.guarded)


def usual(spec: RunSpec) -> dict[str, dict[str, Any]]:
    """The default values of the options of a spec's parts, by kind of part."""
    found = {}
    for kind in ("dataset", "network", "objective", "optimizer", "schedule"):
        options = fields(registry.load(f"{kind}s", getattr(spec, kind)["name"]))
        made = {
            each.name: each.default_factory() for each in options if callable(each.default_factory)
        }
        plain = {each.name: each.default for each in options if each.default is not MISSING}
        found[kind] = made | plain
    return found


def narrowed(suite: Suite) -> bool:
    """Whether the call asked for some of the variants alone."""
    return "--variant" in suite.options


def dropped(text: str | None, suite: Suite, now: Sequence[Subject]) -> tuple[Case, ...]:
    """Cases that the suite's text at base has and head's suite has not; none where it is narrowed.

    `text`: None where base has no such file; it is read by the code of head, or where that cannot,
    by the names of its variants alone.
    """
    if text is None or narrowed(suite):
        return ()
    with TemporaryDirectory() as folder:
        copy = Path(folder, suite.path.name)
        copy.write_text(text, encoding="utf-8")
        try:
            before = load_suite(copy, overrides=suite.overrides, devices=suite.devices)
            then = cases(subjects(before))
        except BenchError:
            kept = _names(suite.text)
            return tuple((name, "step_time") for name in _names(text) if name not in kept)
    return tuple(case for case in then if case not in cases(now))


def _names(text: str) -> list[str]:
    try:
        written = tomllib.loads(text).get("variant")
    except tomllib.TOMLDecodeError:
        return []
    listed = written if isinstance(written, list) else []
    return [str(one["name"]) for one in listed if isinstance(one, dict) and "name" in one]


@cache
def _tells_peak() -> bool:
    """Whether this system tells a process how much memory it took at most."""
    return peak_memory_bytes(torch.device("cpu")) is not None


def _guards(suite: Suite, guard: Guard, spec: RunSpec) -> bool:
    """Whether the quantity is guarded, and can be told: a CPU's peak memory only Linux tells, and
    an engine that compiles nothing has no time of it."""
    named = suite.check.guarded[guard].variants
    if guard == "peak_memory" and spec.device == "cpu" and not _tells_peak():
        return False
    if guard == "compile_time" and spec.engine != "compiled":
        return False
    return named is None or spec.variant in named
