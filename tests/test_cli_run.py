"""`bench run` from end to end, on the real MNIST: small, and with everything real."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import store
from bench.cli import main

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
    assert "gan/1: completed" in out
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


@contextmanager
def endless(folder: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    """A run by worker processes, of which the first, gan, does not end and wgan does."""
    command = [sys.executable, "-u", "-m", "bench", "run", "tiny.toml", *ENDLESS]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
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


def test_interruption_keeps_what_is_finished(suite, tmp_path):
    with endless(tmp_path, workers=2) as process:
        wait_for(process, "wgan/0: completed", "gan/0: step")
        pids = workers(process.pid)
        started = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert time.monotonic() - started < 3
    assert process.returncode == 130
    told = "interrupted: 1 of 2 runs are finished and kept; the same command goes on from there\n"
    assert err == told
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
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
