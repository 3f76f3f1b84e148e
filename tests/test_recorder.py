"""One group from its specs to its results, on real MNIST and small budgets."""

from __future__ import annotations

import io
from dataclasses import asdict, replace
from statistics import median

import pytest
import safetensors.torch
import torch
from PIL import Image

from bench import recorder, seeding
from bench.datasets.mnist import MNIST
from bench.networks.base import to_range
from bench.networks.mlp import MLP
from bench.records import Amount, Evaluation, Group, Placement, Progress, RunSpec
from bench.training.samples import GRID, generate, grid
from bench.training.stacked import Stacked

CLOCKS = {"train_seconds", "seconds", "step_ms"}


def spec(**changes) -> RunSpec:
    fields = {
        "variant": "wgan", "dataset": {"name": "mnist", "root": None},
        "network": {"name": "mlp", **asdict(MLP())}, "objective": {"name": "wgan", "clip": 0.01},
        "optimizer": {"name": "rmsprop", "lr": 5e-5, "alpha": 0.99, "eps": 1e-8},
        "schedule": {"name": "constant"}, "init": "torch", "critic_steps": 2, "batch_size": 32,
        "budget": Amount("generator_steps", 70), "engine": "eager", "precision": "fp32",
        "evaluation": Evaluation(
            Amount("generator_steps", 60), 200, ("fid", "modes"), (), "digits"
        ),
        "seed": 0, "group": (0,), "device": "cpu",
    }  # fmt: skip
    return RunSpec(**fields | changes)


def execute(*specs: RunSpec, emit=lambda progress: None, solo=False):
    return recorder.execute(Group("suite", specs, solo=solo), Placement(), emit)


def without_clocks(rows):
    return [{k: v for k, v in asdict(row).items() if k not in CLOCKS} for row in rows]


def stored(result):
    """The pair as its files hold it."""
    pair = MLP().generator((1, 28, 28)), MLP().critic((1, 28, 28))
    for module, name in zip(pair, ("generator", "critic"), strict=True):
        module.load_state_dict(safetensors.torch.load(result.files[f"{name}.safetensors"]))
    return pair


FEW = Amount("generator_steps", 10)
EXPLODING = {
    "variant": "exploding", "objective": {"name": "wgan_gp", "penalty_weight": 10.0},
    "optimizer": {"name": "sgd", "lr": 1e12, "momentum": 0.0},
}  # fmt: skip


def test_a_run_leaves_rows_grids_and_weights():
    (result,) = execute(spec(), solo=True)
    assert result.run.status == "completed"
    assert (result.run.generator_steps, result.run.critic_steps) == (70, 140)
    assert result.run.images == 140 * 32
    assert [row.generator_step for row in result.curves] == [50, 60, 70]
    assert [row.phase for row in result.timings] == ["warmup", "solo", "solo"]
    assert result.run.solo_step_ms == median(row.step_ms for row in result.timings[1:])
    assert {(row.metric, row.generator_step) for row in result.metrics} >= {
        ("fid", 60), ("fid", 70), ("modes", 70), ("class_share_9", 70),
    }  # fmt: skip
    assert set(result.files) == {
        "samples/60.png", "samples/70.png", "generator.safetensors", "critic.safetensors"
    }  # fmt: skip
    assert Image.open(io.BytesIO(result.files["samples/70.png"])).size == (8 * 29 + 1, 8 * 29 + 1)


def test_stored_weights_are_those_that_were_judged():
    (result,) = execute(spec())
    generator, critic = stored(result)
    draw = seeding.generator(0, "evaluation")
    latents = torch.randn((200, 100), generator=draw)
    assert grid(generate(generator, latents, (-1, 1))[:GRID]) == result.files["samples/70.png"]
    assert max(p.abs().max().item() for p in critic.parameters()) == pytest.approx(0.01)


def test_the_score_gap_is_measured_on_images_that_training_never_shows():
    (result,) = execute(spec())
    generator, critic = stored(result)
    draw = seeding.generator(0, "diagnostics")
    real = to_range(MNIST().load("test").images[:256], (-1.0, 1.0), torch.float32)
    gap = critic(real).mean() - critic(generator(torch.randn((256, 100), generator=draw))).mean()
    assert result.curves[-1].score_gap == pytest.approx(gap.item(), rel=1e-4)


def test_each_member_of_a_group_is_judged_on_its_own_generator():
    alone = execute(spec(seed=1, group=(1,), budget=FEW))[0]
    first, second = execute(*(spec(seed=s, group=(0, 1), budget=FEW) for s in (0, 1)))
    fid = [
        [row.value for row in result.metrics if row.metric == "fid"][-1]
        for result in (alone, first, second)
    ]
    assert fid[2] == pytest.approx(fid[0], rel=1e-3)
    assert fid[1] != pytest.approx(fid[0], rel=1e-3)


def test_a_member_that_diverges_leaves_the_others_their_end_and_their_cost(monkeypatch):
    made = Stacked.__init__

    def hurt(self, *arguments, **options):
        made(self, *arguments, **options)
        next(iter(self.critic_parameters.values()))[0].fill_(float("nan"))

    monkeypatch.setattr(Stacked, "__init__", hurt)
    first, second = execute(*(spec(seed=s, group=(0, 1)) for s in (0, 1)), solo=True)
    assert (first.run.status, second.run.status) == ("diverged", "completed")
    assert first.metrics == []
    assert second.run.solo_step_ms > 0


def test_a_generator_broken_by_the_last_update_has_diverged():
    explosive = {"name": "sgd", "lr": 1e38, "momentum": 0.0}
    (result,) = execute(spec(optimizer=explosive, budget=Amount("generator_steps", 1)))
    assert result.run.status == "diverged"


@pytest.mark.parametrize("engine", ["eager", "textbook"])
def test_the_same_spec_twice_gives_identical_tables(engine):
    torch.manual_seed(1)
    (first,) = execute(spec(engine=engine))
    torch.manual_seed(2)  # nothing may come from global state
    (second,) = execute(spec(engine=engine))
    for table in ("curves", "metrics", "timings"):
        assert without_clocks(getattr(first, table)) == without_clocks(getattr(second, table))
    assert first.files == second.files


def test_a_run_that_diverges_ends_early_and_keeps_its_rows():
    (result,) = execute(spec(**EXPLODING, budget=Amount("generator_steps", 1000)))
    assert result.run.status == "diverged"
    assert "critic_loss" in result.run.error
    assert result.run.generator_steps == 50
    assert len(result.curves) == 1
    assert result.curves[0].critic_loss is None  # a value that is not a number is null
    assert result.metrics == []


def test_a_group_is_recorded_member_by_member():
    group = tuple(spec(seed=seed, group=(0, 1)) for seed in (0, 1))
    results = execute(*group)
    assert [result.run.run_id for result in results] == [member.run_id for member in group]
    assert {result.run.group_size for result in results} == {2}
    first, second = ({row.critic_loss for row in result.curves} for result in results)
    assert not first & second


def test_whatever_goes_wrong_becomes_the_status_of_its_runs():
    broken = spec(network={"name": "dcgan", "latent_dim": 0, "slope": 0.3, "dropout": 0.0})
    (result,) = execute(replace(broken, init="no such"))
    assert result.run.status == "failed"
    assert "'no such' is not an init" in result.run.error
    assert result.run.python is not None


def test_progress_tells_speed_and_the_latest_metrics_beside_real_data():
    heard: list[Progress] = []
    (result,) = execute(spec(), emit=heard.append)
    trained = [each for each in heard if each.phase == "training"]
    assert [each.step for each in trained] == [50, 60, 70]
    assert all(each.images_per_second > 0 for each in trained)
    assert heard[-1].metrics["fid"] > 0
    assert heard[-1].floors == {row.metric: row.floor for row in result.metrics}
    assert trained[0].floors == {}


def test_an_engine_that_cannot_compile_becomes_eager_and_says_so(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    heard: list[Progress] = []
    (result,) = execute(spec(engine="compiled"), emit=heard.append)
    assert (result.run.status, result.run.engine_used) == ("completed", "eager")
    (note,) = [each.note for each in heard if each.phase == "note"]
    assert "'eager' runs instead" in note
    assert "\n" not in note
