"""Revisions as git has them, each checked out clean in a folder that goes away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RequestError

_OF_HOOKS = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


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

    @property
    def roots(self) -> tuple[Path, ...]:
        """Where its packages lie: `src` where there is one, and the folder itself."""
        source = self.folder / "src"
        return (source, self.folder) if source.is_dir() else (self.folder,)


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
        self.folder = Path(done.stdout.strip())

    def revision(self, name: str, option: str) -> Revision:
        """The commit of that name; raises `RequestError` where there is none."""
        form = "%H%n%cI%n%s"
        named = f"{name}^{{commit}}"
        done = _git(self.folder, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
        if done.returncode:
            shallow = (self.folder / ".git" / "shallow").is_file()
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

    def file(self, revision: Revision, path: Path) -> str | None:
        """A file's text at a revision; None where it has none."""
        try:
            relative = path.resolve().relative_to(self.folder.resolve())
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
        with tempfile.TemporaryDirectory(prefix="bench-check-") as place:
            trees: dict[str, Tree] = {}
            try:
                for name, revision in revisions.items():
                    folder = Path(place).resolve() / name
                    self._add(folder, revision)
                    trees[name] = Tree(revision, folder)
                yield trees
            finally:
                for name in revisions:
                    own = str(Path(place).resolve() / name)
                    _git(self.folder, "worktree", "remove", "--force", "--force", own)
                shutil.rmtree(place, ignore_errors=True)
                _git(self.folder, "worktree", "prune")
                Path(place).mkdir(exist_ok=True)  # for the one that takes it away

    def _add(self, folder: Path, revision: Revision) -> None:
        done = _git(
            self.folder, "worktree", "add", "--detach", "--force", str(folder), revision.commit
        )
        if done.returncode:
            raise RequestError(
                f"{revision.label}: git cannot check it out into {folder} ({_reason(done)})"
            )


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # a hook that calls us tells git its own repository; and no hook of theirs shall run for us
    kept = {name: value for name, value in os.environ.items() if name not in _OF_HOOKS}
    return subprocess.run(
        ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments],
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C must not stop it half way
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What git said, in one line."""
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("fatal: ") if lines else f"exit code {done.returncode}"
