"""Revisions as git has them, each checked out clean in a folder that goes away again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RequestError

_OF_HOOKS = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
_TRIES = 5
"""At a worktree, while others come and go."""


@dataclass(frozen=True)
class Revision:
    """A commit, and how it was asked for."""

    asked: str
    commit: str
    committed_at: str
    """ISO 8601."""
    subject: str
    """The first line of its message."""

    @property
    def label(self) -> str:
        """The name with the commit's first digits, where that is not the name."""
        short = self.commit[:9]
        return short if self.commit.startswith(self.asked) else f"{self.asked} ({short})"


@dataclass(frozen=True)
class Tree:
    """A revision checked out."""

    revision: Revision
    folder: Path
    checkout: Path
    """The user's own folder of the repository, from which no side may import."""
    inside: Path = Path()
    """Where in the repository the check was started."""

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where its packages may lie: the folder of the check, the whole, and `src` in each."""
        started = self.folder / self.inside
        while started != self.folder and (started / "__init__.py").is_file():
            started = started.parent  # a package's own `types.py` must not stand for Python's
        every = [place for each in (started, self.folder) for place in (each / "src", each)]
        return tuple(dict.fromkeys(place for place in every if place.is_dir()))


class Repository:
    """The git repository that a folder lies in."""

    def __init__(self, folder: Path) -> None:
        """Raises `RequestError` where there is no git, or no repository."""
        if shutil.which("git") is None:
            raise RequestError(
                "bench check: there is no git on this machine's path; a check compares what git "
                "has committed, so install git"
            )
        done = _git(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            raise RequestError(
                f"{folder.resolve()}: not in a git repository ({_reason(done)}); a check compares "
                "committed revisions, so start it inside the repository of the code"
            )
        self.folder = Path(done.stdout.strip()).resolve()
        self._inside = folder.resolve().relative_to(self.folder)

    def revision(self, name: str, option: str) -> Revision:
        """The commit of that name; raises `RequestError` where there is none."""
        form = "%H%n%cI%n%s"
        named = f"{name}^{{commit}}"
        done = _git(self.folder, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
        if done.returncode:
            asked = _git(self.folder, "rev-parse", "--is-shallow-repository")
            shallow = asked.stdout.strip() == "true"
            hint = "this clone is shallow: git fetch --unshallow" if shallow else "git fetch"
            raise RequestError(
                f"{option} {name}: {self.folder} has no such revision; expected a commit, branch "
                f"or tag that is here ({hint}, if it is elsewhere)"
            )
        commit = done.stdout.strip()
        told = _git(self.folder, "show", "--no-patch", f"--format={form}", commit)
        _, when, subject = [*told.stdout.split("\n", 2), "", ""][:3]
        return Revision(name, commit, when, subject.strip())

    def require_clean(self) -> None:
        """Raises `RequestError` where a tracked file differs from HEAD."""
        done = _git(self.folder, "status", "--porcelain", "--untracked-files=no")
        changed = [line[3:] for line in done.stdout.splitlines()]
        if changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            raise RequestError(
                f"{self.folder}: uncommitted changes in {changed[0]}{more}; a check measures "
                "commits, so these would be in no side of it: commit or stash them, or say "
                "--head HEAD to check without them"
            )

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What git answers here."""
        return _git(self.folder, *arguments)

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """Git at work here, in a process group of its own; what it says on either stream, and what
        it is told, go through pipes."""
        return subprocess.Popen(
            _command(self.folder, *arguments),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C is the driver's to hear
        )

    def file(self, revision: Revision, path: Path) -> str | None:
        """A file's text at a revision; None where it has none."""
        try:
            relative = path.resolve().relative_to(self.folder)
        except ValueError:
            return None
        done = _git(self.folder, "show", f"{revision.commit}:{relative.as_posix()}")
        return None if done.returncode else done.stdout

    @contextmanager
    def checked_out(self, revisions: Mapping[str, Revision]) -> Iterator[dict[str, Tree]]:
        """A clean worktree for each name; gone at the end, however that comes.

        Their paths have the same length: the size of a process's environment alone moves its
        times (Mytkowicz et al. 2009, "Producing wrong data without doing anything obviously
        wrong!").
        """
        place = tempfile.TemporaryDirectory(prefix="bench-check-")
        folders = {name: Path(place.name).resolve() / name for name in revisions}
        try:
            for name, revision in revisions.items():
                with undisturbed():
                    self._add(folders[name], revision)
            yield {
                name: Tree(revision, folders[name], self.folder, self._inside)
                for name, revision in revisions.items()
            }
        finally:
            with undisturbed():
                for folder in folders.values():
                    self._remove(folder)
                place.cleanup()

    def _remove(self, folder: Path) -> None:
        """Take a worktree away, whole or not; `git worktree prune` would take what others have on a
        disk that is not there now."""
        if not _git(
            self.folder, "worktree", "remove", "--force", "--force", str(folder)
        ).returncode:
            return
        shutil.rmtree(folder, ignore_errors=True)
        told = _git(self.folder, "rev-parse", "--git-common-dir").stdout.strip()
        for each in (self.folder / told).glob("worktrees/*/gitdir"):
            with suppress(OSError, UnicodeDecodeError):
                if each.read_text(encoding="utf-8").strip() == str(folder / ".git"):
                    shutil.rmtree(each.parent)

    def _add(self, folder: Path, revision: Revision) -> None:
        asked = ("--detach", "--force", str(folder), revision.commit)
        for _ in range(_TRIES):
            done = _git(self.folder, "worktree", "add", *asked)
            if not done.returncode:
                return
            if "/worktrees/" not in done.stderr:
                break
            self._remove(folder)  # git fell over what another check was just making or taking away
        raise RequestError(
            f"{revision.label}: git cannot check it out into {folder} ({_reason(done)})"
        )


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and its like wait until this is done: half of a worktree is not easily taken away."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python hears signals in its main thread alone
        return
    heard: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda number, frame: heard.append(number))
        for number in numbers
        if signal.getsignal(number) not in {None, signal.SIG_IGN}
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(folder, *arguments),
        env=_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not stop it half way
    )


def _command(folder: Path, *arguments: str) -> list[str]:
    """Of git in a folder; no hook of theirs shall run for us, nor shall we be in their way, nor are
    signatures to be told."""
    settings = (f"core.hooksPath={os.devnull}", "core.fsmonitor=false", "log.showSignature=false")
    asked = [part for setting in settings for part in ("-c", setting)]
    return ["git", "--no-optional-locks", *asked, "-C", str(folder), *arguments]


def _environment() -> dict[str, str]:
    """The process's own; a hook that calls us tells git its own repository."""
    return {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What git said, in one line."""
    said = done.stderr.strip()
    told = said[max(0, said.rfind("fatal: ")) :].removeprefix("fatal: ")
    return " ".join(told.split()) or f"exit code {done.returncode}"
