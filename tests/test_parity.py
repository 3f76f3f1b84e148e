"""The engines agree step by step, and a bug planted in any objective makes that fail.

From a checkpoint trained for some steps, both take about 50 more on the same batches.  In fp64 they
run free and agree to 1e-10.  In fp32, where differences grow from rounding to anything within those
50 steps, each step starts from the same state and agrees to 1e-5, but for the few in which rounding
pushes an activation over the kink of its LeakyReLU: a jump in the gradient, seen up to 2e-4.

Convolutions take about 15 steps every time, three of each kind at least, and 50 in
`nox -s parity`.
"""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from bench.datasets.mnist import MNIST
from bench.datasets.synthetic import Ring
from bench.networks.base import Critic, to_range
from bench.networks.dcgan import DCGAN
from bench.networks.gulrajani import GulrajaniMNIST
from bench.networks.init import torch_default
from bench.networks.mlp import MLP
from bench.networks.pacgan import PacGAN
from bench.networks.resnet import ResNet
from bench.networks.toy import Toy
from bench.objectives.base import gradient_norms, scores_and_slopes
from bench.objectives.gan import DRAGAN, GANGP, R1, Minimax, NonSaturating
from bench.objectives.hinge import Hinge
from bench.objectives.lsgan import LSGAN
from bench.objectives.relativistic import RelativisticPairing
from bench.objectives.wgan import WGAN, WGANGP, WGANLP
from bench.optimizers import Adam, RMSprop
from bench.schedules import Constant
from bench.training.base import Recipe
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook


class Masked(MLP):
    """A small critic with dropout: in which order an objective shows it batches is seen."""

    def critic(self, shape):
        return _MaskedCritic(math.prod(shape))


class _MaskedCritic(Critic):
    mask_shapes = ((16,),)
    keep_probability = 0.7

    def __init__(self, inputs):
        super().__init__()
        self.hidden, self.activation = nn.Linear(inputs, 16), nn.LeakyReLU(0.2)
        self.score = nn.Linear(16, 1)

    def forward(self, x, keep=()):
        x = self.activation(self.hidden(x.flatten(1)))
        if keep:
            x = x * (keep[0].to(x.dtype) / self.keep_probability)
        return self.score(x).squeeze(1)


OBJECTIVES = {
    "gan": NonSaturating(),
    "gan_minimax": Minimax(),
    "wgan": WGAN(clip=0.05),
    "wgan_gp": WGANGP(),
    "gan_r1": R1(),
    "gan_gp": GANGP(),
    "dragan": DRAGAN(),
    "wgan_lp": WGANLP(),
    "hinge": Hinge(),
    "lsgan": LSGAN(),
    "rpgan_r1r2": RelativisticPairing(),
}
compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
NETWORKS = {
    "mlp": MLP(),
    "dcgan": DCGAN(dropout=0.3),
    "toy": Toy(generator_widths=(64, 64), critic_widths=(64, 64)),
}
OTHERS = {
    "masked": Masked(),
    "pacgan": PacGAN(generator_widths=(32, 32), critic_widths=(16, 16)),
    "gulrajani_mnist": GulrajaniMNIST(),
    "resnet": ResNet(width=8),
}
"""Networks that are tried with few objectives."""
DTYPES = {"fp64": torch.float64, "fp32": torch.float32}
STEPS, FEW = 50, 15
"""Critic and generator steps compared, together; fewer where a step takes long."""


def steep(module, generator):
    """Torch's first weights, enlarged: a critic's slope is above 1 at all samples or at some."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.75)


def recipe(objective, network, batch=16, seeds=(3,)) -> Recipe:
    """Settings under which no optimiser sees rounding noise as a gradient.

    Where a critic is linear, its biases' gradients on real and generated samples cancel to the
    last digits, and what is left is noise.
    """
    return Recipe(
        network=network,
        objective=objective,
        optimizer=RMSprop(eps=1e-6)
        if isinstance(objective, WGAN)
        else Adam(1e-4, (0.5, 0.9), eps=1e-6),
        schedule=Constant(),
        init=steep if isinstance(objective, WGANLP) else torch_default,
        seeds=seeds,
        critic_steps=4 if isinstance(objective, WGAN | WGANGP) else 1,
        batch_size=batch,
    )


@pytest.fixture(scope="module")
def images() -> Tensor:
    return MNIST().load("train").images[:2000]


@pytest.fixture(scope="module")
def data(images) -> dict[str, Tensor]:
    """What each network trains on."""
    points = Ring().load("train").points[:2000]
    coloured = pad(images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    return {
        **dict.fromkeys(("mlp", "dcgan", "masked", "gulrajani_mnist"), images),
        **dict.fromkeys(("toy", "pacgan"), points),
        "resnet": coloured,
    }


def checkpoint(recipe: Recipe, images: Tensor, dtype, *, compiled=False, steps=STEPS) -> Stacked:
    """An engine that has trained for some steps, so that optimiser state is in play."""
    engine = Stacked(recipe, images, compiled=compiled, dtype=dtype)
    engine.warm_up()
    engine.advance(0, 6 if steps == STEPS else 2, 1000)
    return engine


def bring(plain: Textbook, engine: Stacked) -> Textbook:
    """The textbook loop, put where the engine stands: weights and optimiser state."""
    sides = (
        (plain.generator_module, plain.generator_optimizer, engine._standing.generator),
        (plain.critic_module, plain.critic_optimizer, engine._standing.critic),
    )
    for module, optimizer, (stacked, moments) in sides:
        for name, parameter in module.named_parameters():
            parameter.data.copy_(stacked[name][0])
            optimizer.state[parameter] = {
                moment: own["count"].clone() if moment == "step" else own[name][0].clone()
                for moment, own in ({"step": {"count": torch.ones(())}} | moments).items()
            }
    for name, buffer in plain.critic_module.named_buffers():
        buffer.copy_(engine._standing.buffers[name][0])
    return plain


def differences(
    engine: Stacked, plain: Textbook, start: int, *, together: bool, steps: int = STEPS
) -> list[float]:
    """Of `steps` steps of either kind on the same batches: losses and weights after each, sorted.

    `together` brings the textbook loop back to the engine's state before each step; without it
    the two run free, and differences grow.
    """
    seen = []
    for step in range(start, start + steps // (engine._recipe.critic_steps + 1)):
        for repeat in range(engine._recipe.critic_steps + 1):
            if together:
                bring(plain, engine)
            seen.append(one_step(engine, plain, step, repeat))
    return sorted(seen)


def one_step(engine: Stacked, plain: Textbook, step: int, repeat: int) -> float:
    """The critic step `repeat` of an iteration, or after the last of them its generator step."""
    recipe = engine._recipe

    def shown(indices):
        return to_range(engine._standing.images[indices[0]], recipe.network.range, engine._dtype)

    if repeat < recipe.critic_steps:
        batch = engine.batches.critic(step, repeat)
        real = shown(batch.indices)
        noise = {name: value[0] for name, value in batch.noise.items()}
        keep = [masks[0] for masks in batch.keep]
        expected = plain.critic_step(real, batch.latents[0], noise, keep)
        losses, stacked, module = (
            engine.critic_step(batch), engine.critic_parameters, plain.critic_module
        )  # fmt: skip
    else:
        batch = engine.batches.generator(step)
        keep, real = [masks[0] for masks in batch.keep], [shown(one) for one in batch.indices]
        expected = plain.generator_step(batch.latents[0], keep, real)
        losses, stacked, module = (
            engine.generator_step(batch), engine.generator_parameters, plain.generator_module
        )  # fmt: skip
    return max(difference(losses, expected), difference(stacked, dict(module.named_parameters())))


def difference(stacked, expected) -> float:
    """The largest ‖a − b‖ / ‖b‖ of any tensor, a norm below 0.01 counted as 0.01."""
    return max(
        ((stacked[name][0] - value).norm() / value.norm().clamp(min=1e-2)).item()
        for name, value in expected.items()
    )


def agree(data, objective, network, dtype, *, compiled, steps) -> None:
    free = dtype == torch.float64
    made = recipe(OBJECTIVES[objective], (NETWORKS | OTHERS)[network], batch=4 if free else 8)
    engine = checkpoint(made, data[network], dtype, compiled=compiled, steps=steps)
    plain = bring(Textbook(made, data[network], dtype), engine)
    seen = differences(engine, plain, 100, together=not free, steps=steps)
    if free:
        assert seen[-1] < 1e-10
    else:
        assert seen[len(seen) * 9 // 10] < 1e-5
        assert seen[-1] < 1e-3


# a case takes seconds with convolutions; the rest of them are for `nox -s parity`
_EAGER = {
    *product(OBJECTIVES, ("mlp", "toy"), DTYPES),
    *product(("gan", "wgan", "wgan_gp"), ("dcgan",), ("fp64",)),
    ("wgan_gp", "dcgan", "fp32"),
    *product(OBJECTIVES, ("masked",), ("fp64",)),
    *product(("gan", "wgan_gp"), ("pacgan",), DTYPES),
    ("wgan_gp", "resnet", "fp64"),
}
_SLOW = ("dcgan", "gulrajani_mnist", "resnet")


def _cases(every_time, networks):
    """Every case at full length, and what is tried every time: few steps with convolutions."""
    for case in product(OBJECTIVES, networks, DTYPES):
        slow = case[1] in _SLOW
        quick = case in every_time and not slow
        yield pytest.param(*case, STEPS, marks=[] if quick else pytest.mark.long)
        if case in every_time and slow:
            yield pytest.param(*case, FEW)


@pytest.mark.parametrize(
    ("objective", "network", "dtype", "steps"), [*_cases(_EAGER, NETWORKS | OTHERS)]
)
def test_eager_engine_takes_the_textbook_steps(data, objective, network, dtype, steps):
    agree(data, objective, network, DTYPES[dtype], compiled=False, steps=steps)


@pytest.mark.parametrize("network", ["masked", "pacgan"])
@pytest.mark.parametrize("objective", ["hinge", "wgan_gp", "dragan", "rpgan_r1r2"])
@pytest.mark.parametrize(
    "option", [{"packing": 2}, {"spectral_norm": True}], ids=lambda one: next(iter(one))
)
def test_textbook_steps_are_the_same_with_the_options_of_a_variant(
    data, objective, network, option
):
    made = replace(recipe(OBJECTIVES[objective], (NETWORKS | OTHERS)[network], batch=4), **option)
    engine = checkpoint(made, data[network], torch.float64)
    plain = bring(Textbook(made, data[network], torch.float64), engine)
    assert differences(engine, plain, 100, together=False)[-1] < 1e-10


# compiling takes 10 to 40 s a case; the rest of them are for `nox -s parity`
_EVERY_TIME = {
    ("gan", "mlp", "fp32"), ("wgan_gp", "mlp", "fp32"), ("wgan_gp", "dcgan", "fp64")
}  # fmt: skip


@pytest.mark.skipif(compiler is None, reason="no C++ compiler on this machine")
@pytest.mark.parametrize(
    ("objective", "network", "dtype", "steps"), [*_cases(_EVERY_TIME, NETWORKS)]
)
def test_compiled_engine_takes_the_textbook_steps(data, objective, network, dtype, steps):
    agree(data, objective, network, DTYPES[dtype], compiled=True, steps=steps)


@dataclass(frozen=True)
class SlightlyWrong(NonSaturating):
    """A millionth of the fake score is counted with the wrong sign."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        return loss - 2 * terms["fake_score"] * 1e-6, terms


@dataclass(frozen=True)
class NotSaturating(Minimax):
    """The other generator loss."""

    def generator_loss(self, critic, fake):
        return NonSaturating().generator_loss(critic, fake)


@dataclass(frozen=True)
class ForgotClip(WGAN):
    """Weights are left as the update leaves them."""

    def constrain(self, parameters):
        pass


@dataclass(frozen=True)
class OneEpsilon(WGANGP):
    """One ε for the batch instead of one a sample."""

    def critic_loss(self, critic, real, fake, noise):
        return super().critic_loss(critic, real, fake, {"epsilon": noise["epsilon"][:1]})


@dataclass(frozen=True)
class BatchNormed(WGANGP):
    """The penalty's norm over the whole batch instead of each sample."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        epsilon = noise["epsilon"].reshape(-1, *(1 for _ in real.shape[1:]))
        norms = gradient_norms(critic, epsilon * real + (1.0 - epsilon) * fake)
        penalty = (norms.square().sum().sqrt() - 1.0).square()
        return loss + self.penalty_weight * (penalty - terms["penalty"]), terms


@dataclass(frozen=True)
class Unweighted(WGANGP):
    """The penalty without its λ."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        return loss - (self.penalty_weight - 1.0) * terms["penalty"], terms


@dataclass(frozen=True)
class TwoSided(WGANLP):
    """Slopes below 1 are pulled up to it."""

    def _excess(self, norms):
        return norms - 1.0


@dataclass(frozen=True)
class WholeGamma(R1):
    """γ instead of its half."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        return loss + self.penalty_weight / 2.0 * terms["penalty"], terms


@dataclass(frozen=True)
class AtGenerated(R1):
    """The penalty at generated samples, not at real ones."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        penalty = scores_and_slopes(critic, fake)[1].mean()
        return loss + self.penalty_weight / 2.0 * (penalty - terms["penalty"]), terms


@dataclass(frozen=True)
class OneAlpha(DRAGAN):
    """One α for the batch instead of one a sample."""

    def critic_loss(self, critic, real, fake, noise):
        return super().critic_loss(critic, real, fake, {**noise, "alpha": noise["alpha"][:1]})


@dataclass(frozen=True)
class WideMargin(Hinge):
    """Generated samples are pushed down as far as −2."""

    def critic_loss(self, critic, real, fake, noise):
        loss, terms = super().critic_loss(critic, real, fake, noise)
        scores = critic(fake)
        return loss + ((2.0 + scores).relu() - (1.0 + scores).relu()).mean(), terms


@dataclass(frozen=True)
class TowardsOtherPairs(RelativisticPairing):
    """Each generated sample is compared with another sample's neighbour."""

    def generator_loss(self, critic, fake, real):
        return super().generator_loss(critic, fake, real.flip(0))


@dataclass(frozen=True)
class Saturating(RelativisticPairing):
    """The generator's loss is the negative of the critic's."""

    def generator_loss(self, critic, fake, real):
        return -softplus(critic(fake) - critic(real)).mean()


@pytest.mark.parametrize(
    "bug",
    [
        SlightlyWrong, NotSaturating, ForgotClip, OneEpsilon, BatchNormed, Unweighted, TwoSided,
        WholeGamma, AtGenerated, OneAlpha, WideMargin, TowardsOtherPairs, Saturating,
    ],
)  # fmt: skip
def test_planted_bug_fails_parity(images, bug):
    right = bug.__base__()
    made = replace(recipe(right, MLP()), init=torch_default)
    engine = checkpoint(replace(made, objective=bug()), images, torch.float64)
    plain = bring(Textbook(made, images, torch.float64), engine)
    assert differences(engine, plain, 100, together=False, steps=FEW)[-1] > 1e-10


def test_members_of_a_group_train_as_they_would_alone(images):
    made = recipe(WGANGP(), MLP(), seeds=(3, 4))
    pair = Stacked(made, images, compiled=False, dtype=torch.float64)
    alone = Stacked(replace(made, seeds=(4,)), images, compiled=False, dtype=torch.float64)
    pair.advance(0, 10, 10)
    alone.advance(0, 10, 10)
    second = {name: value[1:] for name, value in pair.critic_parameters.items()}
    assert difference(second, {k: v[0] for k, v in alone.critic_parameters.items()}) < 1e-10


def test_diverged_member_leaves_its_neighbour_bit_identical(images):
    made = recipe(WGANGP(), MLP(), seeds=(3, 4))
    healthy, hurt = (Stacked(made, images, compiled=False) for _ in range(2))
    next(iter(hurt.critic_parameters.values()))[0].fill_(float("nan"))
    healthy.advance(0, 5, 5)
    losses = hurt.advance(0, 5, 5)
    assert losses["critic_loss"][0].isnan()
    for name, value in healthy.generator_parameters.items():
        assert torch.equal(value[1], hurt.generator_parameters[name][1])
        assert hurt.generator_parameters[name][0].isnan().all()
