"""`git bisect run` as its driver sees it: which revision is to be judged next.

Git keeps the state of a bisection a worktree (git-worktree(1), "Refs"), so it has one of its own:
whatever the user bisects meanwhile is left alone.  Nothing more is checked out in it on the way:
the command that git runs is three lines of shell, which name the revision to the driver and end
with the exit code that the driver answers.  Without a driver they end with 128, at which git gives
up; so neither outlives it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress

from bench.errors import BenchError
from bench.gate.worktrees import Repository, Revision

FAST, SLOW, SKIP, ABORT = 0, 1, 125, 128
"""What git understands by the exit code of a step; see git-bisect(1), "Bisect run"."""
_MARK = "bench-check "
_STEP = f"""
printf '\\n{_MARK}%s\\n' "$(git rev-parse --verify BISECT_HEAD)"
read -r answer || exit {ABORT}
exit "$answer"
"""


class BisectFailed(BenchError):
    """A bisection that git gave up for a reason of its own."""


def search(
    repository: Repository, good: Revision, bad: Revision, judge: Callable[[str], int]
) -> tuple[str, ...]:
    """The commits among which the first bad one is, the newest first: that one alone, unless the
    others had to be skipped.

    `judge` answers of a commit with `FAST`, `SLOW` or `SKIP`.  Raises `BisectFailed`, and whatever
    `judge` raises.
    """
    with repository.checked_out({"bisect": bad}) as trees:
        own = Repository(trees["bisect"].folder)
        # beside the worktree, and by a path of plain letters: not every git quotes what it runs
        (own.folder.parent / "step.sh").write_text(_STEP, encoding="utf-8")
        done = own.git("bisect", "start", "--no-checkout", bad.commit, good.commit)
        said, skipped = done.stderr, set[str]()
        if not done.returncode and len(_left(own)) > 1:
            said, skipped = _run(own, judge)
        left = _left(own)
        if not left or any(commit not in skipped for commit in left[1:]):
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            raise BisectFailed(f"git bisect run did not come to an end: {last.strip()}")
        return left


def _run(own: Repository, judge: Callable[[str], int]) -> tuple[str, set[str]]:
    """What git said, and the commits that it was told to skip."""
    process = own.started("bisect", "run", "sh", "../step.sh")
    assert process.stdin is not None
    assert process.stdout is not None
    said, skipped = "", set[str]()
    try:
        for line in process.stdout:
            _, marked, commit = line.partition(_MARK)
            if not marked:
                said += line
                continue
            answer = judge(commit.strip())
            if answer == SKIP:
                skipped.add(commit.strip())
            with suppress(BrokenPipeError):  # git is gone; the commits that are left tell
                process.stdin.write(f"{answer}\n")
                process.stdin.flush()
    finally:
        _end(process)
    return said, skipped


def _end(process: subprocess.Popen[str]) -> None:
    """Close the pipe that the step reads: it ends with `ABORT`, and git with it."""
    for stream in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if stream is not None:
                stream.close()
    process.wait()


def _left(own: Repository) -> tuple[str, ...]:
    """The commits that may be the first bad one, the bad one itself first."""
    told = own.git("rev-list", "refs/bisect/bad", "--not", "--glob=refs/bisect/good-*")
    return tuple(told.stdout.split())
