"""Points all the way: the ring and the toy network through engines, pictures and reports."""

from __future__ import annotations

import io
from dataclasses import asdict

import pytest
import torch
from PIL import Image
from test_recorder import execute, spec

import bench
from bench.cli import main
from bench.datasets.synthetic import Ring
from bench.networks.init import torch_default
from bench.networks.toy import Toy
from bench.objectives.wgan import WGAN
from bench.optimizers import SGD
from bench.records import Amount, Evaluation, RunSpec
from bench.schedules import Constant
from bench.training.base import Recipe
from bench.training.samples import picture
from bench.training.textbook import Textbook

SMALL = Toy(generator_widths=(16,), critic_widths=(16,))
CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def on_the_ring(**changes) -> RunSpec:
    """A short run on points, judged by nothing but its picture."""
    few = Amount("generator_steps", 10)
    parts = {
        "dataset": {"name": "ring", **asdict(Ring(samples=500, test_samples=300))},
        "network": {"name": "toy", **asdict(SMALL)}, "budget": few,
        "evaluation": Evaluation(few, 100, (), (), "digits"),
    }  # fmt: skip
    return spec(**parts | changes)


def blue(png: bytes) -> torch.Tensor:
    """Where a generated point is drawn: (400, 400), from the top left."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
    red, _, blue = pixels.view(*image.size, 3).int().unbind(2)
    return blue - red > 60


@pytest.mark.parametrize("engine", ["eager", "textbook"])
def test_a_run_on_points_leaves_curves_a_scatter_plot_and_weights(engine):
    (result,) = execute(on_the_ring(engine=engine))
    assert (result.run.status, result.run.error) == ("completed", None)
    assert result.metrics == []
    assert result.curves[-1].score_gap is not None
    assert set(result.files) == {"samples/10.png", "generator.safetensors", "critic.safetensors"}
    assert blue(result.files["samples/10.png"]).any()


def test_a_stack_on_points_draws_each_member_its_own_picture():
    first, second = execute(*(on_the_ring(seed=seed, group=(0, 1)) for seed in (0, 1)))
    assert first.files["samples/10.png"] != second.files["samples/10.png"]


def test_textbook_loop_shows_each_point_once_an_epoch_and_as_it_is():
    points = Ring().load("train").points[:40]
    made = Recipe(SMALL, WGAN(), SGD(), Constant(), torch_default, (0,), 1, 10)
    engine = Textbook(made, points)
    shown = torch.cat([next(engine._batches) for _ in range(4)])
    assert sorted(shown.tolist()) == sorted(points.tolist())
    assert shown.tolist() != points.tolist()


def test_generated_points_lie_where_they_are_and_those_outside_on_the_edge():
    # the frame is 1.25 times as wide as the real points: 160 pixels a unit, the middle at 200
    drawn = blue(picture(torch.tensor([[0.0, 0.5], [1e9, -0.5], [torch.nan, 0.0]]), CORNERS))
    assert drawn[120, 200]
    assert drawn[280, 399]
    assert drawn.sum() < 40


def test_the_frame_of_a_picture_follows_from_the_real_points_alone():
    near, far = (torch.tensor([[0.3, 0.4], [other, 0.0]]) for other in (0.0, 50.0))
    assert blue(picture(near, CORNERS))[136, 248]
    assert blue(picture(far, CORNERS))[136, 248]
    assert picture(near, CORNERS) == picture(near, CORNERS)


def test_points_on_a_line_are_drawn_along_the_diagonal():
    drawn = blue(picture(torch.tensor([[0.5]]), torch.tensor([[-1.0], [1.0]])))
    assert drawn[120, 280]


SUITE = """
schema = 1
name = "points"
dataset = { name = "ring", samples = 500, test_samples = 300 }
network = { name = "toy", generator_widths = [8], critic_widths = [8] }
training = { budget = { generator_steps = 4 }, batch_size = 10, engine = "eager" }
evaluation = { samples = 100, metrics = [] }
matrix.seeds = [0, 1]
[[variant]]
name = "gan"
objective = "gan"
optimizer.name = "adam"
"""


def test_a_suite_without_metrics_is_run_shown_and_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.toml").write_text(SUITE)
    done = bench.run("points.toml", executor="serial")
    assert list(done.runs["status"]) == ["completed"] * 2
    assert main(["show", "points"]) == 0
    assert "gan/1" in capsys.readouterr().out
    assert main(["report", "points", "--format", "md"]) == 0
    said = capsys.readouterr().out
    nothing = "**No verdict: there is nothing to compare, since evaluation.metrics is empty.**"
    assert nothing in said
    assert main(["report", "points"]) == 0
    page = (tmp_path / "reports" / "points.html").read_text()
    assert page.count("data:image/png;base64") == 2 * 4  # two seeds, an evaluation a step
