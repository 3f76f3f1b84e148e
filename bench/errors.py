"""What can go wrong, as a small tree.

    BenchError               anything `bench` says in one line instead of a traceback
    ├── RequestError         the request is wrong (exit 2)
    │   ├── SuiteError       a suite file, or a `--set` on it
    │   ├── UnknownName      a part that no registry holds
    │   ├── DataError        a data set that is not there, unreadable or of the wrong form
    │   └── DeviceError      a device, or memory or a precision of it, that is not there
    ├── StoreError           results that cannot be written or read (exit 2)
    ├── Unsettled            a search with a trial that has no result (exit 3; in bench.search)
    ├── WrongTree            a side of a check that imported other code (exit 3; in bench.gate.turn)
    ├── BisectFailed         `git bisect` gave up (exit 3; in bench.gate.bisect_run)
    ├── CheckpointError      a checkpoint that cannot be used or written; the run goes on without
    ├── NotComparable        results that must not be put into one comparison (exit 4)
    └── RunTimeout           a run that outlasted its limit; becomes the status `timeout`

Every message is one line: where, what was found, what was expected, the likely mend.
Only the command line turns them into exit codes.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class BenchError(Exception):
    """The base of every error that `bench` raises on purpose."""

    exit_code = 3


class RequestError(BenchError):
    """The request is wrong: nothing was started."""

    exit_code = 2


class SuiteError(RequestError):
    """A suite that does not parse or does not validate; the message leads with its position."""


class UnknownName(RequestError):
    """A name that no registry holds."""


class DataError(RequestError):
    """A data set that is missing, truncated or of the wrong shape, type or range."""


class DeviceError(RequestError):
    """A device that this machine does not have, or that has not what a run needs."""


class StoreError(BenchError):
    """Results that cannot be written, or that no reader of this version understands."""

    exit_code = 2


class CheckpointError(BenchError):
    """A checkpoint that cannot be gone on from, or not be written; never the end of a run."""


class NotComparable(BenchError):
    """Results of different data, extractors, layers or sample counts in one comparison."""

    exit_code = 4


class RunTimeout(BenchError):
    """A run outlasted the limit set by `--timeout`."""


def failure(error: Exception) -> str:
    """An unexpected exception in one line: its kind, its text and its place."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}:{last.lineno})"


def suggestion(found: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    near = get_close_matches(found, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; expected one of: {', '.join(known)}"
