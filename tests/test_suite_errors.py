"""Suites that are wrong: each mistake gets one line with its place, and its mend."""
# ruff: noqa: E501 - a table of mistakes reads best with one on a line

from __future__ import annotations

import pytest

from bench.errors import SuiteError
from bench.suite import load_suite

SUITE = """schema = 1
name = "mine"
[dataset]
name = "mnist"
[network]
name = "mlp"
[training]
budget = { images = 6400 }
[primary]
metric = "fid"
[matrix]
seeds = [0, 1]
[[variant]]
name = "gan"
preset = "mlp_gan"
[[variant]]
name = "wgan"
objective = "wgan"
clip = 0.01
optimizer = { name = "rmsprop", lr = 5e-5 }
"""

NAMES = "expected 1 to 64 of the characters a-z, 0-9, _ and -"
TOP = (
    "check, claim, dataset, evaluation, matrix, name, network, primary, probe, schema, search, "
    "title, training, variant"
)
MISTAKES = [
    # what stands there, what is written instead, the line, the message
    ("schema = 1", "schema = 2", 1, "schema: found 2; this version of bench reads schema = 1"),
    ("schema = 1\n", "", 1, "schema: is missing; expected schema = 1 at the top of the file"),
    ('"mine"', '"../x"', 2, f"name: '../x' is not a name; {NAMES}"),
    ('"mine"', '""', 2, f"name: '' is not a name; {NAMES}"),
    ('"mine"', '"reference"', 2, "name: 'reference' is a folder of the results; expected another name"),
    ('name = "mine"\n', "", 1, f"name: is missing; {NAMES}"),
    ('"mine"', '"mine"\ntitel = "x"', 3, "titel: unknown key; did you mean 'title'?"),
    ('"mine"', '"mine"\ntitle = 5', 3, "title: expected a string, found 5"),
    ('"mine"', '"mine"\n"a.b" = 5', 3, f'"a.b": unknown key; expected one of: {TOP}'),
    ('"mine"', '"mine"\n[optimizer]', 3, "optimizer: this belongs to a variant; expected variant.NAME.optimizer"),
    ('"mine"', '"mine"\n[[claim]]', 3, "claim[0].text: is missing"),
    ('"mine"', '"mine"\n[search]', 3, "search.trials: is missing"),
    ('"mnist"', '"mist"', 4, "dataset.name: 'mist' is not a dataset; did you mean 'mnist'?"),
    ('"mnist"', '"mnist"\nroot = 5', 5, "dataset.root: expected a string, found 5"),
    ('[dataset]\nname = "mnist"', "", 1, "dataset.name: is missing; expected one of: cifar10, fashion_mnist, folder, gaussian_1d, grid, grid_pacgan, kmnist, mnist, ring, ring_pacgan, stacked_mnist, swiss_roll"),
    ('[dataset]\nname = "mnist"\n[network]\nname = "mlp"', 'network = "mlp"\ndataset.name = "mnist"', 3, "network: expected a table such as { name = 'mlp' }, found 'mlp'"),
    ("{ images = 6400 }", "{ image = 6400 }", 8, "training.budget.image: unknown key; did you mean 'images'?"),
    ("{ images = 6400 }", "{ images = 0 }", 8, "training.budget.images: 0 is out of range; expected more than 0"),
    ("{ images = 6400 }", "{ images = 2.5 }", 8, "training.budget.images: expected a whole number"),
    ("{ images = 6400 }", "5", 8, "training.budget: expected a table, found 5"),
    ("budget = { images = 6400 }", "", 7, "training.budget: is missing"),
    ("6400 }", "6400 }\nbatch_size = true", 9, "training.batch_size: expected a whole number, found true"),
    ("6400 }", "6400 }\nbatch_size = 0", 9, "training.batch_size: 0 is out of range; expected at least 1"),
    ("6400 }", "6400 }\nbatch_size = 3000000000", 9, "training.batch_size: 3000000000 is out of range; expected at most 2,147,483,647"),
    ("6400 }", '6400 }\nprecision = "bf61"', 9, "training.precision: 'bf61' is not one of the choices; did you mean 'bf16'?"),
    ("6400 }", '6400 }\nengine = "compield"', 9, "training.engine: 'compield' is not one of the choices; did you mean 'compiled'?"),
    ("6400 }", '6400 }\nengine = "textbook"\ngroup = 2', 10, "training.group: the textbook engine trains one seed at a time; expected 1, found 2"),
    ("6400 }", "6400 }\ngroup = 3", 9, "training.group: a group of 3 needs as many seeds, found 2"),
    ("6400 }", "6400 }\n[evaluation]\nsamples = 1", 10, "evaluation.samples: 1 is out of range; expected at least 2"),
    ("6400 }", '6400 }\n[evaluation]\nmetrics = ["fid", "modse"]', 10, "evaluation.metrics[1]: 'modse' is not a metric; did you mean 'modes'?"),
    ("6400 }", '6400 }\n[evaluation]\nfinal_metrics = ["fid"]', 10, "evaluation.final_metrics[0]: 'fid' is among evaluation.metrics, which are final too"),
    ("6400 }", '6400 }\n[evaluation]\nextractor = "x"', 10, "evaluation.extractor: 'x' is not an extractor; expected one of: digits, inception, points"),
    ("6400 }", "6400 }\n[evaluation]\nevery = { epochs = 0.0 }", 10, "evaluation.every.epochs: 0.0 is out of range; expected more than 0"),
    ('"fid"', '"fdi"', 10, "primary.metric: 'fdi' is not among the evaluation metrics of 'gan'; did you mean 'fid'?"),
    ('"fid"', '"fid"\nmargin = 10', 11, "primary.margin: 10 is out of range; expected less than 1"),
    ("[0, 1]", "[0,\n0]", 12, "matrix.seeds: 0 stands there twice"),
    ("[0, 1]", "[]", 12, "matrix.seeds: expected at least 1 of them, found []"),
    ("[0, 1]", "[0,\n  -1]", 12, "matrix.seeds[1]: -1 is out of range; expected at least 0"),
    ("[0, 1]", '[0]\ndevices = ["gpu"]', 13, "matrix.devices[0]: 'gpu' is not a device; expected auto, cpu, cuda or cuda:N"),
    ("[0, 1]", "[0]\nseds = [1]", 13, "matrix.seds: unknown key; did you mean 'seeds'?"),
    ("[0, 1]", '[0]\n"variant.wgn.clip" = [1]', 13, "matrix.\"variant.wgn.clip\": 'wgn' is not a variant; did you mean 'wgan'?"),
    ("[0, 1]", '[0]\n"variant.wgan.clip" = [1, 1]', 13, "matrix.\"variant.wgan.clip\": two of the swept values make the same variant 'wgan-clip-1'"),
    ("[0, 1]", '[0]\n"variant.wgan.clip" = [1, -1]', 13, 'matrix."variant.wgan.clip": -1 is out of range; expected more than 0'),
    ("[0, 1]", '[0]\n"variant.wgan.clip" = []', 13, 'matrix."variant.wgan.clip": expected a list of values to sweep, found []'),
    ("[0, 1]", "[0]\nexclude = [{}]", 13, "matrix.exclude: this leaves no run at all"),
    ("[0, 1]", '[0]\nexclude = [{ varint = "gan" }]', 13, "matrix.exclude[0].varint: unknown key; did you mean 'variant'?"),
    ("[0, 1]", "[0]\ninclude = [{ seed = 7 }]", 13, "matrix.include[0].variant: is missing; expected the name of a variant"),
    ('"gan"', '"wgan"', 17, "variant[1].name: there is already a variant 'wgan'"),
    ('"gan"', '"a/b"', 14, f"variant[0].name: 'a/b' is not a name; {NAMES}"),
    ('"mlp_gan"', '"mlp_gn"', 15, "variant.gan.preset: 'mlp_gn' is not a preset; did you mean 'mlp_gan'?"),
    ('preset = "mlp_gan"', 'presett = "mlp_gan"', 15, "variant.gan.presett: unknown key; did you mean 'preset'?"),
    ('"mlp_gan"', '"mlp_gan"\ncritc_steps = 5', 16, "variant.gan.critc_steps: unknown key with objective 'gan'; did you mean 'critic_steps'?"),
    ('"wgan"\nclip', '"wgn"\nclip', 18, "variant.wgan.objective: 'wgn' is not an objective; did you mean 'wgan'?"),
    ('"rmsprop"', '"adm"', 20, "variant.wgan.optimizer.name: 'adm' is not an optimizer; did you mean 'adam'?"),
    ("lr = 5e-5", "lr = -1", 20, "variant.wgan.optimizer.lr: -1 is out of range; expected more than 0"),
    ("lr = 5e-5", "lr = nan", 20, "variant.wgan.optimizer.lr: found nan; expected a finite number"),
    ('"rmsprop", lr = 5e-5', '"adam", betas = [0.5]', 20, "variant.wgan.optimizer.betas[1]: is missing"),
    ("clip = 0.01", "clip = {}", 19, "variant.wgan.clip: expected a number, found a table"),
    ("clip = 0.01", "clip = 2020-01-01", 19, "variant.wgan.clip: a date or time (2020-01-01) has no place in a suite"),
    ("clip = 0.01", f"clip = {10**30}", 19, "variant.wgan.clip: the number is too large"),
    ("clip = 0.01", 'init = "x\\u0000"', 19, "variant.wgan.init: the string 'x\\x00' has a control character in it"),
    ("clip = 0.01", 'init = "x"', 19, "variant.wgan.init: 'x' is not an init; expected one of: glorot_uniform, gulrajani, he_uniform, normal_0.02, torch"),
    ("clip = 0.01", "clip 0.01", 19, "this is not TOML: Expected '=' after a key in a key/value pair (column 6)"),
]  # fmt: skip


def message(path, **options):
    with pytest.raises(SuiteError) as caught:
        load_suite(path, **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(SUITE, encoding="utf-8")
    return tmp_path / "mine.toml"


@pytest.mark.parametrize(("found", "written", "line", "text"), MISTAKES)
def test_mistake_gets_one_line_with_its_place(mine, found, written, line, text):
    assert found in SUITE
    mine.write_text(SUITE.replace(found, written, 1), encoding="utf-8")
    assert message("mine.toml") == f"mine.toml:{line}: {text}"


OPTIONS = [
    ("training.budget.image=5", "unknown key; did you mean 'images'?"),
    ("training.batch_size=6x4", "expected a whole number, found '6x4'"),
    ("variant.gan.optimizer.name=adm", "'adm' is not an optimizer; did you mean 'adam'?"),
    ("variant.gn.init=torch", "'gn' is not a variant; did you mean 'gan'?"),
    ("variant.gan=1", "expected variant.NAME.KEY=VALUE"),
    ("variant.gan.name=x", "a variant's name cannot be set; edit the suite"),
    ("variant={gan={critic_steps=0}}", "variant.gan.critic_steps: 0 is out of range; expected at least 1"),
    ("optimizer.lr=1", "this belongs to a variant; expected variant.NAME.optimizer"),
    ("matrix.seeds=[0,1", "'[0,1' is not a TOML value"),
    ("matrix=5", "expected a table, found 5"),
    ("batch_size", "expected KEY=VALUE, for example training.batch_size=32"),
    ("training.batch_size=", "there is no value after the ="),
    ("training.batch_size=1\nx=2", "expected one value on one line"),
    ("search.trials=5", "search: the suite has no table [search]; write one"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "text"), OPTIONS)
def test_set_option_takes_the_files_place(mine, option, text):
    shown = option.replace("\n", "\\n")
    assert message("mine.toml", overrides=[option]) == f"--set {shown}: {text}"


def test_other_options_of_the_call_take_it_too(mine):
    assert message(mine, variants=["gn"]) == "--variant gn: not a variant of this suite; did you mean 'gan'?"  # fmt: skip
    assert message(mine, seeds=[5, 5]) == "--seeds: 5 stands there twice"
    assert message(mine, devices=["gpu"]).startswith("--device: 'gpu' is not a device")


def test_first_problem_by_position_is_the_one_shown(mine):
    mine.write_text(SUITE.replace("0.01", "-1").replace("6400", "-1"), encoding="utf-8")
    assert message("mine.toml").startswith("mine.toml:8: training.budget.images: -1")


def test_suites_own_tables_are_checked_though_every_variant_overrides_them(mine):
    text = SUITE.replace("6400 }", "6400 }\nbatch_size = 0")
    text = text.replace("[[variant]]", "[[variant]]\ntraining.batch_size = 8")
    mine.write_text(text, encoding="utf-8")
    assert message("mine.toml").startswith("mine.toml:9: training.batch_size: 0")


def test_file_that_is_no_suite_says_why(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"schema = 1\n\xff")
    (tmp_path / "empty.toml").write_text("")
    assert message("missing.toml") == "missing.toml: no such file"
    assert message(".") == ".: this is a folder; expected a suite file (.toml)"
    assert message("bytes.toml") == "bytes.toml:2: not a suite: the text is not UTF-8"
    assert message("empty.toml").startswith("empty.toml:1: schema: is missing")
    assert message("a\nb") == "a\\nb: no such file"
    assert message("x" * 5000).endswith(": cannot be read: File name too long")


def test_deep_nesting_is_refused_not_followed(mine):
    mine.write_text(SUITE.replace("0.01", "[" * 3000 + "]" * 3000), encoding="utf-8")
    assert message("mine.toml") == "mine.toml: nested too deeply"
    mine.write_text(SUITE.replace("0.01", "[" * 30 + "]" * 30), encoding="utf-8")
    assert message("mine.toml").endswith(": nested too deeply")


def test_matrix_cannot_explode(mine):
    swept = "\n".join(f'"network.k{key}" = {list(range(100))}' for key in range(6))
    mine.write_text(SUITE.replace("[0, 1]", f"[0, 1]\n{swept}"), encoding="utf-8")
    assert message("mine.toml").endswith(": this makes more than 10,000 runs of 'gan'")
