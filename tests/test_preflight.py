"""What is refused before anything starts, in one clear line each."""

import re
from dataclasses import replace

import pytest
from test_recorder import spec

from bench import preflight
from bench.environment import cores
from bench.errors import DataError, DeviceError
from bench.records import Amount, Evaluation, Group

GIB = 2**30


def group(size=1, **changes):
    members = tuple(range(size))
    return Group("suite", tuple(spec(seed=k, group=members, **changes) for k in members))


def test_check_finds_what_only_the_data_can_tell():
    with pytest.raises(DataError, match=r"training.batch_size is 70000, but mnist has 60000"):
        preflight.check([spec(), spec(batch_size=70_000)])
    with pytest.raises(DataError, match="/nowhere/MNIST/raw"):
        preflight.check([spec(dataset={"name": "mnist", "root": "/nowhere"})])


RING = {"name": "ring"}
TOY = {"name": "toy"}
NOTHING = Evaluation(Amount("images", 64), 100, (), (), "digits")


def test_points_are_held_against_network_batch_and_metrics():
    preflight.check([spec(dataset=RING, network=TOY, evaluation=NOTHING)])
    for changes, line in (
        ({"network": TOY}, "toy: makes points, but the data are images .*; use network 'mlp'"),
        ({"dataset": RING}, "mlp: makes images, .* are points .*; use network 'toy'"),
        (
            {"dataset": RING, "network": {"name": "dcgan", "latent_dim": 2}},
            "dcgan: makes images, .* are points .*; use network 'toy'",
        ),
        (
            {"dataset": RING, "network": TOY, "batch_size": 200_000},
            "batch_size is 200000, but ring has 100000 training points",
        ),
        (
            {"dataset": RING, "network": TOY},
            "evaluation.extractor: extractor 'digits' is made for images, and 'ring' has points",
        ),
    ):
        with pytest.raises(DataError, match=line):
            preflight.check([spec(**changes)])


def test_precision_without_instructions_names_what_the_device_has(monkeypatch):
    monkeypatch.setattr(preflight, "precisions", lambda device: ("fp32",))
    for name in ("bf16", "tf32"):
        with pytest.raises(DeviceError, match=rf"{name}.* has no instructions; .* of: fp32$"):
            preflight.check([spec(), spec(precision=name)])


def test_tf32_is_refused_on_every_cpu():
    with pytest.raises(DeviceError, match=r"variant wgan: training.precision is 'tf32', for which"):
        preflight.check([spec(precision="tf32")])


def test_threads_need_a_core_each():
    preflight.check([spec(threads=cores())])
    with pytest.raises(DeviceError, match=rf"threads is {cores() + 1}, .* use {cores()} cores"):
        preflight.check([spec(threads=cores() + 1)])


def test_group_larger_than_memory_is_refused_with_both_figures(monkeypatch):
    monkeypatch.setattr(preflight, "available_memory", lambda device: 2 * GIB)
    preflight.hold([group(2)], ["cpu"])
    with pytest.raises(DeviceError) as refused:
        preflight.hold([group(), group(500)], ["cpu"])
    line = str(refused.value)
    assert line.startswith("variant wgan: training.group = 500 with training.batch_size = 32 ")
    found = re.search(r"needs about ([\d.]+) GiB, but cpu has 2.0 GiB available; set a sm", line)
    weights = 500 * (247_440 + 233_985) * 4 / GIB
    assert 4 * weights < float(found[1]) < 12 * weights + 1
    assert "\n" not in line


def test_memory_decides_how_many_groups_run_at_once(monkeypatch):
    alone = preflight.hold([group()], ["cpu"]).largest
    monkeypatch.setattr(preflight, "available_memory", lambda device: int(2.5 * alone))
    held = preflight.hold([group(), group(variant="other")], ["cpu"])
    assert (held.at_once, held.workers(None), held.workers(8), held.workers(1)) == (2, 2, 2, 1)
    assert re.fullmatch(r"a group needs about [\d.]+ GiB of [\d.]+ GiB available", held.reason)


def test_gpu_with_the_least_memory_decides(monkeypatch):
    rooms = {"cpu": 64 * GIB, "cuda:0": 80 * GIB, "cuda:1": GIB // 2}
    monkeypatch.setattr(preflight, "available_memory", rooms.__getitem__)
    on_gpu = Group("suite", (replace(spec(), device="cuda"),))
    assert preflight.hold([on_gpu], ["cpu", "cuda:0"]).at_once is None
    with pytest.raises(DeviceError, match=r"but cuda:1 has 0\.5 GiB available"):
        preflight.hold([on_gpu], ["cuda:0", "cuda:1"])
