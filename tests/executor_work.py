"""Small real work for the executors' contract, importable by a spawned process.

What a group is to do is named by its variant; where it leaves traces, by its suite's name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.errors import RunTimeout
from bench.records import (
    Amount,
    Emit,
    Evaluation,
    Group,
    Placement,
    Progress,
    RunResult,
    RunRow,
    RunSpec,
    identity,
)


def spec(variant: str, seed: int = 0, device: str = "cpu", group: tuple[int, ...] = ()) -> RunSpec:
    return RunSpec(
        variant=variant,
        dataset={"name": "mnist"},
        network={"name": "mlp"},
        objective={"name": "gan"},
        optimizer={"name": "adam"},
        schedule={"name": "constant"},
        init="torch",
        critic_steps=1,
        batch_size=64,
        budget=Amount("generator_steps", 10),
        engine="eager",
        precision="fp32",
        evaluation=Evaluation(Amount("generator_steps", 5), 100, ("fid",), (), "digits"),
        seed=seed,
        group=group or (seed,),
        device=device,
    )


def group(variant: str, *seeds: int, traces: Path | str = "suite") -> Group:
    seeds = seeds or (0,)
    return Group(str(traces), tuple(spec(variant, seed, group=seeds) for seed in seeds))


def row(spec: RunSpec, suite: str = "suite", **columns: object) -> RunRow:
    return RunRow(**{**identity(suite, spec), "status": "completed", "error": None, **columns})


def completed(group: Group, placement: Placement) -> list[RunResult]:
    return [
        RunResult(row(spec, group.suite, threads=placement.threads, cpu=placement.device))
        for spec in group.specs
    ]


def work(group: Group, placement: Placement, emit: Emit) -> Sequence[RunResult]:
    """Does what the variant's name says, and completes unless that prevents it."""
    emit(Progress(group.label, "training", step=5, steps=10))
    name = group.specs[0].variant
    if name in _DEEDS:
        _DEEDS[name](group, emit)
    results = completed(group, placement)
    return results[:-1] if name == "forgets_the_last" else results


def _leave_pid(group: Group, _: Emit) -> None:
    Path(group.suite, f"{group.specs[0].seed}.pid").write_text(str(os.getpid()))


def _sleeps(group: Group, emit: Emit) -> None:
    _leave_pid(group, emit)
    while True:
        emit(Progress(group.label, "training", step=5, steps=10))
        time.sleep(0.05)


def _sleeps_in_a_child(group: Group, _: Emit) -> None:
    """As a compiler does: the worker is silent, and a child of it holds on to its output."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "60"])
    Path(group.suite, "child.pid").write_text(str(child.pid))
    _leave_pid(group, _)
    child.wait()


def _is_killed(group: Group, _: Emit) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exits(group: Group, _: Emit) -> None:
    print("no space left for this", flush=True)
    os._exit(7)


def _raises(group: Group, _: Emit) -> None:
    raise ValueError("no such number")


def _gives_up(group: Group, _: Emit) -> None:
    raise RunTimeout("enough")


def _dawdles(group: Group, _: Emit) -> None:
    time.sleep(0.3)


_DEEDS = {
    "leaves_pid": _leave_pid,
    "sleeps": _sleeps,
    "sleeps_in_a_child": _sleeps_in_a_child,
    "is_killed": _is_killed,
    "exits": _exits,
    "raises": _raises,
    "gives_up": _gives_up,
    "dawdles": _dawdles,
}
