"""Suites that are right: what is read, and which layer holds."""

from __future__ import annotations

import pytest
from suite_text import GAN, HEAD, SUITES, WGAN, suite_of

from bench.errors import SuiteError
from bench.records import Amount
from bench.suite import load_suite


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_suite_loads_under_its_own_name(path):
    assert load_suite(path).name == path.stem


def test_mnist_compare_is_what_the_design_says():
    suite = load_suite(SUITES / "mnist_compare.toml")
    assert suite.variants == ("gan", "wgan", "wgan_gp")
    assert (suite.seeds, suite.devices) == ((0, 1, 2, 3, 4), ("auto",))
    primary = suite.primary
    assert (primary.metric, primary.at, primary.margin) == ("fid", "final", 0.10)
    for variant in suite.recipes.values():
        assert variant.budget == Amount("images", 1_200_000)
        assert variant.evaluation.every == Amount("images", 240_000)
        assert (variant.evaluation.samples, variant.batch_size) == (10_000, 64)


def test_mlp_presets_are_the_published_recipes():
    gan, wgan, wgan_gp = load_suite(SUITES / "mnist_compare.toml").recipes.values()
    adam = {"name": "adam", "eps": 1e-8}
    assert gan.optimizer == {**adam, "lr": 2e-4, "betas": (0.5, 0.999)}
    assert wgan.optimizer == {"name": "rmsprop", "lr": 5e-5, "alpha": 0.99, "eps": 1e-8}
    assert wgan_gp.optimizer == {**adam, "lr": 1e-4, "betas": (0.5, 0.9)}
    assert [one.critic_steps for one in (gan, wgan, wgan_gp)] == [1, 5, 5]
    assert wgan.objective == {"name": "wgan", "clip": 0.01}
    assert wgan_gp.objective == {"name": "wgan_gp", "penalty_weight": 10.0}


def test_dcgan_presets_are_the_keras_recipes():
    gan, wgan, wgan_gp = load_suite(SUITES / "mnist_dcgan.toml").recipes.values()
    assert [one.network["dropout"] for one in (gan, wgan, wgan_gp)] == [0.3, 0.0, 0.0]
    assert gan.optimizer == {"name": "adam", "lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-7}
    assert wgan_gp.optimizer == {"name": "rmsprop", "lr": 5e-5, "alpha": 0.9, "eps": 1e-7}
    assert {one.init for one in (gan, wgan, wgan_gp)} == {"glorot_uniform"}
    assert {one.batch_size for one in (gan, wgan, wgan_gp)} == {256}
    assert wgan.optimizer == wgan_gp.optimizer


def test_smoke_exercises_every_objective_engine_and_network():
    recipes = load_suite(SUITES / "smoke.toml").recipes.values()
    assert {one.objective["name"] for one in recipes} == {"gan", "gan_minimax", "wgan", "wgan_gp"}
    assert {one.engine for one in recipes} == {"compiled", "eager", "textbook"}
    assert {one.network["name"] for one in recipes} == {"mlp", "dcgan"}


def test_defaults_are_filled_in(tmp_path):
    suite = suite_of(tmp_path, HEAD + WGAN)
    wgan = suite.recipes["wgan"]
    assert suite.title == "mine"
    assert wgan.network["generator_widths"] == (128, 256)
    assert wgan.schedule == {"name": "constant"}
    assert (wgan.init, wgan.engine, wgan.precision, wgan.group) == ("torch", "compiled", "fp32", 1)
    assert wgan.evaluation.every == Amount("images", 1280)


def test_preset_inherits_the_suites_options_of_the_same_part(tmp_path):
    assert suite_of(tmp_path, HEAD + GAN).recipes["gan"].network["latent_dim"] == 64


def test_another_part_starts_afresh(tmp_path):
    network = 'network = { name = "dcgan" }\n'
    optimizer = 'objective = "wgan"\noptimizer = { name = "sgd", lr = 0.5 }\n'
    gan = suite_of(tmp_path, HEAD + GAN + network + optimizer).recipes["gan"]
    assert gan.network == {"name": "dcgan", "latent_dim": 100, "slope": 0.3, "dropout": 0.0}
    assert gan.optimizer == {"name": "sgd", "lr": 0.5, "momentum": 0.0}
    assert gan.objective == {"name": "wgan", "clip": 0.01}


def test_same_part_keeps_the_presets_other_options(tmp_path):
    gan = suite_of(tmp_path, HEAD + GAN + "optimizer = { lr = 0.5 }\n").recipes["gan"]
    assert gan.optimizer == {"name": "adam", "lr": 0.5, "betas": (0.5, 0.999), "eps": 1e-8}


def test_variant_overrides_the_suite_and_its_preset(tmp_path):
    text = (
        GAN
        + "critic_steps = 3\ntraining.batch_size = 8\nevaluation = { every = { images = 50 } }\n"
    )
    suite = suite_of(tmp_path, HEAD + text + WGAN)
    gan, wgan = suite.recipes["gan"], suite.recipes["wgan"]
    assert (gan.critic_steps, gan.batch_size, gan.evaluation.every.count) == (3, 8, 50)
    assert (wgan.batch_size, wgan.evaluation.every.count) == (32, 1280)


def test_set_wins_over_variants_and_presets(tmp_path):
    text = GAN + "training.batch_size = 8\n" + WGAN
    suite = suite_of(tmp_path, HEAD + text, overrides=["training.batch_size=16"])
    assert [one.batch_size for one in suite.recipes.values()] == [16, 16]


def test_set_on_a_variant_is_about_that_one(tmp_path):
    options = [
        "variant.wgan.clip=0.5",
        "training.batch_size=16",
        "variant.gan.training.batch_size=4",
    ]
    suite = suite_of(tmp_path, HEAD + GAN + WGAN, overrides=options)
    assert suite.recipes["wgan"].objective == {"name": "wgan", "clip": 0.5}
    assert [one.batch_size for one in suite.recipes.values()] == [4, 16]


def test_set_replaces_a_budget_in_another_unit(tmp_path):
    suite = suite_of(tmp_path, HEAD + GAN, overrides=["training.budget.epochs=0.5"])
    assert suite.recipes["gan"].budget == Amount("epochs", 0.5)


def test_set_replaces_a_time_between_checkpoints_in_another_unit(tmp_path):
    text = HEAD.replace("batch_size = 32", "batch_size = 32, checkpoint_every = { images = 640 }")
    option = "training.checkpoint_every.generator_steps=100"
    suite = suite_of(tmp_path, text + GAN, overrides=[option])
    assert suite.recipes["gan"].checkpoint_every == Amount("generator_steps", 100)


@pytest.mark.parametrize("order", [1, -1])
def test_set_takes_a_part_and_its_options_in_any_order(tmp_path, order):
    options = ["network.latent_dim=7", "network.name=dcgan"][::order]
    network = suite_of(tmp_path, HEAD + GAN, overrides=options).recipes["gan"].network
    assert (network["name"], network["latent_dim"]) == ("dcgan", 7)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("title=plain words", "plain words"),
        ('title="quoted = words"', "quoted = words"),
        ("'title' = 'x'", "x"),
    ],
)
def test_set_takes_toml_values_and_bare_words(tmp_path, text, value):
    assert suite_of(tmp_path, HEAD + GAN, overrides=[text]).title == value


def test_whole_numbers_serve_for_floats_and_stay_floats(tmp_path):
    gan = suite_of(tmp_path, HEAD + GAN + "optimizer = { lr = 1 }\n").recipes["gan"]
    assert isinstance(gan.optimizer["lr"], float)


def test_text_and_overrides_are_kept_for_the_report(tmp_path):
    suite = suite_of(tmp_path, HEAD + GAN, overrides=["title=x"])
    assert (suite.text, suite.overrides) == (HEAD + GAN, ("title=x",))


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + GAN).replace("\n", "\r\n").encode())
    assert load_suite(path).name == "mine"


def test_options_of_the_call_choose_runs(tmp_path):
    suite = suite_of(tmp_path, HEAD + GAN + WGAN, variants=["wgan"], seeds=[7, 3], devices=["cpu"])
    assert (suite.variants, suite.seeds, suite.devices) == (("wgan",), (7, 3), ("cpu",))


def test_options_are_kept_beside_what_the_file_declares(tmp_path):
    options = {"variants": ["gan"], "seeds": [0, 1, 7], "overrides": ["training.engine=eager"]}
    suite = suite_of(tmp_path, HEAD + GAN + WGAN, **options)
    assert suite.options == (
        "--set", "training.engine=eager", "--variant", "gan", "--seeds", "0-1,7",
    )  # fmt: skip
    assert suite.variants == ("gan",)
    assert suite.declared is not None
    assert suite.declared.variants == ("gan", "wgan")
    assert suite.declared.seeds == (0, 1, 2, 3, 4)
    assert suite_of(tmp_path, HEAD + GAN).declared is None


def test_a_suite_that_measures_nothing_may_not_declare_by_what_it_is_judged(tmp_path):
    nothing = f"{HEAD}evaluation.metrics = []\n"
    assert suite_of(tmp_path, nothing + GAN).recipes["gan"].evaluation.metrics == ()
    with pytest.raises(SuiteError, match="'fid' is not among the evaluation metrics of 'gan'"):
        suite_of(tmp_path, f'{nothing}primary.metric = "fid"\n{GAN}')
