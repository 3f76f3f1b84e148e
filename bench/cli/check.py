"""`bench check`: did a revision make training steps slower, on this machine, beyond a margin?"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bench.cli.base import (
    JsonOption,
    ResultsOption,
    console,
    drop_output,
    print_json,
    print_line,
    print_table,
)
from bench.errors import RequestError, StoreError

if TYPE_CHECKING:
    from bench.records import CheckResult
    from bench.reporting.check_accounts import Account
    from bench.suite import Suite

ROUNDS = 32
"""Of a calibration."""
_MODES = "--against REV, --baseline FILE, --record FILE, --calibrate, --bisect GOOD BAD"


@dataclass(frozen=True)
class _Answer:
    """What a check ends with."""

    account: Account
    json: Callable[[], Mapping[str, Any]]
    exit_code: int
    junit: str = ""
    plot: str = ""
    after: Sequence[str] = ()
    """Where it was kept, and what to look at next."""


def check(  # noqa: PLR0913, PLR0917 - a verb's options are its arguments
    suite: Annotated[Path, typer.Argument(metavar="SUITE.toml", help="Whose variants are timed.")],
    against: Annotated[
        str | None, typer.Option(metavar="REV", help="Hold head against this revision.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Hold head against a stored baseline.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Store head as this machine's baseline.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Head against itself: how noisy is this machine?")
    ] = False,
    bisect: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="GOOD BAD", help="Find the first slow revision after GOOD."),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="REV", help="What is checked; by default HEAD, with a clean tree."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=2,
            help=f"Of --calibrate, the last look's at least; {ROUNDS} by default.",
        ),
    ] = None,
    variant: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="This variant only; repeatable.")
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:1; repeatable."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Overrides the suite; a dotted key; repeatable."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.001, help="A limit for each answer of a worker."),
    ] = None,
    inconclusive: Annotated[
        Literal["pass", "fail"], typer.Option(help="What becomes of a case that cannot be told.")
    ] = "fail",
    results: ResultsOption = Path("results"),
    reports: Annotated[
        Path, typer.Option("--reports", metavar="DIR", help="Where a calibration's plot goes.")
    ] = Path("reports"),
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as Markdown, too.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the answer as JUnit XML, too.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Say whether a revision made training steps slower.

    Both sides train in fresh processes, in turns; the planned looks decide. Memory and compile time
    are guarded alike. Exit codes: 0 fine, 1 regressed, 3 missing or failed at head, 4 not
    comparable, 5 inconclusive.
    """
    given = {
        "--against": against,
        "--baseline": baseline,
        "--record": record,
        "--calibrate": calibrate or None,
        "--bisect": bisect,
    }
    modes = [name for name, value in given.items() if value is not None]
    if len(modes) != 1:
        found = ", ".join(modes) or "none"
        raise RequestError(f"bench check: found {found}; expected exactly one of {_MODES}")
    _refuse(modes[0], junit=junit, head=head, rounds=rounds)
    from bench.suite import load_suite

    asked = load_suite(suite, overrides=set_ or (), variants=variant or (), devices=device or ())
    plot = reports / f"{asked.name}-calibration.svg" if calibrate else None
    files = {"--markdown": markdown, "--junit": junit, "--reports": plot}
    for option, path in files.items():
        _require_writable(option, path)
    if bisect is not None:
        answer = _bisected(asked, bisect, inconclusive, results, timeout)
    elif record is not None:
        answer = _recorded(asked, record, head=head, timeout=timeout)
    else:
        answer = _checked(
            asked,
            inconclusive,
            against=against,
            baseline=baseline,
            calibrate=(rounds or ROUNDS) if calibrate else None,
            head=head,
            results=results,
            timeout=timeout,
        )
    try:
        if json:
            print_json(answer.json())
        else:
            _print(answer, plot)
        sys.stdout.flush()
    except BrokenPipeError:  # the verdict is the exit code, whoever reads the rest
        drop_output()
    page = answer.account.markdown()
    for path, text in ((markdown, page), (junit, answer.junit), (plot, answer.plot)):
        if path is not None and text:
            _store(path, text)
    _summarize(page)
    return answer.exit_code


def _refuse(mode: str, junit: Path | None, head: str | None, rounds: int | None) -> None:
    """Options that a mode has no use for."""
    if junit is not None and mode not in {"--against", "--baseline"}:
        raise RequestError(f"--junit: found {mode}; expected --against or --baseline with it")
    if head is not None and mode == "--bisect":
        raise RequestError("--head: found --bisect, whose BAD is the head; leave --head out")
    if rounds is not None and mode != "--calibrate":
        raise RequestError(
            f"--rounds: found {mode}; expected --calibrate with it (the rounds of a check are the "
            "suite's: --set check.looks=[8,16])"
        )


def _require_writable(option: str, path: Path | None) -> None:
    """Before minutes of measuring."""
    if path is None:
        return
    folder = next((each for each in path.absolute().parents if each.exists()), path)
    if (
        path.is_dir()
        or not folder.is_dir()
        or not os.access(path if path.exists() else folder, os.W_OK)
    ):
        raise StoreError(f"{option} {path}: cannot be written; expected a file's path")


def _checked(asked: Suite, inconclusive: str, **options: Any) -> _Answer:
    """Head against a revision, a baseline or itself."""
    from bench import api, gate
    from bench.reporting import checks

    with _telling(asked.name, "this check") as tell:
        result = api.check(asked, **options, tell=tell)
    calibrated = options["calibrate"] is not None
    return _Answer(
        checks.account(result),
        partial(checks.check_as_json, result, inconclusive),
        gate.exit_code(result.rows, inconclusive=inconclusive),
        junit="" if calibrated else checks.render_junit(result, inconclusive),
        plot=_plotted(result) if calibrated else "",
        after=[*_kept(asked, options["results"]), *_next(asked, result)],
    )


def _plotted(result: CheckResult) -> str:
    """The calibration's plot; none where nothing could be timed."""
    from bench.reporting.calibration_figures import calibration_svg

    timed = any(row.ratio is not None for row in result.rows)
    return calibration_svg(result) if timed else ""


def _next(asked: Suite, result: CheckResult) -> Iterator[str]:
    """Which commit it was, where a revision regressed."""
    for row in result.rows:
        if row.verdict == "regressed" and row.mode == "against" and row.base and row.head:
            call = ["bench", "check", str(asked.path), "--bisect", row.base, row.head]
            yield f"Which commit it was: {shlex.join([*call, *asked.options])}"
            return


def _recorded(asked: Suite, record: Path, **options: Any) -> _Answer:
    """Head's times as this machine's baseline."""
    from bench import api, gate, store
    from bench.reporting import checks

    with _telling(asked.name, "this baseline") as tell:
        result = api.check(asked, record=record, **options, tell=tell)
    kept = store.read_baselines(record, missing_ok=True)
    measured = {each.check_id for each in result.readings}
    own = next((one for one in kept if {each.check_id for each in one.readings} & measured), None)
    told = result, own, kept, str(record)
    call = ["bench", "check", str(asked.path), "--baseline", str(record)]
    after = [f"To hold a revision against it: {shlex.join([*call, *asked.options])}"]
    return _Answer(
        checks.recorded(*told),
        partial(checks.recorded_as_json, *told),
        gate.exit_code(result.rows),
        after=after if own else (),
    )


def _bisected(
    asked: Suite, ends: tuple[str, str], inconclusive: str, results: Path, timeout: float | None
) -> _Answer:
    """The first slow revision between two."""
    from bench import api
    from bench.reporting import checks

    with _telling(asked.name, "the step under way") as tell:
        found = api.bisect(asked, *ends, results=results, timeout=timeout, tell=tell)
    return _Answer(
        checks.bisected(found),
        partial(checks.bisection_as_json, found, inconclusive),
        found.exit_code(inconclusive),
        after=_kept(asked, results),
    )


def _kept(asked: Suite, results: Path) -> list[str]:
    """Where a check lies, and how its rounds are looked at."""
    again = asked.name if results == Path("results") else shlex.quote(str(results / asked.name))
    place = results / asked.name / "checks.parquet"
    return [f"Kept in {place}; the rounds drawn: bench report {again}"]


@contextmanager
def _telling(name: str, lost: str) -> Iterator[Callable[[str], None]]:
    """Shows how far the check is: a line a round in a pipe, one line that changes on a terminal."""
    out = console(stderr=True)
    try:
        if not out.is_terminal:
            yield lambda line: print_line(f"{name}: {line}", stderr=True)
            return
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        text = TextColumn("{task.description}", markup=False)
        columns = (SpinnerColumn(), text, TimeElapsedColumn())
        with Progress(*columns, console=out, transient=True) as display:
            task = display.add_task(f"{name}: starting", total=None)
            yield lambda line: display.update(task, description=f"{name}: {line}")
    except KeyboardInterrupt:
        told = f"interrupted: nothing of {lost} was kept; its worktrees and processes are gone"
        print_line(told, stderr=True)
        raise


def _print(answer: _Answer, plot: Path | None) -> None:
    said = answer.account
    print_line(said.headline, style="bold")
    for line in said.about:
        print_line(line)
    if said.rows:
        print_line("")
        print_table(said.header, said.rows)
    drawn = [f"The rounds, and what a check would find: {plot}"] if answer.plot else []
    bullets = [f"- {line}" for line in said.points]
    for lines in (bullets, said.reading, [*answer.after, *drawn]):
        if lines:
            print_line("")
        for line in lines:
            print_line(line)


def _summarize(page: str) -> None:
    """Adds to the summary page of a job of GitHub's, where this is one."""
    place = os.environ.get("GITHUB_STEP_SUMMARY")
    if not place:
        return
    try:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:  # the verdict is worth more than its page
        print_line(f"$GITHUB_STEP_SUMMARY {place}: {error.strerror}", stderr=True)


def _store(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
