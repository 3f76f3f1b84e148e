"""The table `[search]`: what is drawn, and each mistake in one line."""
# ruff: noqa: E501 - a table of mistakes reads best with one on a line

from __future__ import annotations

import math

import pytest
from suite_text import PAIR, suite_of

from bench.errors import SuiteError
from bench.suite.space import Distribution, draws

SUITE = """schema = 1
name = "mine"
dataset.name = "ring"
network.name = "toy"
training = { budget = { images = 6400 }, batch_size = 32 }
evaluation = { samples = 500, metrics = ["wasserstein_2"] }
[primary]
metric = "wasserstein_2"
[matrix]
seeds = [0, 1]
[search]
trials = 4
seeds = [100]
[search.space]
"optimizer.lr" = { log_uniform = [1e-5, 1e-2] }
"variant.wgan.clip" = { log_uniform = [0.01, 0.1] }
"""
SUITE += PAIR
LR = '"optimizer.lr" = { log_uniform = [1e-5, 1e-2] }'
CLIP = '"variant.wgan.clip" = { log_uniform = [0.01, 0.1] }'
EXAMPLE = "such as { log_uniform = [1e-5, 1e-2] }"
MISTAKES = [
    # what stands there, what is written instead, the line, the message
    ("trials = 4", "trials = 0", 12, "search.trials: 0 is out of range; expected at least 1"),
    ("trials = 4", "", 11, "search.trials: is missing"),
    ("seeds = [100]", "", 11, "search.seeds: is missing"),
    ("seeds = [100]", "seeds = []", 13, "search.seeds: expected at least 1 of them, found []"),
    ("seeds = [100]", "seeds = [7, 7]", 13, "search.seeds: 7 stands there twice"),
    ("seeds = [100]", "seeds = [7, 1]", 13, "search.seeds: seed 1 is the comparison's too; winners are compared on seeds of their own"),
    ("seeds = [100]", "seeds = [100]\nspaces = 1", 14, "search.spaces: unknown key; did you mean 'space'?"),
    ("seeds = [100]", "seeds = [100]\nbudget = { image = 5 }", 14, "search.budget.image: unknown key; did you mean 'images'?"),
    (f"{LR}\n{CLIP}", "", 14, "search.space: is empty; expected keys of a variant to draw"),
    (LR, "critic_steps = 5", 15, f"search.space.critic_steps: expected a distribution {EXAMPLE}, found 5"),
    (LR, "critic_steps = {}", 15, f"search.space.critic_steps: expected a distribution {EXAMPLE}, found a table"),
    (LR, '"optimizer.lr" = { log_unifrom = [1, 2] }', 15, 'search.space."optimizer.lr": \'log_unifrom\' is not a distribution; did you mean \'log_uniform\'?'),
    (LR, '"optimizer.lr" = { choice = [] }', 15, 'search.space."optimizer.lr": choice: expected a list of values, found []'),
    (LR, '"optimizer.lr" = { choice = [1e-3, 1e-3] }', 15, 'search.space."optimizer.lr": choice: 0.001 stands there twice; a search would make duplicates'),
    (LR, '"optimizer.lr" = { uniform = [1, 1] }', 15, 'search.space."optimizer.lr": uniform: expected the low end first and below the high one, found [1, 1]'),
    (LR, '"optimizer.lr" = { log_uniform = [0.0, 1] }', 15, 'search.space."optimizer.lr": log_uniform: 0.0 has no logarithm; expected two numbers above 0'),
    (LR, '"optimizer.lr" = { int_uniform = [1, 2.5] }', 15, 'search.space."optimizer.lr": int_uniform: expected a low and a high end, two whole numbers, found [1, 2.5]'),
    (LR, '"optimizer.lr" = { choice = [1], uniform = [0, 1] }', 15, 'search.space."optimizer.lr": expected one distribution, found choice and uniform'),
    (LR, '"optimiser.lr" = { uniform = [0, 1] }', 15, "search.space.\"optimiser.lr\": unknown key with objective 'gan'; did you mean 'optimizer'? (trial 1 of 'gan': optimiser.lr = 0.6601)"),
    (LR, '"variant.wgam.clip" = { uniform = [0, 1] }', 15, 'search.space."variant.wgam.clip": \'wgam\' is not a variant; did you mean \'wgan\'?'),
    (LR, "preset = { choice = ['mlp_gan'] }", 15, "search.space.preset: a variant's preset cannot be drawn"),
    (LR, '"evaluation.samples" = { choice = [10, 20] }', 15, 'search.space."evaluation.samples": this is the same for everything that is compared; it cannot be drawn'),
    (LR, '"training.budget.images" = { choice = [10, 20] }', 15, 'search.space."training.budget.images": this is the same for everything that is compared; it cannot be drawn'),
    (LR, "clip = { uniform = [0.01, 0.1] }", 15, "search.space.clip: no key of 'gan', whose objective is 'gan'; write \"variant.wgan.clip\" instead"),
    (LR, "", 16, "search.space: no key is about 'gan', which would have no trials; every variant has as many"),
    (LR, '"optimizer.lr" = { choice = [1e-3, 1e-2] }', 12, "search.trials: the space of 'gan' holds 2 settings, so a search of 4 trials makes duplicates; expected no more"),
    (LR, '"optimizer.lr" = { uniform = [-2, -1] }', 15, 'search.space."optimizer.lr": -1'),
    ("seeds = [0, 1]", 'seeds = [0, 1]\n"variant.gan.optimizer.lr" = [1e-3, 1e-4]', 16, 'search.space."optimizer.lr": matrix sweeps \'variant.gan.optimizer.lr\' too; leave one of the two out'),
    ('metric = "wasserstein_2"\n', 'metric = "step_ms"\n', 12, "search: trials are judged by primary.metric, and 'step_ms' is what runs cost; expected a metric of their samples"),
    ("batch_size = 32", "batch_size = 32, group = 2", 13, "search.seeds: training.group = 2 of 'gan' needs as many search seeds, found 1"),
    ('name = "gan"', 'name = "wgan-trial-02"', 12, "search: there is already a variant 'wgan-trial-02'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), MISTAKES)
def test_mistake_is_told_in_one_line_with_its_place(tmp_path, old, new, line, message):
    assert old in SUITE
    with pytest.raises(SuiteError) as caught:
        suite_of(tmp_path, SUITE.replace(old, new, 1))
    told = str(caught.value).removeprefix(str(tmp_path / "mine.toml"))
    assert told.startswith(f":{line}: ")
    assert message in told
    assert "\n" not in told


def test_set_that_replaces_what_is_drawn_is_refused(tmp_path):
    with pytest.raises(SuiteError, match=r"--set .*lr=1e-3 replaces what is drawn; leave one of"):
        suite_of(tmp_path, SUITE, overrides=["variant.gan.optimizer.lr=1e-3"])


def test_set_alone_makes_no_search(tmp_path):
    text = SUITE[: SUITE.index("[search]")] + SUITE[SUITE.index("[[variant]]") :]
    assert suite_of(tmp_path, text).search is None
    with pytest.raises(
        SuiteError, match=r"^--set search.trials=5: search: the suite has no table \["
    ):
        suite_of(tmp_path, text, overrides=["search.trials=5"])


def test_set_changes_the_number_and_the_space_of_trials(tmp_path):
    sets = ["search.trials=2", 'search.space."optimizer.lr".choice=[0.5, 0.25]']
    search = suite_of(tmp_path, SUITE, overrides=sets).search
    assert {len(trials) for trials in search.trials.values()} == {2}
    assert {trial.drawn["optimizer.lr"] for trial in search.trials["gan"]} == {0.5, 0.25}


def test_every_variant_has_as_many_trials_and_they_never_change(tmp_path):
    search = suite_of(tmp_path, SUITE).search
    drawn = {name: [dict(one.drawn) for one in tried] for name, tried in search.trials.items()}
    assert {name: len(tried) for name, tried in drawn.items()} == {"gan": 4, "wgan": 4}
    assert all(keys.keys() == {"optimizer.lr"} for keys in drawn["gan"])
    assert [one["optimizer.lr"] for one in drawn["gan"]] == FIRST  # on every machine
    one_alone = suite_of(tmp_path, SUITE, variants=["wgan"]).search
    assert one_alone.trials.keys() == {"wgan"}
    assert [one.drawn for one in one_alone.trials["wgan"]] == drawn["wgan"]
    more = suite_of(tmp_path, SUITE, overrides=["search.trials=6"]).search
    assert [one.drawn for one in more.trials["gan"]][:4] == drawn["gan"]
    other = suite_of(tmp_path, SUITE, overrides=["search.draw=1"]).search
    assert [one.drawn for one in other.trials["gan"]] != drawn["gan"]


FIRST = [0.0001034, 0.006412, 0.0004479, 0.0009966]


def test_trial_is_a_recipe_over_its_own_budget_and_its_winner_over_the_suites(tmp_path):
    text = SUITE.replace("trials = 4", "trials = 4\nbudget = { images = 640 }")
    trial = suite_of(tmp_path, text).search.trials["wgan"][1]
    assert trial.variant.name == "wgan-trial-02"
    assert trial.variant.budget.count == 640
    assert (trial.recipe.name, trial.recipe.budget.count) == ("wgan", 6400)
    for recipe in (trial.variant, trial.recipe):
        assert recipe.optimizer["lr"] == trial.drawn["optimizer.lr"]
        assert recipe.objective["clip"] == trial.drawn["clip"]


def test_key_of_one_variant_holds_against_that_of_all(tmp_path):
    text = SUITE.replace(CLIP, '"variant.wgan.optimizer.lr" = { uniform = [5.0, 6.0] }')
    tried = suite_of(tmp_path, text).search.trials
    assert all(5 <= one.drawn["optimizer.lr"] <= 6 for one in tried["wgan"])
    assert all(one.drawn["optimizer.lr"] <= 0.01 for one in tried["gan"])


def test_finite_space_is_drawn_without_replacement():
    space = {"a": Distribution("choice", (1, 2, 3)), "b": Distribution("int_uniform", (1, 4))}
    found = draws(space, 0, "gan", 12)
    assert len({(one["a"], one["b"]) for one in found}) == 12


def test_values_lie_where_the_distribution_says_and_everywhere_in_it():
    number = [i * 2**63 // 1000 for i in range(1000)]
    logs = [math.log10(Distribution("log_uniform", (1e-5, 1e-2)).at(each)) for each in number]
    assert [min(logs), max(logs)] == pytest.approx([-5, -2], abs=0.01)
    assert sum(logs) / 1000 == pytest.approx(-3.5, abs=0.01)
    plain = [Distribution("uniform", (2, 4)).at(each) for each in number]
    assert sum(plain) / 1000 == pytest.approx(3, abs=0.01)
    whole = [Distribution("int_uniform", (1, 3)).at(each) for each in range(999)]
    assert [whole.count(value) for value in (1, 2, 3)] == [333, 333, 333]


def test_long_names_stay_within_the_length_of_names(tmp_path):
    text = SUITE.replace('name = "gan"', f'name = "{"g" * 64}"')
    names = [one.variant.name for one in suite_of(tmp_path, text).search.trials["g" * 64]]
    assert len(set(names)) == 4
    assert all(len(name) == 64 for name in names)
