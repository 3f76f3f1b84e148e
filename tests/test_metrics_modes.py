import math

import pytest
import torch
from bank_fixture import bank, normal

from bench.datasets.mnist import MNIST
from bench.datasets.stacked import StackedMNIST
from bench.datasets.synthetic import Ring
from bench.extractors.digits import STACKED
from bench.extractors.points import POINTS
from bench.metrics.modes import (
    CLASS_KL,
    CONFIDENT_SHARE,
    HIGH_QUALITY,
    MODES,
    MODES_ANY,
    REVERSE_KL,
)


def of_classes(counts, confidence=0.99):
    """Samples by class, each given its class with this probability and the rest shared out."""
    classes = len(counts)
    probabilities = torch.full((classes, classes), (1 - confidence) / (classes - 1))
    probabilities.fill_diagonal_(confidence)
    logits = probabilities.log().repeat_interleave(torch.tensor(counts), dim=0)
    return bank(logits, logits)


def joined(*banks):
    logits = torch.cat([each.logits for each in banks])
    return bank(logits, logits)


UNIFORM = of_classes([100] * 10)


def test_class_with_a_tenth_of_its_uniform_share_is_a_mode():
    counts = [100, 100, 100, 100, 100, 100, 100, 281, 10, 9]  # 1,000: the threshold is 10
    assert MODES.compute(of_classes(counts), UNIFORM) == 9
    assert MODES_ANY.compute(of_classes(counts), UNIFORM) == 10


def test_doubtful_samples_make_no_mode_but_any():
    samples = joined(of_classes([500, 0, 0]), of_classes([0, 500, 0], confidence=0.89))
    assert MODES.compute(samples, samples) == 1
    assert MODES_ANY.compute(samples, samples) == 2
    assert CONFIDENT_SHARE.compute(samples, samples) == 0.5


@pytest.mark.parametrize("covered", [1, 2, 5, 10])
def test_class_kl_of_some_classes_of_ten_in_closed_form(covered):
    samples = of_classes([60] * covered + [0] * (10 - covered))
    assert CLASS_KL.compute(samples, UNIFORM) == pytest.approx(math.log(10 / covered), abs=1e-12)


def test_class_kl_of_unequal_shares_in_closed_form():
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert CLASS_KL.compute(of_classes([75, 25]), of_classes([50, 50])) == pytest.approx(
        expected, rel=1e-12
    )


def test_class_kl_of_real_data_is_about_its_known_bias():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(0, 10, (1000,), generator=generator).bincount() for _ in range(50)]
    reference = of_classes([100_000] * 10)
    mean = sum(CLASS_KL.compute(of_classes(draw.tolist()), reference) for draw in draws) / 50
    assert mean == pytest.approx(9 / 2000, rel=0.2)  # (K − 1)/2N


def test_class_kl_to_a_reference_without_the_class_has_no_value():
    with pytest.raises(ValueError, match="no sample of class 1"):
        CLASS_KL.compute(of_classes([50, 50]), of_classes([100, 0]))


def test_class_shares_count_every_sample_once():
    samples = joined(of_classes([10, 20, 0]), of_classes([0, 30, 40], confidence=0.5))
    assert samples.class_shares().tolist() == pytest.approx([0.1, 0.5, 0.4])


def test_metrics_of_classes_need_a_classifier():
    unknown = bank(torch.zeros(20, 3))
    for metric in (MODES, MODES_ANY, CLASS_KL, CONFIDENT_SHARE):
        with pytest.raises(ValueError, match="extractor 'given' gives no class probabilities"):
            metric.compute(unknown, unknown)


CORNERS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def around(*found, sigma=0.1):
    """Points by mode: so many of them, each that many σ to the right of its corner."""
    step = torch.tensor([sigma, 0.0])
    parts = [(CORNERS[k] + sigmas * step).repeat(count, 1) for k, count, sigmas in found]
    return on_corners(torch.cat(parts), sigma)


def on_corners(points, sigma=0.1):
    return type(POINTS)(CORNERS, sigma).bank(points, "points")


def test_point_counts_to_the_mode_that_it_is_within_three_sigma_of():
    points = around((0, 60, 2.9), (1, 30, 3.1), (2, 9, 0.0), (3, 1, -2.9))
    assert HIGH_QUALITY.compute(points, points) == 0.7
    assert MODES_ANY.compute(points, points) == 3
    assert MODES.compute(points, points) == 2  # a tenth of a quarter of 100 is 2.5


def test_reverse_kl_counts_every_point_to_its_nearest_mode_in_closed_form():
    even = around(*((k, 25, 0.0) for k in range(4)))
    uneven = around((0, 50, 0.0), (1, 30, 3.5), (2, 20, 9.0))  # 9 σ are 0.9, of 2 to the next
    expected = sum(p * math.log(p / 0.25) for p in (0.5, 0.3, 0.2))
    assert REVERSE_KL.compute(uneven, even) == pytest.approx(expected, rel=1e-12)
    assert REVERSE_KL.compute(even, even) == 0


def test_real_points_of_a_ring_are_its_modes_and_within_three_sigma_as_often_as_normal_ones():
    ring = Ring()
    train, test = (ring.load(split) for split in ("train", "test"))
    extractor = POINTS.fitted("ring", test)
    real, reference = (extractor.bank(each.points, "ring") for each in (train, test))
    assert MODES.compute(real, reference) == MODES_ANY.compute(real, reference) == 8
    assert HIGH_QUALITY.compute(real, reference) == pytest.approx(1 - math.exp(-4.5), abs=1e-3)
    assert REVERSE_KL.compute(real, reference) < 7 * (1 / 20_000 + 1 / 2_000)  # (K − 1)/2N of both


def test_points_without_known_modes_have_no_metrics_of_modes():
    lost = POINTS.bank(normal(10, 2).float(), "points")
    for metric in (MODES, MODES_ANY, HIGH_QUALITY, REVERSE_KL):
        with pytest.raises(ValueError, match="no modes of known place and width"):
            metric.compute(lost, lost)


def stacked(count, digits=range(10)):
    """Images of three random digits among these, from MNIST's test split."""
    data = MNIST().load("test")
    pool = torch.nonzero(torch.isin(data.labels, torch.tensor([*digits])))[:, 0]
    draw = torch.randint(len(pool), (count, 3), generator=torch.Generator().manual_seed(0))
    return STACKED.bank(data.images[:, 0][pool[draw]], "samples")


def test_real_stacked_digits_are_a_thousand_modes():
    real = STACKED.bank(StackedMNIST(test_samples=10_000).load("test").images, "real")
    assert MODES.compute(real, real) >= 995
    assert CONFIDENT_SHARE.compute(real, real) > 0.95


def test_125_modes_of_a_thousand_are_not_taken_for_twice_as_many():
    samples = stacked(26_000, digits=range(5))
    assert 125 <= MODES.compute(samples, samples) <= 127
    assert MODES_ANY.compute(samples, samples) > 200  # the classifier's errors alone
    fewer = stacked(10_000, digits=range(5))  # of which one would be a tenth of a class's share
    assert 125 <= MODES.compute(fewer, fewer) <= 127
    assert int((fewer.classes(0.9) > 0).sum()) > 135


def test_joint_posterior_is_the_product_of_the_channels_and_sums_to_one():
    few = stacked(50)
    a, b, c = few.outputs.double().softmax(dim=2).unbind(dim=1)
    joint = few.logits.softmax(dim=1)
    assert joint.sum(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    product = torch.einsum("na,nb,nc->nabc", a, b, c).flatten(1)
    torch.testing.assert_close(joint.double(), product, rtol=1e-4, atol=1e-7)
