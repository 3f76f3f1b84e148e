"""The stacked engine: what compiles and when, precision, layers and objectives with a will of
their own, and the same on a GPU."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from bench.networks.base import Critic
from bench.networks.init import torch_default
from bench.networks.mlp import MLP
from bench.objectives.gan import NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import SGD, Adam, RMSprop
from bench.plan import expand
from bench.schedules import Constant, Cosine
from bench.suite import load_suite
from bench.training import compiling
from bench.training.base import Recipe
from bench.training.engines import EARNED, ready
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook

SMALL = MLP(latent_dim=4, generator_widths=(8,), critic_widths=(8, 8))
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
COMPILER = pytest.mark.skipif(
    not (shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")),
    reason="no C++ compiler on this machine",
)


def recipe(**changes) -> Recipe:
    parts = {
        "network": SMALL, "objective": WGANGP(), "optimizer": Adam(), "schedule": Constant(),
        "init": torch_default, "seeds": (0,), "critic_steps": 2, "batch_size": 4,
    }  # fmt: skip
    return Recipe(**parts | changes)


def pictures(device="cpu"):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (40, 1, 6, 6), dtype=torch.uint8, generator=draw).to(device)


def engine(made=None, *, compiled=False, steps=0, device="cpu", **options) -> Stacked:
    built = Stacked(made or recipe(), pictures(device), compiled=compiled, **options)
    built.warm_up()
    if steps:
        built.advance(0, steps, 100)
    return built


def same(one: Stacked, other: Stacked) -> bool:
    return all(torch.equal(value, other.state()[name]) for name, value in one.state().items())


def graphs() -> int:
    """Everything that inductor was asked to compile in this process, from its cache or not."""
    names = ("fxgraph_cache_miss", "fxgraph_cache_hit", "fxgraph_cache_bypass")
    return sum(counters["inductor"][name] for name in names)


@COMPILER
@pytest.mark.parametrize(
    ("optimizer", "objective"), [(RMSprop(), WGAN()), (Adam(), WGANGP()), (SGD(), NonSaturating())]
)
def test_two_graphs_are_compiled_and_none_after_the_first_step(optimizer, objective):
    before = compiling.GRAPHS, graphs()
    made = recipe(optimizer=optimizer, objective=objective, schedule=Cosine(), seeds=(0, 1))
    trained = engine(made, compiled=True)
    warm = compiling.GRAPHS, graphs()
    trained.advance(0, 60, 60)  # over the border of a block, at sixty learning rates
    assert warm == (before[0] + 2, before[1] + 2)
    assert (compiling.GRAPHS, graphs()) == warm


@COMPILER
def test_a_compiled_learning_rate_still_follows_its_schedule():
    made = recipe(optimizer=SGD(lr=0.1), objective=WGAN(clip=1.0), schedule=Cosine(to=0.0))
    trained = engine(made, compiled=True)
    before = {name: value.clone() for name, value in trained.state().items()}
    trained.advance(5, 6, 5)  # at the end of the schedule nothing moves
    assert all(torch.equal(value, before[name]) for name, value in trained.state().items())
    trained.advance(0, 1, 5)
    assert not all(torch.equal(value, before[name]) for name, value in trained.state().items())


@pytest.fixture
def run(tmp_path):
    """The spec of a run from settings of `[training]`."""

    def made(**training):
        lines = "\n".join(f"{key} = {value}" for key, value in training.items())
        text = f"""schema = 1
name = "short"
[dataset]
name = "mnist"
[training]
{lines}
[matrix]
seeds = [0]
devices = ["cpu"]
[[variant]]
name = "wgan"
preset = "mlp_wgan"
"""
        (tmp_path / "short.toml").write_text(text)
        (spec,) = expand(load_suite(tmp_path / "short.toml"))
        return spec

    return made


def test_a_run_too_short_to_earn_its_compilation_runs_eager_and_says_so(run):
    spec, notes = run(budget="{ generator_steps = 10 }"), []
    _, used = ready(spec, recipe(), pictures(), 10, notes.append)
    assert used == "eager"
    assert notes == [
        "engine 'eager' runs instead of 'compiled': 60 steps do not earn the compilation back "
        '(2,000 do; training.compile = "always" compiles all the same)'
    ]


@COMPILER
@pytest.mark.parametrize(("compile", "steps"), [("auto", EARNED), ("always", 1)])
def test_a_run_that_is_long_enough_or_told_to_compiles(run, compile, steps):
    spec, notes = run(budget="{ generator_steps = 10 }", compile=f'"{compile}"'), []
    made, used = ready(spec, recipe(), pictures(), steps, notes.append)
    assert (used, notes) == ("compiled", [])
    assert made.advance(0, 1, 1)["critic_loss"].isfinite().all()


def test_without_a_compiler_the_same_code_runs_eager(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    notes: list[str] = []
    odd = recipe(batch_size=3)  # no other test has compiled it in this process
    missing = {"cpp.cxx": (None, "/no/such/compiler"), "fx_graph_cache": False}
    with torch._inductor.config.patch(missing):
        made, used = ready(run(budget="{ epochs = 9 }"), odd, pictures(), EARNED, notes.append)
    assert used == "eager"
    assert len(notes) == 1
    assert "engine 'compiled' is not to be had here, 'eager' runs instead" in notes[0]
    assert same(made, engine(odd))


@pytest.mark.parametrize("kind", [Stacked, Textbook])
@pytest.mark.parametrize("objective", [NonSaturating(), WGAN(), WGANGP()])
def test_bf16_rounds_the_products_and_nothing_else(kind, objective):
    options = {"compiled": False} if kind is Stacked else {}
    made = recipe(objective=objective)
    exact, rounded = (
        kind(made, pictures(), precision=precision, **options) for precision in ("fp32", "bf16")
    )
    losses = [each.advance(0, 1, 1) for each in (exact, rounded)]
    for name, value in losses[0].items():
        assert losses[1][name].dtype == torch.float32
        assert torch.allclose(losses[1][name], value, rtol=0.05, atol=0.02), name
        assert not torch.equal(losses[1][name], value), name
    assert all(p.dtype == torch.float32 for p in rounded.critic(0).parameters())
    assert all(value.dtype != torch.bfloat16 for value in rounded.state().values())


class Dropping(Critic):
    """A critic that draws its own random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 8), nn.Dropout(0.5), nn.Linear(8, 1)
        )

    def forward(self, x, keep=()):
        return self.layers(x).squeeze(1)


@dataclass(frozen=True)
class DroppingPair(MLP):
    """The small pair with a critic that drops units out by `nn.Dropout`."""

    def critic(self, shape):
        return Dropping()


def dropping(**changes) -> Recipe:
    return recipe(network=DroppingPair(latent_dim=4, generator_widths=(8,)), **changes)


def test_layers_that_draw_for_themselves_repeat():
    torch.manual_seed(1)
    one = engine(dropping(seeds=(0, 1), optimizer=SGD(lr=1e-3)), steps=3)
    torch.manual_seed(2)
    other = engine(dropping(seeds=(0, 1), optimizer=SGD(lr=1e-3)), steps=3)
    assert same(one, other)
    kept = engine(dropping(seeds=(0, 1), optimizer=SGD(lr=1e-3)))
    kept._pair.critic.eval()  # the same with nothing dropped
    kept.advance(0, 3, 100)
    assert not same(one, kept)


@COMPILER
def test_layers_that_draw_for_themselves_compile():
    one, other = (engine(dropping(seeds=(0, 1)), compiled=True, steps=3) for _ in range(2))
    assert same(one, other)


@dataclass(frozen=True)
class Remembering(WGAN):
    """Carries the running mean of its score gap, and divides its loss by it."""

    state: ClassVar = {"scale": 1.0}

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        gap = (terms["real_score"] - terms["fake_score"]).detach()
        return loss / noise["scale"], {**terms, "scale": 0.9 * noise["scale"] + 0.1 * gap.abs()}


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=COMPILER)])
def test_an_objective_carries_its_state_from_step_to_step(compiled):
    trained = engine(recipe(objective=Remembering(), seeds=(0, 1)), compiled=compiled)
    scale, losses = torch.ones(2), []
    for step in range(3):
        terms = trained.critic_step(trained.batches.critic(step, 0))
        gap = terms["real_score"] - terms["fake_score"]
        assert torch.allclose(terms["critic_loss"], -gap / scale, rtol=1e-4)
        scale = 0.9 * scale + 0.1 * gap.abs()
        losses.append(terms["critic_loss"])
    assert torch.allclose(trained.state()["objective/scale"], scale, rtol=1e-5)
    assert scale[0] != scale[1]


class Normed(Critic):
    """A critic whose batch norm couples the samples of a batch."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.BatchNorm1d(8, track_running_stats=False)
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 8), norm, nn.ReLU(), nn.Linear(8, 1)
        )

    def forward(self, x, keep=()):
        return self.layers(x).squeeze(1)


@dataclass(frozen=True)
class NormedPair(MLP):
    """The small pair with a critic under batch norm."""

    def critic(self, shape):
        return Normed()


def test_a_batch_norm_in_the_critic_never_sees_two_batches_at_once():
    made = recipe(network=NormedPair(latent_dim=4, generator_widths=(8,)), objective=WGAN())
    trained = engine(made)
    batch, critic = trained.batches.critic(0, 0), trained.critic(0)
    terms = trained.critic_step(batch)
    real = pictures()[batch.indices[0]].float() * (2.0 / 255.0) - 1.0
    assert terms["real_score"].item() == pytest.approx(critic(real).mean().item(), rel=1e-5)


def test_a_restored_engine_goes_on_as_the_one_it_was_taken_from():
    first = engine(recipe(objective=Remembering(), optimizer=RMSprop()), steps=5)
    state = {name: value.clone() for name, value in first.state().items()}
    second = engine(recipe(objective=Remembering(), optimizer=RMSprop()))
    second.restore(state, 5)
    first.advance(5, 9, 100)
    second.advance(5, 9, 100)
    assert same(first, second)


@CUDA
@pytest.mark.parametrize("optimizer", [Adam(), RMSprop(), SGD(momentum=0.5)])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_replayed_iteration_is_the_iteration(optimizer, compiled):
    made = recipe(optimizer=optimizer, seeds=(0, 1), schedule=Cosine())
    captured = engine(made, device="cuda", compiled=compiled)
    plain = engine(made, device="cuda", compiled=compiled)
    plain._captured, drawn = None, plain._batches
    contiguous = torch.Tensor.contiguous  # as what is captured
    plain._batches = lambda step: torch.utils._pytree.tree_map(contiguous, drawn(step))
    means = [each.advance(0, 7, 100) for each in (captured, plain)]
    for name, value in means[1].items():
        assert torch.allclose(means[0][name], value, rtol=1e-5, atol=1e-6), name
    for name, value in plain.state().items():
        assert torch.allclose(captured.state()[name], value, rtol=1e-5, atol=1e-6), name


@CUDA
@pytest.mark.parametrize("objective", [NonSaturating(), WGAN(), WGANGP()])
def test_a_gpu_takes_the_steps_of_the_cpu(objective):
    # a power of two: the rate is a float there and a double here
    made = recipe(objective=objective, optimizer=SGD(lr=2**-10))
    here = engine(made, dtype=torch.float64)
    there = engine(made, device="cuda", dtype=torch.float64)
    for step in range(5):
        batch = here.batches.critic(step, 0)
        moved = torch.utils._pytree.tree_map(lambda tensor: tensor.cuda(), batch)
        here.critic_step(batch)
        there.critic_step(moved)
    for name, value in here.state().items():
        assert torch.allclose(there.state()[name].cpu(), value, rtol=1e-10, atol=1e-12), name


@CUDA
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_gpus_lower_precisions_stay_near_fp32(precision):
    exact = engine(device="cuda").advance(0, 1, 1)
    rounded = engine(device="cuda", precision=precision).advance(0, 1, 1)
    for name, value in exact.items():
        assert torch.allclose(rounded[name], value, rtol=0.05, atol=0.02), name


@pytest.mark.parametrize(("precision", "share"), [("fp32", 1e-4), ("bf16", 0.05)])
@pytest.mark.parametrize("objective", [NonSaturating(), WGAN(clip=1.0), WGANGP()])
def test_a_member_of_a_group_moves_as_it_would_alone(objective, precision, share):
    # plain descent: Adam would make a whole step of what rounding leaves of a gradient of zero
    made = recipe(objective=objective, optimizer=SGD(lr=0.01))
    first = engine(replace(made, seeds=(4,)))
    alone = engine(replace(made, seeds=(4,)), steps=2, precision=precision)
    pair = engine(replace(made, seeds=(3, 4)), steps=2, precision=precision)
    for name, value in alone.critic_parameters.items():
        moved = (value - first.critic_parameters[name]).norm()
        apart = (pair.critic_parameters[name][1:] - value).norm()
        assert apart <= share * moved, name
        other = (pair.critic_parameters[name][:1] - value).norm()
        assert other > share * moved, name  # which the other member does not pass
