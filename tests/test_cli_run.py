"""`bench run` from end to end, on the real MNIST: small, and with everything real."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import api, store
from bench.cli import main
from bench.errors import NotComparable

ROOT = Path(__file__).parents[1]
SUITE = """
schema = 1
name = "tiny"
[network]
name = "mlp"
[dataset]
name = "mnist"
[training]
budget = { generator_steps = 4 }
engine = "eager"
[evaluation]
every = { generator_steps = 2 }
samples = 64
metrics = ["modes_any"]
[primary]
metric = "modes_any"
[matrix]
seeds = [0, 1]
devices = ["cpu"]
[[variant]]
name = "gan"
preset = "mlp_gan"
[[variant]]
name = "wgan"
preset = "mlp_wgan"
"""
ENDLESS = [
    *("--set", "variant.gan.training.budget={ generator_steps = 1000000 }"),
    *("--set", "evaluation.every={ generator_steps = 50 }"),
    *("--seeds", "0"),
]


@pytest.fixture
def suite(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = main(["run", "tiny.toml", "--executor", "serial", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def folders() -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in Path("results/tiny").glob("*/")}


def test_second_run_does_only_what_is_missing(suite, capsys):
    code, out, _ = run(capsys, "--seeds", "0")
    assert code == 0
    assert out.startswith("tiny: 2 of 2 runs to do\n")
    before = folders()
    code, out, _ = run(capsys)
    assert code == 0
    assert out.startswith("tiny: 2 of 4 runs to do\n")
    assert re.search(r"gan/1: completed, Modes \(any\) \(digits\) \d+ \(real data 10\), ", out)
    assert re.search(r"variant  Modes \(any\) \(digits\)  real data  95 % interval  seeds", out)
    assert "gan/0: " not in out
    assert before.items() <= folders().items()
    assert out.endswith("The whole of it, with pictures: bench report tiny\n")
    assert main(["report", "tiny"]) == 0
    assert "<html" in Path("reports/tiny.html").read_text()


def test_comparison_at_the_end_counts_all_seeds_of_the_recipe(suite, capsys):
    run(capsys, "--seeds", "0")
    run(capsys, "--variant", "gan", "--seeds", "3")
    counted = store.load_results("results/tiny").declaration["run_ids"]
    assert len(counted) == 3
    run(capsys, "--variant", "gan", "--seeds", "0", "--set", "training.budget.generator_steps=2")
    assert len(store.load_results("results/tiny").runs) == 4
    assert len(store.load_results("results/tiny").declaration["run_ids"]) == 1


def test_fresh_does_only_what_is_asked_anew(suite, capsys):
    run(capsys, "--variant", "gan")
    before = store.load_results("results/tiny").runs.set_index("run_id")["finished_at"]
    time.sleep(1)  # finished_at counts seconds
    run(capsys, "--fresh", "--variant", "gan", "--seeds", "1")
    runs = store.load_results("results/tiny").runs.set_index("run_id")
    changed = runs[runs["finished_at"] != before[runs.index]]
    assert [*zip(changed["variant"], changed["seed"], strict=True)] == [("gan", 1)]


def test_fresh_run_that_fails_leaves_what_was_finished(suite, capsys):
    run(capsys, "--variant", "gan", "--seeds", "0")
    before = folders()
    only = ["--variant", "gan", "--seeds", "0"]
    code, _, err = run(capsys, *only, "--fresh", "--timeout", "0.001")
    assert (code, err) == (3, "gan/0 timeout: not finished after 0.001 s (--timeout)\n")
    assert folders() == before
    assert run(capsys, *only)[1].startswith("tiny: 0 of 1 runs to do\n")


def test_variant_alone_of_a_suite_whose_others_need_more_seeds(suite, capsys):
    """`gan` has one seed, which alone would not do for the group of `wgan`."""
    matrix = 'devices = ["cpu"]\nexclude = [{ variant = "gan", seed = 1 }]'
    text = SUITE.replace('devices = ["cpu"]', matrix) + "training = { group = 2 }\n"
    suite.write_text(text)
    assert run(capsys, "--variant", "gan")[0] == 0
    assert run(capsys, "--variant", "gan", "--fresh")[0] == 0


def declared() -> dict[str, Any]:
    return store.load_results("results/tiny").declaration


def cells() -> list[str]:
    return sorted(f"{each['variant']}/{each['seed']}" for each in declared()["runs"])


def test_declaration_holds_the_runs_asked_for_and_the_options(suite, capsys):
    run(capsys, "--variant", "gan", "--seeds", "0")
    assert cells() == ["gan/0"]
    assert declared()["options"] == ["--variant", "gan", "--seeds", "0"]
    run(capsys)
    run(capsys, "--variant", "gan", "--seeds", "0")
    assert cells() == ["gan/0", "gan/1", "wgan/0", "wgan/1"]
    assert declared()["options"] == []
    assert api.declaration(store.load_results("results/tiny")).runs[0][1:] == ("gan", 0, "cpu")


def test_declared_run_stays_missing_when_another_is_asked_for(suite, capsys):
    run(capsys)
    gone = next(each for each in declared()["runs"] if each["variant"] == "wgan")
    shutil.rmtree(Path("results/tiny", gone["run_id"]))
    run(capsys, "--variant", "gan", "--seeds", "0,2")
    assert cells() == ["gan/0", "gan/1", "gan/2", "wgan/0", "wgan/1"]


def test_primary_that_is_changed_after_the_runs_is_told(suite, capsys):
    only = ["--variant", "gan", "--seeds", "0"]
    run(capsys, *only)
    assert declared()["primary_changed_from"] is None
    run(capsys, *only, "--set", "primary.margin=0.5")
    run(capsys, *only, "--set", "primary.at=best")
    assert declared()["primary_changed_from"] == {
        "metric": "modes_any", "at": "final", "margin": 0.1,
    }  # fmt: skip
    found = api.declaration(store.load_results("results/tiny"))
    assert found.changed_from == "Modes (any) final, margin 10 %"
    run(capsys, *only)
    assert declared()["primary_changed_from"] is None


def test_truncated_table_is_done_again(suite, capsys):
    only = ["--variant", "gan", "--seeds", "0"]
    run(capsys, *only)
    (path,) = Path("results/tiny").glob("*/run.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    assert "1 of 1 runs to do, about " in run(capsys, *only, "--dry-run")[1]
    code, out, _ = run(capsys, *only)
    assert code == 0
    assert out.startswith("tiny: 1 of 1 runs to do\n")


def test_two_runs_at_once_on_one_suite_are_refused(suite, capsys):
    store.prepare(Path("results"), "tiny")
    with store.locked(Path("results"), "tiny"):
        code, _, err = run(capsys)
    assert code == 2
    assert err.startswith("error: results/tiny: another `bench run` is at work")


def test_failures_are_told_before_what_cannot_be_compared(suite, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise NotComparable("tiny: two extractors")

    monkeypatch.setattr(api, "compare", refuse)
    only = ["--variant", "gan", "--seeds", "0"]
    code, _, err = run(capsys, *only, "--timeout", "0.001")
    assert code == 3
    assert err.startswith("error: tiny: two extractors\ngan/0 timeout: ")
    assert run(capsys, *only)[0] == 4


def test_run_out_of_time_is_exit_3_and_done_next_time(suite, capsys):
    code, _, err = run(capsys, "--variant", "gan", "--seeds", "0", "--timeout", "0.001")
    assert code == 3
    assert err == "gan/0 timeout: not finished after 0.001 s (--timeout)\n"
    code, _, err = run(capsys, "--variant", "gan", "--seeds", "0")
    assert (code, err) == (0, "")


def test_diverged_run_is_a_result(suite, capsys):
    diverging = ["--set", "variant.gan.optimizer.lr=1e30", "--variant", "gan", "--seeds", "0"]
    code, out, _ = run(capsys, *diverging)
    assert code == 0
    assert "gan/0: diverged" in out
    _, out, _ = run(capsys, *diverging)
    assert out.startswith("tiny: 0 of 1 runs to do\n")


def test_json_is_the_only_output(suite, capsys):
    code, out, err = run(capsys, "--json", "--variant", "gan", "--seeds", "0")
    assert code == 0
    assert json.loads(out)["suites"][0]["declaration"]["metric"] == "modes_any"
    assert "gan/0: completed" in err


def test_dry_run_starts_nothing(suite, capsys):
    code, out, _ = run(capsys, "--dry-run")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:5]] == [
        "gan/0",
        "wgan/0",
        "gan/1",
        "wgan/1",
    ]
    assert "4 of 4 runs to do, about " in out
    assert not Path("results").exists()
    run(capsys, "--seeds", "0")
    _, out, _ = run(capsys, "--dry-run", "--json")
    assert [each["done"] for each in json.loads(out)["runs"]] == [True, True, False, False]


def test_dry_run_says_how_many_workers_memory_leaves(suite, capsys, monkeypatch):
    from bench import preflight
    from bench.executors import base

    parallel = ["--dry-run", "--executor", "processes"]
    monkeypatch.setattr(base, "cores", lambda: 2)
    assert "\n2 workers of 1 thread on cpu (" in run(capsys, *parallel)[1]
    monkeypatch.setattr(preflight, "available_memory", lambda device: int(1.5 * 2**30))
    told = run(capsys, *parallel)[1]
    assert "\n1 worker of 1 thread on cpu (" in told
    assert "; no more, since a group needs about " in told


def test_run_says_how_many_workers_memory_leaves(suite, capsys, monkeypatch):
    from bench import preflight
    from bench.executors import base

    monkeypatch.setattr(base, "cores", lambda: 2)
    monkeypatch.setattr(preflight, "available_memory", lambda device: int(1.5 * 2**30))
    only = ["--seeds", "0", "--executor", "processes"]
    previewed = run(capsys, *only, "--dry-run")[1].splitlines()[-1]
    assert previewed.startswith("1 worker of 1 thread on cpu (")
    assert f"tiny: {previewed}\n" in run(capsys, *only)[1]


def test_refused_run_leaves_the_declaration_as_it_was(suite, capsys, monkeypatch):
    from bench import preflight

    run(capsys, "--seeds", "0", "--variant", "gan")
    declared = Path("results/tiny/declaration.json").read_bytes()
    monkeypatch.setattr(preflight, "available_memory", lambda device: 2**20)
    code, _, err = run(capsys, "--seeds", "0-3")
    assert (code, Path("results/tiny/declaration.json").read_bytes()) == (2, declared)
    assert "GiB available; set a smaller training.group" in err


def test_dry_run_with_nothing_to_do_gives_no_estimate(suite, capsys):
    only = ["--variant", "gan", "--seeds", "0"]
    run(capsys, *only)
    assert run(capsys, *only, "--dry-run")[1].endswith("\n0 of 1 runs to do\n")


def test_dry_run_refuses_an_executor_that_is_not_there(suite, capsys):
    code = main(["run", "tiny.toml", "--dry-run", "--executor", "rya"])
    assert code == 2
    assert "'rya' is not an executor" in capsys.readouterr().err


@contextmanager
def endless(folder: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """A run by worker processes, of which the first, gan, does not end and wgan does."""
    command = [sys.executable, "-u", "-m", "bench", "run", "tiny.toml", *ENDLESS]
    temporary = folder / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], *lines: str) -> None:
    """Reads on until every one of these has begun a line."""
    left = set(lines)
    assert process.stdout is not None
    for line in process.stdout:
        left = {start for start in left if not line.startswith(start)}
        if not left:
            return
    raise AssertionError(f"never said: {left}")


def workers(driver: int) -> list[int]:
    """The spawned processes that lead a process group of their own."""
    children = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    return [int(pid) for pid in children if os.getpgid(int(pid)) == int(pid)]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 130)]
)
def test_interruption_keeps_what_is_finished(suite, tmp_path, capsys, number, code):
    """Ctrl-C also while what is finished was so in this very run, by a second worker."""
    together = number == signal.SIGINT
    if not together:
        run(capsys, "--variant", "wgan", *ENDLESS)
    with endless(tmp_path, workers=2) as process:
        wait_for(process, "gan/0: step", *["wgan/0: completed"] * together)
        pids = workers(process.pid)
        started = time.monotonic()
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - started < 3
    assert process.returncode == code
    told = "interrupted: 1 of 2 runs are finished and kept; the same command goes on from there\n"
    assert err == told
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert list((tmp_path / "temporary").glob("bench-*")) == []
    assert len(store.finished(Path("results"), "tiny")) == 1


def test_killed_worker_is_lost_and_the_others_finish(suite, tmp_path, capsys):
    with endless(tmp_path, workers=1) as process:
        wait_for(process, "gan/0: step")
        (victim,) = workers(process.pid)
        os.kill(victim, signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "wgan/0: completed" in out
    assert err == "gan/0 lost: the worker was killed by SIGKILL (out of memory, perhaps)\n"
    _, out, _ = run(capsys, "--dry-run", "--json", *ENDLESS)
    assert [each["run"] for each in json.loads(out)["runs"] if not each["done"]] == ["gan/0"]
