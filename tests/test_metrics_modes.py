import math

import pytest
import torch

from bench.metrics.base import FeatureBank
from bench.metrics.modes import CLASS_KL, CONFIDENT_SHARE, MODES, MODES_ANY


def bank(counts, confidence=0.99):
    """Samples by class, each given its class with this probability and the rest shared out."""
    classes = len(counts)
    probabilities = torch.full((classes, classes), (1 - confidence) / (classes - 1))
    probabilities.fill_diagonal_(confidence)
    logits = probabilities.log().repeat_interleave(torch.tensor(counts), dim=0)
    return FeatureBank(logits, logits, "hand-made", "", "", "samples")


def joined(*banks):
    logits = torch.cat([bank.logits for bank in banks])
    return FeatureBank(logits, logits, "hand-made", "", "", "samples")


UNIFORM = bank([100] * 10)


def test_class_with_a_tenth_of_its_uniform_share_is_a_mode():
    counts = [100, 100, 100, 100, 100, 100, 100, 281, 10, 9]  # 1,000: the threshold is 10
    assert MODES.compute(bank(counts), UNIFORM) == 9
    assert MODES_ANY.compute(bank(counts), UNIFORM) == 10


def test_doubtful_samples_make_no_mode_but_any():
    samples = joined(bank([500, 0, 0]), bank([0, 500, 0], confidence=0.89))
    assert MODES.compute(samples, samples) == 1
    assert MODES_ANY.compute(samples, samples) == 2
    assert CONFIDENT_SHARE.compute(samples, samples) == 0.5


@pytest.mark.parametrize("covered", [1, 2, 5, 10])
def test_class_kl_of_some_classes_of_ten_in_closed_form(covered):
    samples = bank([60] * covered + [0] * (10 - covered))
    assert CLASS_KL.compute(samples, UNIFORM) == pytest.approx(math.log(10 / covered), abs=1e-12)


def test_class_kl_of_unequal_shares_in_closed_form():
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert CLASS_KL.compute(bank([75, 25]), bank([50, 50])) == pytest.approx(expected, rel=1e-12)


def test_class_kl_of_real_data_is_about_its_known_bias():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.randint(0, 10, (1000,), generator=generator).bincount() for _ in range(50)]
    reference = bank([100_000] * 10)
    mean = sum(CLASS_KL.compute(bank(draw.tolist()), reference) for draw in draws) / 50
    assert mean == pytest.approx(9 / 2000, rel=0.2)  # (K − 1)/2N


def test_class_kl_to_a_reference_without_the_class_has_no_value():
    with pytest.raises(ValueError, match="no sample of class 1"):
        CLASS_KL.compute(bank([50, 50]), bank([100, 0]))


def test_class_shares_count_every_sample_once():
    samples = joined(bank([10, 20, 0]), bank([0, 30, 40], confidence=0.5))
    assert samples.class_shares().tolist() == pytest.approx([0.1, 0.5, 0.4])
