"""Real MNIST against what generators do wrong: which metric sees it, and that the page says so."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from bench import seeding
from bench.datasets.mnist import MNIST
from bench.extractors.base import Extractor
from bench.extractors.digits import DIGITS
from bench.metrics.fidelity import FID

SCRIPTS = Path(__file__).parent.parent / "scripts"


@pytest.fixture(scope="module")
def script():
    """`scripts/measure_metrics.py`, which makes the page's tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        import measure_metrics

        yield measure_metrics


@pytest.fixture(scope="module")
def measured(script):
    return script.measure()


def test_other_half_of_the_test_split_stands_among_real_data_by_every_metric(measured):
    name = "other half of the test split"
    assert measured.sets[name] not in measured.real
    assert {measured.mark(name, metric) for metric in measured.sets[name]} == {"missed"}


def test_real_data_stand_where_they_must(measured):
    ranges = {metric: measured.range(metric) for metric in measured.real[0]}
    low, high = ({metric: both[end] for metric, both in ranges.items()} for end in (0, 1))
    assert high["fid"] < 5
    assert low["kid"] < high["kid"] < 5
    assert low["modes"] == 10
    assert high["class_kl"] < 5 * 9 / (2 * 5000)  # (K − 1)/2N
    assert min(low["precision"], low["recall"], low["coverage"]) > 0.8
    assert 0.5 < low["authenticity"] < high["authenticity"] < 0.75


CAUGHT = {
    "blurred": {"fid", "kid", "recall", "coverage", "confident_share"},
    "noisy": {"fid", "kid", "precision", "recall", "density", "coverage"},
    "uniform noise": {"fid", "kid", "inception_score", "precision", "recall", "modes", "class_kl"},
    "all black": {"fid", "kid", "inception_score", "recall", "coverage", "modes", "class_kl"},
    "two digits": {"fid", "kid", "inception_score", "recall", "coverage", "modes", "class_kl"},
    "no eights": {"fid", "kid", "inception_score", "recall", "coverage", "modes", "class_kl"},
    "100 images": {"fid", "kid", "recall", "coverage"},
    "training images": {"authenticity"},
    "training images, noisy": {"fid", "kid", "recall", "authenticity"},
}
MISSED = {
    "blurred": {"modes", "modes_any", "class_kl", "precision"},
    "noisy": {"modes", "modes_any", "class_kl"},
    "uniform noise": {"authenticity"},
    "all black": {"precision", "authenticity"},
    "two digits": {"confident_share", "authenticity"},
    "no eights": {"modes_any", "precision", "density", "confident_share"},
    "100 images": {"inception_score", "modes", "class_kl", "confident_share", "authenticity"},
    "training images": {"fid", "kid", "inception_score", "precision", "recall", "modes"},
    "training images, noisy": {"inception_score", "modes", "class_kl"},
}


@pytest.mark.parametrize("name", CAUGHT)
def test_what_goes_wrong_is_caught_by_the_metrics_that_look_for_it(name, measured):
    marks = {metric: measured.mark(name, metric) for metric in measured.sets[name]}
    assert {marks[metric] for metric in CAUGHT[name]} == {"caught"}
    assert "caught" not in {marks[metric] for metric in MISSED[name]}


def test_collapse_and_copies_have_the_numbers_they_must(measured):
    sets = measured.sets
    assert sets["two digits"]["modes"] == 2
    assert sets["two digits"]["inception_score"] <= 2.1
    assert sets["two digits"]["class_kl"] == pytest.approx(math.log(5), rel=0.06)
    assert sets["two digits"]["modes_any"] > 5  # the classifier's errors
    assert sets["no eights"]["modes"] == 9
    assert sets["100 images"]["recall"] < 0.01
    assert sets["training images"]["authenticity"] == 0
    assert sets["training images, noisy"]["authenticity"] < 0.1
    assert sets["uniform noise"]["modes"] == sets["all black"]["modes"] == 0


def test_page_holds_the_marks_that_are_measured(script, measured):
    page = script.PAGE.read_text(encoding="utf-8")
    committed, found = script.between(page, "sets"), script.sets_table(measured)
    there = marks(committed)
    assert {row for row, _ in there} >= measured.sets.keys()
    assert {column.strip("`") for _, column in there} >= {"fid", "recall", "authenticity"}
    assert there == {cell: mark for cell, mark in marks(found).items() if cell in there}
    assert there["training images, noisy", "`authenticity`"] == "****"


def marks(table):
    """(set, metric) → what is left of the cell without its number."""
    head, _, *rows = (
        [cell.strip() for cell in line[1:-1].split("|")] for line in table.split("\n")
    )
    return {
        (row[0], column): re.sub(r"[^*]", "", cell)
        for row in rows
        for column, cell in zip(head[1:], row[1:], strict=True)
    }


def test_evaluating_ten_thousand_images_by_all_metrics_takes_less_than_a_gigabyte():
    code = [sys.executable, str(SCRIPTS / "measure_sizes.py"), "first"]
    done = subprocess.run(code, env=os.environ, stdout=subprocess.PIPE, check=True)
    _, peak = json.loads(done.stdout)
    assert peak is None or 3e8 < peak < 1e9


TRAIN, TEST = MNIST().load("train"), MNIST().load("test")
REAL = TRAIN.images[torch.randperm(60_000, generator=seeding.generator(1, "test/real"))[:2000]]


def only(*digits):
    return TRAIN.images[torch.isin(TRAIN.labels, torch.tensor(digits))][:2000]


def test_fid_grows_with_blur_and_with_noise(script):
    reference = DIGITS.bank(TEST.images, "test")
    for spoil, strengths in ((script.blurred, (1, 3, 5, 7)), (script.noisy, (0, 16, 48, 96))):
        spoilt = (DIGITS.bank(spoil(REAL, strength), "spoilt") for strength in strengths)
        values = [FID.compute(each, reference) for each in spoilt]
        assert values == sorted(values)
        assert values[0] < values[1]


class Independent(Extractor):
    """Another classifier of digits: a perceptron, trained here, of other shape and seed."""

    name, layer, preprocessing, fits = "independent", "hidden", "uint8 / 255", ("mnist",)

    def __init__(self):
        generator = seeding.generator(5, "test/independent")
        self.hidden, self.head = torch.nn.Linear(784, 64), torch.nn.Linear(64, 10)
        weights = [*self.hidden.parameters(), *self.head.parameters()]
        with torch.no_grad():
            for parameter in weights:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        optimizer = torch.optim.Adam(weights, lr=2e-3)
        for _ in range(600):
            index = torch.randint(0, 60_000, (128,), generator=generator)
            loss = F.cross_entropy(self.outputs(TRAIN.images[index])[1], TRAIN.labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def outputs(self, images):
        features = self.hidden(images.flatten(1).float() / 255).relu()
        return features, self.head(features)

    def sha256(self):
        return "0" * 64

    def extract(self, samples, device):
        with torch.inference_mode():
            return self.outputs(samples)


def test_independently_trained_extractor_ranks_corruptions_alike(script):
    noise = torch.randint(0, 256, REAL.shape, generator=seeding.generator(2, "test/noise")).byte()
    corrupted = {
        "blurred": script.blurred(REAL, 3),
        "five digits": only(0, 1, 2, 3, 4),
        "mirrored": REAL.flip(-1),
        "noisy": script.noisy(REAL, 96),
        "noise": noise,
    }
    rankings = []
    for extractor in (DIGITS, Independent()):
        reference = extractor.bank(TEST.images, "test")
        distances = {
            name: FID.compute(extractor.bank(spoilt, name), reference)
            for name, spoilt in corrupted.items()
        }
        rankings.append(sorted(distances, key=distances.__getitem__))
    assert rankings[0] == rankings[1]
