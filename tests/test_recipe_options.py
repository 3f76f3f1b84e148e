"""What a recipe asks for beside its parts: packing, spectral norm, repeats, more critic steps."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from suite_text import HEAD, suite_of

from bench.datasets.synthetic import Ring
from bench.errors import SuiteError
from bench.networks.base import pack, packed
from bench.networks.init import torch_default
from bench.networks.mlp import MLP
from bench.networks.spectral import renewed, spectrally_normalized
from bench.networks.toy import Toy
from bench.objectives.gan import NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import Adam
from bench.records import Amount, Boost, Pace, RunSpec
from bench.schedules import Constant
from bench.training.base import Recipe
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook

ARJOVSKY = Pace(5, boost=Boost(steps=100, first=25, every=500))


def recipe(**changed) -> Recipe:
    usual = Recipe(
        network=Toy(generator_widths=(16, 16), critic_widths=(16, 16)),
        objective=WGANGP(penalty_weight=0.1),
        optimizer=Adam(1e-3, (0.5, 0.9), eps=1e-6),
        schedule=Constant(),
        init=torch_default,
        seeds=(3,),
        critic_steps=2,
        batch_size=16,
    )
    return replace(usual, **changed)


@pytest.fixture(scope="module")
def points():
    return Ring().load("train").points[:200]


def started(asked: Recipe, points, dtype=torch.float64) -> Stacked:
    engine = Stacked(asked, points.to(dtype), compiled=False, dtype=dtype)
    engine.warm_up()
    return engine


# more critic steps


def test_arjovskys_pace_is_that_of_his_code():
    steps = [100 if i < 25 or i % 500 == 0 else 5 for i in range(1200)]
    assert [ARJOVSKY.at(i) for i in range(1200)] == steps
    assert [ARJOVSKY.before(i) for i in range(1200)] == [sum(steps[:i]) for i in range(1200)]


@pytest.mark.parametrize("boost", [None, Boost(100, 25, 500), Boost(1, 10, 3)])
def test_a_budget_takes_the_fewest_generator_steps_that_hold_it(boost):
    pace = Pace(5, boost=boost)
    for critic_steps in (1, 4, 5, 99, 2500, 2501, 2506, 7000):
        steps = pace.generator_steps(Fraction(critic_steps))
        assert pace.before(steps) >= critic_steps
        assert steps == 1 or pace.before(steps - 1) < critic_steps


def test_an_epoch_shows_repeated_batches_as_often_as_they_are_repeated():
    asked = {"batch_size": 256, "dataset_size": 60_000}
    once = Amount("epochs", 5).generator_steps(Pace(1), **asked)
    assert once == 1172
    assert Amount("epochs", 5).generator_steps(Pace(1, repeats=5), **asked) == 5860


def test_boosted_steps_train_the_critic_more_and_repeat_exactly(points):
    asked = recipe(boost=Boost(steps=7, first=2, every=50), objective=WGAN())
    engines = [started(asked, points) for _ in range(2)]
    for engine in engines:
        engine.advance(0, 3, 10)
    counts = [len(engines[0]._batches(step)[0]) for step in range(3)]
    assert counts == [7, 7, 2]
    mine, theirs = (engine.state() for engine in engines)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    latents = [batch.latents for batch in engines[0]._batches(0)[0]]
    assert len({float(each.sum()) for each in latents}) == 7  # no two steps on the same noise


# batches shown again


def test_a_repeated_batch_has_the_same_images_and_other_noise(points):
    batches = started(recipe(critic_steps=1, repeats=5), points).batches
    shown = [batches.critic(step, 0) for step in range(10)]
    assert all(torch.equal(shown[0].indices, each.indices) for each in shown[:5])
    assert all(torch.equal(shown[5].indices, each.indices) for each in shown[5:])
    assert not torch.equal(shown[0].indices, shown[5].indices)
    assert not torch.equal(shown[0].latents, shown[1].latents)


def test_the_textbook_loop_repeats_batches_and_goes_on_within_one(points):
    asked = recipe(critic_steps=1, repeats=4, objective=NonSaturating())
    whole, first = Textbook(asked, points), Textbook(asked, points)
    whole.advance(0, 6, 10)
    first.advance(0, 2, 10)
    again = Textbook(asked, points)
    again.restore({name: value.clone() for name, value in first.state().items()}, 2)
    again.advance(2, 6, 10)
    expected = whole.state()
    assert all(torch.equal(value, expected[name]) for name, value in again.state().items())


# packing


def test_packs_are_neighbours_side_by_side():
    images = torch.arange(4 * 3 * 2 * 2).reshape(4, 3, 2, 2)
    assert torch.equal(pack(images, 2)[1], torch.cat([images[2], images[3]]))
    assert packed((3, 2, 2), 2) == (6, 2, 2)
    assert torch.equal(pack(torch.arange(6.0).reshape(3, 2), 3), torch.arange(6.0)[None])


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("objective", [NonSaturating(), WGANGP(0.1)])
def test_engine_and_textbook_agree_on_packs_and_normed_weights(
    points, objective, packing, spectral_norm
):
    asked = recipe(objective=objective, packing=packing, spectral_norm=spectral_norm)
    engine = started(asked, points)
    plain = Textbook(asked, points, dtype=torch.float64)
    for step in range(4):
        for repeat in range(2):
            batch = engine.batches.critic(step, repeat)
            noise = {name: value[0] for name, value in batch.noise.items()}
            mine = engine.critic_step(batch)
            real = points[batch.indices[0]].double()
            theirs = plain.critic_step(real, batch.latents[0], noise)
            assert mine["critic_loss"].item() == pytest.approx(theirs["critic_loss"].item(), 1e-10)
        batch = engine.batches.generator(step)
        mine, theirs = engine.generator_step(batch), plain.generator_step(batch.latents[0])
        assert mine["generator_loss"].item() == pytest.approx(
            theirs["generator_loss"].item(), 1e-10
        )
    weights = plain.critic_module.state_dict()
    for name, value in engine.critic(0).state_dict().items():
        assert torch.allclose(value, weights[name], rtol=0, atol=1e-10), name


def test_a_packed_critic_sees_as_many_packs_as_fit_into_a_batch(points):
    engine = started(recipe(packing=4), points)
    batch = engine.batches.critic(0, 0)
    assert batch.indices.shape == (1, 16)
    assert batch.noise["epsilon"].shape == (1, 4)
    assert engine.critic(0)(torch.zeros(4, 8, dtype=torch.float64)).shape == (4,)


# spectral norm


def test_power_iteration_finds_the_largest_singular_value():
    torch.manual_seed(0)
    critic = spectrally_normalized(MLP().critic((1, 8, 8)))
    for _ in range(300):
        held = dict(critic.named_buffers())
        for name, value in renewed(critic.state_dict(), held).items():
            held[name].copy_(value)
    for layer in (module for module in critic.modules() if hasattr(module, "parametrizations")):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-4)


def test_a_converged_layer_is_torchs_own():
    torch.manual_seed(0)
    plain = torch.nn.Linear(7, 5)
    weight = plain.weight.detach().clone()
    own = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(7, 5), "weight", 500)
    own.parametrizations.weight.original.data.copy_(weight)
    mine = spectrally_normalized(torch.nn.Sequential(plain))
    held = dict(mine.named_buffers())
    for _ in range(500):
        for name, value in renewed(mine.state_dict(), held).items():
            held[name].copy_(value)
    x = torch.randn(3, 7)
    assert torch.allclose(mine(x) - plain.bias, own.train()(x) - own.bias, atol=1e-6)


def test_the_singular_value_is_differentiated_with_its_vectors_held(points):
    weight = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    layer = torch.nn.Linear(3, 4, bias=False, dtype=torch.float64)
    layer.weight.data.copy_(weight.detach())
    critic = spectrally_normalized(torch.nn.Sequential(layer))
    u, v = (dict(critic.named_buffers())[f"0.parametrizations.weight.0.{name}"] for name in "uv")
    x = torch.randn(5, 3, dtype=torch.float64)
    critic(x).sum().backward()
    (x @ (weight / (u @ weight @ v)).T).sum().backward()
    assert torch.allclose(layer.parametrizations.weight.original.grad, weight.grad, atol=1e-12)


def test_normed_weights_train_in_the_textbook_loop_in_low_precision(points):
    asked = recipe(spectral_norm=True)
    losses = {
        precision: Textbook(asked, points, precision=precision).advance(0, 3, 3)["critic_loss"]
        for precision in ("fp32", "bf16")
    }
    assert losses["bf16"].dtype == torch.float32
    assert not torch.equal(losses["bf16"], losses["fp32"])
    assert torch.allclose(losses["bf16"], losses["fp32"], atol=0.02)


def test_a_normed_group_trains_as_its_members_alone(points):
    together = started(recipe(spectral_norm=True, packing=2, seeds=(3, 8)), points)
    alone = started(recipe(spectral_norm=True, packing=2, seeds=(8,)), points)
    for engine in (together, alone):
        engine.advance(0, 5, 10)
    expected = alone.state()
    for name, value in together.state().items():
        if value.dim():
            assert torch.allclose(value[1:2], expected[name], rtol=0, atol=1e-12), name


def test_a_checkpoint_holds_the_power_iteration(points):
    asked = recipe(spectral_norm=True)
    whole, first, again = (started(asked, points) for _ in range(3))
    whole.advance(0, 6, 10)
    first.advance(0, 3, 10)
    again.restore({name: value.clone() for name, value in first.state().items()}, 3)
    again.advance(3, 6, 10)
    expected = whole.state()
    assert any(name.startswith("critic_buffers") for name in expected)
    assert all(torch.equal(value, expected[name]) for name, value in again.state().items())


# in a suite

VARIANT = '[[variant]]\nname = "a"\nobjective = "gan"\noptimizer = { name = "adam" }\n'


def test_options_that_are_left_alone_leave_a_runs_name_alone(tmp_path):
    from bench import plan

    usual, asked = (
        plan.expand(suite_of(tmp_path, HEAD + VARIANT + text))[0] for text in ("", "packing = 2")
    )
    assert "packing" not in usual.to_json()
    assert usual.run_id != asked.run_id
    assert RunSpec.from_json(asked.to_json()).run_id == asked.run_id
    assert RunSpec.from_json(usual.to_json()).packing == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("packing = 3", "packing: 3 does not divide training.batch_size, "),
        ("packing = 0", "packing: 0 is out of range; expected at least 1"),
        ("spectral_norm = 1", "spectral_norm: expected true or false, found 1"),
        ("critic_boost = { steps = 9, first = 1 }", "critic_boost.every: is missing"),
        ("critic_boost = 5", "critic_boost: expected a table, found 5"),
    ],
)
def test_wrong_options_are_said_in_one_line(tmp_path, text, line):
    with pytest.raises(SuiteError, match=r"^\S+:\d+: variant\.a\.") as caught:
        suite_of(tmp_path, HEAD + VARIANT + text)
    assert line in str(caught.value)
