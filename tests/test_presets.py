"""Every named recipe, resolved in a suite as a user's would be, against its published numbers."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from suite_text import suite_of

from bench import registry
from bench.records import Boost, Pace

PRESETS = registry.BUILT_IN["presets"]
DATA = {"toy": "ring", "pacgan": "ring", "resnet": "cifar10"}
"""Network → a data set it fits; MNIST otherwise."""
JUDGED = {
    "ring": 'primary.metric = "wasserstein_2"',
    "cifar10": 'evaluation.extractor = "inception"',
}
"""What a suite must say of data that the shipped digits' extractor cannot judge."""
SHAPES = {"ring": (2,), "cifar10": (3, 32, 32), "mnist": (1, 28, 28)}


def resolved(folder, name):
    """The only variant of a suite that starts from the preset and says nothing else."""
    data = data_of(name)
    text = (
        f'schema = 1\nname = "mine"\ndataset.name = "{data}"\n{JUDGED.get(data, "")}\n'
        "training.budget = { generator_steps = 10 }\n"
        f'[[variant]]\nname = "one"\npreset = "{name}"\n'
    )
    return suite_of(folder, text).recipes["one"]


def data_of(name):
    return DATA.get(registry.load("presets", name)["network"]["name"], "mnist")


def test_registry_lists_every_preset_of_the_module():
    from bench import presets

    written = {name for name, value in vars(presets).items() if name.isupper() and value}
    assert {entry.target.partition(":")[2] for entry in PRESETS.values()} == {
        name for name in written if not name.startswith("_")
    }
    assert all(entry.target.endswith(f":{name.upper()}") for name, entry in PRESETS.items())


@pytest.mark.parametrize("name", PRESETS)
def test_preset_resolves_on_data_that_fit_it(tmp_path, name):
    variant = resolved(tmp_path, name)
    preset = registry.load("presets", name)
    assert variant.objective["name"] == preset["objective"]
    assert variant.network["name"] == preset["network"]["name"]
    network = registry.load("networks", variant.network["name"])()
    network.generator(SHAPES[data_of(name)])
    network.critic(SHAPES[data_of(name)])
    assert variant.batch_size % variant.packing == 0


ADAM, RMSPROP = {"name": "adam", "eps": 1e-8}, {"name": "rmsprop", "alpha": 0.99, "eps": 1e-8}
OPTIMIZERS = {
    "mlp_gan": {**ADAM, "lr": 2e-4, "betas": (0.5, 0.999)},
    "mlp_wgan": {**RMSPROP, "lr": 5e-5},
    "mlp_wgan_gp": {**ADAM, "lr": 1e-4, "betas": (0.5, 0.9)},
    "mlp_wgan_lp": {**ADAM, "lr": 1e-4, "betas": (0.5, 0.9)},
    "mlp_hinge_sn": {**ADAM, "lr": 2e-4, "betas": (0.0, 0.9)},
    "mlp_gan_r1": {**RMSPROP, "lr": 1e-4},
    "mlp_lsgan": {**ADAM, "lr": 2e-4, "betas": (0.5, 0.999)},
    "mlp_dragan": {**ADAM, "lr": 1e-4, "betas": (0.5, 0.9)},
    "mlp_rpgan": {**ADAM, "lr": 2e-4, "betas": (0.0, 0.9)},
    "keras_dcgan": {**ADAM, "lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-7},
    "keras_wgan_gp": {**RMSPROP, "lr": 5e-5, "alpha": 0.9, "eps": 1e-7},
    "keras_wgan_gp_as_published": {**RMSPROP, "lr": 5e-5, "alpha": 0.9, "eps": 1e-7},
    "dcgan_wgan": {**RMSPROP, "lr": 5e-5, "alpha": 0.9, "eps": 1e-7},
    "gulrajani_mnist": {**ADAM, "lr": 1e-4, "betas": (0.5, 0.9)},
    "gulrajani_cifar": {**ADAM, "lr": 2e-4, "betas": (0.0, 0.9)},
    "arjovsky": {**RMSPROP, "lr": 5e-5},
    "toy_gan": {**ADAM, "lr": 2e-4, "betas": (0.5, 0.999)},
    "toy_wgan": {**RMSPROP, "lr": 5e-5, "alpha": 0.9, "eps": 1e-10},
    "toy_wgan_gp": {**ADAM, "lr": 1e-4, "betas": (0.5, 0.9)},
    "pacgan_gan": {**ADAM, "lr": 1e-4, "betas": (0.8, 0.999)},
    "pacgan2": {**ADAM, "lr": 1e-4, "betas": (0.8, 0.999)},
}
RECIPES = {
    # objective with its weight or bound, critic steps, first weights, batch (64 if not said)
    "mlp_gan": ("gan", None, 1, "torch", 64),
    "mlp_wgan": ("wgan", 0.01, 5, "torch", 64),
    "mlp_wgan_gp": ("wgan_gp", 10.0, 5, "torch", 64),
    "mlp_wgan_lp": ("wgan_lp", 10.0, 5, "torch", 64),
    "mlp_hinge_sn": ("hinge", None, 5, "torch", 64),
    "mlp_gan_r1": ("gan_r1", 10.0, 1, "torch", 64),
    "mlp_lsgan": ("lsgan", None, 1, "torch", 64),
    "mlp_dragan": ("dragan", 10.0, 1, "torch", 64),
    "mlp_rpgan": ("rpgan_r1r2", 1.0, 1, "torch", 64),
    "keras_dcgan": ("gan", None, 1, "glorot_uniform", 256),
    "keras_wgan_gp": ("wgan_gp", 10.0, 5, "glorot_uniform", 256),
    "keras_wgan_gp_as_published": ("wgan_gp", 10.0, 1, "glorot_uniform", 256),
    "dcgan_wgan": ("wgan", 0.01, 5, "glorot_uniform", 256),
    "gulrajani_mnist": ("wgan_gp", 10.0, 5, "gulrajani", 50),
    "gulrajani_cifar": ("wgan_gp", 10.0, 5, "gulrajani", 64),
    "arjovsky": ("wgan", 0.01, 5, "normal_0.02", 64),
    "toy_gan": ("gan", None, 1, "he_uniform", 256),
    "toy_wgan": ("wgan", 0.01, 5, "he_uniform", 256),
    "toy_wgan_gp": ("wgan_gp", 0.1, 5, "he_uniform", 256),
    "pacgan_gan": ("gan", None, 1, "normal_0.02", 100),
    "pacgan2": ("gan", None, 1, "normal_0.02", 200),
}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_holds_its_recipes_numbers(tmp_path, name):
    variant = resolved(tmp_path, name)
    assert variant.optimizer == OPTIMIZERS[name]
    objective = dict(variant.objective)
    found = (
        objective.pop("name"), next(iter(objective.values()), None), variant.critic_steps,
        variant.init, variant.batch_size,
    )  # fmt: skip
    assert found == RECIPES[name]
    falling = {"name": "linear", "to": 0.0}
    expected = falling if name == "gulrajani_cifar" else {"name": "constant"}
    assert variant.schedule == expected


@pytest.mark.parametrize("name", PRESETS)
def test_only_the_recipes_that_say_so_train_by_another_rhythm(tmp_path, name):
    variant = resolved(tmp_path, name)
    boost = {"steps": 100, "first": 25, "every": 500}
    assert variant.packing == (2 if name == "pacgan2" else 1)
    assert variant.spectral_norm == (name == "mlp_hinge_sn")
    assert variant.batch_repeats == (5 if name == "keras_wgan_gp_as_published" else 1)
    assert variant.critic_boost == (boost if name == "arjovsky" else None)


def test_the_article_and_its_faithful_twin_differ_in_the_loop_alone(tmp_path):
    published, faithful = (
        resolved(tmp_path, name) for name in ("keras_wgan_gp_as_published", "keras_wgan_gp")
    )
    assert replace(published, critic_steps=5, batch_repeats=1) == faithful


def test_the_articles_loop_updates_the_generator_after_every_critic_step(tmp_path):
    pace = _pace(resolved(tmp_path, "keras_wgan_gp_as_published"))
    assert [pace.at(step) for step in range(10)] == [1] * 10
    assert [pace.before(step) // pace.repeats for step in range(10)] == [0] * 5 + [1] * 5


def test_arjovskys_critic_takes_a_hundred_steps_at_first_and_now_and_then(tmp_path):
    pace = _pace(resolved(tmp_path, "arjovsky"))
    hundred = {step for step in range(1200) if pace.at(step) == 100}
    assert hundred == {*range(25), 500, 1000}
    assert {pace.at(step) for step in range(1200)} == {5, 100}
    assert pace.generator_steps(Fraction(25 * 100)) == 25


def test_pairs_are_as_many_as_single_points_were(tmp_path):
    alone, paired = (resolved(tmp_path, name) for name in ("pacgan_gan", "pacgan2"))
    assert paired.batch_size // paired.packing == alone.batch_size == 100
    assert replace(paired, packing=1, batch_size=100) == alone


def _pace(variant):
    boost = Boost(**variant.critic_boost) if variant.critic_boost else None
    return Pace(variant.critic_steps, variant.batch_repeats, boost)
