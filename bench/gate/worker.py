"""A worker as its driver sees it: a fresh process at one tree, asked one thing at a time."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).with_name("harness.py")
_TAIL = 2000
_LONGEST = 500
"""Characters of a reason that are told."""
_PATIENCE = 1.0
"""Seconds after which an answer that does not come is a reason to look after the process."""


@dataclass(frozen=True)
class WorkerFailed(Exception):
    """A request that a worker could not fulfil."""

    kind: str
    """`old`, `missing`, `crashed`, as the harness says; `lost` for a process that is gone."""
    text: str

    def __str__(self) -> str:
        """The reason alone."""
        return self.text


class Worker:
    """One process; ended with everything it started when it is closed."""

    def __init__(self, roots: Sequence[Path], timeout: float) -> None:
        """`roots` lead its import path; no answer may take longer than `timeout` seconds."""
        self._timeout = timeout
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            # -P: else the folder it is started in comes first, and may hold the other side
            [sys.executable, "-P", str(HARNESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=_environment(roots),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the driver's to hear
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, do: str, **request: Any) -> None:
        """Ask, without waiting for the answer; each is fetched by `receive`, in order."""
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # gone, or closed: `receive` says what became of it
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next answer; raises `WorkerFailed`."""
        line = self._next()
        if line is None:
            self.close()
            raise WorkerFailed("lost", f"no answer in {self._timeout:g} s")
        if not line:
            code = self._process.wait()
            raise WorkerFailed("lost", f"its process ended ({_ended(code)}){self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(answer["kind"], _line(answer["error"]))
        return answer

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Ask, and wait for the answer; raises `WorkerFailed`."""
        self.send(do, **request)
        return self.receive()

    def close(self) -> None:
        """End the process and whatever it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._said):
            with suppress(OSError):  # what was still to be written has no reader any more
                if stream is not None:
                    stream.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._answers.put(line)
        self._answers.put("")

    def _next(self) -> str | None:
        """The next line; empty once the process has ended, None when the time is up."""
        until = time.monotonic() + self._timeout
        while (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                return self._answers.get(timeout=min(left, _PATIENCE))
            if self._process.poll() is not None and self._answers.empty():
                return ""  # what it started may hold its end of the pipe, and live on
        return None

    def _last_words(self) -> str:
        """The last line of what it said to nobody."""
        with suppress(OSError, ValueError):
            size = self._said.seek(0, os.SEEK_END)
            self._said.seek(max(0, size - _TAIL))
            lines = self._said.read().decode(errors="replace").strip().splitlines()
            if lines:
                return f": {_line(lines[-1])}"
        return ""


def _line(text: str) -> str:
    """What somebody's code says: in one line, not endless, and without what no file or terminal
    should be given (control characters, halves of characters)."""
    words = " ".join(text.split())
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in words)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


def _environment(roots: Sequence[Path]) -> dict[str, str]:
    """The driver's own, with the roots before whatever else its import path has."""
    kept = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    path = os.pathsep.join([*map(str, roots), *kept])
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def _ended(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"signal {-code}"
