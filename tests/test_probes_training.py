"""The probes that train a suite's variants: known answers, and the same rows again."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from suite_text import suite_of
from torch import nn

from bench import registry
from bench.errors import DataError
from bench.networks.base import Critic
from bench.networks.toy import Toy
from bench.objectives.gan import Minimax, NonSaturating
from bench.objectives.hinge import Hinge
from bench.objectives.wgan import WGAN, WGANGP
from bench.plan import expand
from bench.probes.capacity import Capacity, Clips, Cloud, earth_movers
from bench.probes.frozen import engine, strengthened
from bench.probes.gradient_noise import Frozen, GradientNoise, compared
from bench.probes.lipschitz import Lipschitz, described
from bench.probes.players import Losses, Players, opposition, payoff
from bench.probes.trained import Moment, Rows, Subject, stops
from bench.records import Quantity, RunSpec
from bench.suite.checks import check_part
from bench.training.diagnostics import cosine, share_at, slopes

CPU = torch.device("cpu")
SUITE = """
schema = 1
name = "mine"
dataset = { name = "ring", samples = 500, test_samples = 300 }
network = { name = "toy", generator_widths = [8], critic_widths = [8, 8] }
training = { budget = { generator_steps = 10 }, batch_size = 16 }
evaluation = { samples = 100, metrics = [] }
matrix.seeds = [3]
[[variant]]
name = "wgan"
objective = "wgan"
critic_steps = 2
optimizer = { name = "rmsprop", lr = 1e-3 }
[[variant]]
name = "wgan_gp"
objective = "wgan_gp"
optimizer = { name = "adam", lr = 1e-3 }
[[variant]]
name = "gan"
objective = "gan"
optimizer = { name = "rmsprop", lr = 1e-3 }
"""
PROBES = [
    Lipschitz(steps=6, checkpoints=3, samples=50),
    Players(steps=6, checkpoints=2, samples=50, tries=2),
    GradientNoise(steps=4, batch_sizes=(4, 8), samples=32),
    Capacity(steps=6, points=50),
]


@pytest.fixture(scope="module")
def recipes(tmp_path_factory) -> dict[str, RunSpec]:
    suite = suite_of(tmp_path_factory.mktemp("suite"), SUITE)
    return {spec.variant: spec for spec in expand(suite)}


def subject(spec: RunSpec, **changes) -> Subject:
    made = Subject.of(spec, CPU)
    return replace(made, recipe=replace(made.recipe, **changes))


class Linear(Critic):
    """c(x) = w · x."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(weights))

    def forward(self, x, keep=()):
        return x @ self.w


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)
def test_rows_are_finite_of_the_probes_own_quantities_and_the_same_again(probe, recipes):
    rows = probe.run(recipes, 3, CPU)
    assert {row.quantity for row in rows} == set(probe.quantities)
    assert all(row.value is not None and isfinite(row.value) for row in rows)
    assert {row.seed for row in rows} == {3}
    points = [(row.quantity, row.series, row.x) for row in rows]
    assert len(set(points)) == len(points)
    assert list(rows) == list(probe.run(recipes, 3, CPU))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)
def test_a_probe_is_registered_under_the_name_in_its_rows(probe, recipes):
    (name,) = {row.probe for row in probe.run({"wgan": recipes["wgan"]}, 3, CPU)}
    assert registry.load("probes", name) is type(probe)
    assert all(isinstance(each, Quantity) for each in probe.quantities.values())
    assert probe.title
    assert probe.about.endswith(".")


def test_another_seed_gives_other_rows(recipes):
    one = PROBES[0].run({"gan": recipes["gan"]}, 3, CPU)
    other = PROBES[0].run({"gan": replace(recipes["gan"], seed=4, group=(4,))}, 4, CPU)
    assert [row.value for row in one] != [row.value for row in other]


def test_a_linear_critic_is_as_steep_as_its_weights_everywhere():
    norms = slopes(Linear(3.0, 4.0), torch.randn(20, 2))
    torch.testing.assert_close(norms, torch.full((20,), 5.0))
    assert described(norms) == {"p50": 5.0, "p95": 5.0, "max": 5.0, "share_above_1": 1.0}


def test_quantiles_of_norms_are_those_of_numpy_and_a_diverged_critic_has_none():
    norms = torch.arange(101) / 50
    expected = {"p50": 1.0, "p95": 1.9, "max": 2.0, "share_above_1": 50 / 101}
    assert described(norms) == pytest.approx(expected)
    assert set(described(torch.tensor([1.0, torch.nan])).values()) == {None}


def test_lipschitz_looks_at_real_generated_and_interpolated_samples(recipes):
    made = subject(recipes["wgan_gp"])
    sample = made.sample(made.held_out[:40], "lipschitz")
    places = sample.places(made.recipe.generator((2,), 3))
    torch.testing.assert_close(places["real"], made.held_out[:40])
    between, share = places["between"], sample.epsilon
    ends = share * places["real"] + (1 - share) * places["generated"]
    torch.testing.assert_close(between, ends)
    assert 0.0 <= share.min() < 0.2
    assert 0.8 < share.max() < 1.0


@pytest.mark.parametrize(
    ("steps", "checkpoints", "expected"),
    [(1000, 4, [250, 500, 750, 1000]), (2, 8, [1, 2]), (7, 1, [7])],
)
def test_checkpoints_are_evenly_spaced_and_end_at_the_end(steps, checkpoints, expected):
    assert stops(steps, checkpoints) == expected


def test_stopping_to_look_changes_nothing_of_the_training(recipes):
    made = subject(recipes["wgan_gp"])
    *_, often = made.moments(60, 7)
    *_, once = made.moments(60)
    assert often.step == once.step == 60
    assert all(map(torch.equal, often.critic.parameters(), once.critic.parameters()))


def test_a_variant_of_the_textbook_loop_is_trained_by_the_eager_engine(recipes):
    plain, loop = (replace(recipes["wgan"], engine=engine) for engine in ("eager", "textbook"))
    assert PROBES[1].run({"wgan": loop}, 3, CPU) == PROBES[1].run({"wgan": plain}, 3, CPU)


def linear_pair(recipes, objective, samples: int = 4096) -> Frozen:
    """c(x) = w · x against G(z) = z, on which every gradient is known."""
    made = subject(recipes["wgan"], objective=objective)
    generator = nn.Linear(2, 2, bias=False)
    nn.init.eye_(generator.weight)
    moment = Moment(0, generator, Linear(0.5, -0.5), {})
    draw = torch.Generator().manual_seed(0)
    real = torch.randn((samples, 2), generator=draw) + torch.tensor([0.3, 0.0])
    return Frozen(made.recipe, moment, made.sample(real, "test"))


def test_noise_of_a_linear_critic_is_the_variance_of_its_samples_over_the_batch(recipes):
    # ∇w L = mean(z − x), of variance tr Σ / B for each batch
    frozen = linear_pair(recipes, WGAN())
    difference = (frozen.pool.latents - frozen.pool.real).double()
    full = torch.cat([*frozen.gradients("critic", 512)]).mean(0)
    torch.testing.assert_close(full, difference.mean(0), rtol=1e-4, atol=1e-6)
    spread = difference.var(0).sum() / full.square().sum()
    for size in (8, 32, 128):  # 512, 128 and 32 batches; of 2 numbers each
        noise, cosine = compared(frozen.gradients("critic", size), full)
        error = (2 / (len(difference) // size)) ** 0.5
        assert noise == pytest.approx(float(spread) * (1 / size - 1 / 4096), rel=3 * error)
        assert 0.0 < cosine < 1.0


@pytest.mark.parametrize("objective", [WGAN(), WGANGP(), NonSaturating()])
def test_gradients_of_batches_average_to_the_gradient_of_all(objective, recipes):
    frozen = linear_pair(recipes, objective, 64)
    for role in ("critic", "generator"):
        means = [torch.cat([*frozen.gradients(role, size)]).mean(0) for size in (8, 16, 64)]
        torch.testing.assert_close(means[0], means[2], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(means[1], means[2], rtol=1e-4, atol=1e-6)


def test_a_gradient_of_the_generator_is_that_of_autograd(recipes):
    frozen = linear_pair(recipes, NonSaturating(), 8)
    generator, critic = frozen.moment.generator, frozen.moment.critic
    loss = nn.functional.softplus(-critic(generator(frozen.pool.latents))).mean()
    (expected,) = torch.autograd.grad(loss, [*generator.parameters()])
    (found,) = torch.cat([*frozen.gradients("generator", 8)])
    torch.testing.assert_close(found.float(), expected.flatten())


def test_exact_noise_follows_from_the_smallest_batch_and_the_pool(recipes):
    probe = GradientNoise(steps=1, batch_sizes=(4, 8), samples=40)
    rows = [row for row in probe.run(recipes, 3, CPU) if row.quantity == "noise"]
    assert {row.series for row in rows} >= {"wgan · critic", "wgan_gp · generator"}
    first, second = rows[:2]
    assert (first.x, first.exact, second.x) == (4.0, None, 8.0)
    assert second.exact == pytest.approx(first.value * (1 / 8 - 1 / 40) / (1 / 4 - 1 / 40))


def test_a_pool_of_fewer_than_two_batches_is_refused():
    _, faults = check_part("probes", {"name": "gradient_noise", "samples": 1000})
    (fault,) = faults
    assert "1000 samples make fewer than two batches of 512; expected at least 1024" in fault.text


def test_a_batch_of_no_whole_packs_is_refused(recipes):
    probe = GradientNoise(steps=1, batch_sizes=(3, 4), samples=32)
    with pytest.raises(DataError, match="'wgan' packs 2 samples, and a batch of 3 is no whole"):
        probe.require({"wgan": replace(recipes["wgan"], packing=2)})


@pytest.mark.parametrize("probe", PROBES[:3], ids=lambda probe: type(probe).__name__)
def test_packed_critics_and_normalised_spectra_are_measured_too(probe, recipes):
    packed = replace(recipes["wgan_gp"], packing=2, spectral_norm=True)
    rows = probe.run({"packed": packed}, 3, CPU)
    assert all(row.value is not None for row in rows)


@pytest.mark.parametrize("objective", [WGAN(), WGANGP(), WGANGP(penalty_weight=0.1), Minimax()])
def test_the_generators_gradients_of_both_losses_are_opposed_by_algebra(objective, recipes):
    found, _ = opposed(objective, recipes)
    assert found == pytest.approx(-1.0, abs=1e-6)


@pytest.mark.parametrize("objective", [NonSaturating(), Hinge()])
def test_other_losses_are_not_opposed_exactly(objective, recipes):
    found, _ = opposed(objective, recipes, Linear(20.0, -20.0))
    assert -1.0 + 1e-3 < found < 0.0


def test_a_critic_linear_in_one_weight_opposes_or_helps_by_a_known_angle(recipes):
    # in w the losses' gradients are mean(z) − mean(x) and −mean(z)
    _, found = opposed(WGAN(), recipes, Linear(2.0, 1.0))
    made = subject(recipes["wgan"])
    sample = made.sample(made.held_out[:50], "players")
    fake = made.recipe.generator((2,), 3)(sample.latents).mean(0)
    assert found == pytest.approx(cosine(fake - sample.real.mean(0), -fake), abs=1e-5)


def opposed(objective, recipes, critic=None):
    made = subject(recipes["wgan"], objective=objective)
    critic = critic or made.recipe.critic((2,), 3)
    moment = Moment(0, made.recipe.generator((2,), 3), critic, {})
    sample = made.sample(made.held_out[:50], "players").double()
    return opposition(Losses(payoff(objective), sample, {}), moment)


def test_the_penalty_is_no_part_of_the_payoff():
    assert payoff(WGANGP(penalty_weight=7.0)) == WGANGP(penalty_weight=0.0)
    assert payoff(WGAN(clip=0.3)) == WGAN(clip=0.3)


def test_the_critics_step_that_is_tried_is_the_next_one_of_training(recipes):
    made = subject(replace(recipes["gan"], critic_steps=1))
    first, second = made.moments(2, 2)
    sample = made.sample(made.held_out, "players").double()
    losses = Losses(payoff(made.recipe.objective), sample, {})
    pairs = [(first.generator, first.critic), (first.generator, second.critic)]
    before, after = (losses.values(*pair)[1].item() for pair in pairs)
    at_first = next(made.moments(2, 2))  # an engine that has gone no further
    changed = Players(steps=2, tries=1)._changes(made, at_first, losses)
    assert changed["generator_loss_change"] == pytest.approx(after - before, rel=1e-6)


def test_a_step_is_tried_at_the_end_of_a_schedule_that_ends_at_zero(recipes):
    falling = replace(recipes["gan"], schedule={"name": "linear", "to": 0.0})
    rows = Players(steps=4, checkpoints=2, samples=50, tries=1).run({"gan": falling}, 3, CPU)
    assert all(row.value for row in rows if row.x == 4.0 and "loss_change" in row.quantity)


def test_exact_distance_of_a_shifted_cloud_is_the_shift():
    points = torch.randn((200, 2), generator=torch.Generator().manual_seed(0))
    assert earth_movers(points, points + torch.tensor([3.0, 4.0])) == pytest.approx(5.0, rel=1e-6)
    line = points[:, :1]
    assert earth_movers(line, line + 2.0) == pytest.approx(2.0, rel=1e-6)


def test_exact_distance_is_that_of_scipys_assignment():
    one, other = torch.randn((2, 30, 2), generator=torch.Generator().manual_seed(1)).double()
    costs = torch.linalg.vector_norm(one[:, None] - other[None], dim=2).numpy()
    expected = costs[linear_sum_assignment(costs)].mean()
    assert earth_movers(one.float(), other.float()) == pytest.approx(expected, rel=1e-5)


def test_a_critic_along_the_shift_estimates_the_distance_exactly():
    real = torch.randn((50, 2), generator=torch.Generator().manual_seed(2))
    generated = real - torch.tensor([3.0, 4.0])
    places = {"real": real, "generated": generated, "between": (real + generated) / 2}
    cloud = Cloud(places, earth_movers(real, generated))
    assert cloud.estimate(Linear(0.03, 0.04)) == pytest.approx(cloud.distance, rel=1e-5)
    assert cloud.estimate(Linear(0.05, 0.0)) == pytest.approx(3.0, rel=1e-5)
    assert cloud.estimate(Linear(0.0, 0.0)) is None


def test_gradients_by_layer_are_products_of_the_weights_behind_them():
    critic = Toy(critic_widths=(1, 1)).critic((1,))
    for layer, weight in zip((0, 2, 4), (5.0, 2.0, 3.0), strict=True):
        nn.init.constant_(critic.layers[layer].weight, weight)
        nn.init.constant_(critic.layers[layer].bias, 1.0)
    points = torch.rand(10, 1)  # above 0, and so is every unit
    cloud = Cloud({"real": points, "generated": points}, 0.0)
    assert cloud.layer_gradients(critic) == pytest.approx([6.0, 3.0])


def test_clips_trained_as_a_stack_are_those_trained_alone(recipes):
    made = subject(recipes["wgan"], critic_steps=1)
    stack = replace(made.recipe, objective=Clips(clips=(0.01, 0.1)), seeds=(3, 3))
    alone = replace(made.recipe, objective=WGAN(clip=0.1))
    engines = [(recipe, engine(recipe, made.images, 5)) for recipe in (stack, alone)]
    for recipe, each in engines:
        list(strengthened(each, recipe, [5]))
    (_, both), (_, one) = engines
    for found, expected in zip(
        both.critic(1).parameters(), one.critic(0).parameters(), strict=True
    ):
        torch.testing.assert_close(found, expected)
    assert max(p.abs().max().item() for p in both.critic(0).parameters()) == pytest.approx(0.01)


def test_share_at_the_bound_counts_weights_as_their_type_holds_them():
    assert share_at(Linear(0.1, -0.1, 0.05, 0.0), 0.1) == 0.5


def test_capacity_refuses_variants_without_a_clip_and_images(recipes):
    with pytest.raises(DataError, match=r"none of its variants \(gan\) is clipped; name one"):
        Capacity().require({"gan": recipes["gan"]})
    images = replace(recipes["wgan"], dataset={"name": "mnist", "root": None})
    with pytest.raises(DataError, match="'wgan' is on images of 'mnist'; expected points"):
        Capacity().require({"wgan": images})


def test_a_value_that_is_no_number_is_left_out():
    row = Rows("players", 1).row
    assert row("opposition", "gan", 2, float("nan")).value is None
    assert row("opposition", "gan", 2, float("inf")).value is None
    assert row("opposition", "gan", 2, 0.5, -1.0).exact == -1.0
    assert row("noise", "gan", 2, 0.5, float("nan")).exact is None
    assert cosine(torch.zeros(2), torch.ones(2)) is None


@pytest.mark.parametrize("name", ["lipschitz", "players", "gradient_noise", "capacity"])
def test_defaults_are_right_and_a_wrong_option_is_one_line(name):
    part, faults = check_part("probes", {"name": name})
    assert (part["name"], faults) == (name, [])
    _, (fault,) = check_part("probes", {"name": name, "steps": 0})
    assert "0 is out of range; expected at least 1" in fault.text
