import pytest
import torch
from bank_fixture import bank, normal, plain_authenticity, plain_overlap
from torch_fidelity.metric_prc import prc_features_to_metric

from bench.datasets.mnist import MNIST
from bench.datasets.synthetic import Ring
from bench.extractors.digits import DIGITS
from bench.metrics import manifold
from bench.metrics.manifold import AUTHENTICITY, COVERAGE, DENSITY, PRECISION, RECALL

RING = Ring(modes=3, sigma=0.002).load("test").points
METRICS = {"precision": PRECISION, "recall": RECALL, "density": DENSITY, "coverage": COVERAGE}
DIGIT = DIGITS.bank(MNIST().load("test").images[:5000], "digits").features


def overlap(samples, reference):
    """All four, each computed on banks of its own."""
    return {
        name: metric.compute(bank(samples), bank(reference)) for name, metric in METRICS.items()
    }


def within_a_sample(samples, reference):
    """By how much a distance that float32 rounds to the other side of a radius may move each."""
    a, b = 1 / len(samples), 1 / len(reference)
    return {"precision": a, "recall": b, "density": a, "coverage": b}


def clustered(seed, width):
    """Ten centres far apart, with 40 points about each, too near for float32's distances."""
    return normal(10, 128).repeat(40, 1) + width * normal(400, 128, seed=seed)


SETS = {
    "digits, not a multiple of the tile": (DIGIT[:1345], DIGIT[3567:]),
    "a hundred images repeated": (DIGIT[:100].repeat(15, 1), DIGIT[2000:4000]),
    "copies of the reference among the samples": (DIGIT[:1500], DIGIT[1000:2500]),
    "twins in the reference": (DIGIT[:1100], DIGIT[500:1500].repeat(2, 1)),
    "far apart": (DIGIT[:700] + 1000, DIGIT[1000:1800]),
    "the reference itself": (DIGIT[:1300], DIGIT[:1300]),
    "six of each": (DIGIT[:6], DIGIT[6:12]),
    "2,048 features": (normal(600, 2048).relu(), normal(700, 2048, seed=1).relu()),
    "many points in the plane": RING.split(1500)[:2],
    "clusters": (clustered(1, 1e-2), clustered(2, 1e-2)),
    "tighter clusters": (clustered(1, 3e-3), clustered(2, 3e-3)),
    "the tightest": (clustered(1, 5e-4), clustered(2, 5e-4)),
}


@pytest.mark.parametrize("name", SETS)
def test_overlap_is_that_of_whole_matrices_in_double_precision(name):
    samples, reference = (each.float() for each in SETS[name])
    found, expected = overlap(samples, reference), plain_overlap(samples, reference)
    for metric, room in within_a_sample(samples, reference).items():
        assert found[metric] == pytest.approx(expected[metric], abs=room * 1.001, rel=0), metric


@pytest.mark.parametrize("name", ["clusters", "tighter clusters", "the tightest"])
def test_authenticity_in_tight_clusters_is_that_of_double_precision(name):
    samples, train = (each.float() for each in SETS[name])
    found = AUTHENTICITY.compute(bank(samples), bank(train))
    assert found == pytest.approx(plain_authenticity(samples, train), abs=1.001 / 400)


@pytest.mark.parametrize("name", [*SETS][:5])
def test_precision_and_recall_are_torch_fidelitys(name):
    samples, reference = SETS[name]
    theirs = prc_features_to_metric(samples, reference, prc_neighborhood=3, verbose=False)
    room = within_a_sample(samples, reference)
    for metric in ("precision", "recall"):
        found = METRICS[metric].compute(bank(samples), bank(reference))
        assert found == pytest.approx(theirs[metric], abs=room[metric] * 1.001, rel=0)


def test_reference_judged_against_itself_is_all_ties():
    # a ball reaches exactly to the fifth neighbour, and holds its own centre besides
    found = overlap(DIGIT[:1300], DIGIT[:1300])
    assert found["density"] == pytest.approx(6 / 5, abs=1 / 1300)
    assert found["precision"] == found["recall"] == found["coverage"] == 1


def test_every_image_of_the_reference_is_on_its_manifold_however_it_was_batched():
    images = MNIST().load("test").images[:4000]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    again = DIGITS.bank(images[order], "shuffled")
    assert PRECISION.compute(again, DIGITS.bank(images, "reference")) == 1


@pytest.mark.parametrize("width", [2, 128, 384, 2048])
def test_copy_is_at_distance_zero_whatever_the_scale(width):
    # heavy tails off the origin, which float32 rounds worst, each with copies in other tiles
    features = (1e3 * normal(1000, width) ** 5 + 1e3).float()
    thrice = bank(features.repeat(3, 1))
    assert AUTHENTICITY.compute(bank(features), thrice) == 0
    assert AUTHENTICITY.compute(bank(1.1 * features), thrice) == 1


def test_collapsed_samples_recall_only_their_own_image():
    collapsed = DIGIT[:1].repeat(1100, 1)
    found = overlap(collapsed, DIGIT[:1000])
    assert found["recall"] == 1 / 1000
    assert found == plain_overlap(collapsed, DIGIT[:1000])


TRAIN = DIGIT[2000:4100]


@pytest.mark.parametrize(
    ("samples", "train"),
    [
        (DIGIT[:1234], TRAIN),
        (torch.cat([TRAIN[:300], DIGIT[:300]]), TRAIN),
        (DIGIT[:500], TRAIN[:700].repeat(3, 1)),  # a duplicate's nearest neighbour is at 0
        (DIGIT[:1], TRAIN[:2]),
        (TRAIN[:40] + 1e-2 * normal(40, 128).float(), TRAIN),
    ],
)
def test_authenticity_is_that_of_whole_matrices_in_double_precision(samples, train):
    found = AUTHENTICITY.compute(bank(samples), bank(train))
    assert found == pytest.approx(plain_authenticity(samples, train), abs=1 / len(samples), rel=0)


def test_copies_of_training_images_are_not_authentic_even_where_some_are_there_twice():
    train = torch.cat([TRAIN, TRAIN[:50]])
    assert AUTHENTICITY.compute(bank(TRAIN[:1500]), bank(train)) == 0


def test_too_few_for_the_neighbours_is_an_error():
    enough = bank(normal(6, 3))
    for metric in METRICS.values():
        few = bank(normal(metric.k, 3))
        for banks, whose in (((few, enough), ""), ((enough, few), " of the reference")):
            least = rf"at least {metric.k + 1} samples{whose}, found {metric.k}"
            with pytest.raises(ValueError, match=rf"k = {metric.k} .* {least}"):
                metric.compute(*banks)
    with pytest.raises(ValueError, match="least 2 samples of the reference, found 1"):
        AUTHENTICITY.compute(enough, bank(normal(1, 3)))


def test_smallest_sets_have_values():
    four, six = bank(normal(4, 3)), bank(normal(6, 3))
    for metric in METRICS.values():
        few = four if metric.k == 3 else six
        assert 0 <= metric.compute(few, few) <= 2


def test_one_bank_may_be_samples_and_reference():
    both = bank(DIGIT[:300])
    assert PRECISION.compute(both, both) == RECALL.compute(both, both) == 1
    assert COVERAGE.compute(both, both) == 1


def test_features_too_large_to_square_are_an_error():
    huge = bank(1e20 * normal(10, 32).float())
    with pytest.raises(ValueError, match="too large for distances"):
        PRECISION.compute(huge, huge)


def test_second_reference_is_not_taken_for_the_first():
    samples = bank(DIGIT[:300])
    found = [PRECISION.compute(samples, bank(part)) for part in (DIGIT[300:600], DIGIT[:300])]
    assert found[0] < 1 == found[1]


def test_no_matrix_of_all_distances_is_held(monkeypatch):
    monkeypatch.setattr(manifold, "_TILE", 64)
    samples, reference = DIGIT[:500], DIGIT[500:1111]
    assert overlap(samples, reference) == pytest.approx(plain_overlap(samples, reference))
    sizes = [tile.shape for *_, tile in manifold._tiles(samples, reference, reference.mean(0))]
    assert max(sizes) == (64, 64)


@pytest.mark.parametrize("width", [128, 384, 2048])
def test_rounding_takes_less_than_half_of_the_room_for_copies(width):
    features = normal(2500, width).float() ** 5  # heavy tails are rounded worst
    order = torch.randperm(2500, generator=torch.Generator().manual_seed(0))
    mean = features.mean(dim=0)
    nearest, squared = manifold._nearest(features[order], features, mean)
    norms = manifold._norms(features, mean)[order]
    assert nearest.tolist() == order.tolist()
    assert 0 < (squared / norms).max() < manifold._COPY / 2 * torch.finfo(torch.float32).eps
