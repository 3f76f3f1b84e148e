"""From a suite to runs: order, groups, identity, what is pending, devices."""

from __future__ import annotations

import json

import pytest
from suite_text import GAN, HEAD, SUITES, WGAN, suite_of

from bench import plan
from bench.environment import available_devices
from bench.errors import DeviceError
from bench.suite import load_suite


def labels(specs):
    return [spec.label for spec in specs]


def three_seeds(tmp_path, group=1, **options):
    text = HEAD.replace("batch_size = 32", f"batch_size = 32, group = {group}")
    text = f"{text}[matrix]\nseeds = [0, 1, 2]\ndevices = ['cpu']\n{GAN}{WGAN}"
    return suite_of(tmp_path, text, **options)


def test_order_is_seed_major(tmp_path):
    specs = plan.expand(three_seeds(tmp_path))
    assert labels(specs) == ["gan/0", "wgan/0", "gan/1", "wgan/1", "gan/2", "wgan/2"]


def test_groups_deal_the_seeds_in_order_and_the_last_may_be_smaller(tmp_path):
    groups = plan.groups(plan.expand(three_seeds(tmp_path, group=2)), "mine")
    assert [group.label for group in groups] == ["gan/0-1", "wgan/0-1", "gan/2", "wgan/2"]
    assert [spec.group for spec in groups[0].specs] == [(0, 1), (0, 1)]
    assert {group.suite for group in groups} == {"mine"}


def test_stacks_take_part_in_every_round(tmp_path):
    text = HEAD + "[matrix]\nseeds = [0, 1]\ndevices = ['cpu']\n"
    text += 'include = [{ variant = "gan", seed = [0, 1, 2, 3], "training.group" = 2 }]\n'
    groups = plan.groups(plan.expand(suite_of(tmp_path, text + GAN + WGAN)), "mine")
    rounds = [["gan/0", "wgan/0", "gan-group-2/0-1"], ["gan/1", "wgan/1", "gan-group-2/2-3"]]
    assert [group.label for group in groups] == [label for each in rounds for label in each]


def test_every_group_is_timed_alone_where_step_times_are_compared(tmp_path):
    text = f"{HEAD}primary.metric = 'step_ms'\n[matrix]\nseeds = [0, 1]\n{GAN}{WGAN}"
    for suite, alone in ((suite_of(tmp_path, text), 4), (three_seeds(tmp_path), 2)):
        groups = plan.groups(plan.expand(suite), suite.name, timed=suite.timed)
        assert sum(group.solo for group in groups) == alone


def test_runs_of_the_shipped_suites_are_distinct():
    for path in SUITES.glob("*.toml"):
        specs = plan.expand(load_suite(path))
        assert len({spec.run_id for spec in specs}) == len(specs)


def test_plan_is_the_same_every_time(tmp_path):
    first, second = (plan.expand(three_seeds(tmp_path)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "option",
    ["variant.gan.optimizer.lr=0.5", "training.batch_size=8", "training.engine=eager",
     "network.latent_dim=3", "training.budget.images=6401", "evaluation.samples=50",
     "variant.gan.init=glorot_uniform", "dataset.root=x", "training.group=3"],
)  # fmt: skip
def test_whatever_is_declared_is_part_of_a_runs_identity(tmp_path, option):
    before = plan.expand(three_seeds(tmp_path))[0]
    after = plan.expand(three_seeds(tmp_path, overrides=[option]))[0]
    assert (before.label, before.run_id) != (after.label, after.run_id)
    assert before.label == after.label


def test_title_primary_and_other_runs_are_not(tmp_path):
    before = plan.expand(three_seeds(tmp_path))[0].run_id
    options = ["title=x", "primary.margin=0.2", "variant.wgan.clip=1", "matrix.seeds=[0]"]
    assert plan.expand(three_seeds(tmp_path, overrides=options))[0].run_id == before


def test_spec_survives_json(tmp_path):
    spec = plan.expand(three_seeds(tmp_path))[0]
    read = json.loads(spec.to_json())
    assert read["optimizer"] == {"name": "adam", "lr": 2e-4, "betas": [0.5, 0.999], "eps": 1e-8}
    assert json.dumps(read, sort_keys=True, separators=(",", ":")) == spec.to_json()


def test_pending_is_what_is_not_finished(tmp_path):
    specs = plan.expand(three_seeds(tmp_path))
    groups = plan.groups(specs, "mine")
    assert plan.pending(groups, ()) == groups
    assert labels(plan.pending(groups, {spec.run_id for spec in specs[:4]})) == ["gan/2", "wgan/2"]
    assert plan.pending(groups, {spec.run_id for spec in specs}) == ()


def test_what_is_timed_alone_does_not_depend_on_what_has_run(tmp_path):
    specs = plan.expand(three_seeds(tmp_path))
    groups = plan.groups(specs, "mine")
    assert [group.label for group in groups if group.solo] == ["gan/0", "wgan/0"]
    finished = {spec.run_id for spec in specs if spec.label != "wgan/0"}
    assert [group.solo for group in plan.pending(groups, finished)] == [True]
    finished = {spec.run_id for spec in specs if spec.label != "wgan/1"}
    assert [group.solo for group in plan.pending(groups, finished)] == [False]


def test_group_with_one_member_missing_is_done_again_whole(tmp_path):
    specs = plan.expand(three_seeds(tmp_path, group=3))
    finished = {spec.run_id for spec in specs if spec.label != "wgan/1"}
    assert labels(plan.pending(plan.groups(specs, "mine"), finished)) == ["wgan/0-2"]


def test_same_device_by_two_names_is_one_run(tmp_path):
    suite = suite_of(tmp_path, HEAD + GAN, seeds=[0], devices=["cpu", "auto"])
    devices = [spec.device for spec in plan.expand(suite)]
    assert devices == (["cpu", "cuda"] if len(available_devices()) > 1 else ["cpu"])


def test_pool_is_the_physical_devices_behind_the_names(tmp_path, monkeypatch):
    machine = ("cpu", "cuda:0", "cuda:1")
    monkeypatch.setattr("bench.plan.available_devices", lambda: machine)
    monkeypatch.setattr("bench.environment.available_devices", lambda: machine)
    text = HEAD + GAN
    assert plan.devices(suite_of(tmp_path, text, devices=["auto"])) == ("cuda:0", "cuda:1")
    assert plan.devices(suite_of(tmp_path, text, devices=["cuda:1"])) == ("cuda:1",)
    assert plan.devices(suite_of(tmp_path, text, devices=["cpu", "cuda"])) == machine
    specs = plan.expand(suite_of(tmp_path, text, seeds=[0], devices=["cuda:1", "cuda"]))
    assert [spec.device for spec in specs] == ["cuda"]


def test_device_that_is_not_there_is_refused(tmp_path):
    suite = suite_of(tmp_path, HEAD + GAN, devices=["cuda:99"])
    with pytest.raises(DeviceError, match="cuda:99"):
        plan.expand(suite)
    with pytest.raises(DeviceError, match="cuda:99"):
        plan.devices(suite)
