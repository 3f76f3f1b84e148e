import math

import numpy as np
import pytest
import torch
import torch_fidelity
from scipy.linalg import sqrtm
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from bench.datasets.mnist import MNIST
from bench.metrics.base import FeatureBank
from bench.metrics.features import DIGITS
from bench.metrics.fidelity import FID, INCEPTION_SCORE


def bank(features, logits=None):
    features = torch.as_tensor(features, dtype=torch.float32)
    return FeatureBank(features, features if logits is None else logits, "hand-made", "", "", "s")


def whitened(count, width, seed=0):
    """Features of mean 0 and identity covariance, exactly."""
    x = np.random.default_rng(seed).normal(size=(count, width))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T


def test_fid_of_gaussians_in_closed_form():
    x = whitened(500, 4)
    shift, scale = np.array([1.0, 0.0, -2.0, 0.5]), np.array([1.0, 2.0, 0.5, 3.0])
    expected = (shift**2).sum() + ((scale - 1) ** 2).sum()
    assert FID.compute(bank(x * scale + shift), bank(x)) == pytest.approx(expected, rel=1e-5)


def test_fid_agrees_with_a_matrix_square_root():
    rng = np.random.default_rng(1)
    one, two = (rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)) + k for k in (0.0, 0.7))
    covariances = [np.cov(x, rowvar=False) for x in (one, two)]
    expected = ((one.mean(0) - two.mean(0)) ** 2).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert FID.compute(bank(one), bank(two)) == pytest.approx(expected, rel=1e-4)


def test_fid_of_a_single_repeated_sample_is_its_distance_and_the_reference_variance():
    collapsed = bank(np.full((50, 4), 3.0))
    assert FID.compute(collapsed, bank(whitened(500, 4))) == pytest.approx(4 * 9 + 4, rel=1e-5)


def test_inception_score_of_certain_classes_is_their_number():
    logits = 100.0 * torch.eye(4).repeat(500, 1)
    score = INCEPTION_SCORE.compute(bank(logits), bank(logits))
    assert score == pytest.approx(4, rel=0.01)  # each split holds nearly equal classes


def test_inception_score_of_equal_predictions_is_one():
    logits = torch.tensor([[0.3, 2.0, -1.0]]).repeat(40, 1)
    assert INCEPTION_SCORE.compute(bank(logits), bank(logits)) == pytest.approx(1)


def test_too_few_samples_are_an_error_not_a_nan():
    few = bank(torch.zeros(9, 3))
    with pytest.raises(ValueError, match="10 splits needs at least 10 samples, found 9"):
        INCEPTION_SCORE.compute(few, few)
    with pytest.raises(ValueError, match="covariance needs at least 2 samples, found 1"):
        FID.compute(bank(torch.zeros(1, 3)), few)


class Registered(FeatureExtractorBase):
    """The digit classifier as torch-fidelity wants an extractor."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list():
        return ("features", "logits")

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return {"isc": "logits", "fid": "features"}[metric]

    def forward(self, images):
        outputs = dict(zip(("features", "logits"), DIGITS.extract(images, "cpu"), strict=True))
        return tuple(outputs[name] for name in self.features_list)


class Stored(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


def test_both_agree_with_torch_fidelity_as_users_call_it():
    samples, reference = MNIST().load("train").images[:2000], MNIST().load("test").images[:3000]
    torch_fidelity.register_feature_extractor("bench-digits", Registered)
    theirs = torch_fidelity.calculate_metrics(
        input1=Stored(samples),
        input2=Stored(reference),
        feature_extractor="bench-digits",
        isc=True,
        fid=True,
        cuda=False,
        cache=False,
        save_cpu_ram=True,  # the only way to have no DataLoader workers
        verbose=False,
    )
    ours = [DIGITS.bank(images, "parity") for images in (samples, reference)]
    fid, score = FID.compute(*ours), INCEPTION_SCORE.compute(*ours)
    assert math.isclose(fid, theirs["frechet_inception_distance"], rel_tol=1e-4)
    assert math.isclose(score, theirs["inception_score_mean"], rel_tol=1e-4)
