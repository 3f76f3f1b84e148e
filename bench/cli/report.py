"""`bench report`: the comparison as one offline page, or as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.base import ResultsOption, print_line


def report(
    suites: Annotated[
        list[str] | None,
        typer.Argument(metavar="SUITE", help="A suite's file or name, or a results folder."),
    ] = None,
    results: ResultsOption = Path("results"),
    reports: Annotated[
        Path, typer.Option("--reports", metavar="DIR", help="Where the HTML page goes.")
    ] = Path("reports"),
    format: Annotated[
        Literal["html", "md", "json"],
        typer.Option("--format", help="html: a page in DIR; md, json: the same numbers, printed."),
    ] = "html",
    history: Annotated[
        bool,
        typer.Option("--history", help="One suite's `bench check`s across its revisions instead."),
    ] = False,
) -> None:
    """Render the comparison as a page.

    Several suites stand side by side; without any, it is the only one that has results.
    """
    from bench import api

    rendered = api.report(
        *(suites or [_only(results)]),
        results=results,
        reports=reports,
        format=format,
        history=history,
    )
    if isinstance(rendered, Path):
        print_line(str(rendered))
    else:
        print(rendered.rstrip("\n"))


def _only(results: Path) -> str:
    """The one suite that has results, for a call that names none."""
    from bench import store
    from bench.errors import RequestError

    names = store.suites(results)
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise RequestError(f"{results}: name the suite to report on; with results there: {found}")
    return names[0]
