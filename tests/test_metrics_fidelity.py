import numpy as np
import pytest
import torch
import torch_fidelity
from bank_fixture import bank, normal, plain_fid
from scipy.linalg import sqrtm
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from bench.datasets.mnist import MNIST
from bench.extractors.digits import DIGITS
from bench.metrics.fidelity import FID, INCEPTION_SCORE, KID, SUBSET
from bench.metrics.manifold import PRECISION, RECALL


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
    assert FID.compute(bank(whitened(500, 4)), collapsed) == pytest.approx(4 * 9 + 4, rel=1e-5)


def test_fid_of_two_constants_is_their_distance():
    one, two = bank(np.full((20, 3), 2.0)), bank(np.zeros((9, 3)))
    assert FID.compute(one, two) == pytest.approx(12)
    assert FID.compute(one, one) == 0


@pytest.mark.parametrize(("rank", "width"), [(1, 8), (20, 128), (100, 1024)])
def test_fid_of_singular_covariances_is_that_of_the_features_they_were_embedded_from(rank, width):
    basis = np.linalg.qr(normal(width, rank).numpy())[0]
    scales = np.logspace(0, -2, rank)
    one, two = (normal(rank + 300, rank, seed=k).numpy() * scales + 0.1 * k for k in (1, 2))
    embedded = FID.compute(bank(one @ basis.T), bank(two @ basis.T))
    assert embedded == pytest.approx(plain_fid(one, two), rel=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), [(20, 1000), (1000, 20), (128, 129), (30, 40), (2, 2)])
def test_fid_of_fewer_samples_than_features(ours, theirs):
    images = MNIST().load("test").images
    one, two = DIGITS.bank(images[:ours], "few"), DIGITS.bank(images[-theirs:], "also few")
    expected = plain_fid(one.features, two.features)
    assert FID.compute(one, two) == pytest.approx(expected, rel=1e-6)


def test_kid_of_two_points_in_closed_form():
    x, y = np.array([1.0, 2.0, 0.0]), np.array([-1.0, 0.5, 4.0])
    one, two = (bank(np.tile(point, (SUBSET, 1))) for point in (x, y))
    expected = (x @ x / 3 + 1) ** 3 + (y @ y / 3 + 1) ** 3 - 2 * (x @ y / 3 + 1) ** 3
    assert KID.compute(one, two) == pytest.approx(expected, rel=1e-6)


def test_kid_is_the_unbiased_estimate_over_all_pairs():
    # sets no larger than a subset: every subset is the whole set
    x, y = normal(SUBSET, 5, seed=1) + 0.2, normal(SUBSET, 5, seed=2)
    total = 0.0
    for a, b, weight in ((x, x, 1), (y, y, 1), (x, y, -2)):
        for place, point in enumerate(a):
            kernel = (b @ point / 5 + 1) ** 3
            own = kernel[place] if a is b else 0
            total += weight * (kernel.sum() - own) / (SUBSET * (SUBSET - (a is b)))
    assert KID.compute(bank(x), bank(y)) == pytest.approx(float(total), rel=1e-4)


def test_kid_of_equal_distributions_is_zero_on_average():
    found = [
        KID.compute(bank(normal(1000, 4, seed=k)), bank(normal(1000, 4, seed=-k)))
        for k in (1, 2, 3, 4)
    ]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 0.02


def test_kid_of_fewer_than_a_subset_is_an_error():
    few, enough = bank(normal(SUBSET - 1, 3)), bank(normal(SUBSET, 3))
    for banks in ((few, enough), (enough, few)):
        with pytest.raises(ValueError, match=r"subset of 1,000 needs at least 1,000 .* found 999"):
            KID.compute(*banks)


def test_inception_score_of_certain_classes_is_their_number():
    logits = 100.0 * torch.eye(4).repeat(500, 1)
    score = INCEPTION_SCORE.compute(bank(logits, logits), bank(logits))
    assert score == pytest.approx(4, rel=0.01)  # each split holds nearly equal classes


def test_inception_score_of_equal_predictions_is_one():
    logits = torch.tensor([[0.3, 2.0, -1.0]]).repeat(40, 1)
    assert INCEPTION_SCORE.compute(bank(logits, logits), bank(logits)) == pytest.approx(1)


def test_inception_score_is_that_of_the_definition_on_unequal_splits():
    logits = normal(103, 7, seed=3)
    order = np.random.RandomState(2020).permutation(103)
    scores = []
    for start, stop in zip(range(0, 1030, 103), range(103, 1133, 103), strict=True):
        p = logits[order[start // 10 : stop // 10]].softmax(1).numpy()
        scores.append(np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean()))
    score = INCEPTION_SCORE.compute(bank(logits, logits), bank(logits))
    assert score == pytest.approx(np.mean(scores), rel=1e-6)


def test_inception_score_of_logits_that_underflow_is_finite():
    logits = 1e6 * torch.eye(3).repeat(30, 1)
    score = INCEPTION_SCORE.compute(bank(logits, logits), bank(logits))
    assert 2.5 < score <= 3


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
        return "logits" if metric == "isc" else "features"

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


@pytest.fixture(scope="module")
def registered():
    torch_fidelity.register_feature_extractor("bench-digits", Registered)
    return "bench-digits"


SPOILT = {
    "real": lambda images: images,
    "darker": lambda images: images // 2,
    "noisy": lambda images: images | (torch.arange(784).view(28, 28) % 64).byte(),
}


@pytest.mark.parametrize("name", SPOILT)
def test_all_agree_with_torch_fidelity_as_users_call_it(name, registered):
    samples = SPOILT[name](MNIST().load("train").images[:1500])
    reference = MNIST().load("test").images[:2100]
    theirs = torch_fidelity.calculate_metrics(
        input1=Stored(samples), input2=Stored(reference), feature_extractor=registered,
        isc=True, fid=True, kid=True, prc=True, prc_neighborhood=3, cuda=False, cache=False,
        save_cpu_ram=True,  # the only way to have no DataLoader workers
        verbose=False,
    )  # fmt: skip
    ours = [DIGITS.bank(images, "parity") for images in (samples, reference)]
    for metric, called in (
        (FID, "frechet_inception_distance"),
        (KID, "kernel_inception_distance_mean"),
        (INCEPTION_SCORE, "inception_score_mean"),
    ):
        assert metric.compute(*ours) == pytest.approx(theirs[called], rel=1e-4)
    assert PRECISION.compute(*ours) == pytest.approx(theirs["precision"], abs=1 / 1500)
    assert RECALL.compute(*ours) == pytest.approx(theirs["recall"], abs=1 / 2100)
