"""Points all the way: the ring and the toy network through engines, pictures and reports."""

from __future__ import annotations

import io
import math
from dataclasses import asdict

import pytest
import torch
from PIL import Image
from test_recorder import execute, spec

import bench
from bench import registry
from bench.cli import main
from bench.datasets.synthetic import Ring
from bench.errors import SuiteError
from bench.extractors.points import POINTS
from bench.metrics.modes import HIGH_QUALITY, MODES_ANY
from bench.networks.init import torch_default
from bench.networks.toy import Toy
from bench.objectives.wgan import WGAN
from bench.optimizers import SGD
from bench.records import Amount, Evaluation, RunSpec
from bench.schedules import Constant
from bench.suite import load_suite
from bench.training.base import Recipe
from bench.training.scatter import SIDE, draw
from bench.training.textbook import Textbook

SMALL = Toy(generator_widths=(16,), critic_widths=(16,))
CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
LINE = torch.linspace(-1, 1, 2_000)[:, None]
WHITE, GREY, BLUE, DARK = (255, 255, 255), (156, 161, 169), (47, 127, 209), (8, 29, 63)
KINDS = ["ring", "ring_pacgan", "grid", "grid_pacgan", "swiss_roll", "gaussian_1d"]


def on_the_ring(**changes) -> RunSpec:
    """A short run on points, judged by nothing but its picture."""
    few = Amount("generator_steps", 10)
    parts = {
        "dataset": {"name": "ring", **asdict(Ring(samples=500, test_samples=300))},
        "network": {"name": "toy", **asdict(SMALL)}, "budget": few,
        "evaluation": Evaluation(few, 100, (), (), "digits"),
    }  # fmt: skip
    return spec(**parts | changes)


def pixels(points: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The picture of points: (296, 600, 3), from the top left."""
    with Image.open(io.BytesIO(draw(points, real))) as image:
        width, height = image.size
        drawn = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
    return drawn.view(height, width, 3).int()


def blue(points: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Where in the left panel a generated point is drawn: (296, 296), from the top left."""
    red, _, blue = pixels(points, real)[:, :SIDE].unbind(2)
    return blue - red > 60


@pytest.mark.parametrize("engine", ["eager", "textbook"])
def test_a_run_on_points_leaves_curves_a_scatter_plot_and_weights(engine):
    (result,) = execute(on_the_ring(engine=engine))
    assert (result.run.status, result.run.error) == ("completed", None)
    assert result.metrics == []
    assert result.curves[-1].score_gap is not None
    assert set(result.files) == {"samples/10.png", "generator.safetensors", "critic.safetensors"}


@pytest.mark.parametrize("name", KINDS)
def test_a_run_on_any_points_is_judged_by_exact_transport(name):
    few, options = Amount("generator_steps", 5), {"samples": 500, "test_samples": 300}
    part = {"name": name, **asdict(registry.load("datasets", name)(**options))}
    asked = Evaluation(few, 100, ("wasserstein_1", "wasserstein_2"), (), "points")
    (result,) = execute(on_the_ring(dataset=part, engine="eager", budget=few, evaluation=asked))
    found = {row.metric: row for row in result.metrics if row.metric in asked.metrics}
    assert found["wasserstein_2"].value >= found["wasserstein_1"].value > 0
    assert found["wasserstein_1"].floor < found["wasserstein_1"].value


@pytest.mark.parametrize(
    ("name", "share"),
    [*((name, 1 - math.exp(-4.5)) for name in KINDS[:4]), ("gaussian_1d", math.erf(3 / 2**0.5))],
)
def test_perfect_points_are_of_high_quality_as_often_as_normal_ones(name, share):
    data = registry.load("datasets", name)()
    train, test = (data.load(split) for split in ("train", "test"))
    extractor = POINTS.fitted(name, test)
    real, reference = (extractor.bank(each.points, name) for each in (train, test))
    noise = 4 * (share * (1 - share) / 100_000) ** 0.5
    assert HIGH_QUALITY.compute(real, reference) == pytest.approx(share, abs=noise)
    assert MODES_ANY.compute(real, reference) == len(test.centres)


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
    # the frame is 1.25 times as wide as the real points: 118.4 pixels a unit, the middle at 148
    drawn = blue(torch.tensor([[0.0, 0.5], [1e9, -0.5], [torch.nan, 0.0]]), CORNERS)
    assert drawn[88, 148]
    assert drawn[207, 295]
    assert drawn.sum() < 20


def test_the_frame_of_a_picture_follows_from_the_real_points_alone():
    near, far = (torch.tensor([[0.3, 0.4], [other, 0.0]]) for other in (0.0, 50.0))
    assert blue(near, CORNERS)[100, 183]
    assert blue(far, CORNERS)[100, 183]
    assert draw(near, CORNERS) == draw(near, CORNERS)


def test_density_has_one_colour_where_it_is_as_the_real_and_another_at_four_times_that():
    (left, right), (top, bottom) = (304 + 29, 304 + 266), (29, 266)
    alike, collapsed = pixels(CORNERS, CORNERS), pixels(CORNERS[:1], CORNERS)
    for row in (top, bottom):
        for column in (left, right):
            assert tuple(alike[row, column].tolist()) == BLUE
    assert tuple(collapsed[bottom, left].tolist()) == DARK
    assert tuple(collapsed[top, right].tolist()) == WHITE


def test_density_outlines_where_only_real_points_are():
    def outlined(points: torch.Tensor) -> torch.Tensor:
        drawn = pixels(points, CORNERS)[:, 304:]
        return (drawn == torch.tensor(GREY)).all(2)

    assert not outlined(CORNERS).any()
    found = outlined(CORNERS[:1])
    assert [bool(part.any()) for part in (found[148:, :148], found[:148, :148])] == [False, True]
    ring = found[7:52, 7:52]  # around the mode at 29
    assert torch.equal(ring, ring.T)
    assert torch.equal(ring, ring.flip(0))


def test_curve_of_points_on_a_line_is_half_as_high_where_they_are_twice_as_wide():
    # zero is 4 pixels from the lower edge, the densest real place halfway up the rest: 148
    def height(points: torch.Tensor) -> int:
        red, _, blue = pixels(points, LINE)[:, 300].unbind(1)
        return 296 - int((blue - red > 60).nonzero()[0])

    assert height(LINE) == pytest.approx(148, abs=4)
    assert height(2 * LINE) == pytest.approx(4 + 72, abs=4)
    assert height(LINE / 4) == pytest.approx(293, abs=2)  # four times as high, if there were room


def test_area_of_real_points_on_a_line_is_as_wide_as_they_are():
    drawn = pixels(torch.full((1, 1), torch.nan), LINE)
    within = [column for column in range(600) if tuple(drawn[200, column].tolist()) != WHITE]
    # 1 of 1.25, smoothed by 7.5 pixels: the density falls to half at the ends
    assert within == list(range(within[0], within[-1] + 1))
    assert len(within) == pytest.approx(480, abs=10)


@pytest.mark.parametrize("name", KINDS)
def test_picture_is_small_and_says_what_it_shows(name):
    real = registry.load("datasets", name)(samples=20_000).load("train").points
    noise = torch.Generator().manual_seed(0)
    spread = torch.randn(2_000, real.shape[1], generator=noise)
    for points in (real[-2_000:], spread * real.std() / 2, spread[:0], spread * 0):
        png = draw(points, real)
        assert len(png) < 15_000
    with Image.open(io.BytesIO(png)) as image:
        assert image.size == (600, 296)
        assert image.info["Description"].startswith(
            "Density of 2,000" if name == "gaussian_1d" else "Left, 2,000 generated points (blue)"
        )


def test_points_that_are_all_one_and_points_of_many_dimensions_are_drawn():
    same = torch.zeros(10, 2)
    assert blue(same, same)[147:149, 147:149].any()
    deep = torch.cat([CORNERS, torch.full((4, 3), 50.0)], dim=1)
    assert torch.equal(pixels(deep, deep), pixels(CORNERS, CORNERS))
    assert b"Of 5 dimensions the first two." in draw(deep, deep)


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


ROLL = SUITE.replace('"ring"', '"swiss_roll"').replace(", metrics = []", "")


def test_data_without_modes_are_judged_by_transport_alone(tmp_path):
    text = ROLL.replace("[[variant]]", 'primary.metric = "wasserstein_2"\n[[variant]]')
    (tmp_path / "points.toml").write_text(text)
    (variant,) = load_suite(tmp_path / "points.toml").recipes.values()
    assert variant.evaluation.metrics == ("wasserstein_1", "wasserstein_2")


def test_metric_of_modes_on_data_without_them_is_refused(tmp_path):
    text = ROLL.replace("samples = 100", 'samples = 100, metrics = ["wasserstein_2", "modes_any"]')
    (tmp_path / "points.toml").write_text(text)
    with pytest.raises(SuiteError) as caught:
        load_suite(tmp_path / "points.toml")
    told = str(caught.value).partition("points.toml:")[2]
    assert told == (
        "7: evaluation.metrics[1]: 'modes_any' counts modes, and 'swiss_roll' has none; expected "
        "others, such as 'wasserstein_2'"
    )
