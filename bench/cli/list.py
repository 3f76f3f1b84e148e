"""`bench list`: what a suite can name."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.base import JsonOption, print_json, print_table


def list_parts(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="objectives, networks, datasets, metrics, presets, probes, executors, optimizers, "
            "schedules, inits or extractors.",
        ),
    ],
    json: JsonOption = False,
) -> None:
    """List what a suite can name, plugins included."""
    from bench import registry

    known = registry.entries(kind)
    if json:
        parts = ({"name": name, **entry._asdict()} for name, entry in known.items())
        print_json([{k: v for k, v in part.items() if k != "target"} for part in parts])
    else:
        print_table(
            ["name", "called", "what it is"], [(n, e.label, e.summary) for n, e in known.items()]
        )
