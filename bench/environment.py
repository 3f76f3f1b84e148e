"""What hardware and software a run had, and which devices this machine offers."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import DeviceError

if TYPE_CHECKING:
    import torch

_SOURCE = Path(__file__).parent


@dataclass(frozen=True)
class Environment:
    """The environment columns of `run.parquet`; the GPU's are null for a run on the CPU."""

    commit: str | None
    """Of the source tree `bench` runs from; null for an installed copy."""
    dirty: bool | None
    """Whether a file that git tracks there differs from the commit."""
    os: str
    python: str
    torch: str
    cpu: str | None
    cores: int
    """Those this process may use, not those of the machine."""
    memory_bytes: int | None
    gpu: str | None
    gpu_count: int | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    tf32: bool | None
    deterministic: bool


def current(device: str = "cpu") -> Environment:
    """The environment of a run on `device` in this process, as it stands now."""
    import torch
    from torch.backends import cudnn

    commit, dirty = _revision()
    gpu = torch.device(device).type == "cuda"
    return Environment(
        commit=commit,
        dirty=dirty,
        os=platform.platform(),
        python=platform.python_version(),
        torch=str(torch.__version__),
        cpu=_cpu_model(),
        cores=cores(),
        memory_bytes=_memory_bytes(),
        gpu=torch.cuda.get_device_name(device) if gpu else None,
        gpu_count=torch.cuda.device_count() if gpu else None,
        driver=_driver() if gpu else None,
        cuda=torch.version.cuda if gpu else None,
        cudnn=str(cudnn.version()) if gpu else None,  # type: ignore[no-untyped-call] # torch's
        tf32=_tf32() if gpu else None,
        deterministic=torch.are_deterministic_algorithms_enabled(),
    )


def available_devices() -> tuple[str, ...]:
    """Every physical device: `cpu`, then `cuda:0`, `cuda:1`, …"""
    import torch

    return ("cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count())))


def resolve_device(name: str) -> str:
    """The type (`cpu` or `cuda`) that `auto`, `cpu`, `cuda` or `cuda:N` stands for here.

    Raises `DeviceError` for a device that this machine does not have.
    """
    available = available_devices()
    types = {device.partition(":")[0] for device in available}
    if name == "auto":
        return "cuda" if "cuda" in types else "cpu"
    if name in available or name in types:
        return name.partition(":")[0]
    raise DeviceError(
        f"device {name!r}: this machine has no such device; "
        f"expected one of: auto, {', '.join(sorted({*types, *available}))}"
    )


def cores() -> int:
    """The CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a container or taskset left
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _revision() -> tuple[str | None, bool | None]:
    """The commit, and whether tracked files differ from it; nulls where git does not track us.

    An installed copy may lie in somebody else's repository (`.venv`), whose commit says nothing.
    """
    folder = str(_SOURCE)
    if not _output("git", "-C", folder, "ls-files", "__init__.py"):
        return None, None
    commit = _output("git", "-C", folder, "rev-parse", "HEAD")
    if not commit:
        return None, None
    changes = _output("git", "-C", folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else changes != ""


@cache
def _driver() -> str | None:
    versions = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return versions.splitlines()[0] if versions else None


def _tf32() -> bool:
    """Whether a matrix product or a convolution may round its inputs to TF32."""
    from torch import backends

    # the older switches (allow_tf32) raise once these have been set, so only these are read
    precisions = (
        backends.cuda.matmul.fp32_precision,
        backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined] # made by setattr
    )
    return "tf32" in precisions


def _output(*command: str) -> str | None:
    """What a command prints; None if it is missing, fails or takes more than five seconds."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or None
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def reset_peak_memory(device: torch.device) -> None:
    """Start `peak_memory_bytes` anew, as far as the system lets a process do so.

    `ru_maxrss` is inherited from the parent and misleads; the kernel's `VmHWM` can be reset.
    """
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most memory since the reset: allocated on a GPU, resident of the process on the CPU."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    lines = (line.split() for line in status.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "VmHWM:"), None)
