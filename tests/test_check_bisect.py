"""`bench check --bisect`: the real `git bisect run`, on repositories of a few revisions."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import check_fixture
import pytest
from check_repository import (
    NOTHING,
    WORK,
    Place,
    left_of,
    losses,
    package,
    processes,
    repository,
    stand_in,
    suite_text,
    works,
)

from bench import gate
from bench.errors import RequestError
from bench.gate.bisect_run import FAST, SKIP, SLOW, BisectFailed, search
from bench.gate.bisected import Step, answer, words
from bench.gate.bisection import only
from bench.gate.cases import cases, dropped, subjects
from bench.records import CheckResult
from bench.store import load_checks
from bench.suite import load_suite

SLOW_WORKS = works(each=0.006)


@pytest.fixture(scope="module")
def slowed(tmp_path_factory) -> Place:
    """`broken` is in the middle, so that it is the first to be asked for."""
    place = stand_in(tmp_path_factory.mktemp("slowed"))
    place.commit("Say why", {"works.py": works("# why\n")})
    place.commit("Read me", {"README.md": "Words.\n"})
    place.commit("Break it", {"works.py": "def steady(steps):\n    raise OSError('broken')\n"})
    place.git("tag", "broken")
    place.commit("Back to the first", {"works.py": works()})
    place.commit("Sum the noise twice", {"works.py": SLOW_WORKS})
    place.git("tag", "slow")
    place.commit("Say why again", {"works.py": SLOW_WORKS + "# why\n"})
    place.git("switch", "--quiet", "--create", "hidden", "broken")
    place.commit("Mend it, slowly", {"works.py": SLOW_WORKS})
    place.git("switch", "--quiet", "main")
    return place


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Place:
    """Commits `one` to `eight`, of which nothing can be checked."""
    place = repository(tmp_path_factory.mktemp("chain"), {"number": "0"})
    for name in ("one", "two", "three", "four", "five", "six", "seven", "eight"):
        place.commit(name, {"number": name})
        place.git("tag", name)
    return place


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where checks have their worktrees; a name that a shell would take apart."""
    folder = tmp_path / "a 'quoted' $place"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def found(place: Place, good: str, bad: str, judge) -> list[str]:
    """The subjects of the commits that a search ends with."""
    own = gate.Repository(place.folder)

    def told(commit: str) -> int:
        return judge(own.revision(commit, "").subject)

    ends = place.revision(good), place.revision(bad)
    return [own.revision(each, "").subject for each in search(own, *ends, told)]


@dataclass
class Done:
    """A bisection, and what was heard of it on the way."""

    place: Place
    bisection: gate.Bisection
    kept: list[CheckResult]
    told: list[str]

    @property
    def steps(self) -> dict[str, Step]:
        return {step.revision.subject: step for step in self.bisection.steps}


@pytest.fixture(scope="module")
def done(slowed) -> Done:
    kept, told = [], []
    ends = slowed.revision("first"), slowed.revision("main")
    found = gate.bisect(slowed.asking(tell=told.append), *ends, ["--device", "cpu"], kept.append)
    return Done(slowed, found, kept, told)


def test_first_slow_revision_past_one_that_crashes(done):
    assert done.bisection.first.commit == done.place.revision("slow").commit
    assert done.bisection.exit_code() == 1
    assert [step.revision.subject for step in done.bisection.skipped] == ["Break it"]
    wanted = {"Break it": SKIP, "Back to the first": FAST, "Sum the noise twice": SLOW}
    codes = {subject: step.exit_code for subject, step in done.steps.items()}
    others = {"Say why": FAST, "Read me": FAST, "Say why again": SLOW}  # git may ask for any
    assert codes == {**{key: others[key] for key in others if key in codes}, **wanted}
    assert done.place.worktrees == []


def test_every_step_is_a_check_of_its_own(done):
    measured = [step.result for step in done.bisection.steps if step.result is not None]
    assert done.kept == [done.bisection.ends, *measured]
    assert len({result.rows[0].check_id for result in done.kept}) == len(done.kept)
    for step in done.bisection.steps:
        for row in step.result.rows if step.result else ():
            assert (row.base, row.head_commit) == ("first", step.revision.commit)
    assert done.steps["Back to the first"].result is None  # nothing to measure: the same code


def test_progress_tells_steps_and_rounds(done):
    assert done.told[:1] == ["round 1 of 4: 1 of 1 variants"]
    assert f"6 revisions after {done.bisection.good.label}: about 3 to check" in done.told
    steps = done.bisection.steps
    last = f"step {len(steps)}, {steps[-1].revision.commit[:9]}: {steps[-1].revision.subject}"
    assert last in done.told
    assert any(line.startswith("step ") and "round 4 of 4" in line for line in done.told)


def test_answer_in_words(done):
    first, good = done.bisection.first, done.bisection.good.label
    (row,) = done.steps["Sum the noise twice"].result.rows
    assert 2 < row.ratio < 4.5
    day = done.place.git("show", "--no-patch", "--format=%as", "slow")
    factor = f"steady step time {row.ratio:.3f}× [{row.low:.3f}, {row.high:.3f}]"
    lines = done.bisection.lines()
    assert lines[:4] == [
        f"first slow revision: {first.commit[:9]} ({day}, Nobody): Sum the noise twice",
        f"{factor} against {good}",
        f"once more: bench check {done.bisection.suite} --against first --head {first.commit[:9]} "
        "--device cpu",
        f"revisions held against {good}, in this order:",
    ]
    way = {line.split(maxsplit=1)[0]: line.split(maxsplit=1)[1] for line in lines[4:-1]}
    at = {subject: step.revision.commit[:9] for subject, step in done.steps.items()}
    crash = "crashed: steady step time at head: OSError: broken (works.py:2)"
    assert way[at["Break it"]] == f"skipped    {crash}"
    assert way[at["Back to the first"]] == f"fine       all that it imports is as in {good}"
    assert way[at["Sum the noise twice"]] == f"regressed  {factor}"
    assert lines[-1] == "each verdict is wrong with a probability of at most 2.5 % at its margin"


def test_only_skipped_revisions_left(slowed, temporary):
    good = slowed.git("rev-parse", "broken^")
    done = gate.bisect(slowed.asking(), slowed.revision(good), slowed.revision("hidden"))
    assert done.first is None
    assert [each.subject for each in done.candidates] == ["Mend it, slowly", "Break it"]
    assert done.exit_code() == done.exit_code("pass") == 5
    assert done.lines()[0].startswith("the first slow revision is one of 2, of which only ")
    assert left_of(slowed, temporary) == NOTHING


def test_bad_revision_right_after_the_good_one(slowed):
    good = slowed.git("rev-parse", "slow^")
    done = gate.bisect(slowed.asking(), slowed.revision(good), slowed.revision("slow"))
    assert (done.first, done.steps, done.exit_code()) == (done.bad, (), 1)
    assert done.lines()[1] == f"{words(done.ends.rows[0])} against {good[:9]}"


def test_bad_revision_that_crashes_or_is_fine(slowed):
    ends = slowed.revision("first"), slowed.revision("broken")
    crashed = gate.bisect(slowed.asking(), *ends)
    assert (crashed.first, crashed.steps, crashed.exit_code()) == (None, (), 3)
    assert crashed.lines() == [
        f"nothing to bisect: {ends[1].label} was not found slower than {ends[0].label}",
        "  crashed: steady step time at head: OSError: broken (works.py:2)",
    ]
    slow = slowed.revision("slow"), slowed.revision("main")
    fine = gate.bisect(slowed.asking(), *slow)
    assert (fine.first, fine.steps, fine.exit_code()) == (None, (), 0)
    assert fine.lines()[1].startswith("  fine: steady step time ")


ROW, OTHER = (row for row in check_fixture.rows() if row.subject in {"mlp_gan", "dcgan_wgan"}
              and row.quantity == "step_time")  # fmt: skip
BOTH = {(ROW.subject, "step_time"), (OTHER.subject, "step_time")}


def case(verdict, row=ROW):
    if verdict in {"fine", "regressed", "inconclusive"}:
        return replace(row, verdict=verdict)
    verdict, _, side = verdict.partition("@")
    return check_fixture.failed(row, verdict, side)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("fine", "fine"), FAST),
        (("fine", "regressed"), SLOW),
        (("crashed@head", "regressed"), SLOW),
        (("fine", "inconclusive"), SKIP),
        (("fine", "crashed@head"), SKIP),
        (("fine", "crashed@base"), SKIP),
        (("missing@head", "fine"), SKIP),  # the part, or the whole protocol
        (("not_comparable@base", "fine"), SKIP),
    ],
)
def test_what_git_is_told(verdicts, code):
    rows = [case(verdict, row) for verdict, row in zip(verdicts, (ROW, OTHER), strict=True)]
    assert answer(rows, BOTH)[0] == code
    memory = replace(ROW, quantity="peak_memory", verdict="regressed")
    assert answer([*rows, memory], BOTH)[0] == code


def test_a_case_without_a_row_is_not_fine():
    assert answer([case("fine")], BOTH)[0] == SKIP
    assert answer([], BOTH)[0] == SKIP


def test_steps_check_only_what_regressed(tmp_path):
    text = suite_text({"one": "gan", "two": "gan"})
    text = text.replace("peak_memory.variants = []", "peak_memory.margin = 0.2")
    (tmp_path / "rings.toml").write_text(text)
    suite = load_suite(tmp_path / "rings.toml")
    assert len(cases(subjects(suite))) == 4
    for wanted in ("two", "peak_memory"), ("one", "step_time"):
        narrow = only(suite, {wanted})
        assert cases(subjects(narrow)) == (wanted,)
        assert narrow.check.margin("peak_memory") == 0.2
        assert dropped(text, narrow, subjects(narrow)) == ()  # the others are not missing


def test_a_case_that_became_slow_later_is_told(slowed):
    good, first, bad = (slowed.revision(name) for name in ("first", "slow", "main"))
    result = CheckResult((case("regressed"), case("fine", OTHER)), ())
    ends = CheckResult((case("regressed"), case("regressed", OTHER)), ())
    found = gate.Bisection(Path("a.toml"), (), good, bad, ends, first=first, author="Ada")
    told = replace(found, steps=(Step(first, SLOW, "", result),)).lines()
    assert told[1:3] == [
        f"{words(ROW)} against {good.label}",
        f"dcgan_wgan step time: slower at {bad.label}, but not found so there; "
        f"--bisect {first.commit[:9]} main goes on",
    ]


@pytest.mark.parametrize("first", ["two", "three", "five", "eight"])
def test_search_finds_the_first(chain, temporary, first):
    order = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    slow = order[order.index(first) :]
    asked = []

    def judge(name):
        asked.append(name)
        return SLOW if name in slow else FAST

    assert found(chain, "first", "eight", judge) == [first]
    assert len(asked) <= 3
    assert "eight" not in asked
    assert left_of(chain, temporary) == NOTHING


def test_search_in_a_range_of_one_commit_asks_nothing(chain):
    assert found(chain, "seven", "eight", pytest.fail) == ["eight"]


def test_search_through_a_merge(tmp_path):
    place = repository(tmp_path, {"here": "0"})
    place.git("switch", "--quiet", "--create", "side")
    place.commit("side one", {"there": "1"})
    place.commit("side two", {"there": "2"})
    place.git("switch", "--quiet", "main")
    place.commit("main one", {"here": "1"})
    place.git("-c", "user.name=N", "-c", "user.email=n@example.com",
              "merge", "--quiet", "--no-ff", "--message", "merge", "side")  # fmt: skip
    slow = {"side two", "merge"}
    judge = lambda name: SLOW if name in slow else FAST  # noqa: E731 - a table
    assert found(place, "first", "main", judge) == ["side two"]


def test_what_the_user_bisects_meanwhile_is_left_alone(tmp_path, chain):
    place = Place(tmp_path / "clone")
    subprocess.run(["git", "clone", "--quiet", chain.folder, place.folder], check=True)
    place.git("bisect", "start", "seven", "first")
    refs = "for-each-ref", "refs/bisect"
    before = place.git("bisect", "log"), place.git(*refs), place.git("rev-parse", "HEAD")
    assert found(place, "one", "eight", lambda name: SLOW if name == "eight" else FAST) == ["eight"]
    assert (place.git("bisect", "log"), place.git(*refs), place.git("rev-parse", "HEAD")) == before
    place.git("bisect", "good")
    assert place.git("status", "--porcelain") == ""
    assert place.worktrees == []


def test_a_fault_while_judging_ends_the_search(chain, temporary):
    def judge(name):
        raise RequestError(f"no room for {name}")

    with pytest.raises(RequestError, match="no room for four"):
        found(chain, "first", "eight", judge)
    assert left_of(chain, temporary) == NOTHING
    assert chain.git("for-each-ref", "refs/bisect") == ""


def test_an_answer_that_git_does_not_take_is_a_fault(chain, temporary):
    with pytest.raises(BisectFailed, match=r"did not come to an end: .*200"):
        found(chain, "first", "eight", lambda name: 200)
    assert left_of(chain, temporary) == NOTHING


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("slow", "slow", "both are "),
        ("main", "slow", r"main .* is no ancestor of slow .*: --bisect slow main\?"),
        ("slow", "hidden", r"is no ancestor of .*the last revision of both is .*hidden\?"),
    ],
)
def test_ends_that_are_not_one_after_the_other(slowed, good, bad, told):
    with pytest.raises(RequestError, match=told):
        gate.bisect(slowed.asking(), slowed.revision(good), slowed.revision(bad))


DRIVER = """
import time
from pathlib import Path
from bench import gate
from bench.gate.bisect_run import search
own = gate.Repository(Path.cwd())
def judge(commit):
    print("asked", flush=True)
    time.sleep(60)
search(own, own.revision("first", ""), own.revision("eight", ""), judge)
"""
MAIN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job in the background
from bench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(place: Place, temporary: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=place.folder,
        env=place.environment | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_git_ends_with_a_driver_that_is_killed(chain, temporary):
    with start(chain, temporary, DRIVER) as driver:
        assert driver.stdout.readline() == "asked\n"
        assert any("bisect" in line for line in processes(str(temporary)))
        driver.kill()
    deadline = time.monotonic() + 10
    while processes(str(temporary)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(str(temporary)) == []
    shutil.rmtree(temporary)  # nobody else does
    chain.git("worktree", "prune")


def test_interrupt_leaves_nothing(slowed, temporary):
    asked = "check", "rings.toml", "--bisect", "first", "main", "--results", str(temporary)
    with start(slowed, temporary, MAIN, *asked) as driver:
        assert any("step 2, " in line for line in driver.stdout)
        os.kill(driver.pid, signal.SIGINT)
        rest = driver.stdout.read()
    assert driver.returncode == 130, rest
    assert left_of(slowed, temporary) == NOTHING
    assert slowed.git("for-each-ref", "refs/bisect") == ""
    kept = load_checks(temporary, "rings")
    assert [row.verdict for row in kept.rows] == ["regressed", "crashed"]


@pytest.mark.long
def test_users_package_through_the_command_line(tmp_path):
    suite = suite_text({"same": "same", "other": "other"}, network="narrow", margin=1.0)
    place = package(tmp_path, "src", suite)
    place.commit("Say why", {"src/rings/losses.py": losses("pass  # why")})
    slow = losses(WORK.format(times=12))
    first = place.commit("Ask the critic twelve times more", {"src/rings/losses.py": slow})
    done = place.check("rings.toml", "--bisect", "first", "main", "--results", tmp_path / "results")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith(f"first slow revision: {first[:9]} (")
    assert "other step time" in done.stdout
    assert "same" not in done.stdout.split("Kept in")[0]  # its case was not slower, so not checked
    rows = load_checks(tmp_path / "results", "rings").rows
    assert [(row.subject, row.verdict) for row in rows] == [
        ("same", "fine"), ("other", "regressed"), ("other", "fine")
    ]  # fmt: skip
    assert place.worktrees == []
