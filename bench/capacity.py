"""What a device has to give: free memory, and the precisions that it has instructions for."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from pathlib import Path


def available_memory(device: str) -> int | None:
    """Bytes that a group could still take on a device; None where the system does not say.

    On the CPU that is what the kernel could free at once, within the limits of the control groups
    (a container, a batch system's job) that this process is in.
    """
    import torch

    if device.startswith("cuda"):
        told = _told_by_driver(str(torch.cuda.get_device_properties(device).uuid))
        return int(torch.cuda.mem_get_info(device)[0]) if told is None else told
    limits = [room for room in (_free_memory(), control_group_room()) if room is not None]
    return min(limits, default=None)


def _told_by_driver(uuid: str) -> int | None:
    """Free bytes of the GPU of this UUID; None where nvidia-smi does not say, or it is parted.

    Asking torch opens a context, some 0.5 GB, that the process then holds to its end.  The number
    N of `cuda:N` is torch's own (CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER), so the UUID is given.
    """
    query = ("--query-gpu=memory.free,mig.mode.current", "--format=csv,noheader,nounits")
    with suppress(OSError, subprocess.SubprocessError, ValueError):  # "[N/A]"
        found = subprocess.run(
            ["nvidia-smi", *query, "-i", f"GPU-{uuid}"],
            capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        free, parted = found.stdout.split(",")
        return None if parted.strip() == "Enabled" else int(free) * 2**20
    return None


def _free_memory() -> int | None:
    try:
        lines = [
            line.split()
            for line in Path("/proc/meminfo").read_text("ascii", errors="replace").splitlines()
        ]
    except OSError:
        return None
    return next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), None)


_CONTROL = {
    "": ("", "memory.max", "memory.current"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
}
"""Controllers as `/proc/self/cgroup` names them → mount, limit and usage; of version 2 and 1."""


def control_group_room(
    membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes left under the tightest limit of the control groups above this process; None: none."""
    with suppress(OSError):
        rooms = []
        for line in membership.read_text("ascii", errors="replace").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in _CONTROL:
                mount, *files = _CONTROL[controllers]
                own = Path(path.strip("/"))
                rooms += [_room(root / mount / part, *files) for part in (own, *own.parents)]
        return min((room for room in rooms if room is not None), default=None)
    return None


def _room(folder: Path, limit_file: str, usage_file: str) -> int | None:
    """What a control group leaves; a cache of files counts as used, and is given up on demand."""
    try:
        limit, used = (
            (folder / name).read_text("ascii", errors="replace").strip()
            for name in (limit_file, usage_file)
        )
        stat = dict(
            line.split()
            for line in (folder / "memory.stat").read_text("ascii", errors="replace").splitlines()
        )
    except (OSError, ValueError):
        return None
    if not limit.isdigit():  # "max"
        return None
    cache = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return max(0, int(limit) - int(used) + cache)


def precisions(device: str) -> tuple[str, ...]:
    """The precisions that a device (`cpu`, `cuda:0`, …) has instructions for."""
    import torch

    if device.startswith("cuda"):
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return ("fp32", "tf32", "bf16") if ampere else ("fp32",)
    return ("fp32", "bf16") if _cpu_has_bf16() else ("fp32",)


def _cpu_has_bf16() -> bool:
    import torch

    if platform.machine().lower() in ("arm64", "aarch64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    # on x86 oneDNN calls bf16 supported wherever it can emulate it, which is slow
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
