"""Sweeps, exclude and include: which variants and runs a matrix makes."""

from __future__ import annotations

import pytest
from suite_text import GAN, HEAD, WGAN, suite_of

from bench.errors import SuiteError

TWO_SEEDS = "[matrix]\nseeds = [0, 1]\n"


def matrix(tmp_path, text, **options):
    return suite_of(tmp_path, f"{HEAD}{TWO_SEEDS}{text}\n{GAN}{WGAN}", **options)


def runs(suite):
    return [f"{cell.variant}/{cell.seed}" for cell in suite.cells]


@pytest.mark.parametrize("key", ['"variant.wgan.clip"', "variant.wgan.clip"])
def test_variants_key_multiplies_that_variant(tmp_path, key):
    suite = matrix(tmp_path, f"{key} = [0.01, 0.1]")
    assert suite.variants == ("gan", "wgan-clip-0_01", "wgan-clip-0_1")
    assert suite.recipes["wgan-clip-0_1"].objective == {"name": "wgan", "clip": 0.1}


def test_suites_key_multiplies_every_variant_and_beats_their_own(tmp_path):
    own = ["variant.gan.optimizer.lr=0.5"]  # another key of it
    suite = matrix(tmp_path, '"training.batch_size" = [8, 16]', overrides=own)
    assert suite.variants == (
        "gan-batch_size-8", "gan-batch_size-16", "wgan-batch_size-8", "wgan-batch_size-16",
    )  # fmt: skip
    assert [one.batch_size for one in suite.recipes.values()] == [8, 16, 8, 16]


def test_two_sweeps_make_every_pair(tmp_path):
    suite = matrix(tmp_path, '"variant.wgan.clip" = [1, 2]\n"variant.wgan.critic_steps" = [3, 4]')
    made = [(one.objective["clip"], one.critic_steps) for one in [*suite.recipes.values()][1:]]
    assert made == [(1.0, 3), (1.0, 4), (2.0, 3), (2.0, 4)]


def test_parts_are_swept_as_tables_and_by_name(tmp_path):
    tables = '[{ name = "adam" }, { name = "sgd", momentum = 0.9 }]'
    suite = matrix(
        tmp_path, f'"variant.wgan.optimizer" = {tables}\n"network.name" = ["mlp", "dcgan"]'
    )
    names = [(one.network["name"], one.optimizer["name"]) for one in suite.recipes.values()][2:]
    assert names == [("mlp", "adam"), ("mlp", "sgd"), ("dcgan", "adam"), ("dcgan", "sgd")]
    assert suite.variants[0] == "gan-network-mlp"


def test_long_names_are_cut_and_stay_apart(tmp_path):
    widths = [[64] * 20, [64] * 21]
    suite = matrix(tmp_path, f'"network.generator_widths" = {widths}')
    assert all(len(name) <= 64 for name in suite.variants)
    assert len(set(suite.variants)) == 4


def test_exclude_leaves_out_what_matches_all_keys(tmp_path):
    small_gan = '{ "training.batch_size" = 8, variant = "gan" }'
    text = f'exclude = [{{ variant = "wgan", seed = [1, 2] }}, {small_gan}]'
    suite = matrix(tmp_path, f'"training.batch_size" = [8, 16]\n{text}')
    assert runs(suite) == [
        "gan-batch_size-16/0", "gan-batch_size-16/1", "wgan-batch_size-8/0", "wgan-batch_size-16/0",
    ]  # fmt: skip
    assert "gan-batch_size-8" not in suite.variants


def test_include_adds_seeds_and_settings_after_the_exclusions(tmp_path):
    text = """
    exclude = [{ variant = "wgan" }]
    include = [{ variant = "wgan", seed = 7 }, { variant = "wgan", clip_ = 1 }]
    """.replace("clip_", '"variant.wgan.clip"')
    suite = matrix(tmp_path, text)
    assert runs(suite) == ["gan/0", "gan/1", "wgan/7", "wgan-clip-1/0", "wgan-clip-1/1"]
    assert suite.recipes["wgan-clip-1"].objective["clip"] == 1.0
    assert suite.seeds == (0, 1, 7)


def test_include_gives_a_swept_key_another_value_once(tmp_path):
    added = 'include = [{ variant = "wgan", "variant.wgan.clip" = 0.5 }]'
    text = f'"variant.wgan.clip" = [0.1, 0.2]\n{added}'
    assert matrix(tmp_path, text).variants[1:] == (
        "wgan-clip-0_1",
        "wgan-clip-0_2",
        "wgan-clip-0_5",
    )


def test_variant_option_names_a_sweep_or_one_of_its_values(tmp_path):
    text = '"variant.wgan.clip" = [0.1, 0.2]'
    assert matrix(tmp_path, text, variants=["wgan"]).variants == ("wgan-clip-0_1", "wgan-clip-0_2")
    assert matrix(tmp_path, text, variants=["wgan-clip-0_2"]).variants == ("wgan-clip-0_2",)


def test_sweep_that_a_set_replaces_is_refused(tmp_path):
    with pytest.raises(
        SuiteError, match="'gan-batch_size-8' and 'gan-batch_size-16' come out the same"
    ):
        matrix(tmp_path, '"training.batch_size" = [8, 16]', overrides=["training.batch_size=4"])


def test_identical_variants_may_have_different_seeds(tmp_path):
    text = f"""{HEAD}[matrix]
    seeds = [0, 1, 2, 3]
    exclude = [{{ variant = "a", seed = [0, 1] }}, {{ variant = "b", seed = [2, 3] }}]
    {GAN.replace('"gan"', '"a"')}{GAN.replace('"gan"', '"b"')}"""
    assert runs(suite_of(tmp_path, text)) == ["a/2", "a/3", "b/0", "b/1"]
