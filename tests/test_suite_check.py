"""The table `[check]`: what a suite guards, and the cases that a check takes from it."""

# ruff: noqa: E501 - a table of mistakes reads best with one on a line

from __future__ import annotations

from pathlib import Path

import pytest
from suite_text import SUITES, suite_of

from bench import registry
from bench.errors import RequestError, SuiteError
from bench.gate import cases, subjects
from bench.suite import load_suite
from bench.suite.tables import Check, Guarding

SUITE = """schema = 1
name = "mine"
dataset.name = "mnist"
network.name = "mlp"
evaluation.metrics = []
primary.metric = "step_ms"
training.budget = { generator_steps = 100 }
matrix = { seeds = [0, 1, 2], devices = ["cpu"] }
[check]
[[variant]]
name = "gan"
preset = "mlp_gan"
[[variant]]
name = "wgan"
preset = "mlp_wgan"
"""
BOTH = ("step_time", "peak_memory")


def checked(folder: Path, table: str, **options) -> Check:
    return suite_of(folder, SUITE.replace("[check]", f"[check]\n{table}"), **options).check


def test_suite_without_the_table_guards_steps_and_memory_of_all():
    found = load_suite(SUITES / "smoke.toml").check
    assert found == Check(
        looks=(8, 16),
        blocks=10,
        block_seconds=0.1,
        step_time=Guarding(variants=None),
        peak_memory=Guarding(variants=None),
        compile_time=Guarding(variants=()),
    )
    margins = {guard: found.margin(guard) for guard in found.guarded}
    assert margins == {"step_time": 0.05, "peak_memory": 0.05, "compile_time": 0.25}


def test_every_key_is_read(tmp_path):
    table = """looks = [4]
blocks = 3
block_seconds = 1
step_time = { margin = 0.1, variants = ["gan"] }
peak_memory = { margin = 0.2, variants = [] }
compile_time = { margin = 1.5, variants = ["wgan", "gan"] }"""
    found = checked(tmp_path, table)
    assert (found.looks, found.blocks, found.block_seconds) == ((4,), 3, 1.0)
    assert found.guarded == {
        "step_time": Guarding(0.1, ("gan",)),
        "peak_memory": Guarding(0.2, ()),
        "compile_time": Guarding(1.5, ("gan", "wgan")),
    }


def test_quantity_that_names_variants_alone_keeps_its_own_margin(tmp_path):
    found = checked(tmp_path, 'compile_time.variants = ["gan"]\nstep_time = {}')
    assert found.compile_time == Guarding(None, ("gan",))
    assert found.step_time == Guarding(None, None)
    assert [found.margin(guard) for guard in found.guarded] == [0.05, 0.05, 0.25]
    assert checked(tmp_path, "compile_time.margin = 0.5").margin("compile_time") == 0.5


SIDES = "expected even numbers of rounds from 4 to 1000: sides take turns at being first"
MISTAKES = [
    # the table, what is wrong
    ("looks = [7]", f"looks: {SIDES}"),
    ("looks = [2, 8]", f"looks: {SIDES}"),
    ("looks = [8, 1002]", f"looks: {SIDES}"),
    ("looks = [4, 8, 16]", "looks: expected one look or two, such as [8, 16]"),
    ("looks = []", "looks: expected one look or two, such as [8, 16]"),
    ("looks = [16, 8]", "looks: expected one look or two, such as [8, 16]"),
    ("looks = [8, 8]", "looks: expected one look or two, such as [8, 16]"),
    ("looks = 8", "looks: expected a list, found 8"),
    ('looks = [8, "x"]', "looks[1]: expected a whole number, found 'x'"),
    ("look = [8]", "look: unknown key; did you mean 'looks'?"),
    ("blocks = 2", "blocks: 2 is out of range; expected at least 3"),
    ("blocks = 2.5", "blocks: expected a whole number, found 2.5"),
    ("blocks = 1001", "blocks: 1001 is out of range; expected at most 1,000"),
    ("block_seconds = 0", "block_seconds: 0 is out of range; expected more than 0"),
    ("block_seconds = 61", "block_seconds: 61 is out of range; expected at most 60"),
    ("margin = 0.05", "margin: unknown key; expected one of: block_seconds, blocks, compile_time, looks, peak_memory, step_time"),
    ("step_time = 0.05", "step_time: expected a table, found 0.05"),
    ("step_time.margin = 0", "step_time.margin: 0 is out of range; expected more than 0"),
    ("step_time.margin = 11", "step_time.margin: 11 is out of range; expected at most 10"),
    ('step_time.margin = "5 %"', "step_time.margin: expected a number, found '5 %'"),
    ("step_time.margins = 1", "step_time.margins: unknown key; did you mean 'margin'?"),
    ('step_time.variants = "gan"', "step_time.variants: expected a list, found 'gan'"),
    ('peak_memory.variants = ["gan", "gan"]', "peak_memory.variants: 'gan' stands there twice"),
    ('compile_time.variants = ["gan", "wgn"]', "compile_time.variants[1]: 'wgn' is not a variant; did you mean 'wgan'?"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "text"), MISTAKES)
def test_mistake_gets_one_line_with_its_place(tmp_path, table, text):
    with pytest.raises(SuiteError) as caught:
        checked(tmp_path, table)
    assert str(caught.value) == f"{tmp_path}/mine.toml:10: check.{text}"


def test_table_of_another_kind_is_refused(tmp_path):
    with pytest.raises(SuiteError, match=r"mine\.toml:8: check: expected a table, found 5$"):
        suite_of(tmp_path, SUITE.replace("[check]", "").replace("matrix", "check = 5\nmatrix", 1))


def test_option_sets_the_table_and_is_named_in_a_mistake(tmp_path):
    assert checked(tmp_path, "looks = [8]", overrides=["check.looks=[4,8]"]).looks == (4, 8)
    margin = checked(tmp_path, "", overrides=["check.step_time.margin=0.1"]).margin("step_time")
    assert margin == 0.1
    with pytest.raises(SuiteError) as caught:
        checked(tmp_path, "", overrides=["check.looks=[5]"])
    assert str(caught.value) == f"--set check.looks=[5]: {SIDES}"


def test_swept_variant_stands_for_all_that_are_made_of_it(tmp_path):
    swept = SUITE.replace('devices = ["cpu"]', '"variant.wgan.clip" = [0.01, 0.1]')
    suite = suite_of(tmp_path, swept.replace("[check]", '[check]\nstep_time.variants = ["wgan"]'))
    assert suite.check.step_time.variants == ("wgan-clip-0_01", "wgan-clip-0_1")
    one = '[check]\nstep_time.variants = ["wgan-clip-0_1"]'
    assert suite_of(tmp_path, swept.replace("[check]", one)).check.step_time.variants == (
        "wgan-clip-0_1",
    )


def test_variant_that_the_call_leaves_out_may_still_be_named(tmp_path):
    suite = suite_of(
        tmp_path,
        SUITE.replace("[check]", '[check]\nstep_time.variants = ["wgan"]'),
        variants=["gan"],
    )
    assert [(each.name, each.guarded) for each in subjects(suite)] == [("gan", ("peak_memory",))]


def guarded(suite) -> dict[str, tuple[str, ...]]:
    return {each.name: each.guarded for each in subjects(suite)}


def test_subjects_are_the_first_group_of_each_variant(tmp_path):
    found = subjects(suite_of(tmp_path, f"{SUITE}training.group = 2\n"))
    assert [(each.name, [spec.seed for spec in each.specs]) for each in found] == [
        ("gan", [0]),
        ("wgan", [0, 1]),
    ]
    assert {each.device for each in found} == {"cpu"}


def test_variant_of_which_nothing_is_guarded_is_no_subject(tmp_path):
    table = '[check]\nstep_time.variants = []\npeak_memory.variants = ["wgan"]\ncompile_time.variants = ["wgan"]'
    suite = suite_of(tmp_path, SUITE.replace("[check]", table))
    assert guarded(suite) == {"wgan": ("peak_memory", "compile_time")}


def test_suite_that_guards_nothing_is_refused(tmp_path):
    table = "[check]\nstep_time.variants = []\npeak_memory.variants = []"
    with pytest.raises(RequestError) as caught:
        subjects(suite_of(tmp_path, SUITE.replace("[check]", table)))
    assert str(caught.value) == (
        f"{tmp_path}/mine.toml: nothing of these variants is guarded; expected at least one in "
        "check.step_time, check.peak_memory or check.compile_time"
    )


def test_same_variant_on_two_kinds_of_device_is_two_subjects(tmp_path, monkeypatch):
    machine = ("cpu", "cuda:0", "cuda:1")
    monkeypatch.setattr("bench.plan.available_devices", lambda: machine)
    monkeypatch.setattr("bench.environment.available_devices", lambda: machine)
    suite = suite_of(tmp_path, SUITE, devices=["cpu", "cuda:1"])
    assert [(each.name, each.device) for each in subjects(suite)] == [
        ("gan@cpu", "cpu"),
        ("gan@cuda", "cuda:1"),
        ("wgan@cpu", "cpu"),
        ("wgan@cuda", "cuda:1"),
    ]


def test_memory_of_a_cpu_is_guarded_only_where_it_can_be_told(tmp_path, monkeypatch):
    suite = suite_of(tmp_path, SUITE)
    assert guarded(suite) == {"gan": BOTH, "wgan": BOTH}
    monkeypatch.setattr(cases, "_tells_peak", lambda: False)
    assert guarded(suite) == {"gan": ("step_time",), "wgan": ("step_time",)}


def test_compiling_is_guarded_only_where_something_is_compiled(tmp_path):
    text = SUITE.replace("[check]", '[check]\ncompile_time.variants = ["gan"]')
    assert guarded(suite_of(tmp_path, text))["gan"] == (*BOTH, "compile_time")
    eager = suite_of(tmp_path, text, overrides=["training.engine=eager"])
    assert guarded(eager) == {"gan": BOTH, "wgan": BOTH}


def lost(suite, text: str | None):
    return cases.dropped(text, suite, subjects(suite))


def test_case_that_only_the_older_suite_has_is_dropped(tmp_path):
    head, _, wgan = SUITE.rpartition("[[variant]]")
    suite = suite_of(tmp_path, head)
    assert wgan
    assert lost(suite, SUITE) == (("wgan", "step_time"), ("wgan", "peak_memory"))
    assert lost(suite, head) == ()
    assert lost(suite, None) == ()
    assert lost(suite_of(tmp_path, SUITE), head) == ()


def test_quantity_that_is_guarded_no_longer_is_dropped(tmp_path):
    less = SUITE.replace("[check]", '[check]\npeak_memory.variants = ["gan"]')
    assert lost(suite_of(tmp_path, less), SUITE) == (("wgan", "peak_memory"),)


def test_narrowed_call_drops_nothing(tmp_path):
    assert lost(suite_of(tmp_path, SUITE, variants=["gan"]), SUITE) == ()


def test_older_suite_is_read_with_the_options_of_the_call(tmp_path):
    without = SUITE.replace("[check]", "[check]\npeak_memory.variants = []")
    suite = suite_of(tmp_path, without, overrides=["check.peak_memory.variants=[]"])
    assert lost(suite, SUITE) == ()


@pytest.mark.parametrize("old", ["schema = 2", "schema = 1\nretired = 5"])
def test_older_suite_that_can_no_longer_be_read_counts_by_its_names(tmp_path, old):
    suite = suite_of(tmp_path, SUITE.rpartition("[[variant]]")[0])
    assert lost(suite, SUITE.replace("schema = 1", old)) == (("wgan", "step_time"),)
    assert lost(suite, "no TOML") == lost(suite, "variant = 5") == ()


def test_names_of_an_older_suite_are_those_of_variants_before_they_are_swept(tmp_path):
    swept = SUITE.replace('devices = ["cpu"]', '"variant.wgan.clip" = [0.01, 0.1]')
    old = swept.replace("schema = 1", "schema = 2")
    assert lost(suite_of(tmp_path, swept), old) == ()
    assert lost(suite_of(tmp_path, SUITE.rpartition("[[variant]]")[0]), old) == (
        ("wgan", "step_time"),
    )


SHIPPED = SUITES / "step_time.toml"


def test_shipped_suite_guards_every_objective_on_both_networks():
    found = subjects(load_suite(SHIPPED, devices=["cpu"]))
    specs = [each.specs[0] for each in found]
    assert {spec.engine for spec in specs} == {"compiled"}
    for network in ("mlp", "dcgan"):
        names = {spec.objective["name"] for spec in specs if spec.network["name"] == network}
        assert names == {*registry.BUILT_IN["objectives"]}
    assert {len(each.specs) for each in found} == {1, 4}
    assert all("step_time" in each.guarded for each in found)
    assert [each.name for each in found if "compile_time" in each.guarded] == ["mlp_lsgan"]


@pytest.mark.parametrize("name", ["mlp_gan", "mlp_wgan", "mlp_wgan_gp"])
def test_shipped_case_is_the_preset_of_its_name(name, tmp_path):
    (found,) = subjects(load_suite(SHIPPED, variants=[name], devices=["cpu"]))
    plain = SUITE.partition("[[variant]]")[0] + f'[[variant]]\nname = "{name}"\npreset = "{name}"\n'
    (preset,) = subjects(suite_of(tmp_path, plain))
    for key in ("objective", "network", "optimizer", "init", "critic_steps", "batch_size"):
        assert getattr(found.specs[0], key) == getattr(preset.specs[0], key)
    assert found.specs[0].batch_size == 64


def test_shipped_suite_has_the_defaults_of_a_check():
    found = load_suite(SHIPPED).check
    assert (found.looks, found.blocks, found.block_seconds) == ((8, 16), 10, 0.1)
    assert [found.margin(guard) for guard in found.guarded] == [0.05, 0.05, 0.25]


def test_shipped_suite_run_as_any_other_compares_the_stack_with_its_seeds_alone():
    suite = load_suite(SHIPPED)
    assert suite.timed
    assert suite.baselines == {"mlp_wgan_gp_x4": "mlp_wgan_gp"}
