"""The command line: one module a verb, each of which parses, calls `bench.api` and prints.

Nothing here is imported that `--help` does not need: every verb loads what it uses when it runs.

Exit codes: 0 done as asked; 2 the request is wrong; 3 something that should have run failed;
4 not comparable; 70 a fault of `bench` itself, with its traceback; 130 interrupted, 143 ended by
SIGTERM, with everything finished kept.  1 and 5 are the answers of verbs that judge.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from bench import __version__
from bench.cli.base import drop_output
from bench.cli.check import check
from bench.cli.evaluate import evaluate
from bench.cli.list import list_parts
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.show import show
from bench.errors import BenchError

FAULT = 70
INTERRUPTED = 130
TERMINATED = 143
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer does not export its name

app = typer.Typer(
    name="bench",
    help="Train GAN variants side by side and say, with statistics, which one did better.",
    epilog="Example: bench run suites/mnist_compare.toml && bench report mnist_compare",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,  # plain in a pipe, as all output is
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run", epilog="Example: bench run suites/mnist_compare.toml --seeds 0-2")(run)
app.command("report", epilog="Example: bench report mnist_compare --format md")(report)
app.command("show", epilog="Example: bench show mnist_compare wgan_gp/0")(show)
app.command("check", epilog="Example: bench check suites/step_time.toml --against main")(check)
app.command("evaluate", epilog="Example: bench evaluate pictures/ --dataset mnist")(evaluate)
app.command("list", epilog="Example: bench list objectives")(list_parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (the process's own arguments by default); answers with the exit code."""
    with _terminable() as heard:
        code = _called(arguments)
    return TERMINATED if signal.SIGTERM in heard else code


def _called(arguments: Sequence[str] | None) -> int:
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except BenchError as error:
        return _refused(str(error), error.exit_code)
    except _UsageError as error:
        return _refused(getattr(error, "format_message", error.__str__)(), 2)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit) as ended:
        # whoever reads us has had enough (`| head`), of which typer makes an exit with 1
        if not isinstance(ended.__context__ or ended, BrokenPipeError):
            raise
        drop_output()
        return 0
    except Exception:  # the last boundary: Python's own exit code, 1, would be an answer of ours
        traceback.print_exc()
        return FAULT
    return int(code or 0)


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """SIGTERM, and SIGHUP of a terminal that closes, are Ctrl-C; answers with those heard."""
    heard: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        del frame
        heard.append(number)
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # Python hears signals in its main thread alone
    # what is ignored stays so: `nohup` wants it
    numbers = [each for each in numbers if signal.getsignal(each) is signal.SIG_DFL]
    for each in numbers:
        signal.signal(each, interrupt)
    try:
        yield heard
    finally:
        for each in numbers:
            signal.signal(each, signal.SIG_DFL)


def _refused(message: str, code: int) -> int:
    if message:  # there is none where a call without arguments has just shown the help
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        print(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def _bench(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
