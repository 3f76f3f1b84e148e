"""What a device has to give, as the system tells it."""

from types import SimpleNamespace

import pytest
import torch

from bench import capacity

GIB = 2**30


def control_group(tmp_path, line, files):
    (tmp_path / "membership").write_text(f"{line}\n", "ascii")
    for name, content in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(content), "ascii")
    return capacity.control_group_room(tmp_path / "membership", tmp_path / "root")


def test_tightest_control_group_above_the_process_decides(tmp_path):
    files = {
        "job/memory.max": 8 * GIB, "job/memory.current": 3 * GIB,
        "job/memory.stat": f"anon 1\ninactive_file {GIB}",
        "job/step/memory.max": "max", "job/step/memory.current": GIB,
        "job/step/memory.stat": "inactive_file 0",
    }  # fmt: skip
    assert control_group(tmp_path, "0::/job/step", files) == 6 * GIB


def test_first_version_of_control_groups_is_read_too(tmp_path):
    files = {
        "memory/memory.limit_in_bytes": 4 * GIB, "memory/memory.usage_in_bytes": GIB,
        "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 0",
    }  # fmt: skip
    assert control_group(tmp_path, "4:memory:/elsewhere", files) == 3 * GIB


def test_no_control_group_is_no_limit(tmp_path):
    assert control_group(tmp_path, "0::/", {}) is None
    assert capacity.control_group_room(tmp_path / "none", tmp_path) is None


def test_what_is_taken_is_no_longer_available():
    before = capacity.available_memory("cpu")
    taken = torch.ones(GIB // 8)  # half a GiB, written to
    assert before - capacity.available_memory("cpu") == pytest.approx(taken.nbytes, rel=0.5)


@pytest.mark.parametrize("bf16", [False, True])
def test_emulated_bf16_is_not_a_precision_of_a_cpu(bf16, monkeypatch):
    monkeypatch.setattr(capacity.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert capacity.precisions("cpu") == (("fp32", "bf16") if bf16 else ("fp32",))


@pytest.mark.parametrize(("capability", "known"), [((7, 5), ("fp32",)), ((8, 0), None)])
def test_low_precisions_of_a_gpu_begin_with_ampere(capability, known, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert capacity.precisions("cuda:0") == (known or ("fp32", "tf32", "bf16"))


@pytest.mark.parametrize(
    ("printed", "known"),
    [("2048, Disabled", 2 * GIB), ("2048, Enabled", 7), ("[N/A], [N/A]", 7)],
)
def test_free_memory_of_a_gpu_is_the_drivers_word_else_torchs(
    printed, known, tmp_path, monkeypatch
):
    command = tmp_path / "nvidia-smi"
    command.write_text(f'#!/bin/sh\n[ "$4" = GPU-1234 ] && echo "{printed}"\n', "ascii")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    gpu = SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 9))
    assert capacity.available_memory("cuda:0") == known
