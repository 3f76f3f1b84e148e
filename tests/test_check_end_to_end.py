"""`bench check` as its users meet it: in repositories of their own, with all that can go wrong.

Most of it is of a tree that stands in for a project and starts at once (`check_repository`); that a
user's package is really trained and timed is tried once in each layout.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from check_repository import (
    NOTHING,
    ROOT,
    WORK,
    Place,
    clocked,
    left_of,
    losses,
    package,
    processes,
    repository,
    rows_of,
    stand_in,
    suite_text,
    without_git,
    works,
)

from bench import store
from bench.cli import main
from bench.gate import worker

SUITE = "rings.toml"
ASKED = (SUITE, "--against", "first")


@dataclass(frozen=True)
class Done:
    """What a call left."""

    code: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """The lines that say what went wrong."""
        return [line for line in self.out.splitlines() if line.startswith("- ")]


def called(place: Place, *arguments: object) -> Done:
    """`bench check` in this process, in the repository's folder."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(place.folder), redirect_stdout(out), redirect_stderr(err):
        code = main(["check", *map(str, arguments)])
    return Done(code, out.getvalue(), err.getvalue())


def refused(place: Place, *arguments: object) -> str:
    """The one line of a call that is refused."""
    done = called(place, *arguments)
    lines = [line for line in done.err.splitlines() if not line.startswith("rings: round")]
    assert (done.code, done.out, len(lines)) == (2, "", 1)
    return lines[0]


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where this test's checks have their worktrees."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


# ---- all that a side can lack or do, in one check


HEAD_WORKS = {
    "fine": 0.002,
    "slow": 0.006,
    "raises": "raise ValueError('no such\\n layer')",
    "exits": "import os; os._exit(7)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "broken": 0.002,
    "both": "raise KeyError('head')",
    "young": 0.002,
}
BASE_WORKS = {
    **dict.fromkeys(["fine", "slow", "raises", "exits", "killed", "gone"], 0.002),
    "broken": "raise RuntimeError('of old')",
    "both": "raise KeyError('base')",
}
EXPECTED = {
    "fine": ("fine", None, None, 0),
    "slow": ("regressed", None, None, 1),
    "raises": ("crashed", "head", "ValueError: no such layer (works.py:", 3),
    "exits": ("crashed", "head", "its process ended (exit code 7)", 3),
    "killed": ("crashed", "head", "its process ended (killed by SIGKILL)", 3),
    "gone": ("missing", "head", "UnknownName: 'gone' is not an objective (subject.py:", 3),
    "broken": ("crashed", "base", "RuntimeError: of old (works.py:", 4),
    "both": ("crashed", "head", "KeyError: 'head' (works.py:", 3),
    "young": ("missing", "base", "UnknownName: 'young' is not an objective (subject.py:", 4),
    "dropped": ("missing", "head", "the suite of first (", 3),
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Place:
    """Every case of `EXPECTED`; `dropped` stands in base's suite alone."""
    names = ["fine", "slow", "raises", "exits", "killed", "gone", "broken", "both", "young"]
    place = stand_in(tmp_path_factory.mktemp("all"), clocked(**BASE_WORKS), [*names, "dropped"])
    suite = suite_text(dict.fromkeys(names, "gan"))
    place.commit("All sorts", {"works.py": clocked(**HEAD_WORKS), SUITE: suite})
    return place


@pytest.fixture(scope="module")
def rows(everything) -> dict[str, dict[str, Any]]:
    done = called(everything, *ASKED, "--json", "--markdown", "check.md", "--junit", "check.xml")
    assert done.code == 3
    return rows_of(done.out)


@pytest.mark.parametrize("name", EXPECTED)
def test_each_case_has_its_verdict_whatever_the_others_do(rows, name):
    verdict, side, text, _ = EXPECTED[name]
    row = rows[name]
    assert (row["verdict"], row["side"]) == (verdict, side)
    assert str(row["error"]).startswith(str(text))


@pytest.mark.parametrize("name", sorted(EXPECTED.keys() - {"dropped"}))
def test_each_case_alone_has_its_exit_code_and_line(everything, name):
    verdict, side, text, code = EXPECTED[name]
    done = called(everything, *ASKED, "--variant", name)
    assert done.code == code
    assert len(done.faults) == (1 if text else 0)
    for line in done.faults:
        assert line.startswith(f"- {name} (step time) {verdict} at {side}: {text}")


def test_case_dropped_from_the_suite_is_missing_unless_the_call_is_narrowed(everything, rows):
    assert "has it, that of HEAD (" in rows["dropped"]["error"]
    done = called(everything, *ASKED, "--variant", "fine")
    assert (done.code, done.faults) == (0, [])


def test_side_that_crashed_is_named_in_every_output(everything, rows):
    del rows
    for name in ("check.md", "check.xml"):
        text = (everything.folder / name).read_text()
        assert "crashed at head" in text
        assert "its process ended (killed by SIGKILL)" in text


def test_nothing_is_left_after_crashes(everything, temporary):
    called(everything, *ASKED, "--variant", "exits", "--variant", "fine")
    assert left_of(everything, temporary) == NOTHING


def test_fault_that_comes_late_is_a_crash_and_not_a_verdict(tmp_path):
    """The first rounds were fine, and a later one cannot be had."""
    late = f"""
    import pathlib
    log = pathlib.Path({str(tmp_path / "rounds")!r})
    log.write_text((log.read_text() if log.exists() else "") + ".")
    if len(log.read_text()) > 30: raise MemoryError("full")
    spend(0.002 * steps)"""
    place = stand_in(tmp_path / "late", clocked(steady=0.002))
    place.commit("Leak", {"works.py": clocked(steady=late.strip())})
    done = called(place, *ASKED)
    assert done.code == 3
    assert done.err.count("round") > 1
    assert re.match(r"- steady \(step time\) crashed at head: MemoryError: full", done.faults[0])


# ---- requests that are refused


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """`slower` follows `first`, and `documented` follows that."""
    found = stand_in(tmp_path_factory.mktemp("refused"), clocked(steady=0.002))
    for name, files in {
        "slower": {"works.py": clocked(steady=0.006)},
        "documented": {"README.md": "Rings\n"},
    }.items():
        found.commit(name, files)
        found.git("tag", name)
    return found


@pytest.mark.parametrize(
    ("base", "head"),
    [("documented", "documented"), ("slower", "documented"), ("documented", "HEAD")],
)
def test_same_code_twice_is_refused(place, base, head):
    told = refused(place, SUITE, "--against", base, "--head", head)
    assert "every Python file that the cases import is the same in both (6 files)" in told
    assert told.endswith("; --calibrate compares a revision with itself")


def test_revision_that_does_not_exist_is_refused(place):
    told = refused(place, SUITE, "--against", "gone")
    assert told.startswith(f"error: --against gone: {place.folder} has no such revision; expected")


def test_dirty_tree_is_refused_unless_head_is_named(place):
    (place.folder / "works.py").write_text("no = Python")
    try:
        told = refused(place, *ASKED)
        named = called(place, *ASKED, "--head", "HEAD")
    finally:
        place.git("checkout", "--", "works.py")
    assert told.startswith(f"error: {place.folder}: uncommitted changes in works.py; a check")
    assert named.code == 1


def test_folder_without_a_repository_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    told = refused(Place(tmp_path), place.folder / SUITE, "--against", "first")
    assert told.startswith(f"error: {tmp_path}: not in a git repository (")


def test_machine_without_git_is_refused(place, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", without_git(tmp_path / "bin"))
    told = refused(place, *ASKED)
    assert told == (
        "error: bench check: there is no git on this machine's path; a check compares what git has "
        "committed, so install git"
    )


def test_repository_without_a_commit_is_refused(place, tmp_path):
    empty = Place(tmp_path)
    empty.git("init", "--quiet")
    told = refused(empty, place.folder / SUITE, "--against", "first")
    assert told.startswith(f"error: --head HEAD: {tmp_path} has no such revision; expected")


def test_suite_outside_of_the_repository_is_checked(place, tmp_path):
    suite = tmp_path / "elsewhere.toml"
    suite.write_text((place.folder / SUITE).read_text())
    assert called(place, suite, "--against", "first").code == 1


def test_check_from_a_folder_inside_the_repository(place):
    (place.folder / "deep/er").mkdir(parents=True, exist_ok=True)
    inside = replace(place, folder=place.folder / "deep/er")
    assert called(inside, "../../rings.toml", "--against", "first").code == 1


def test_repository_that_has_nothing_to_do_with_the_cases_is_refused(place, tmp_path, monkeypatch):
    notes = repository(tmp_path / "notes", {SUITE: suite_text({"steady": "gan"}), "a.py": "a = 1"})
    notes.commit("more", {"a.py": "a = 2"})
    monkeypatch.setenv("PYTHONPATH", str(place.folder))  # where they come from
    told = refused(notes, *ASKED)
    assert "nothing of this repository takes part in the cases, neither bench nor a pack" in told


# ---- stored baselines


@pytest.fixture(scope="module")
def stored(place, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("baselines") / "base.parquet"
    assert called(place, SUITE, "--record", path, "--head", "first").code == 0
    return path


def test_baseline_of_this_machine_finds_a_slowdown(place, stored):
    assert called(place, SUITE, "--baseline", stored).code == 1


def test_baseline_of_another_machine_is_not_comparable(place, stored, tmp_path):
    (own,) = store.read_baselines(stored)
    other = replace(own, fingerprint=replace(own.fingerprint, cpu="Z80", torch="0.1"))
    store.write_baseline(tmp_path / "other.parquet", other)
    done = called(place, SUITE, "--baseline", tmp_path / "other.parquet")
    assert (done.code, done.out) == (4, "")
    told = done.err.splitlines()[-1]
    assert re.search(
        r"no baseline of this machine; here is cpu .*, not Z80; torch .*, not 0\.1;", told
    )


def test_baseline_of_another_suite_is_not_comparable(place, stored, tmp_path):
    (own,) = store.read_baselines(stored)
    store.write_baseline(tmp_path / "other.parquet", replace(own, suite="squares"))
    done = called(place, SUITE, "--baseline", tmp_path / "other.parquet")
    assert (done.code, done.out) == (4, "")
    assert "no baseline of suite 'rings', only of squares; --record" in done.err


def test_case_that_the_baseline_lacks_is_not_comparable_and_one_that_only_it_has_is_missing(
    tmp_path,
):
    place = stand_in(tmp_path / "cases", clocked(old=0.002, kept=0.002), ["old", "kept"])
    assert called(place, SUITE, "--record", "base.parquet").code == 0
    fresh = suite_text({"kept": "gan", "fresh": "gan"})
    place.commit("others", {SUITE: fresh, "works.py": clocked(kept=0.002, fresh=0.002)})
    done = called(place, SUITE, "--baseline", "base.parquet", "--json")
    rows = rows_of(done.out)
    assert {name: (row["verdict"], row["side"]) for name, row in rows.items()} == {
        "kept": ("fine", None),
        "fresh": ("not_comparable", "base"),
        "old": ("missing", "head"),
    }
    assert done.code == 3
    alone = called(place, SUITE, "--baseline", "base.parquet", "--variant", "fresh")
    assert alone.code == 4
    assert "base.parquet holds no time of it as the suite has it now" in alone.faults[0]


# ---- a side that would be timed on other code than its own


SLOWER = clocked(steady=0.006)
FINDER = """
import importlib.util, pathlib, sys

class Editable:
    def find_spec(self, name, path=None, target=None):
        file = pathlib.Path({place!r}, *name.split("."))
        for each, inside in ((file / "__init__.py", [str(file)]), (file.with_suffix(".py"), None)):
            if each.is_file():
                return importlib.util.spec_from_file_location(
                    name, each, submodule_search_locations=inside
                )

sys.meta_path.insert(0, Editable())
"""


def on_the_path(tmp_path, monkeypatch, text: str) -> None:
    """Something installed that every Python of this environment runs as it starts."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def test_editable_install_that_takes_precedence_is_an_error(place, tmp_path, monkeypatch):
    on_the_path(tmp_path, monkeypatch, FINDER.format(place=str(place.folder)))
    done = called(place, *ASKED)
    assert (done.code, done.out) == (3, "")
    assert re.fullmatch(
        rf"error: (base first|head HEAD) \(\w+\): imported [\w.]+ from {place.folder}/[\w./]+, and "
        r"not from its own worktree; .*",
        done.err.splitlines()[-1],
    )


def test_editable_install_by_a_path_file_does_not_win(place, tmp_path, monkeypatch):
    pth = tmp_path / "editable"
    pth.mkdir()
    (pth / "rings.pth").write_text(f"{place.folder}\n")
    on_the_path(tmp_path, monkeypatch, f"import site\nsite.addsitedir({str(pth)!r})\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(place.folder)]))
    done = called(place, *ASKED, "--json")
    assert rows_of(done.out)["steady"]["ratio"] == pytest.approx(3.0, rel=0.05)


def test_plain_start_in_heads_folder_is_an_error(place, monkeypatch):
    """Python puts the folder it is started in before its import path, unless told not to."""
    real = subprocess.Popen

    def plain(command, *, env=None, **more):
        if command[1] != "-P":
            return real(command, env=env, **more)
        start = f"import runpy; runpy.run_path({command[2]!r}, run_name='__main__')"
        env = {name: value for name, value in env.items() if name != "PYTHONSAFEPATH"}
        return real([command[0], "-c", start], env=env, cwd=place.folder, **more)

    monkeypatch.setattr(worker.subprocess, "Popen", plain)
    done = called(place, *ASKED)
    assert (done.code, done.out) == (3, "")
    assert f"from {place.folder}/" in done.err
    assert "and not from its own worktree" in done.err


def test_module_that_a_step_imports_counts_as_the_cases_code(tmp_path):
    lazy = clocked(steady="import helper; helper.work(steps)")
    place = stand_in(tmp_path / "lazy", lazy)
    for seconds in (0.002, 0.006):
        text = f"import works\ndef work(steps): works.spend({seconds} * steps)\n"
        place.commit("help", {"helper.py": text})
    assert called(place, SUITE, "--against", "HEAD~1").code == 1


@pytest.mark.parametrize("how", ["in place", "as a copy"])
def test_package_that_base_lacks_is_missing_though_installed(tmp_path, monkeypatch, how):
    """The installed one is head's: base would be timed on it."""
    place = stand_in(tmp_path / "renamed", clocked(steady="import old_name"), [])
    place.commit("name", {"old_name.py": "", SUITE: suite_text({"steady": "gan"})})
    place.git("tag", "named")
    new = clocked(steady="import new_name; spend(0.002 * steps)")
    both = clocked(steady="import new_name; spend(0.004 * steps)")
    place.commit("rename", {"old_name.py": None, "new_name.py": "", "works.py": new})
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages/new_name.py").write_text("")
    where = place.folder if how == "in place" else tmp_path / "site-packages"
    monkeypatch.setenv("PYTHONPATH", str(where))
    place.git("checkout", "--quiet", "-b", "older", "named")
    place.commit("as if", {"works.py": both})
    done = called(place, SUITE, "--against", "older", "--head", "main")
    assert done.code == 4
    assert done.faults[0].startswith("- steady (step time) crashed at base: ModuleNotFoundError: ")
    assert "no module 'new_name' in this revision, only in the other one" in done.faults[0]


# ---- processes that hang, and checks that are stopped


def test_worker_that_hangs_is_given_up(tmp_path, temporary):
    place = stand_in(tmp_path / "hangs", clocked(steady=0.002))
    place.commit("Hang", {"works.py": clocked(steady="time.sleep(60)")})
    began = time.monotonic()
    done = called(place, *ASKED, "--timeout", "2.5")
    assert (done.code, time.monotonic() - began < 30) == (3, True)
    assert done.faults == ["- steady (step time) crashed at head: no answer in 2.5 s"]
    assert left_of(place, temporary) == NOTHING


DRIVER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""
STOPS = {
    "Ctrl-C": (os.killpg, [signal.SIGINT], 130),
    "Ctrl-C at the driver alone": (os.kill, [signal.SIGINT], 130),
    "Ctrl-C twice": (os.killpg, [signal.SIGINT, signal.SIGINT], 130),
    "SIGTERM": (os.kill, [signal.SIGTERM], 143),
}


BESIDE = ("one", "other")


@dataclass(frozen=True)
class Stopped:
    """A check that was stopped in its first round."""

    code: int
    said: str
    left: list[str]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> tuple[Place, dict[str, Stopped], list[subprocess.Popen[str]]]:
    """Checks that are stopped while two others go on, all in one repository."""
    folder = tmp_path_factory.mktemp("stopped")
    slow = works(each=0.05)
    place = stand_in(folder / "repository", slow, blocks=20)
    place.commit("No change", {"works.py": slow + "# none\n"})
    running = {}
    for name in [*STOPS, *BESIDE]:
        (folder / name).mkdir()
        running[name] = subprocess.Popen(
            [sys.executable, "-P", "-c", DRIVER, "check", *ASKED, "--results", folder / "results"],
            cwd=place.folder,
            env=place.environment | {"TMPDIR": str(folder / name)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    found = {}
    for name, (kill, numbers, _) in STOPS.items():
        process = running[name]
        assert process.stderr is not None
        process.stderr.readline()  # it tells of its first round
        while not workers_of(folder / name):
            time.sleep(0.02)
        for number in numbers:
            kill(process.pid, number)
        said = process.communicate(timeout=60)[1]
        found[name] = Stopped(process.returncode, said, workers_of(folder / name))
    return place, found, [running[name] for name in BESIDE]


def workers_of(temporary: Path) -> list[str]:
    return [each for each in processes(f"{temporary}/bench-check-") if "harness.py" in each]


@pytest.mark.parametrize("how", STOPS)
def test_stopped_check_says_so_and_leaves_no_process(stopped, how):
    _, found, _ = stopped
    assert found[how].code == STOPS[how][2]
    assert found[how].said.splitlines()[-1:] == [
        "interrupted: nothing of this check was kept; its worktrees and processes are gone"
    ]
    assert found[how].left == []


def test_checks_beside_those_that_were_stopped_come_to_their_ends(stopped):
    place, _, processes = stopped
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [said.count("rings: round ") for said in told] == [4, 4]
    folder = place.folder.parent
    kept = store.load_checks(folder / "results", "rings")
    assert len({row.check_id for row in kept.rows}) == len(kept.rows) == 2
    left = [left_of(place, folder / name) for name in [*STOPS, *BESIDE]]
    assert left == [NOTHING] * len(left)


# ---- a user's package, trained for real


TABLE: dict[str, Any] = {"network": "narrow", "margin": 3.0}
"""So wide that no machine is too busy for a verdict of four rounds."""


OPTION = '''    """As published."""

    extra: tuple[float, ...] = (1.0,)
'''


def test_package_in_src_regresses_where_its_own_objective_does_more(tmp_path):
    suite = suite_text({"same": "same", "other": "other"}, **TABLE)
    place = package(tmp_path, "src", suite)
    text = losses(WORK.format(times=80)).replace('    """As published."""\n', OPTION, 1)
    place.commit("Work more, and have an option", {"src/rings/losses.py": text})
    done = place.check(*ASKED, "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 1, done.stderr
    rows = rows_of(done.stdout)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "same": "fine",
        "other": "regressed",
    }
    assert rows["other"]["ratio"] > 4 > rows["same"]["ratio"]
    assert left_of(place, tmp_path)["worktrees"] == []
    assert "same, base: this revision has no objective.extra yet" in done.stdout


@pytest.mark.long  # a minute where two cores are busy; the stand-ins above are flat, too
def test_flat_package_is_fine_where_a_comment_changes(tmp_path):
    place = package(tmp_path, "flat", suite_text({"same": "same"}, **TABLE))
    place.commit("Say why", {"rings/losses.py": losses() + "# enough\n"})
    done = place.check(*ASKED, TMPDIR=str(tmp_path))
    assert done.stdout.startswith("The one case is fine: none grew by more than its margin\n")
    assert done.returncode == 0


def test_package_that_cannot_be_loaded_where_the_check_is_started_is_one_line(tmp_path):
    place = package(tmp_path, "src", suite_text({"same": "same"}, **TABLE))
    (place.folder / "src/rings/losses.py").write_text("not Python at all")
    done = place.check(*ASKED, "--head", "HEAD")
    where = "error: rings.toml:19: variant.same.objective: 'same' cannot be loaded: SyntaxError: "
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(where)


# ---- this project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Place:
    """A clone of this project, with its history."""
    here = Place(ROOT)
    try:
        shallow = here.git("rev-parse", "--is-shallow-repository")
        inside = here.git("rev-parse", "--show-prefix")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git, or this is no checkout of it")
    if shallow != "false" or inside:
        pytest.skip("this checkout has not the project's history")
    clone = Place(tmp_path_factory.mktemp("project") / "clone")
    here.git("clone", "--quiet", str(ROOT), str(clone.folder))
    (clone.folder / SUITE).write_text(suite_text({"steady": "gan"}))
    return clone


def test_revision_older_than_the_protocol_is_missing_on_either_side(project):
    older = project.git("rev-list", "--reverse", "HEAD").splitlines()[:2]
    for code, side, base, head in ((4, "base", older[0], "HEAD"), (3, "head", *older)):
        done = called(project, SUITE, "--against", base, "--head", head)
        assert done.code == code
        (line,) = done.faults
        told = f"- steady (step time) missing at {side}: this revision has no worker protocol, be"
        assert line.startswith(told)
