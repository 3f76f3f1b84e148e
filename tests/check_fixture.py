"""An imaginary check: rows and readings made by hand, plausible and the same every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from math import exp, log1p
from typing import Any

from bench import gate
from bench.gate.verdicts import typical
from bench.records import CheckResult, CheckRow, Guard, Mode, Reading, Side
from bench.stats import Plan

CASES: dict[str, float] = {"mlp_gan": 0.0, "mlp_wgan_gp": 0.3, "dcgan_wgan": 0.05}
"""Subject → how much slower head is."""
STEP_MS = {"mlp_gan": 4.1, "mlp_wgan_gp": 16.9, "dcgan_wgan": 41.0}
MARGINS: dict[Guard, float] = {"step_time": 0.05, "peak_memory": 0.05, "compile_time": 0.25}
MACHINE: dict[str, Any] = {
    "cpu": "Imaginary CPU @ 3 GHz",
    "cores": 2,
    "os": "Linux x86_64",
    "python": "3.11.9",
    "torch": "2.15.0",
    "gpu": None,
    "gpu_count": None,
    "driver": None,
    "cuda": None,
    "cudnn": None,
    "clock_policy": "not told",
    "bench_version": "0.1.0",
}
"""The fields of a fingerprint, and the version."""
PLAN = Plan()


def readings(
    check_id: str = "c0ffee",
    *,
    rounds: int = 16,
    cases: dict[str, float] = CASES,
    spread: float = 0.02,
    mode: Mode = "against",
    moved: Sequence[int] = (),
    guarded: Sequence[Guard] = ("step_time", "peak_memory"),
) -> tuple[Reading, ...]:
    """Both sides' readings, or head's alone beside a reference kernel.

    `cases`: subject → how much slower head is; `spread`: standard deviation of a round's log
    ratio; `moved`: rounds whose clocks moved, and which were measured once more.
    """
    sides: tuple[Side, ...] = ("head",) if mode in {"baseline", "record"} else ("base", "head")
    found = []
    for subject, slower in cases.items():
        chance = random.Random(f"{check_id}/{subject}")
        for number in range(1, rounds + 1):
            for attempt in (1, 2) if number in moved else (1,):
                drift = exp(chance.gauss(0, 0.04))  # of the machine: the same on both sides
                first = chance.random() < 0.5
                for side in sides:
                    level = STEP_MS.get(subject, 10.0) * drift
                    if side == "head":
                        level *= (1 + slower) * exp(chance.gauss(0, spread))
                    found.append(
                        Reading(
                            check_id=check_id,
                            round=number,
                            attempt=attempt,
                            side=side,
                            subject=subject,
                            first=(side == sides[0]) == first,
                            started_at=f"2026-03-01T10:{number:02}:00.000+00:00",
                            steps=24,
                            step_ms=tuple(level * exp(chance.gauss(0, 0.01)) for _ in range(5)),
                            reference_ms=() if len(sides) > 1 else (2.0 * drift,) * 5,
                            compile_seconds=5.0 if "compile_time" in guarded else None,
                            peak_memory_bytes=412_000_000 + 4096 * chance.randrange(200),
                            engine="compiled",
                            moved="SM clock 1980 → 1650 MHz" if number in moved else None,
                        )
                    )
                    if attempt == 2:
                        found[-1] = replace(found[-1], moved=None)
    return tuple(found)


def rows(
    measured: Sequence[Reading] | None = None,
    *,
    mode: Mode = "against",
    margins: dict[Guard, float] = MARGINS,
    guarded: Sequence[Guard] = ("step_time", "peak_memory"),
    **changes: Any,
) -> tuple[CheckRow, ...]:
    """A row a case, judged by the real plan on readings of both sides; `changes` go to every row.

    Against a baseline, the stored values are taken to be those of no difference.
    """
    measured = readings(mode=mode) if measured is None else measured
    subjects = list(dict.fromkeys(reading.subject for reading in measured))
    plain = _plain(measured[0].check_id, mode)
    return tuple(
        replace(_row(plain, measured, subject, guard, margins[guard]), **changes)
        for subject in subjects
        for guard in guarded
    )


def check(
    mode: Mode = "against",
    *,
    rounds: int = 16,
    moved: Sequence[int] = (),
    cases: dict[str, float] = CASES,
    **changes: Any,
) -> CheckResult:
    """A whole check: `rows` of `readings`; `changes` go to every row."""
    check_id = changes.get("check_id", "c0ffee")
    measured = readings(check_id, rounds=rounds, mode=mode, moved=moved, cases=cases)
    return CheckResult(rows(measured, mode=mode, **changes), measured)


def failed(
    row: CheckRow, verdict: str = "crashed", side: Side = "head", **changes: Any
) -> CheckRow:
    """The row of a case that a side could not be timed on."""
    nothing = dict.fromkeys(
        ("ratio", "low", "high", "detectable", "spread", "base_value", "head_value")
    )
    told: dict[str, Any] = {
        **nothing,
        "rounds": 0,
        "verdict": verdict,
        "side": side,
        "error": "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    }
    return replace(row, **told | changes)


def _plain(check_id: str, mode: Mode) -> CheckRow:
    """A row in which nothing is found yet."""
    return CheckRow(
        check_id=check_id,
        suite="step_time",
        mode=mode,
        started_at="2026-03-01T10:00:00+00:00",
        subject="",
        quantity="step_time",
        device="cpu",
        verdict="inconclusive",
        side=None,
        error=None,
        base={"against": "main", "calibrate": "HEAD"}.get(mode, "1f0e2d3c4"),
        base_commit="1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
        head="HEAD",
        head_commit="9a8b7c6d5e4f30211203f4e5d6c7b8a99a8b7c6d",
        head_committed_at="2026-03-01T09:00:00+00:00",
        head_subject="Fuse the two passes of the critic",
        margin=0.05,
        alpha=PLAN.alpha,
        looks=PLAN.looks,
        rounds=0,
        ratio=None,
        low=None,
        high=None,
        detectable=None,
        spread=None,
        base_value=None,
        head_value=None,
        spec_id="ab" * 8,
        **MACHINE,
    )


def _row(
    plain: CheckRow, measured: Sequence[Reading], subject: str, guard: Guard, margin: float
) -> CheckRow:
    """Held against the margin at the first look, and where that says nothing at the last."""
    log_ratios = gate.log_ratios(measured, subject, guard)
    if plain.mode in {"baseline", "record"}:
        log_ratios = gate.log_values(measured, subject, guard)
        slower = CASES.get(subject, 0.0) if guard == "step_time" else 0.0
        log_ratios = log_ratios - log_ratios.mean() + log1p(slower)
    for look in PLAN.looks:
        judged = PLAN.judge(log_ratios[:look], log1p(margin))
        if judged.verdict != "inconclusive":
            break
    then = typical(measured, subject, guard, "base")
    now = typical(measured, subject, guard, "head")
    return replace(
        plain,
        subject=subject,
        quantity=guard,
        margin=margin,
        verdict=judged.verdict,
        rounds=judged.rounds,
        ratio=exp(judged.mean),
        low=exp(judged.low),
        high=exp(judged.high),
        detectable=exp(judged.detectable) - 1,
        spread=judged.spread,
        base_value=then if then is not None or now is None else now / exp(judged.mean),
        head_value=now,
    )
