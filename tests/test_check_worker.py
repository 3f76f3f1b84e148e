"""The worker protocol: what a tree's code does to its process, and what its driver says of it.

The trees are stand-ins (`check_repository.stand_in_tree`), whose workers start at once.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from itertools import islice

import pytest
from check_repository import FIRST_WORKS, ROOT, processes, stand_in_tree, works

from bench.gate.order import blocks, places, turns
from bench.gate.worker import Worker, WorkerFailed

WORKER = ROOT / "bench/gate/worker.py"
SPEC = '{"variant": "steady", "objective": {"name": "gan"}}'


@pytest.fixture
def worker(tmp_path):
    """Starts a worker at a tree with such works; each is ended with the test."""
    started = []

    def start(work: str = FIRST_WORKS, timeout: float = 20.0, **files: str | None) -> Worker:
        tree = tmp_path / f"tree{len(started)}"
        for name, text in {**stand_in_tree(work), **files}.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_text(text, encoding="utf-8")
        started.append(Worker([tree], timeout))
        return started[-1]

    yield start
    for each in started:
        each.close()


def opened(worker: Worker, spec: str = SPEC) -> Worker:
    worker.ask("hello")
    worker.ask("open", specs=[spec], device="cpu", cold=False)
    return worker


def failed(worker: Worker, do: str = "hello", **request: object) -> tuple[str, str]:
    with pytest.raises(WorkerFailed) as caught:
        worker.ask(do, **request)
    return caught.value.kind, caught.value.text


def failed_to_open(worker: Worker, spec: str = SPEC) -> tuple[str, str]:
    worker.ask("hello")
    return failed(worker, "open", specs=[spec], device="cpu", cold=False)


# ---- what is measured


def test_block_takes_as_long_as_its_steps(worker):
    at = opened(worker(works(each=0.005)))
    rough, block = at.ask("warm_up", seconds=0.02), at.ask("block", steps=20)
    assert 0.005 <= rough["step_seconds"] < 0.05  # a machine that is busy sleeps longer
    assert 0.1 <= block["seconds"] < 1.0


def test_answers_come_in_the_order_of_the_requests(worker):
    at = opened(worker(works(each=0.001)))
    for steps in (30, 1):
        at.send("block", steps=steps)
    assert at.receive()["seconds"] > at.receive()["seconds"]


def test_opening_tells_what_the_tree_says_of_itself(worker):
    at = worker()
    assert at.ask("hello")["protocol"] == 1
    told = at.ask("open", specs=[SPEC], device="cpu", cold=False)
    assert told == {"compile_seconds": 0.25, "engine": "eager", "notes": []}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a CPU's peak memory is not told")
def test_peak_memory_is_of_the_blocks_and_starts_anew_with_each_subject(worker):
    megabytes = """
def large(steps): b"x" * (64 << 20)
def open_steady(): b"x" * (256 << 20)
"""
    at = opened(worker(FIRST_WORKS + megabytes), SPEC.replace("steady", "large"))
    at.ask("warm_up", seconds=0.0)
    at.ask("block", steps=1)
    large = at.ask("close")["peak_memory_bytes"]
    at.ask("open", specs=[SPEC], device="cpu", cold=False)  # which takes more, and gives it back
    at.ask("warm_up", seconds=0.0)
    at.ask("block", steps=1)
    steady = at.ask("close")["peak_memory_bytes"]
    assert large - steady == pytest.approx(64 << 20, rel=0.1)


# ---- what the tree's code does beside training


NOISE = """
import os, sys
def steady(steps):
    print('{"seconds": 0.0}')
    os.write(1, b'{"seconds": 0.0}\\n')
    os.system("echo '{}'")
    sys.stdout.flush()
    time.sleep(0.01 * steps)
"""


def test_what_the_code_prints_is_no_answer(worker):
    at = opened(worker(FIRST_WORKS + NOISE))
    assert [at.ask("block", steps=1)["seconds"] > 0.009 for _ in range(3)] == [True] * 3


def test_millions_of_lines_fill_no_pipe(worker):
    at = opened(worker("def steady(steps): print('x' * 79 + '\\n' * 100_000)\n"))
    assert at.ask("block", steps=1)["seconds"] > 0


@pytest.mark.parametrize(
    ("line", "text"),
    [("input()", "EOFError: EOF when reading a line"), ("breakpoint()", "BdbQuit: ")],
)
def test_code_that_reads_finds_nothing_and_takes_no_request(worker, line, text):
    at = opened(worker(f"def steady(steps):\n    if steps > 5: {line}\n"))
    kind, told = failed(at, "block", steps=6)
    assert kind == "crashed"
    assert told.startswith(text)
    assert at.ask("block", steps=1)["seconds"] >= 0


# ---- how it fails


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("raise ValueError('two\\n lines')", ("crashed", "ValueError: two lines (works.py:2)")),
        ("1 / 0", ("crashed", "ZeroDivisionError: division by zero (works.py:2)")),
        ("import os; os._exit(3)", ("lost", "its process ended (exit code 3)")),
        ("import os; os.abort()", ("lost", "its process ended (killed by SIGABRT)")),
        ("import os; os.kill(os.getpid(), 9)", ("lost", "its process ended (killed by SIGKILL)")),
        ("raise SystemExit('enough')", ("lost", "its process ended (exit code 1): enough")),
    ],
)
def test_failure_in_a_block_is_told_in_a_line(worker, line, found):
    kind, text = failed(opened(worker(f"def steady(steps):\n    {line}\n")), "block", steps=1)
    assert kind == found[0]
    assert text.startswith(found[1])
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r"\x1b[31mred\x00", "ValueError: �[31mred� (works.py:2)"),
        (r"a\udcffb", "ValueError: a�b (works.py:2)"),
        ("x" * 10_000, f"ValueError: {'x' * 488} …"),
    ],
)
def test_reason_can_be_shown_and_stored_whatever_the_code_says(worker, text, told):
    at = opened(worker(f"def steady(steps):\n    raise ValueError('{text}')\n"))
    assert failed(at, "block", steps=1) == ("crashed", told)


def test_worker_goes_on_after_an_exception(worker):
    at = opened(worker(FIRST_WORKS + "def bad(steps): raise ValueError\n"))
    at.ask("close")
    at.ask("open", specs=[SPEC.replace("steady", "bad")], device="cpu", cold=False)
    assert failed(at, "block", steps=1)[0] == "crashed"
    at.ask("close")
    at.ask("open", specs=[SPEC], device="cpu", cold=False)
    assert at.ask("block", steps=1)["seconds"] > 0


def test_end_is_seen_though_a_child_holds_the_pipe(worker):
    work = """
import os
def steady(steps):
    if os.fork() == 0: time.sleep(60)
    os._exit(9)
"""
    began = time.monotonic()
    at = opened(worker(FIRST_WORKS + work))
    assert failed(at, "block", steps=1) == ("lost", "its process ended (exit code 9)")
    assert time.monotonic() - began < 10


def test_no_answer_in_time_ends_the_process_and_its_children(worker, tmp_path):
    work = "import subprocess\ndef steady(steps): subprocess.run(['sleep', '60'])\n"
    at = opened(worker(work, timeout=1.5))
    assert failed(at, "block", steps=1) == ("lost", "no answer in 1.5 s")
    deadline = time.monotonic() + 5
    while processes(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(str(tmp_path)) == []


def test_code_that_does_not_listen_is_ended(worker, tmp_path):
    work = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
"""
    at = opened(worker(FIRST_WORKS + work))
    at.close()
    at.close()
    assert processes(str(tmp_path)) == []


def test_worker_ends_with_its_driver(tmp_path):
    tree = tmp_path / "tree"
    for name, text in stand_in_tree().items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(str(text))
    driver = f"""
import os, pathlib, runpy
found = runpy.run_path({str(WORKER)!r})["Worker"]([pathlib.Path({str(tree)!r})], 20.0)
found.ask("hello")
os._exit(0)  # without closing anything, as one that is killed
"""
    subprocess.run([sys.executable, "-c", driver], check=True)
    deadline = time.monotonic() + 5
    while processes(str(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(str(tmp_path)) == []


# ---- trees that lack something


def test_tree_without_the_protocol_is_old(worker):
    kind, text = failed(worker(**{"bench/training/subject.py": None}))
    assert kind == "old"
    assert text.startswith("this revision has no worker protocol, bench.training.subject (cannot")


def test_tree_of_another_protocol_is_old(worker):
    found = failed(worker(**{"bench/training/subject.py": "PROTOCOL = 7\n"}))
    assert found == ("old", "this revision speaks worker protocol 7, not 1")


def test_module_that_takes_the_name_of_bench_is_named(worker, tmp_path):
    only = {name: None for name in stand_in_tree() if name.startswith("bench/")}
    kind, text = failed(worker(**only, **{"bench.py": ""}))
    assert kind == "old"
    assert text.endswith(f"'bench' is not a package; bench is {tmp_path}/tree0/bench.py)")


def test_part_that_the_tree_has_not_is_missing(worker):
    kind, text = failed_to_open(worker(), SPEC.replace("steady", "gone"))
    assert kind == "missing"
    assert text.startswith("UnknownName: 'gone' is not an objective (subject.py:")


PLUGIN = '{"variant": "steady", "objective": {"name": "mine"}}'
INFO = {
    "mine-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n",
    "mine-1.0.dist-info/entry_points.txt": "[bench.objectives]\nmine = my_losses:Mine\n",
}


@pytest.mark.parametrize(
    ("losses", "kind"),
    [
        (None, "missing"),
        ("", "missing"),
        ("import gone\n", "crashed"),
        ("Mine = None.gone\n", "crashed"),
        ("raise ImportError('no')\n", "crashed"),
    ],
)
def test_plugin_is_missing_only_where_it_is_itself_not_there(worker, losses, kind):
    """What it imports in vain, or what fails in it, is its own fault."""
    opening = "from bench import registry\ndef open_steady(): registry.load('objectives', 'mine')\n"
    at = worker(FIRST_WORKS + opening, **{"my_losses.py": losses}, **INFO)
    assert failed_to_open(at, PLUGIN)[0] == kind


STRICT = """
import json
from bench import registry

PROTOCOL = 1

class Subject:
    compile_seconds, engine, notes = 0.0, "eager", ()

def open_subject(specs, device, *, cold):
    options = json.loads(specs[0])["objective"]
    registry.load("objectives", options.pop("name"))(**options)
    return Subject()
"""
MINE = """
from dataclasses import dataclass

@dataclass
class Mine:
    old: int = 1
"""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"old": 2}, []),
        ({"old": 1, "young": [3]}, ["this revision has no objective.young yet"]),
        ({"young": [4]}, "Mine.__init__() got an unexpected keyword argument 'young'"),
        ({"other": 0}, "Mine.__init__() got an unexpected keyword argument 'other'"),
    ],
)
def test_option_that_the_tree_has_not_yet_is_left_out_where_it_is_the_default(
    worker, options, found
):
    at = worker(**{"bench/training/subject.py": STRICT, "my_losses.py": MINE}, **INFO)
    at.ask("hello")
    request = {
        "specs": [json.dumps({"objective": {"name": "mine", **options}})] * 2,
        "device": "cpu",
        "cold": False,
        "usual": {"objective": {"old": 1, "young": [3]}},
    }
    if isinstance(found, list):
        assert at.ask("open", **request)["notes"] == found
    else:
        kind, text = failed(at, "open", **request)
        assert kind == "crashed"
        assert found in text


# ---- what is imported


def imports(at: Worker, tmp_path, tree: str = "tree0", checkout: str = "none") -> dict:
    return at.ask("imports", roots=[str(tmp_path / tree)], checkout=str(tmp_path / checkout))


def test_imports_are_the_trees_own_files_with_their_digests(worker, tmp_path):
    found = imports(opened(worker()), tmp_path)
    assert found["strays"] == {}
    assert {"works.py", "torch.py", "bench/training/subject.py"} <= {*found["files"]}
    other = worker(FIRST_WORKS + "# a comment\n")
    other.ask("hello")
    changed = imports(other, tmp_path, "tree1")["files"]
    assert {n for n, digest in found["files"].items() if changed[n] != digest} == {"works.py"}


def test_module_from_elsewhere_that_the_tree_has_is_a_stray(worker, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/helper.py").write_text("")
    late = f"import sys\nsys.path.insert(0, {str(tmp_path / 'elsewhere')!r})\nimport helper\n"
    at = opened(worker(FIRST_WORKS + late, **{"helper.py": ""}))
    stray = {"helper": str(tmp_path / "elsewhere/helper.py")}
    assert imports(at, tmp_path)["strays"] == stray


@pytest.mark.parametrize(
    ("place", "is_stray"),
    [("helper.py", True), (".venv/lib/site-packages/helper.py", False)],
)
def test_module_of_the_users_checkout_is_a_stray_an_installed_one_is_not(
    worker, tmp_path, place, is_stray
):
    file = tmp_path / "checkout" / place
    file.parent.mkdir(parents=True)
    file.write_text("")
    late = f"import sys\nsys.path.append({str(file.parent)!r})\nimport helper\n"
    at = opened(worker(FIRST_WORKS + late))
    found = imports(at, tmp_path, checkout="checkout")["strays"]
    assert found == ({"helper": str(file)} if is_stray else {})


def test_module_that_the_other_side_alone_has_is_not_found_though_installed(worker, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/fresh.py").write_text("")
    late = f"import sys\nsys.path.append({str(tmp_path / 'site')!r})\n"
    at = worker(FIRST_WORKS + late + "def open_steady(): import fresh\n")
    at.ask("hello", foreign=["fresh"])
    _, text = failed(at, "open", specs=[SPEC], device="cpu", cold=False)
    assert text.startswith("ModuleNotFoundError: no module 'fresh' in this revision, only in the")


# ---- who is first


@pytest.mark.parametrize("seed", range(5))
def test_each_side_is_first_once_in_every_two_rounds(seed):
    found = [*islice(turns(["base", "head"], random.Random(seed)), 40)]
    pairs = zip(found[::2], found[1::2], strict=True)
    assert all({one[0], other[0]} == {"base", "head"} for one, other in pairs)


def test_which_side_begins_a_pair_of_rounds_is_random():
    found = [*islice(turns(["base", "head"], random.Random(1)), 800)]
    first = Counter(one[0] for one in found[::2])
    assert 150 < first["base"] < 250  # of 400: 5 standard deviations


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_each_subject_has_each_place_once_in_so_many_rounds(number):
    names = [f"case {index}" for index in range(number)]
    found = [*islice(places(names, random.Random(0)), number * 6)]
    for start in range(0, len(found), number):
        for place in range(number):
            assert {order[place] for order in found[start : start + number]} == {*names}


def test_order_of_the_subjects_is_random_from_cycle_to_cycle():
    found = [*islice(places("abc", random.Random(0)), 30)]
    assert len({*found[::3]}) > 2


def test_blocks_alternate_so_that_a_drift_cancels():
    found = [*blocks(["base", "head"], 10)]
    when = {side: [at for at, each in enumerate(found) if each == side] for side in found}
    assert found[:8] == ["base", "head", "head", "base", "base", "head", "head", "base"]
    assert sum(when["base"]) == sum(when["head"])  # the mean time is the same
    assert [len(at) for at in when.values()] == [10, 10]
