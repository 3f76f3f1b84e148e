"""`bench check`: its options, what it prints and writes, and its exit codes.

The checks are real, of a tree that stands in for a project, starts at once, and has a clock of its
own: what its steps take does not hang on what else this machine does.
"""

import io
import json
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import pytest
from check_fixture import check as imaginary
from check_fixture import failed
from check_repository import TORCH, Place, stand_in
from rich.console import Console

from bench import api, store
from bench.cli import main
from bench.records import CheckResult
from bench.reporting import checks

ROOT = Path(__file__).parents[1]
WORKS = """
import random
import time

now = 0.0
time.perf_counter = lambda: now

def spend(seconds):
    global now
    now += seconds * random.uniform(0.98, 1.02)

def steady(steps):
    spend(0.002 * steps)

def other(steps):
    {}
"""
FAST, SLOW = "spend(0.002 * steps)", "spend(0.005 * steps)"
BROKEN = 'raise RuntimeError("no such layer")'
KERNEL = """
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


@dataclass(frozen=True)
class Done:
    """What a call left."""

    code: int
    out: str
    err: str
    folder: Path


@pytest.fixture(autouse=True)
def _no_page(monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """Two cases: `second` differs from `first` in a remark, `third` is slower, `broken` fails."""
    variants, folder = ("steady", "other"), tmp_path_factory.mktemp("repository")
    found = stand_in(folder, WORKS.format(FAST), variants)
    found.commit("Have a kernel", {"torch.py": TORCH + KERNEL})
    found.git("tag", "--force", "first")
    changes = {
        "second": ("Say why", FAST + "  # of no consequence"),
        "third": ("Work more", SLOW),
        "broken": ("Break it", BROKEN),
    }
    for name, (message, work) in changes.items():
        found.commit(message, {"works.py": WORKS.format(work)})
        found.git("tag", name)
    found.git("checkout", "--quiet", "--detach", "third")
    return found


def call(place: Place, *arguments: object) -> Done:
    """`bench check rings.toml …` in the repository, its results beside it."""
    out, err = io.StringIO(), io.StringIO()
    folder = place.folder.with_name(f"{place.folder.name}-out")
    folder.mkdir(exist_ok=True)
    own = ["check", "rings.toml", "--results", folder / "results", *arguments]
    with chdir(place.folder), redirect_stdout(out), redirect_stderr(err):
        code = main([str(each) for each in own])
    return Done(code, out.getvalue(), err.getvalue(), folder)


@pytest.fixture(scope="module")
def regressed(place) -> Done:
    folder = place.folder.with_name(f"{place.folder.name}-out")
    with pytest.MonkeyPatch.context() as patch:
        folder.mkdir()
        (folder / "summary.md").write_text("before\n")
        patch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
        files = ["--markdown", folder / "new" / "check.md", "--junit", folder / "check.xml"]
        return call(place, "--against", "first", *files)


def kept(done: Done) -> CheckResult:
    """The first check of the history."""
    history = store.load_checks(done.folder / "results", "rings")
    return history.of(history.rows[0].check_id)


def test_regression_is_told_and_exits_with_1(place, regressed):
    lines = regressed.out.splitlines()
    assert regressed.code == 1
    assert re.fullmatch(
        r"1 of 2 cases regressed: other step time \(2\.[45]\d\d×\); 1 is fine", lines[0]
    )
    commits = [place.git("rev-parse", "--short=9", name) for name in ("HEAD", "first")]
    assert lines[1] == f"rings: HEAD ({commits[0]}) “Work more” against first ({commits[1]})"
    header, cells = checks.table(kept(regressed).rows)
    table = [re.split(" {2,}", line) for line in lines[4:7]]
    assert table == [header, *cells]
    assert [row[:3] for row in cells] == [
        ["steady", "step time", "fine"],
        ["other", "step time", "regressed"],
    ]
    assert lines[-2:] == [
        f"Kept in {regressed.folder}/results/rings/checks.parquet; the rounds drawn: "
        f"bench report {regressed.folder}/results/rings",
        "Which commit it was: bench check rings.toml --bisect first HEAD",
    ]


def test_pipe_hears_a_line_a_round(regressed):
    told = regressed.err.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["rings"] * 4
    assert [re.findall(r"round \d of \d", line) for line in told] == [
        [f"round {number} of 4"] for number in range(1, 5)
    ]


def test_files_say_what_the_history_says(regressed):
    page = (regressed.folder / "new" / "check.md").read_text()
    assert page == checks.render_check_markdown(kept(regressed))
    assert (regressed.folder / "summary.md").read_text() == f"before\n{page}"
    assert (regressed.folder / "check.xml").read_text() == checks.render_junit(kept(regressed))
    ElementTree.parse(regressed.folder / "check.xml")


def test_what_did_not_change_is_fine_and_json_is_all_that_is_printed(place):
    done = call(place, "--against", "first", "--head", "second", "--variant", "other", "--json")
    found = json.loads(done.out)
    assert (done.code, found["exit_code"], found["verdict"]) == (0, 0, "fine")
    assert [row["subject"] for row in found["rows"]] == ["other"]


def test_crash_at_head_is_one_line_and_exits_with_3(place):
    done = call(place, "--against", "first", "--head", "broken")
    assert done.code == 3
    assert done.out.startswith("1 of 2 cases crashed at head: other step time; 1 is fine\n")
    [line] = [line for line in done.out.splitlines() if line.startswith("- ")]
    assert re.fullmatch(
        r"- other \(step time\) crashed at head: RuntimeError: no such layer \(works\.py:\d+\)",
        line,
    )


def test_baseline_is_recorded_and_held_against(place):
    recorded = call(place, "--record", "../base.parquet", "--head", "first")
    commit = place.git("rev-parse", "--short=9", "first")
    told = recorded.out.splitlines()
    assert (recorded.code, told[0]) == (
        0,
        f"2 variants of {commit} stored for this machine; ../base.parquet now holds 1 machine",
    )
    again = "bench check rings.toml --baseline ../base.parquet"
    assert told[-1] == f"To hold a revision against it: {again}"
    compared = call(place, "--baseline", "../base.parquet", "--variant", "other")
    assert compared.code == 1
    assert f"against the stored baseline of {commit}\n" in compared.out
    assert "\n- against a stored baseline: " in compared.out


def test_what_cannot_be_recorded_exits_with_3(place):
    done = call(place, "--record", "../broken.parquet", "--head", "broken", "--json")
    found = json.loads(done.out)
    assert (done.code, found["exit_code"], found["machines"]) == (3, 3, 1)
    assert {each["subject"] for each in found["stored"]} == {"steady"}
    assert [row["subject"] for row in found["rows"]] == ["other"]


def test_calibration_tells_the_noise_and_draws_it(place, tmp_path):
    done = call(place, "--calibrate", "--rounds", "6", "--reports", tmp_path, "--variant", "steady")
    plot = tmp_path / "rings-calibration.svg"
    lines = done.out.splitlines()
    assert (done.code, lines[0]) == (0, "1 of 1 case can be held to the margin on this machine")
    assert "against itself" in lines[1]
    assert re.match(r"steady +step time +[\d.]+ % +50 %.* +6$", lines[5])
    assert lines[-1] == f"The rounds, and what a check would find: {plot}"
    ElementTree.parse(plot)
    assert len(done.err.splitlines()) == 6


def test_bisection_names_the_first_slow_revision(place):
    done = call(place, "--bisect", "first", "third", "--variant", "other", "--json")
    found = json.loads(done.out)
    assert (done.code, found["exit_code"]) == (1, 1)
    assert found["first"] == place.git("rev-parse", "third")
    assert found["headline"].startswith("first slow revision: ")
    assert [step["exit_code"] for step in found["steps"]] == [0]
    assert found["ends"]["verdict"] == "regressed"


# ---- without a check


@pytest.fixture
def answered(monkeypatch):
    """Makes the checks of this test come out as said, at once."""

    def answer(found: CheckResult | BaseException) -> None:
        def check(*_: object, **options: object) -> CheckResult:
            if isinstance(found, BaseException):
                raise found
            return found

        monkeypatch.setattr(api, "check", check)

    return answer


UNCLEAR = replace(imaginary().rows[0], verdict="inconclusive")


@pytest.mark.parametrize(("option", "code"), [("fail", 5), ("pass", 0)])
def test_inconclusive_is_what_its_user_says(place, answered, tmp_path, option, code):
    answered(CheckResult((UNCLEAR,), ()))
    path = tmp_path / "check.xml"
    done = call(place, "--against", "first", "--inconclusive", option, "--junit", path)
    assert done.code == code
    assert "\nInconclusive: the rounds differ too much among themselves to tell." in done.out
    kind = "failure" if option == "fail" else "skipped"
    assert len(ElementTree.parse(path).findall(f".//{kind}")) == 1


def test_fault_at_base_exits_with_4(place, answered):
    answered(CheckResult((failed(UNCLEAR, side="base"),), (), ("a note",)))
    done = call(place, "--against", "first")
    assert done.code == 4
    assert "\n- a note\n" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "bench check: found none; expected exactly one of --against REV, --baseline FILE, "
             "--record FILE, --calibrate, --bisect GOOD BAD"),
        (["--against", "a", "--calibrate"],
             "bench check: found --against, --calibrate; expected exactly one of "
             "--against REV, --baseline FILE, --record FILE, --calibrate, --bisect GOOD BAD"),
        (["--calibrate", "--junit", "a.xml"],
             "--junit: found --calibrate; expected --against or --baseline with it"),
        (["--bisect", "a", "b", "--head", "c"],
             "--head: found --bisect, whose BAD is the head; leave --head out"),
        (["--against", "a", "--rounds", "8"],
             "--rounds: found --against; expected --calibrate with it (the rounds of a check are "
             "the suite's: --set check.looks=[8,16])"),
        (["--against", "first", "--markdown", "works.py/check.md"],
             "--markdown works.py/check.md: cannot be written; expected a file's path"),
        (["--against", "first", "--junit", "."],
             "--junit .: cannot be written; expected a file's path"),
        (["--against", "first", "--junit", "/"],
             "--junit /: cannot be written; expected a file's path"),
        (["--calibrate", "--reports", "works.py"],
             "--reports works.py/rings-calibration.svg: cannot be written; expected a file's path"),
    ],
)  # fmt: skip
def test_wrong_request_is_one_line_before_anything_is_measured(place, arguments, told):
    done = call(place, *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"error: {told}\n")


def test_interrupted_check_says_that_nothing_was_kept(place, answered):
    answered(KeyboardInterrupt())
    done = call(place, "--against", "first")
    assert (done.code, done.out) == (130, "")
    assert done.err == (
        "interrupted: nothing of this check was kept; its worktrees and processes are gone\n"
    )


def test_summary_page_that_cannot_be_written_takes_no_verdict_away(
    place, answered, tmp_path, monkeypatch
):
    answered(imaginary())
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    done = call(place, "--against", "first")
    assert done.code == 1
    assert done.err == f"$GITHUB_STEP_SUMMARY {tmp_path}: Is a directory\n"


def test_terminal_shows_one_line_that_goes_away(monkeypatch):
    stream = io.StringIO()
    shown = Console(file=stream, force_terminal=True, width=80, color_system=None)
    verb = import_module("bench.cli.check")  # `bench.cli` has its function by that name
    monkeypatch.setattr(verb, "console", lambda stderr: shown)
    with verb._telling("rings", "this check") as tell:
        tell("round 3 of 8: 2 of 2")
    last = stream.getvalue().rstrip().splitlines()
    assert any("rings: round 3 of 8: 2 of 2 0:00:0" in line for line in last)
    assert stream.getvalue().endswith("\x1b[2K")


def test_help_is_quick_and_has_an_example():
    heavy = {"torch", "scipy", "numpy", "pandas", "pyarrow", "matplotlib", "bench.gate"}
    code = f"import sys; from bench.cli import main; main(); print({heavy} & set(sys.modules))"
    command = [sys.executable, "-c", code, "check", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    *told, loaded = done.stdout.splitlines()
    assert loaded == "set()"
    assert told[-1].strip() == "Example: bench check suites/step_time.toml --against main"
