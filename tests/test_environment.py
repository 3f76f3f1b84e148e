import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from bench import environment
from bench.errors import DeviceError
from bench.records import RunRow


def test_environment_is_columns_of_the_run():
    names = [field.name for field in fields(environment.Environment)]
    columns = [field.name for field in fields(RunRow)]
    assert [name for name in columns if name in names] == names
    assert columns.index("os") + len(names) - 2 == columns.index("deterministic") + 1


def test_cpu_run_has_no_gpu():
    found = environment.current("cpu")
    assert (found.gpu, found.gpu_count, found.cuda, found.cudnn, found.tf32) == (None,) * 5
    assert found.torch == torch.__version__
    assert found.python == sys.version.split()[0]
    assert found.cores == environment.cores() >= 1
    assert found.memory_bytes is None or found.memory_bytes > 2**28


def test_commit_is_that_of_the_source():
    root = Path(environment.__file__).parents[1]
    head = subprocess.run(
        ["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    environment._revision.cache_clear()
    assert environment.current().commit == (head.stdout.strip() or None)


def test_installed_copy_has_no_commit_of_the_repository_around_it(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "__init__.py").touch()
    monkeypatch.setattr(environment, "_SOURCE", tmp_path)
    environment._revision.cache_clear()
    assert environment._revision() == (None, None)
    environment._revision.cache_clear()


def test_devices_start_with_the_cpu():
    assert environment.available_devices()[0] == "cpu"
    assert environment.resolve_device("cpu") == "cpu"
    assert environment.resolve_device("auto") in ("cpu", "cuda")


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "", "cpu:0", "CPU"])
def test_device_that_is_not_there_is_named(name):
    told = f"device {name!r}: this machine has no such device; expected one of: auto, cpu"
    with pytest.raises(DeviceError, match=told):
        environment.resolve_device(name)
