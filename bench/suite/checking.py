"""The table `[check]`: what of the variants is guarded, and how it is timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.errors import suggestion
from bench.suite.asking import Asking
from bench.suite.base import Problem, locate, nest, refuse
from bench.suite.document import table
from bench.suite.tables import Check, Guarding


def read_check(asking: Asking) -> Check:
    """The table, its defaults where the suite has none.

    Raises `SuiteError`, one line for the first thing that is wrong, by position.
    """
    found = nest(asking.settings).get("check", {})
    check = table(Check, "check", found, asking.settings, asking.source)
    refuse(_unknown(asking, check))
    return replace(
        check,
        step_time=_swept(asking, check.step_time),
        peak_memory=_swept(asking, check.peak_memory),
        compile_time=_swept(asking, check.compile_time),
    )


def _swept(asking: Asking, guarding: Guarding) -> Guarding:
    """A variant that is swept stands for every one that is made of it."""
    if guarding.variants is None:
        return guarding
    wanted = {*guarding.variants}
    names = tuple(name for name, own in asking.names.items() if {name, own} & wanted)
    return replace(guarding, variants=names)


def _unknown(asking: Asking, check: Check) -> Iterator[Problem]:
    known = {*asking.names, *asking.names.values()}
    for guard, guarding in check.guarded.items():
        for index, name in enumerate(guarding.variants or ()):
            if name not in known:
                key = ("check", guard, "variants")
                origin = locate(asking.settings, (*key, index), asking.source.nearest)
                yield Problem(origin, f"{name!r} is not a variant{suggestion(name, known)}")
