"""Git repositories that the tests of `bench check` check: a user's package, and a stand-in.

`package` is a small project that uses `bench` as a library: an objective and a network of its own,
made known by entry points, trained for real; a worker takes seconds to start.  `stand_in` is a tree
whose `bench` is one module, `works.py`, of functions that a test writes, and whose `torch` is
nothing at all: the protocol, the processes and git are real, and a worker starts at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench import gate
from bench.suite import load_suite

ROOT = Path(__file__).parents[1]
Layout = Literal["src", "flat"]
_NOBODY = {
    **{f"GIT_{who}_NAME": "Nobody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "nobody@example.com" for who in ("AUTHOR", "COMMITTER")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}

HEAD = """
schema = 1
name = "rings"
dataset.name = "ring"
network.name = "{network}"
training = {{ budget = {{ generator_steps = 10 }}, batch_size = 16, engine = "eager" }}
evaluation = {{ metrics = [], samples = 2, every = {{ generator_steps = 10 }} }}
primary = {{ metric = "step_ms" }}
matrix.devices = ["cpu"]
[check]
looks = [4]
blocks = {blocks}
block_seconds = {seconds}
step_time.margin = {margin}
peak_memory.variants = []
"""
VARIANT = """
[[variant]]
name = "{name}"
objective = "{objective}"
optimizer.name = "sgd"
"""


def suite_text(
    objectives: Mapping[str, str],
    *,
    network: str = "toy",
    blocks: int = 3,
    seconds: float = 0.02,
    margin: float = 0.5,
) -> str:
    """A suite of a variant a name, each with its objective."""
    head = HEAD.format(network=network, blocks=blocks, seconds=seconds, margin=margin)
    return head + "".join(VARIANT.format(name=n, objective=o) for n, o in objectives.items())


@dataclass(frozen=True)
class Place:
    """A git repository, and what a check of it is started with."""

    folder: Path
    path: tuple[Path, ...] = ()
    """What is installed beside `bench`, as an import path."""

    def git(self, *arguments: str) -> str:
        """What git prints."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env=os.environ | _NOBODY,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str | None]) -> str:
        """The commit of these files changed (None: removed), on top of what is checked out."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that has this project's `bench` and what is installed here."""
        lead = os.pathsep.join(map(str, (*self.path, ROOT)))
        return os.environ | {"PYTHONPATH": lead, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}

    def command(self, *arguments: object) -> list[str]:
        """`bench check` of this Python."""
        return [sys.executable, "-P", "-m", "bench", "check", *map(str, arguments)]

    def check(self, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        """`bench check` as its user starts it, to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def asking(self, *, head: str = "HEAD", suite: str = "rings.toml", **more: Any) -> gate.Check:
        """A check of this repository, for `gate.against` and its like in this process."""
        repository = gate.Repository(self.folder)
        return gate.Check(
            suite=load_suite(self.folder / suite),
            repository=repository,
            head=repository.revision(head, "--head"),
            started_at="2026-01-01T00:00:00+00:00",
            **more,
        )

    def revision(self, name: str) -> gate.Revision:
        """A commit of this repository."""
        return gate.Repository(self.folder).revision(name, "--against")

    @property
    def worktrees(self) -> list[str]:
        """All that git keeps of worktrees beside the first: those told, and what lies about."""
        told = self.git("worktree", "list", "--porcelain").split("\n\n")[1:]
        kept = self.folder / ".git" / "worktrees"
        return [each.splitlines()[0] for each in told] + (
            sorted(each.name for each in kept.iterdir()) if kept.is_dir() else []
        )


def repository(folder: Path, files: Mapping[str, str | None], path: Sequence[Path] = ()) -> Place:
    """A repository with one commit, tagged `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    place = Place(folder, tuple(path))
    place.git("init", "--quiet", "--initial-branch", "main")
    place.commit("first", files)
    place.git("tag", "first")
    return place


# ---- a user's package


LOSSES = '''
"""Losses of our own."""

import os
from dataclasses import dataclass

from bench.objectives.gan import NonSaturating


@dataclass(frozen=True)
class Same(NonSaturating):
    """As published."""


@dataclass(frozen=True)
class Other(NonSaturating):
    """What the revisions change."""

    def critic_loss(self, critic, real, fake, noise):
        {work}
        return super().critic_loss(critic, real, fake, noise)
'''
WORK = "for _ in range({times}): real = real + 0.0 * critic(real).sum()"
"""Real work: the critic, so many times more."""
NETS = '''
"""Networks of our own."""

from dataclasses import dataclass

from bench.networks.toy import Toy


@dataclass(frozen=True)
class Narrow(Toy):
    """Small enough for a test."""

    generator_widths: tuple[int, ...] = (16,)
    critic_widths: tuple[int, ...] = (64, 64)
'''
ENTRY_POINTS = """
[bench.objectives]
same = rings.losses:Same
other = rings.losses:Other
[bench.networks]
narrow = rings.nets:Narrow
"""


def losses(work: str = "pass") -> str:
    """The module of losses, with such work in one of them."""
    return LOSSES.format(work=work)


def package(folder: Path, layout: Layout, suite: str) -> Place:
    """A user's project in a repository, installed in place beside it."""
    at = "src/rings" if layout == "src" else "rings"
    files = {
        f"{at}/__init__.py": "",
        f"{at}/losses.py": losses(),
        f"{at}/nets.py": NETS,
        "README.md": "Rings.\n",
        "rings.toml": suite,
    }
    home = folder / "repository"
    source = home / "src" if layout == "src" else home
    return repository(home, files, (installed(folder / "site", "rings", ENTRY_POINTS), source))


def installed(site: Path, name: str, entry_points: str) -> Path:
    """A folder of installed packages that makes one's entry points known."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)
    return site


# ---- a stand-in


SUBJECT = '''
"""A tree's training: a function of `works` for each variant, called with a block's steps."""

import json

import works
from bench.errors import UnknownName

PROTOCOL = 1


class Subject:
    compile_seconds, engine, notes = 0.25, "eager", ()

    def __init__(self, work):
        self.advance = work


def open_subject(specs, device, *, cold):
    variant = json.loads(specs[0])["variant"]
    if not hasattr(works, variant):
        raise UnknownName(f"{variant!r} is not an objective")
    opening = getattr(works, f"open_{variant}", None)
    if opening:
        opening()
    return Subject(getattr(works, variant))
'''
TORCH = """
__version__ = "0"

class device:
    def __init__(self, name):
        self.type = name

class Generator:
    def manual_seed(self, seed):
        return self

class Wide:
    def same(self, *values):
        return self
    to = mul = add_ = tanh_ = sum = same

def randn(*size, generator):
    return Wide()

def mm(a, b):
    import works
    works.spend(0.001)

def no_grad():
    return lambda kernel: kernel
"""
FIRST_WORKS = """
import time

def spend(seconds):
    time.sleep(seconds)

def steady(steps):
    spend(0.002 * steps)
"""
CLOCK = """
import random
import time

now = 0.0
time.perf_counter = lambda: now

def spend(seconds):
    global now
    now += seconds * random.uniform(0.98, 1.02)
"""
"""A clock of the tree's own: what its steps take does not hang on what else this machine does."""


def works(more: str = "", *, each: float = 0.002) -> str:
    """The module of works: `steady`, which sleeps so many seconds a step, and more."""
    return FIRST_WORKS.replace("0.002", str(each)) + more


def clocked(**each: float | str) -> str:
    """The module of works with such a clock: by name, seconds a step or the body of a function."""
    bodies = {
        name: body if isinstance(body, str) else f"spend({body} * steps)"
        for name, body in each.items()
    }
    return CLOCK + "".join(f"\ndef {name}(steps):\n    {body}\n" for name, body in bodies.items())


def stand_in_tree(work: str = FIRST_WORKS) -> dict[str, str | None]:
    """The files of a tree that the harness takes for one of `bench`."""
    return {
        "torch.py": TORCH,
        "works.py": work,
        "bench/__init__.py": "",
        "bench/training/__init__.py": "",
        "bench/training/subject.py": SUBJECT,
        **{f"bench/{name}": (ROOT / "bench" / name).read_text("utf-8") for name in _KEPT},
    }


_KEPT = ("errors.py", "registry.py")


def stand_in(
    folder: Path, work: str = FIRST_WORKS, variants: Sequence[str] = ("steady",), **table: Any
) -> Place:
    """A repository of such a tree, with a suite of these variants."""
    suite = suite_text(dict.fromkeys(variants, "gan"), **table)
    return repository(folder, {**stand_in_tree(work), "rings.toml": suite})


# ---- what is left of a check


def left_of(place: Place, temporary: Path) -> dict[str, list[str]]:
    """What a check must not leave: worktrees, folders, processes."""
    return {
        "worktrees": place.worktrees,
        "folders": sorted(each.name for each in temporary.glob("bench-check-*")),
        "processes": processes(str(temporary)),
    }


NOTHING: dict[str, list[str]] = {"worktrees": [], "folders": [], "processes": []}


def processes(mark: str) -> list[str]:
    """Command lines of the living processes that have this mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if command and mark.encode() in environment and folder.name != str(os.getpid()):
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def rows_of(text: str) -> dict[str, dict[str, Any]]:
    """The rows of a check's JSON, by subject."""
    return {row["subject"]: row for row in json.loads(text)["rows"]}


def without_git(folder: Path) -> str:
    """A PATH on which there is everything but git."""
    folder.mkdir()
    for name in ("env", "nvidia-smi"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


TEMPORARY = Path(tempfile.gettempdir())
