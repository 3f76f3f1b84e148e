"""`bench.evaluate`: a run's own numbers again, and samples of every form that others make."""

from __future__ import annotations

import io
import itertools
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from suite_text import suite_of
from test_datasets import write_split
from test_recorder import spec

import bench
from bench import registry, sources
from bench.datasets.mnist import MNIST
from bench.datasets.synthetic import Ring
from bench.errors import DataError, RequestError, StoreError
from bench.metrics.evaluator import metrics_of
from bench.records import RunSpec

CPU = torch.device("cpu")
GREY, COLOUR = (1, 28, 28), (3, 28, 28)
DIGITS = MNIST().load("train").images[:40]

SUITE = """
schema = 1
name = "mine"
dataset = { name = "mnist", root = "ROOT" }
network = { name = "mlp", generator_widths = [16], critic_widths = [16] }
training = { budget = { generator_steps = 3 }, batch_size = 16, engine = "eager" }
matrix.seeds = [4, 5]

[evaluation]
every = { generator_steps = 3 }
samples = 300
metrics = ["fid", "modes"]
final_metrics = ["precision", "recall", "density", "coverage", "authenticity", "class_kl"]

[[variant]]
name = "gan"
preset = "mlp_gan"
training.group = 2

[[variant]]
name = "conv"
preset = "keras_dcgan"
training.batch_size = 8
"""
POINTS = """
schema = 1
name = "points"
dataset = { name = "ring", samples = 3000, test_samples = 2500 }
network = { name = "toy", generator_widths = [8], critic_widths = [8] }
training = { budget = { generator_steps = 4 }, batch_size = 10, engine = "eager" }
evaluation = { samples = 500, metrics = ["high_quality", "reverse_kl"] }
primary.metric = "high_quality"
matrix.seeds = [0]
variant = [{ name = "gan", objective = "gan", optimizer.name = "adam" }]
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A small MNIST, so that every metric is quick."""
    root = tmp_path_factory.mktemp("data")
    write_split(root / "MNIST" / "raw", "train", 1600)
    write_split(root / "MNIST" / "raw", "test", 1200)
    return root


@pytest.fixture(scope="module")
def done(tmp_path_factory, root):
    """The results of two small suites: (of images, of points)."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"results": folder / "results", "executor": "serial"}
    images = bench.run(suite_of(folder, SUITE.replace("ROOT", str(root))), **options)
    return images, bench.run(suite_of(folder, POINTS), **options)


def last(results, run_id):
    """The rows of a run's final evaluation, by metric."""
    rows = results.metrics[results.metrics["run_id"] == run_id]
    final = rows[rows["generator_step"] == rows["generator_step"].max()]
    return {row["metric"]: row for row in final.to_dict("records")}


@pytest.mark.parametrize("which", [0, 1], ids=["images", "points"])
def test_a_run_gets_its_final_numbers_again(done, which):
    results = done[which]
    assert set(results.runs["status"]) == {"completed"}
    for run_id in results.runs["run_id"]:
        rows = last(results, run_id)
        found = bench.evaluate(results.root / run_id)
        again = {each.metric: asdict(each) for each in found.measurements}
        assert set(again) == set(metrics_of("points" if which else "images"))
        judged = [name for name in rows if not name.startswith("class_share")]
        assert len(judged) == (2 if which else 8)
        for name in judged:
            for column in ("value", "floor", "reference", "samples", "extractor_sha256", "layer"):
                assert again[name][column] == rows[name][column], (name, column)
        shares = [row["value"] for name, row in rows.items() if name.startswith("class_share")]
        assert list(found.class_shares) == shares


def test_a_run_is_known_by_its_label_and_by_the_head_of_its_id(done):
    root, (run_id, *_) = done[1].root, done[1].runs["run_id"]
    for name in ("points/gan/0", f"points/{run_id[:5]}", f"{root}/gan/0", f"{root}/{run_id[:5]}"):
        found = bench.evaluate(name, metrics=["modes_any"], results=root.parent)
        assert found.provenance.source == f"{root / run_id} (gan/0)"


def test_fewer_samples_of_a_run_are_its_first_ones(done):
    run = sources.find(done[0].root / done[0].runs["run_id"][0], done[0].root)
    every, some = (run.samples(GREY, count, CPU) for count in (None, 7))
    assert len(every) == 300
    assert torch.equal(some, every[:7])


def test_a_run_is_judged_by_other_data_of_its_shape_alone(done, tmp_path):
    run = done[1].root / done[1].runs["run_id"][0]
    with pytest.raises(RequestError, match=r"makes samples \(2,\) like 'ring', but 'mnist' has"):
        bench.evaluate(run, dataset="mnist")
    images = done[0].root / done[0].runs["run_id"][0]
    for split, name in itertools.product(("train", "test"), ("MNIST", "FashionMNIST")):
        write_split(tmp_path / name / "raw", split, 50)
    found = bench.evaluate(images, root=tmp_path, metrics=["modes"])
    assert found.provenance.references["test"].startswith("mnist/test/50@")
    assert found.measurements[0].floor is None  # of 300 real samples there are 50
    with pytest.raises(DataError, match="no extractor is made for 'fashion_mnist'"):
        bench.evaluate(images, dataset="fashion_mnist", root=tmp_path)


def test_a_run_that_left_no_generator_says_why(done, tmp_path):
    bare = tmp_path / "suite" / done[0].runs["run_id"][0]
    bare.mkdir(parents=True)
    kept = done[0].root / bare.name / "run.parquet"
    (bare / "run.parquet").write_bytes(kept.read_bytes())
    with pytest.raises(StoreError, match=r"holds no generator.safetensors; its weights were not"):
        bench.evaluate(bare)
    (bare / "generator.safetensors").write_bytes(b"12345678 and more")
    with pytest.raises(StoreError, match="not a generator that this version of bench wrote"):
        bench.evaluate(bare)


def test_a_spec_is_read_as_it_was_written():
    declared = spec(group=(0, 3))
    read = RunSpec.from_json(declared.to_json())
    assert read.to_json() == declared.to_json()
    assert (read.budget, read.evaluation, read.group) == (
        declared.budget, declared.evaluation, declared.group
    )  # fmt: skip


def saved(folder, name, images):
    """uint8 images (N, C, H, W) as one source."""
    path, flat = folder / name, images.flatten(1).numpy()
    if name == "pictures":
        path.mkdir()
        for k, image in enumerate(images):
            pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(path / f"{k:03}.png")
    elif name.endswith(".npy"):
        grey = name.startswith("grey")
        np.save(path, np.asfortranarray((images[:, 0] if grey else images).numpy()))
    else:
        columns = {
            "bytes.parquet": pa.array([row.tobytes() for row in flat], pa.binary()),
            "fixed.parquet": pa.array([row.tobytes() for row in flat], pa.binary(flat.shape[1])),
            "lists.parquet": pa.array(flat.tolist(), pa.list_(pa.uint8())),
        }
        table = {"image": columns[name], "label": list(range(len(flat)))}
        pq.write_table(pa.table(table), path, row_group_size=7)
    return path


FORMS = ("pictures", "images.npy", "grey.npy", "bytes.parquet", "fixed.parquet", "lists.parquet")


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_images_gives_the_same_samples(tmp_path, name):
    source = sources.find(saved(tmp_path, name, DIGITS), tmp_path)
    found = source.samples(GREY, None, CPU)
    expected = sources.find(saved(tmp_path, "same.npy", DIGITS), tmp_path).samples(GREY, None, CPU)
    assert torch.equal(found, expected)
    assert sorted(map(bytes, found.numpy())) == sorted(map(bytes, DIGITS.numpy()))
    assert not torch.equal(found, DIGITS)  # what is sorted by class is mixed
    assert torch.equal(source.samples(GREY, 9, CPU), found[:9])


@pytest.mark.parametrize("name", ["pictures", "images.npy"])
def test_colour_that_is_grey_is_taken_as_grey_and_nothing_else_is_changed(tmp_path, name):
    grey = sources.find(saved(tmp_path, name, DIGITS.expand(-1, 3, -1, -1)), tmp_path)
    assert grey.samples(GREY, None, CPU).shape == (40, *GREY)
    assert grey.samples(COLOUR, None, CPU).shape == (40, *COLOUR)
    (tmp_path / "tinted").mkdir()
    tinted = DIGITS.expand(-1, 3, -1, -1).clone()
    tinted[-1, 0, 0, 0] = 1
    source = sources.find(saved(tmp_path / "tinted", name, tinted), tmp_path)
    with pytest.raises(DataError, match=r"colour images \(3, 28, 28\), expected grey ones"):
        source.samples(GREY, None, CPU)


def test_grey_is_not_repeated_to_make_colour(tmp_path):
    source = sources.find(saved(tmp_path, "grey.npy", DIGITS), tmp_path)
    with pytest.raises(DataError, match=r"grey images \(1, 28, 28\), expected colour ones"):
        source.samples(COLOUR, None, CPU)


@pytest.mark.parametrize("name", ["points.npy", "columns.parquet", "lists.parquet", "big.npy"])
def test_every_form_of_points_gives_the_same_samples(tmp_path, name):
    points = Ring(test_samples=30).load("test").points.numpy()
    tables = {
        "columns.parquet": {"x": points[:, 0].astype("f8"), "y": points[:, 1].astype("f8")},
        "lists.parquet": {"point": pa.array(points.tolist(), pa.list_(pa.float32(), 2))},
    }
    if name in tables:
        pq.write_table(pa.table(tables[name]), tmp_path / name)
    else:
        np.save(tmp_path / name, points.astype(">f8" if name == "big.npy" else "f4"))
    found = sources.find(tmp_path / name, tmp_path).samples((2,), None, CPU)
    assert found.dtype == torch.float32
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, points.tolist()))


def test_points_sorted_by_mode_are_mixed_before_a_metric_looks_at_the_first(tmp_path):
    ring = Ring(samples=5000, test_samples=5000)
    held = ring.load("test")
    np.save(tmp_path / "sorted.npy", held.points[held.labels.argsort()].numpy())
    found = bench.evaluate(tmp_path / "sorted.npy", dataset="ring", metrics=["wasserstein_2"])
    (w2,) = found.measurements
    assert found.provenance.first == {"wasserstein_2": registry.load("metrics", w2.metric).at_most}
    assert w2.value < 2 * w2.floor


def test_real_data_of_the_other_split_stands_at_the_floor(tmp_path, root):
    np.save(tmp_path / "held.npy", MNIST().load("train").images[1600:2800].numpy())
    found = bench.evaluate(tmp_path / "held.npy", dataset="mnist", root=root)
    rows = {each.metric: each for each in found.measurements}
    assert found.provenance.samples == 1200
    assert rows["fid"].value == pytest.approx(rows["fid"].floor, rel=0.35)
    assert rows["precision"].value == pytest.approx(rows["precision"].floor, abs=0.05)
    assert found.provenance.k == {
        "precision": 3, "recall": 3, "density": 5, "coverage": 5, "authenticity": 1
    }  # fmt: skip
    assert {split: name.split("@")[0] for split, name in found.provenance.references.items()} == {
        "test": "mnist/test/1200", "train": "mnist/train/1600"
    }  # fmt: skip
    assert sum(found.class_shares) == pytest.approx(1.0)


def test_a_pickled_array_is_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("marker").touch, ())

    content = io.BytesIO()
    np.save(content, np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "bomb.npy").write_bytes(content.getvalue())
    with pytest.raises(DataError, match="Python objects"):
        bench.evaluate(tmp_path / "bomb.npy", dataset="mnist")
    assert not (tmp_path / "marker").exists()
