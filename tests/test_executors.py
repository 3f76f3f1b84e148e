import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from executor_work import group, spec, work

from bench import registry
from bench.errors import DeviceError
from bench.executors import base
from bench.executors.base import at_once, cores, places
from bench.executors.processes import processes
from bench.executors.serial import serial
from bench.records import Group, Placement, Progress, RunResult

executors = pytest.mark.parametrize("execute", [serial, processes])
in_processes = pytest.mark.parametrize("execute", [processes])


def run(execute, *groups, timeout=None, workers=None, heard=None) -> list[RunResult]:
    emit = heard.append if heard is not None else lambda _: None
    results = execute(
        work, groups, devices=("cpu",), workers=workers, timeout=timeout, on_progress=emit
    )
    return list(results)


def statuses(results) -> dict[str, str]:
    assert len({r.run.run_id for r in results}) == len(results)
    return {f"{r.run.variant}/{r.run.seed}": r.run.status for r in results}


@executors
def test_every_run_gets_one_result_in_order(execute):
    results = run(execute, group("a", 0, 1), group("b", 0), workers=1)
    assert [(r.run.variant, r.run.seed) for r in results] == [("a", 0), ("a", 1), ("b", 0)]
    assert {r.run.status for r in results} == {"completed"}


@executors
def test_nothing_to_do_is_done(execute):
    assert run(execute) == []


@executors
def test_progress_reaches_the_driver(execute):
    heard: list[Progress] = []
    run(execute, group("a", 0), heard=heard)
    assert [p.phase for p in heard] == ["starting", "training"]
    assert heard[1] == Progress("a/0", "training", step=5, steps=10)


@executors
def test_escaped_exception_fails_its_group_alone(execute):
    results = run(execute, group("raises", 0, 1), group("b", 0))
    assert statuses(results) == {"raises/0": "failed", "raises/1": "failed", "b/0": "completed"}
    failed = next(r.run for r in results if r.run.variant == "raises")
    assert failed.error is not None
    assert failed.error.startswith("ValueError: no such number (executor_work.py:")
    assert failed.spec == spec("raises", 0, group=(0, 1)).to_json()


@executors
def test_forgotten_run_has_failed(execute):
    results = run(execute, group("forgets_the_last", 0, 1))
    assert statuses(results) == {"forgets_the_last/0": "completed", "forgets_the_last/1": "failed"}


@executors
def test_run_timeout_raised_by_work_is_a_timeout(execute):
    (result,) = run(execute, group("gives_up", 0))
    assert (result.run.status, result.run.error) == ("timeout", "enough")


@executors
def test_limit_ends_a_group_and_the_next_one_runs(execute, tmp_path):
    started = time.monotonic()
    results = run(execute, group("sleeps", 0, traces=tmp_path), group("b", 0), timeout=2, workers=1)
    assert statuses(results) == {"sleeps/0": "timeout", "b/0": "completed"}
    assert results[0].run.error == "not finished after 2 s (--timeout)"
    assert time.monotonic() - started < 6


@executors
def test_closing_ends_everything(execute, tmp_path):
    groups = [group("b", 0), group("sleeps", 0, traces=tmp_path), group("c", 0)]
    iterator = execute(
        work, groups, devices=("cpu",), workers=2, timeout=60, on_progress=lambda _: None
    )
    assert next(iterator).run.variant == "b"
    pids = _pids(tmp_path, count=0 if execute is serial else 1)
    started = time.monotonic()
    iterator.close()
    assert time.monotonic() - started < 3
    assert all(_gone(pid) for pid in pids)


@executors
def test_device_that_is_not_offered_is_refused(execute):
    elsewhere = Group("suite", (spec("a", device="cuda"),))
    with pytest.raises(DeviceError, match="no 'cuda' among the devices to run on: cpu"):
        run(execute, elsewhere)


@in_processes
def test_killed_worker_loses_its_group_alone(execute):
    results = run(execute, group("is_killed", 0, 1), group("b", 0), group("c", 0))
    assert statuses(results) == {
        "is_killed/0": "lost",
        "is_killed/1": "lost",
        "b/0": "completed",
        "c/0": "completed",
    }
    lost = next(r.run for r in results if r.run.status == "lost")
    assert lost.error == "the worker was killed by SIGKILL (out of memory, perhaps)"


@in_processes
def test_dying_worker_leaves_its_code_and_last_line(execute):
    (result,) = run(execute, group("exits", 0))
    assert result.run.status == "lost"
    assert result.run.error == "the worker ended with exit code 7: no space left for this"


@in_processes
def test_silent_worker_and_its_children_are_killed(execute, tmp_path):
    (result,) = run(execute, group("sleeps_in_a_child", 0, traces=tmp_path), timeout=1.5)
    assert result.run.status == "timeout"
    assert [_gone(pid) for pid in _pids(tmp_path, count=2)] == [True, True]


@in_processes
def test_workers_run_side_by_side_and_say_how_many(execute, tmp_path):
    groups = [group("leaves_pid", seed, traces=tmp_path) for seed in range(2)]
    results = run(execute, *groups, workers=2)
    assert [r.run.workers for r in results] == [2, 2]
    assert {r.run.threads for r in results} == {1}
    assert len({os.getpid(), *_pids(tmp_path, count=2)}) == 3


def test_gpus_get_one_group_each():
    on_gpu = [Group("suite", (spec("a", seed, device="cuda"),)) for seed in range(3)]
    found = places(on_gpu, ("cpu", "cuda:0", "cuda:1"), None)
    assert [place.device for place in found] == ["cuda:0", "cuda:1"]
    assert places(on_gpu, ("cuda:0", "cuda:1"), 1) == [Placement("cuda:0")]


def test_threads_do_not_depend_on_what_is_left_to_do():
    groups = [group("a", seed) for seed in range(100)]
    assert places(groups, ("cpu",), None) == cores() * [Placement("cpu", threads=1)]
    assert places(groups[:1], ("cpu",), None) == [Placement("cpu", threads=1)]
    assert places(groups, ("cpu",), 1) == [Placement("cpu", threads=1)]


@executors
def test_every_group_runs_on_the_threads_it_declares(execute):
    two = Group("suite", (replace(spec("b"), threads=2),))
    assert {r.run.variant: r.run.threads for r in run(execute, group("a", 0), two)} == {
        "a": 1, "b": 2,
    }  # fmt: skip


def test_groups_with_more_threads_leave_room_for_fewer(monkeypatch):
    monkeypatch.setattr(base, "cores", lambda: 5)
    groups = [Group("suite", (replace(spec("a", seed), threads=2),)) for seed in range(9)]
    assert places(groups, ("cpu",), None) == 2 * [Placement("cpu", threads=2)]
    mixed = [*groups, group("b", 0)]
    assert places(mixed, ("cpu",), None) == 2 * [Placement("cpu", threads=2)]
    monkeypatch.setattr(base, "cores", lambda: 1)
    assert places(groups, ("cpu",), None) == [Placement("cpu", threads=2)]


def test_workers_cap_the_groups_of_all_devices_together():
    mixed = [group("a", 0), group("a", 1), Group("suite", (spec("a", device="cuda"),))]
    found = places(mixed, ("cpu", "cuda:0"), 1)
    assert [place.device for place in found] == ["cpu", "cuda:0"]
    assert at_once(found, 1) == 1
    assert at_once(found, None) == 2


@executors
def test_interruption_waits_until_a_whole_group_is_taken(execute):
    """As a driver does that is interrupted while it commits the first of two results."""
    results = execute(
        work,
        [group("a", 0, 1), group("b", 0)],
        devices=("cpu",),
        workers=1,
        timeout=60,
        on_progress=lambda _: None,
    )
    taken: list[str] = []

    def take() -> None:
        for result in results:
            signal.raise_signal(signal.SIGINT)
            taken.append(f"{result.run.variant}/{result.run.seed}")

    with pytest.raises(KeyboardInterrupt):
        take()
    assert taken == ["a/0", "a/1"]


def test_results_that_have_arrived_are_taken_before_an_interruption(tmp_path):
    groups = [group("sleeps", 0, traces=tmp_path), group("leaves_pid", 1, traces=tmp_path)]

    def interrupt(progress: Progress) -> None:
        if progress.phase == "training" and progress.label == "sleeps/0":
            _pids(tmp_path, count=2)
            time.sleep(0.5)  # the other group's results are in its pipe by now
            raise KeyboardInterrupt

    results = processes(
        work, groups, devices=("cpu",), workers=2, timeout=60, on_progress=interrupt
    )
    assert next(results).run.variant == "leaves_pid"
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert [_gone(pid) for pid in _written(tmp_path)] == [True, True]


def test_registry_names_the_executors():
    assert registry.load("executors", "serial") is serial
    assert registry.load("executors", "processes") is processes


DRIVER = """
import sys
from executor_work import group, work
from bench.executors.processes import processes

if __name__ == "__main__":
    groups = [group(sys.argv[2], seed, traces=sys.argv[1]) for seed in range(2)]
    for result in processes(
        work, groups, devices=("cpu",), workers=2, timeout=None, on_progress=lambda _: None
    ):
        print(result.run.status, flush=True)
"""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A driver with two workers that do not end by themselves, in a process group of its own."""
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path), "sleeps"],
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_interrupted_driver_leaves_no_worker(driver, tmp_path):
    pids = _pids(tmp_path, count=2)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does
    _, said = driver.communicate(timeout=3)
    assert driver.returncode == -signal.SIGINT
    assert said.count(b"KeyboardInterrupt") == 1  # the workers did not hear it
    assert [_gone(pid) for pid in pids] == [True, True]


def test_workers_of_a_killed_driver_end_by_themselves(driver, tmp_path):
    pids = _pids(tmp_path, count=2)
    driver.kill()
    driver.wait()
    assert [_gone(pid) for pid in pids] == [True, True]


def _pids(folder: Path, count: int) -> list[int]:
    """The processes that left their number, once there are `count` of them."""
    deadline = time.monotonic() + 20
    while len(_written(folder)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(_written(folder)) >= count
    return _written(folder)


def _written(folder: Path) -> list[int]:
    return [int(text) for path in folder.glob("*.pid") if (text := path.read_text())]


def _gone(pid: int) -> bool:
    """Whether a process has ended, within three seconds."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # ended, and waiting for whoever adopted it
        time.sleep(0.02)
    return False
