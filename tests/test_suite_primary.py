"""What a suite compares: a cost of its runs, and each variant with its baseline."""

# ruff: noqa: E501 - a table of mistakes reads best with one on a line

from __future__ import annotations

from hashlib import sha256

import pytest
from suite_text import SUITES, suite_of

from bench import plan
from bench.declaration import declare
from bench.errors import SuiteError
from bench.suite import load_suite
from bench.training.loop import blocks

SUITE = """schema = 1
name = "mine"
dataset.name = "mnist"
network.name = "mlp"
evaluation.metrics = []
[primary]
metric = "step_ms"
against = { engine = "textbook" }
[matrix]
seeds = [0, 1]
devices = ["cpu"]
"training.engine" = ["textbook", "compiled"]
[training]
budget = { generator_steps = 100 }
[[variant]]
name = "gan"
preset = "mlp_gan"
[[variant]]
name = "wgan"
preset = "mlp_wgan"
"""
PAIRS = {
    "gan-engine-compiled": "gan-engine-textbook",
    "wgan-engine-compiled": "wgan-engine-textbook",
}
KEYS = "engine, precision, batch_size, group, compile, threads"
MISTAKES = [
    # what stands there, what is written instead, the line, the message
    ('"step_ms"', '"step_ms"\nat = "best"', 8, "primary.at: 'step_ms' is measured at no evaluation; leave `at` out"),
    ('"step_ms"', '"step_m"', 7, "primary.metric: 'step_m' is not among the evaluation metrics of 'gan-engine-textbook'; did you mean 'step_ms'?"),
    ("engine =", "engin =", 8, "primary.against.engin: unknown key; did you mean 'engine'?"),
    ('"textbook" }', '"textbok" }', 8, "primary.against.engine: 'textbok' is not one of the choices; did you mean 'textbook'?"),
    ('{ engine = "textbook" }', "{}", 8, f"primary.against: is empty; expected at least one of {KEYS}"),
    ('{ engine = "textbook" }', '"textbook"', 8, "primary.against: expected a table, found 'textbook'"),
    ('{ engine = "textbook" }', "{ group = 2 }", 8, "primary.against: 'gan-engine-textbook' has no baseline: no variant has group = 2"),
    ('{ engine = "textbook" }', "{ group = 1 }", 8, "primary.against: every variant has group = 1; nothing is left to compare"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "written", "line", "text"), MISTAKES)
def test_mistake_gets_one_line_with_its_place(tmp_path, found, written, line, text):
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, SUITE.replace(found, written, 1))
    assert str(caught.value) == f"{tmp_path}/mine.toml:{line}: {text}"


def test_baseline_agrees_in_everything_but_how_it_is_trained(tmp_path):
    assert suite_of(tmp_path, SUITE).baselines == PAIRS


def test_without_against_there_are_no_baselines(tmp_path):
    suite = suite_of(tmp_path, SUITE.replace("against", "# against"))
    assert (suite.baselines, suite.timed) == ({}, True)
    assert suite.primary.declaration == {"metric": "step_ms", "at": "final", "margin": 0.1}


def test_variant_of_another_recipe_is_told_the_nearest_baseline(tmp_path):
    other = (
        'include = [{ variant = "wgan", "training.batch_size" = 32, "training.engine" = "eager" }]'
    )
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, SUITE.replace("[training]", f"{other}\n[training]"))
    assert str(caught.value).endswith(
        "mine.toml:8: primary.against: 'wgan-batch_size-32-engine-eager' has no baseline: no "
        "variant has engine = 'textbook' and the same recipe; the nearest, "
        "'wgan-engine-textbook', differs in batch_size"
    )


def test_baseline_was_trained_as_long_and_judged_alike(tmp_path):
    short = '[[variant]]\nname = "short"\npreset = "mlp_gan"\ntraining.engine = "textbook"\n'
    text = SUITE.replace('"training.engine" = ["textbook", "compiled"]\n', "") + short
    assert suite_of(tmp_path, text, variants=["gan", "short"]).baselines == {"gan": "short"}
    judged = text + "evaluation.samples = 64\n"
    assert suite_of(tmp_path, judged, variants=["gan", "short"]).baselines == {}
    budget = text + "training.budget = { generator_steps = 50 }\n"
    assert suite_of(tmp_path, budget, variants=["gan", "short"]).baselines == {}


def test_two_baselines_are_one_too_many(tmp_path):
    more = 'include = [{ variant = "gan", "training.engine" = "textbook", "training.threads" = 2 }]'
    text = SUITE.replace("[training]", f"{more}\n[training]")
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, text)
    assert str(caught.value).endswith(
        "primary.against: 'gan-engine-compiled' has 2 baselines with engine = 'textbook': "
        "'gan-engine-textbook' and 'gan-engine-textbook-threads-2'; expected one: name a further "
        "key in which they differ"
    )
    one = text.replace('{ engine = "textbook" }', '{ engine = "textbook", threads = 1 }')
    assert suite_of(tmp_path, one).baselines["gan-engine-compiled"] == "gan-engine-textbook"


def test_option_that_leaves_the_baseline_out_is_no_mistake(tmp_path):
    suite = suite_of(tmp_path, SUITE, variants=["gan-engine-compiled"])
    assert suite.baselines == {}
    declared = declare(suite, plan.expand(suite), tmp_path / "none", ())
    assert declared["baselines"] == PAIRS
    assert declared["primary"]["against"] == {"engine": "textbook"}


JUDGED = SUITE.replace("evaluation.metrics = []\n", "").replace('"step_ms"', '"fid"')
JUDGED = JUDGED.replace('against = { engine = "textbook" }\n', "")
APART = [
    # what the last variant says, the key it stands under, both values
    ("evaluation.samples = 64", "evaluation.samples", "64", "10000"),
    ('evaluation.extractor = "inception"', "evaluation.extractor", "'inception'", "'digits'"),
    ('dataset.root = "mine"', "dataset.root", "'mine'", "none"),
]


@pytest.mark.parametrize(("said", "key", "value", "other"), APART)
def test_variants_judged_apart_are_refused_before_anything_runs(tmp_path, said, key, value, other):
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, f"{JUDGED}{said}\n")
    assert str(caught.value) == (
        f"{tmp_path}/mine.toml:19: variant.wgan.{key}: 'fid' of 'wgan-engine-textbook' is measured "
        f"with {key} = {value}, that of 'gan-engine-textbook' with {other}: no report compares "
        "the two; set both alike, or write two suites"
    )


def test_variant_that_departs_first_is_the_one_that_is_named(tmp_path):
    text = JUDGED.replace('preset = "mlp_gan"', 'preset = "mlp_gan"\nevaluation.samples = 64')
    with pytest.raises(SuiteError, match=r"mine\.toml:16: variant\.gan\.evaluation\.samples: "):
        suite_of(tmp_path, text)
    with pytest.raises(SuiteError, match=r"^--set variant\.wgan\.evaluation\.samples=64: 'fid' "):
        suite_of(tmp_path, JUDGED, overrides=["variant.wgan.evaluation.samples=64"])


def test_swept_sample_counts_are_judged_apart(tmp_path):
    swept = '"evaluation.samples" = [100, 200]'
    text = JUDGED.replace('"training.engine" = ["textbook", "compiled"]', swept)
    with pytest.raises(SuiteError, match=r'mine\.toml:10: matrix\."evaluation\.samples": .* = 200'):
        suite_of(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        SUITE,
        JUDGED.replace('"fid"', '"step_ms"'),
        JUDGED.replace("[primary]", "evaluation.metrics = []\n[primary]").replace(
            'metric = "fid"\n', ""
        ),
    ],
)
def test_suites_that_compare_no_samples_may_judge_apart(tmp_path, text):
    suite = suite_of(tmp_path, f"{text}evaluation.samples = 64\n")
    assert {one.evaluation.samples for one in suite.recipes.values()} == {64, 10_000}


def test_digest_of_the_same_file_is_no_other_extractor(tmp_path):
    digest = sha256(b"weights").hexdigest()
    path = tmp_path / f"mine-{digest[:8]}.pth"
    path.write_bytes(b"weights")
    both = JUDGED.replace("[primary]", f'evaluation.extractor = "{path}"\n[primary]')
    suite = suite_of(tmp_path, f'{both}evaluation.extractor = "{path}#sha256={digest}"\n')
    assert len({one.evaluation.extractor for one in suite.recipes.values()}) == 2


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_suites_load(path):
    assert load_suite(path).cells


def test_engine_speed_compares_every_engine_with_the_textbook():
    suite = load_suite(SUITES / "engine_speed.toml")
    recipes = suite.recipes
    assert suite.timed
    assert {recipes[name].engine for name in suite.baselines.values()} == {"textbook"}
    assert {recipes[name].engine for name in suite.baselines} == {"eager", "compiled"}
    assert {one.precision for one in recipes.values()} == {"fp32", "bf16"}
    assert {one.group for one in recipes.values()} == {1, 2, 4, 16}
    assert {one.network["name"] for one in recipes.values()} == {"mlp", "dcgan", "toy"}
    assert {one.objective["name"] for one in recipes.values()} == {"gan", "wgan", "wgan_gp"}
    assert {(one.threads, one.compile) for one in recipes.values()} == {(1, "always")}


def test_every_case_of_engine_speed_has_three_rounds():
    groups = plan.groups(plan.expand(load_suite(SUITES / "engine_speed.toml")), "engine_speed")
    names = [group.specs[0].variant for group in groups]
    assert {names.count(name) for name in names} == {3}
    assert sorted(names[:34]) == sorted(names[34:68]) == sorted(names[68:])


def test_timed_blocks_of_engine_speed_are_as_long_as_the_one_that_warms_up():
    for variant in load_suite(SUITES / "engine_speed.toml").recipes.values():
        steps, every = int(variant.budget.count), int(variant.evaluation.every.count)
        assert len({stop - start for start, stop in blocks(steps, every)}) == 1
