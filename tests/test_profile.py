"""`nox -s profile`: a trace that can be opened, and one line for a request that is wrong."""

import json
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
SUITE = """
schema = 1
name = "mine"
dataset.name = "mnist"
network = { name = "mlp", latent_dim = 4, generator_widths = [5], critic_widths = [7] }
training = { budget = { images = 640 }, batch_size = 3, engine = "eager", group = 2 }
matrix = { seeds = [0, 1], devices = ["cpu"], "variant.wgan.training.batch_size" = [3, 4] }
variant = [{ name = "wgan", preset = "mlp_wgan" }, { name = "gan", preset = "mlp_gan" }]
"""


@pytest.fixture
def profile(monkeypatch, tmp_path):
    """The script's `main`; its reports go to a folder of the test's own."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import profile_variant

    threads, where = torch.get_num_threads(), ["--reports", str(tmp_path)]
    yield lambda *arguments: profile_variant.main([*map(str, arguments), *where])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


def test_trace_holds_the_products_of_the_critic(profile, suite, tmp_path, capsys):
    assert profile(suite, "gan") == 0
    trace = json.loads((tmp_path / "profile" / "mine-gan.json").read_text("utf-8"))
    events = [event for event in trace["traceEvents"] if event.get("name", "").startswith("aten::")]
    products = [event for event in events if event["name"] in ("aten::bmm", "aten::baddbmm")]
    # both members' three real samples beside three generated ones, through the first layer
    on_both = [e for e in products if {(2, 6, 784), (2, 784, 7)} <= _shapes(e)]
    assert len(on_both) == 20
    printed = capsys.readouterr().out
    assert len(re.findall(r"^ +[\d.]+ +[\d.]+ +[\d.]+%  \S+", printed, re.MULTILINE)) == 15
    assert "gan/0-1: engine eager, fp32, group of 2, batch 3" in printed


def _shapes(event):
    return {tuple(shape) for shape in event["args"]["Input Dims"]}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["wgn"], "error: --variant wgn: not a variant of this suite; did you mean 'wgan'?"),
        (["wgan"], "error: variant 'wgan' is swept; expected one of: wgan-"),
        (["gan", "--sett", "a=1"], "error: unrecognized arguments: --sett a=1; --help shows"),
        (["gan", "--set", "training.budget.images=0"], "error: --set training.budget.images=0: "),
    ],
)
def test_wrong_request_is_one_line(profile, suite, capsys, arguments, told):
    assert profile(suite, *arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(told)
    assert (out, err.count("\n")) == ("", 1)


def test_report_that_cannot_be_written_is_said_before_anything_runs(profile, suite, capsys):
    suite.parent.joinpath("profile").write_text("a file where a folder should be")
    assert profile(suite, "gan") == 2
    assert "profile/mine-gan.json: cannot be written (File exists)" in capsys.readouterr().err
