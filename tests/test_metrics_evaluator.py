import math
from dataclasses import replace

import pytest
import torch

from bench import registry, seeding
from bench.datasets.base import Images
from bench.datasets.mnist import MNIST
from bench.datasets.synthetic import Ring
from bench.errors import DataError, UnknownName
from bench.metrics.base import Metric
from bench.metrics.evaluator import Evaluator, RealData, metrics_of

NAMES = ("fid", "inception_score", "modes", "modes_any", "class_kl", "confident_share")
SHARES = [f"class_share_{k}" for k in range(10)]
TRAIN, TEST = MNIST().load("train"), MNIST().load("test")
SAMPLES = 2000


def evaluator(metrics=NAMES, final=(), samples=SAMPLES, extractor="digits", **changes):
    declared = {"name": "mnist", "train": TRAIN, "test": TEST} | changes
    return Evaluator(extractor, metrics, final, RealData(**declared), samples)


def on_the_ring(samples, **changes):
    """Judges points by all their metrics."""
    ring = Ring(samples=3000, test_samples=2000)
    splits = {name: ring.load(name) for name in ("train", "test")} | changes
    return Evaluator("points", metrics_of("points"), (), RealData("ring", **splits), samples)


def part(images):
    """So many images of a split, without their labels."""
    return Images(images, None)


@pytest.fixture(scope="module")
def judge():
    """Images → what each metric says of them."""
    judging = evaluator()

    def judged(images):
        return {row.metric: row for row in judging.evaluate(images, final=False)}

    return judged


def real(count=SAMPLES):
    """Training images that the floor was not measured on."""
    order = torch.randperm(60_000, generator=seeding.generator(1, "test/real"))
    return TRAIN.images[order[:count]]


def test_real_images_stand_at_the_floor(judge):
    rows = judge(real())
    assert rows["fid"].value == pytest.approx(rows["fid"].floor, rel=0.35)
    assert rows["inception_score"].value == pytest.approx(rows["inception_score"].floor, rel=0.01)
    assert rows["modes"].value == rows["modes"].floor == 10
    assert rows["confident_share"].value == pytest.approx(rows["confident_share"].floor, abs=0.01)
    assert rows["class_kl"].value < 3 * 9 / (2 * SAMPLES)
    assert rows["class_kl"].floor < 3 * 9 / (2 * SAMPLES)


def test_the_floor_itself_is_reached_exactly(judge):
    order = torch.randperm(60_000, generator=seeding.generator(0, "metrics/floor"))
    for row in judge(TRAIN.images[order[:SAMPLES]]).values():
        assert row.value == row.floor


def test_class_shares_are_stored_and_near_the_labels(judge):
    rows = judge(TEST.images[:SAMPLES])
    shares = [rows[f"class_share_{k}"].value for k in range(10)]
    expected = TEST.labels[:SAMPLES].bincount() / SAMPLES
    assert shares == pytest.approx(expected.tolist(), abs=0.005)
    assert {rows[f"class_share_{k}"].better for k in range(10)} == {"near_reference"}
    assert sum(rows[f"class_share_{k}"].floor for k in range(10)) == pytest.approx(1)


def test_rows_carry_their_provenance():
    names = ("fid", "precision", "density", "authenticity")
    judging = evaluator(metrics=names, samples=50, train=part(TRAIN.images[:500]))
    rows = {row.metric: row for row in judging.evaluate(real(50), final=False)}
    assert [rows[name].k for name in names] == [None, 3, 5, 1]
    assert rows["fid"].reference.startswith("mnist/test/10000@")
    assert rows["authenticity"].reference.startswith("mnist/train/500@")
    for row in rows.values():
        assert (row.extractor, len(row.extractor_sha256)) == ("digits", 64)
        assert (row.layer, row.samples) == ("penultimate, before its ReLU", 50)
        assert row.preprocessing == "uint8 / 255"


def test_other_reference_has_another_name():
    one, other = (
        evaluator(test=part(TEST.images[start : start + 500]), samples=50)
        .evaluate(real(50), final=False)[0]
        .reference
        for start in (0, 500)
    )
    assert one != other


def test_final_metrics_come_at_the_end_only():
    judging = evaluator(metrics=("modes",), final=("fid", "modes"), samples=100)
    periodic = [row.metric for row in judging.evaluate(real(100), final=False)]
    last = [row.metric for row in judging.evaluate(real(100), final=True)]
    assert periodic == ["modes", *SHARES]
    assert last == ["modes", "fid", *SHARES]


def test_floor_of_a_metric_that_looks_for_copies_is_that_of_the_test_split():
    judging = evaluator(metrics=("authenticity",), samples=100, train=part(TRAIN.images[:3000]))
    order = torch.randperm(10_000, generator=seeding.generator(0, "metrics/floor"))
    honest = judging.evaluate(TEST.images[order[:100]], final=False)[0]
    copied = judging.evaluate(TRAIN.images[:100], final=False)[0]
    assert honest.value == honest.floor > 0.4
    assert copied.value == 0


IMAGES = metrics_of("images")
TOO_FEW = {
    "kid": "a subset of 1,000 needs at least 1,000 samples, found 5",
    "inception_score": "10 splits needs at least 10 samples, found 5",
    **dict.fromkeys(
        ("density", "coverage"),
        "k = 5 for nearest neighbours needs at least 6 samples, found 5",
    ),
}


def test_too_few_samples_for_a_metric_leave_the_others_their_values():
    judging = evaluator(metrics=IMAGES, samples=5, train=part(TRAIN.images[:100]))
    rows = {row.metric: row for row in judging.evaluate(real(5), final=False)}
    assert {name: row.error for name, row in rows.items() if row.error} == TOO_FEW
    for name, row in rows.items():
        assert (row.value is None, row.floor is None) == (name in TOO_FEW,) * 2


@pytest.mark.parametrize("shade", [0, 255])
def test_one_shade_throughout_has_a_finite_value_by_every_metric(shade):
    # a warning would be an error here
    judging = evaluator(metrics=IMAGES, samples=1000, train=part(TRAIN.images[:2000]))
    flat = torch.full((1000, 1, 28, 28), shade, dtype=torch.uint8)
    rows = {row.metric: row for row in judging.evaluate(flat, final=False)}
    assert {row.error for row in rows.values()} == {None}
    assert rows["recall"].value == rows["modes"].value == 0
    assert rows["precision"].value in (0, 1)  # they are all the same
    assert rows["fid"].value > 100 * rows["fid"].floor
    assert rows["inception_score"].value == pytest.approx(1)


def test_constant_real_data_has_finite_values_and_floors():
    flat = part(torch.zeros(1200, 1, 28, 28, dtype=torch.uint8))
    judging = evaluator(metrics=IMAGES, samples=1000, train=flat, test=flat)
    rows = {row.metric: row for row in judging.evaluate(flat.images[:1000], final=False)}
    assert {row.error for row in rows.values()} == {None}
    assert rows["fid"].value == pytest.approx(0, abs=1e-6)
    assert (rows["precision"].value, rows["authenticity"].value) == (1, 0)
    assert all(row.value == row.floor for row in rows.values())


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_point_that_is_not_finite_is_the_reason_why_there_is_no_value(lost):
    judging = on_the_ring(1500)
    points = Ring(samples=1500).load("train").points
    sound = judging.evaluate(points, final=False)
    spoilt = points.clone()
    spoilt[7, 1] = lost
    rows = judging.evaluate(spoilt, final=False)
    assert {(row.value, row.error) for row in rows} == {(None, "1 of 1,500 samples are not finite")}
    assert [row.floor for row in rows] == [row.floor for row in sound]
    again = judging.evaluate(points, final=False)
    assert [row.value for row in again] == [row.value for row in sound]
    assert None not in [row.value for row in sound]


def test_points_that_went_far_away_leave_every_metric_a_value_or_a_reason():
    judging = on_the_ring(1500)
    for scale in (1e6, 1e18, 1e38):
        rows = judging.evaluate(scale * Ring(samples=1500).load("train").points, final=False)
        assert all((row.value is None) != (row.error is None) for row in rows)
        assert {row.metric: row.value for row in rows}["high_quality"] == 0


def test_value_that_is_not_finite_is_none_with_the_reason(monkeypatch):
    broken = Metric(lambda samples, reference: math.nan, unit="", better="lower")
    found = {"extractors": registry.load("extractors", "digits"), "metrics": broken}
    monkeypatch.setattr(registry, "load", lambda kind, name: found[kind])
    row = evaluator(metrics=("broken",), samples=5).evaluate(real(5), final=False)[0]
    assert (row.value, row.floor, row.error) == (None, None, "not a finite number: nan")


def test_error_that_is_a_bug_is_not_hidden(monkeypatch):
    def compute(samples, reference):
        raise KeyError("typo")

    broken = Metric(compute, unit="", better="lower")
    found = {"extractors": registry.load("extractors", "digits"), "metrics": broken}
    monkeypatch.setattr(registry, "load", lambda kind, name: found[kind])
    with pytest.raises(KeyError):
        evaluator(metrics=("broken",), samples=5).evaluate(real(5), final=False)


def test_more_samples_than_training_images_have_no_floor():
    judging = evaluator(train=part(TRAIN.images[:50]), samples=100)
    assert {row.floor for row in judging.evaluate(real(100), final=False)} == {None}


def test_evaluating_twice_gives_the_same_numbers():
    first, second = (
        [replace(row, seconds=0) for row in evaluator().evaluate(real(), final=False)]
        for _ in range(2)
    )
    assert first == second


def test_digits_refuses_other_images_than_digits():
    with pytest.raises(DataError) as caught:
        evaluator(name="fashion_mnist")
    assert str(caught.value).startswith(
        "extractor 'digits' knows mnist, stacked_mnist only, and its features mean nothing on "
        "'fashion_mnist'; name one made for it"
    )


def test_metric_of_points_is_refused_for_images():
    with pytest.raises(DataError, match="metric 'wasserstein_2' is not defined for images"):
        evaluator(metrics=("wasserstein_2",))


def test_without_metrics_no_extractor_is_needed():
    judging = evaluator(metrics=(), name="fashion_mnist")
    assert judging.evaluate(real(), final=True) == ()


def test_unknown_metric_gets_a_suggestion():
    with pytest.raises(UnknownName, match="'fidd' is not a metric; did you mean 'fid'"):
        evaluator(metrics=("fidd",))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (TEST.images[:7], "found 7 samples, expected 5"),
        (TEST.images[:5].float(), "expected uint8 images"),
        (TEST.images[:5, :, :20], r"shape \(1, 20, 28\)"),
    ],
)
def test_other_images_than_declared_are_refused(images, message):
    with pytest.raises(DataError, match=message):
        evaluator(samples=5).evaluate(images, final=False)


@pytest.mark.parametrize("points", [torch.zeros(9, 3), torch.zeros(9, 2).double(), torch.zeros(9)])
def test_other_points_than_the_datas_are_refused(points):
    with pytest.raises(DataError, match=r"expected float32 points \(N, 2\)"):
        on_the_ring(9).evaluate(points, final=False)
