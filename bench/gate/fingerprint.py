"""What machine and software a time belongs to."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from bench import environment
from bench.gate import clocks
from bench.records import Fingerprint


def fingerprint(device: str) -> Fingerprint:
    """Of this machine, for times taken on a device of it."""
    found = environment.current(device)
    gpu = device.startswith("cuda")
    return Fingerprint(
        cpu=found.cpu,
        cores=found.cores,
        os=f"{platform.system()} {platform.machine()}",
        python=found.python,
        torch=found.torch,
        gpu=found.gpu,
        gpu_count=found.gpu_count,
        driver=found.driver,
        cuda=found.cuda,
        cudnn=found.cudnn,
        clock_policy=clocks.policy(device) if gpu else _of_cpu(),
    )


def differences(one: Fingerprint, other: Fingerprint) -> tuple[str, ...]:
    """What of them differs, `torch 2.15.0, not 2.14.1` each."""
    return tuple(_differing(one, other))


def _differing(one: Fingerprint, other: Fingerprint) -> Iterator[str]:
    then = asdict(other)
    for name, value in asdict(one).items():
        if value != then[name]:
            yield f"{name.replace('_', ' ')} {value or 'none'}, not {then[name] or 'none'}"


def _of_cpu() -> str:
    """The frequency governor and whether boost is on, so far as the system tells."""
    folder = Path("/sys/devices/system/cpu")
    governor, boost = folder / "cpu0/cpufreq/scaling_governor", folder / "cpufreq/boost"
    turbo = folder / "intel_pstate/no_turbo"
    told = [f"governor {text}" for text in _text(governor)]
    told += [f"boost {'on' if text == '1' else 'off'}" for text in _text(boost)]
    told += [f"boost {'off' if text == '1' else 'on'}" for text in _text(turbo)]
    return ", ".join(told) or "not told"


def _text(path: Path) -> Iterator[str]:
    with suppress(OSError):
        yield path.read_text(encoding="ascii").strip()
