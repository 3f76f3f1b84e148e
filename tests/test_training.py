"""Batches, blocks and clocks: what feeds the steps and what surrounds them."""

from __future__ import annotations

import multiprocessing
import time
from itertools import chain

import pytest
import torch

from bench.networks.base import to_range, to_uint8
from bench.networks.init import torch_default
from bench.networks.mlp import MLP
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import SGD, Adam, RMSprop
from bench.schedules import Constant, Cosine, Linear
from bench.training.base import Recipe
from bench.training.diagnostics import diagnostics
from bench.training.loop import SOLO_BLOCKS, blocks, train
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook, _Pictures
from bench.turnstile import Turnstile

SMALL = MLP(latent_dim=4, generator_widths=(8,), critic_widths=(8,))


def recipe(**changes) -> Recipe:
    parts = {
        "network": SMALL, "objective": WGANGP(), "optimizer": Adam(), "schedule": Constant(),
        "init": torch_default, "seeds": (0,), "critic_steps": 2, "batch_size": 4,
    }  # fmt: skip
    return Recipe(**parts | changes)


def pictures(n=10, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 1, 6, 6), dtype=torch.uint8, generator=draw)


def batches(images, **changes):
    made = recipe(**changes)
    return made.batches(images, made.critic(tuple(images.shape[1:]), 0))


def test_an_epoch_shows_every_image_once_and_drops_the_remainder():
    drawn = batches(pictures(10), critic_steps=1, batch_size=3)
    shown = [drawn.critic(step, 0).indices[0].tolist() for step in range(6)]
    first, second = ([*chain(*shown[:3])], [*chain(*shown[3:])])
    assert len(set(first)) == len(set(second)) == 9
    assert first != second


def test_a_batch_is_the_same_whatever_was_drawn_before():
    fresh, used = batches(pictures()), batches(pictures())
    for step in (0, 49, 51):
        used.critic(step, 1)
    one, other = fresh.critic(120, 1), used.critic(120, 1)
    assert torch.equal(one.indices, other.indices)
    assert torch.equal(one.latents, other.latents)
    assert torch.equal(one.noise["epsilon"], other.noise["epsilon"])


def test_a_members_batches_do_not_depend_on_its_group():
    alone, group = batches(pictures(), seeds=(5,)), batches(pictures(), seeds=(3, 5))
    assert torch.equal(alone.critic(7, 0).latents[0], group.critic(7, 0).latents[1])
    assert torch.equal(alone.critic(7, 0).indices[0], group.critic(7, 0).indices[1])


def test_critic_steps_and_the_generator_step_get_latents_of_their_own():
    drawn = batches(pictures())
    three = [drawn.critic(0, 0).latents, drawn.critic(0, 1).latents, drawn.generator(0).latents]
    assert len({tuple(latents.flatten().tolist()) for latents in three}) == 3


@pytest.mark.parametrize("make", [lambda *a: Stacked(*a, compiled=False), Textbook])
def test_an_iteration_is_n_critic_steps_on_fresh_batches_and_one_generator_step(make):
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 1, 6, 6).clone()
    engine = make(recipe(critic_steps=3), images)
    shown, drawn = [], []
    critic_step, generator_step = engine.critic_step, engine.generator_step

    def critic(*batch):
        stacked = len(batch) == 1
        real = images[batch[0].indices[0]] if stacked else to_uint8(batch[0], (-1.0, 1.0))
        shown.append(real[:, 0, 0, 0].tolist())
        drawn.append(batch[0].latents[0] if stacked else batch[1])
        return critic_step(*batch)

    def generator(*batch):
        drawn.append(batch[0].latents[0] if hasattr(batch[0], "latents") else batch[0])
        return generator_step(*batch)

    engine.critic_step, engine.generator_step = critic, generator
    engine.advance(0, 2, 2)
    assert len(shown) == 6
    assert len({*chain(*shown)}) == 6 * 4  # no image twice within an epoch
    assert len({tuple(latents.flatten().tolist()) for latents in drawn}) == 6 + 2


@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 1.0)])
def test_textbook_pictures_are_in_the_networks_range(span):
    images = pictures()
    loaded = _Pictures(images, span)
    expected = to_range(images, span, torch.float32)
    for index, picture in enumerate(expected):
        assert torch.allclose(loaded[index], picture, atol=1e-6)


def test_blocks_end_at_evaluations_and_at_the_end():
    assert list(blocks(120, 70)) == [(0, 50), (50, 70), (70, 100), (100, 120)]
    assert list(blocks(7, 100)) == [(0, 7)]


@pytest.mark.parametrize(
    ("optimizer", "objective"),
    [(Adam(), WGANGP()), (RMSprop(), WGAN()), (SGD(momentum=0.9), WGAN())],
)
def test_warming_up_changes_nothing(optimizer, objective):
    made = recipe(optimizer=optimizer, objective=objective)
    warm, cold = (Stacked(made, pictures(), compiled=False) for _ in range(2))
    warm.warm_up()
    warm.advance(0, 5, 5)
    cold.advance(0, 5, 5)
    for name, value in cold.critic_parameters.items():
        assert torch.equal(value, warm.critic_parameters[name])


@pytest.mark.parametrize("engine", [lambda *a: Stacked(*a, compiled=False), Textbook])
def test_learning_rate_follows_its_schedule_to_zero(engine):
    made = recipe(schedule=Linear(to=0.0), optimizer=SGD(lr=0.1), objective=WGAN(clip=1.0))
    engine = engine(made, pictures())
    before = engine.generator(0).state_dict()
    engine.advance(5, 6, 5)  # at the end of the schedule nothing moves
    for name, value in engine.generator(0).state_dict().items():
        assert torch.equal(value, before[name])
    engine.advance(0, 1, 5)
    assert any(not torch.equal(v, before[k]) for k, v in engine.generator(0).state_dict().items())


def test_schedules_go_from_one_to_their_end():
    assert [Linear(to=0.2).factor(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.6, 0.2])
    assert [Cosine(to=0.2).factor(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.6, 0.2])
    assert Constant().factor(0.7) == 1


@pytest.mark.parametrize(
    "kind", [Adam(lr=0.01), RMSprop(lr=0.01), SGD(lr=0.01, momentum=0.9), SGD()]
)
def test_stacked_update_is_that_of_torchs_own_optimiser_for_each_member(kind):
    members = [torch.randn(3, generator=torch.Generator().manual_seed(k)).double() for k in (0, 1)]
    stacked = {"weight": torch.stack(members)}
    moments, lr = kind.moments(stacked), torch.tensor(kind.lr, dtype=torch.float64)
    alone = [torch.nn.Parameter(member.clone()) for member in members]
    each = [kind.plain([parameter]) for parameter in alone]
    for step in range(4):
        gradients = [torch.full((3,), 0.1 * (step + k + 1)).double() for k in (0, 1)]
        kind.update(stacked, {"weight": torch.stack(gradients)}, moments, lr)
        for parameter, optimizer, gradient in zip(alone, each, gradients, strict=True):
            parameter.grad = gradient
            optimizer.step()
    expected = torch.stack([parameter.detach() for parameter in alone])
    assert torch.allclose(stacked["weight"], expected, rtol=1e-13, atol=0)


def test_only_the_first_blocks_after_the_warm_up_are_timed_alone():
    engine = Stacked(recipe(), pictures(), compiled=False)
    made = train(
        engine, torch.device("cpu"), steps=300, every=60, solo=True, turnstile=Turnstile(None)
    )
    phases = [block.phase for block in made]
    assert phases[0] == "warmup"
    assert phases[1 : 1 + SOLO_BLOCKS] == ["solo"] * SOLO_BLOCKS
    assert set(phases[1 + SOLO_BLOCKS :]) == {"train"}


def _hold(folder, entered, release):
    with Turnstile(folder).together():
        entered.set()
        release.wait(30)


def test_one_that_is_timed_alone_waits_for_the_others_and_for_no_dead_one(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    entered, release = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(str(tmp_path), entered, release))
    other.start()
    assert entered.wait(60)
    start = time.monotonic()
    other.kill()
    with Turnstile(str(tmp_path)).alone():
        waited = time.monotonic() - start
    other.join()
    assert waited < 10


def test_the_room_is_not_entered_while_one_is_alone(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    entered, release = spawn.Event(), spawn.Event()
    with Turnstile(str(tmp_path)).alone():
        other = spawn.Process(target=_hold, args=(str(tmp_path), entered, release))
        other.start()
        assert not entered.wait(3)
    assert entered.wait(60)
    release.set()
    other.join()


def test_diagnostics_of_a_linear_critic_are_known():
    network = MLP(latent_dim=4, generator_widths=(8,), critic_widths=(8,), slope=1.0)
    critic, generator = network.critic((1, 6, 6)), network.generator((1, 6, 6))
    for parameter in critic.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    measured = diagnostics(0, network, WGAN(clip=0.01), pictures(40))(generator, critic)
    slope = 8 * 0.01 * 0.01 * 6  # each of 36 inputs has the slope 8 · 0.01², and √36 = 6
    assert measured["lipschitz_p50"] == pytest.approx(slope, rel=1e-4)
    assert measured["lipschitz_max"] == pytest.approx(slope, rel=1e-4)
    assert measured["at_clip_bound"] == 1.0
    unclipped = diagnostics(0, network, WGANGP(), pictures(40))(generator, critic)
    assert unclipped["at_clip_bound"] is None
