"""A suite with checkpoints: killed, gone on with, done anew, and what is left in its folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import api, store
from bench.cli import main
from bench.suite import load_suite
from bench.training.stacked import Stacked

SUITE = """
schema = 1
name = "kept"
dataset.name = "mnist"
network = { name = "mlp", generator_widths = [16], critic_widths = [16] }
evaluation = { every = { generator_steps = 500 }, metrics = [] }
matrix = { seeds = [0, 1], devices = ["cpu"] }
[training]
budget = { generator_steps = 500 }
batch_size = 32
engine = "eager"
group = 2
checkpoint_every = { generator_steps = 100 }
[[variant]]
name = "gan"
preset = "mlp_gan"
"""
CLOCKS = ["train_seconds", "seconds", "step_ms"]


@pytest.fixture
def suite(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "kept.toml"
    path.write_text(SUITE)
    return path


def short(suite: Path):
    """The same in 250 steps: blocks of 50, checkpoints at 100 and 200."""
    return load_suite(suite, overrides=["training.budget.generator_steps=250"])


def partials(root: str = "results") -> list[Path]:
    return sorted(Path(root, "kept").glob(".*.partial/*"))


def contents(results):
    """All that is on disk of a suite but clocks, by table and by file."""
    tables = [
        getattr(results, name).drop(columns=CLOCKS, errors="ignore").to_json()
        for name in ("curves", "metrics", "timings")
    ]
    ids = list(results.runs["run_id"])
    files = [{n: p.read_bytes() for n, p in results.files(run_id).items()} for run_id in ids]
    return [ids, list(results.runs["status"]), *tables, files]


def test_killed_driver_and_worker_leave_a_checkpoint_that_the_same_command_goes_on_from(
    suite, capfd
):
    command = [sys.executable, "-m", "bench", "run", "kept.toml"]
    root = {"PYTHONPATH": str(Path(__file__).parents[1])}
    driver = subprocess.Popen(command, env=os.environ | root, start_new_session=True)
    while not any(file.suffix == ".safetensors" for file in partials()):
        assert driver.poll() is None
        time.sleep(0.01)
    os.killpg(driver.pid, signal.SIGKILL)  # its worker leads a group of its own, and ends with it
    driver.wait()
    capfd.readouterr()
    assert main(["show", "kept"]) == 0
    assert "under way: gan/0-1 at step " in capfd.readouterr().out
    told: list[str] = []
    gone_on = api.run(suite, executor="serial", on_progress=lambda said: told.append(said.note))
    assert [note for note in told if note.startswith("goes on from generator step ")]
    assert partials() == []
    assert contents(gone_on) == contents(api.run(suite, results="other", executor="serial"))
    assert main(["show", "kept"]) == 0
    assert "under way" not in capfd.readouterr().out


def interrupted(suite: Path, step: int = 150) -> None:
    """Ends a run of the short suite as Ctrl-C does, when its group reaches `step`."""

    def stop(said) -> None:
        if said.phase == "training" and said.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.run(short(suite), executor="serial", on_progress=stop)


def first_steps(suite: Path, **options) -> list[int]:
    """The steps at which a run of the short suite says that it trains."""
    heard: list[int] = []

    def hear(said) -> None:
        if said.phase == "training":
            heard.append(said.step)

    api.run(short(suite), executor="serial", on_progress=hear, **options)
    return heard


def test_fresh_goes_on_from_no_checkpoint(suite):
    interrupted(suite)
    assert len(partials()) == 1
    assert first_steps(suite, fresh=True) == [50, 100, 150, 200, 250]
    assert partials() == []


def test_a_crash_between_two_members_keeps_the_checkpoint(suite):
    def crash(result) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        api.run(short(suite), executor="serial", on_result=crash)
    assert len(store.finished(Path("results"), "kept")) == 1
    assert len(partials()) == 1
    assert first_steps(suite) == [250]
    assert len(store.finished(Path("results"), "kept")) == 2
    assert partials() == []


def test_a_run_that_failed_keeps_its_checkpoint_for_the_next_try(suite, monkeypatch):
    advance = Stacked.advance

    def fail(self, start, stop, steps):
        if start == 200:
            raise ValueError("enough")
        return advance(self, start, stop, steps)

    with monkeypatch.context() as patched:
        patched.setattr(Stacked, "advance", fail)
        results = api.run(short(suite), executor="serial")
    assert set(results.runs["status"]) == {"failed"}
    assert first_steps(suite) == [250]
    assert partials() == []


def test_what_is_left_of_finished_runs_goes_and_what_of_others_stays(suite):
    first_steps(suite)
    leader = api.run(short(suite), executor="serial").runs["run_id"][0]
    for run_id in (leader, "of_another_recipe"):
        folder = store.partial(Path("results"), "kept", run_id)
        folder.mkdir()
        (folder / "checkpoint.safetensors").write_bytes(b"left")
    api.run(short(suite), executor="serial")
    assert [file.parent.name for file in partials()] == [".of_another_recipe.partial"]
    assert main(["show", "kept"]) == 0


def test_checkpoints_change_neither_identity_nor_blocks(suite):
    none = load_suite(
        suite,
        overrides=[
            "training.budget.generator_steps=250",
            "training.checkpoint_every.generator_steps=7",
        ],
    )
    one = api.run(short(suite), executor="serial")
    other = api.run(none, results="other", executor="serial")
    assert contents(one) == contents(other)
