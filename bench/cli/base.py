"""What the verbs share: their common options, and tables for people and for pipes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Where the results lie.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for a script.")]


def console(stderr: bool = False) -> Console:
    """The terminal; or, where the output is piped, lines as long as they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty())


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal; plain columns, two spaces apart, where the output is piped."""
    out = console()
    if not out.is_terminal:
        return _print_plain([header, *rows])
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # text as it is: no markup from a suite's names
    return out.print(table)


def drop_output() -> None:
    """Write no further: whoever read us has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_line(text: str, style: str = "", stderr: bool = False) -> None:
    """One line of text as it is, without markup."""
    console(stderr).print(text, style=style or None, markup=False)


def print_json(value: Any) -> None:
    """Strict JSON: what is not a number becomes null."""
    print(json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False))


def _print_plain(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    missing = value is None or (isinstance(value, float) and value - value != 0)
    return None if missing else value
