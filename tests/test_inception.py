import hashlib
import os
from io import BytesIO

import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3 as library

from bench import extractors
from bench.datasets.base import Images, Points
from bench.datasets.mnist import MNIST
from bench.errors import DataError
from bench.extractors.inception import INCEPTION, Inception
from bench.metrics.evaluator import Evaluator, RealData
from bench.registry import label

DIGITS = MNIST().load("test").images[:20]


class Random(library.FeatureExtractorInceptionV3):
    """The library's network with random weights: it leaves alone what it is given to load."""

    def load_state_dict(self, state_dict):
        pass


class Bomb:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def packed(content):
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def written(folder, content, stem="weights"):
    """A file whose name ends in the head of its digest."""
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Random weights in the form of the published ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Random("random", ["2048"], BytesIO(packed({})))
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):  # He et al. 2015: the signal keeps its size
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return written(tmp_path_factory.mktemp("weights"), packed(network.state_dict()), "random")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Torch's folder of weights, empty, and a way to say what is published, without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)

    def publish(path):
        monkeypatch.setattr(library, "URL_INCEPTION_V3", path.as_uri())
        return tmp_path / "torch" / "hub" / "checkpoints" / path.name

    return publish


def refusal(extractor):
    """The line in which a file of weights is refused."""
    with pytest.raises(DataError) as caught:
        extractor.extract(DIGITS[:1], "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("images", [DIGITS[:12], DIGITS.view(2, 10, 28, 28)[:, :3, 3:, :20]])
def test_features_and_logits_are_the_librarys(file, images):
    network = library.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["logits_unbiased", "2048"], str(file)
    )
    with torch.inference_mode():  # ten at a time: how many there are tells in the last digit
        batches = [network(batch.expand(-1, 3, -1, -1)) for batch in torch.split(images, 10)]
    logits, features = (torch.cat(parts) for parts in zip(*batches, strict=True))
    found = extractors.find(str(file)).extract(images, "cpu")
    assert found[0].std() > 0.01  # the weights let something through
    assert torch.equal(found[0], features)
    assert torch.equal(found[1], logits)


def test_only_the_published_weights_are_called_inception(file):
    assert INCEPTION.name == Inception("weights-inception-2015-12-05-6726825d.pth").name
    assert label("extractors", INCEPTION.name) == "Inception"
    assert Inception("any.pth", "6726825D" + 56 * "0").name == "inception"
    assert extractors.find(str(file)).name == file.stem
    for name in ("inception.pth", "digits.pth"):  # other weights take no built-in's name
        assert Inception(f"elsewhere/{name}", 64 * "0").name == name


def test_digest_is_of_the_whole_file(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert extractors.find(str(file)).sha256() == digest
    assert extractors.pinned(str(file)) == f"{file}#sha256={digest}"


def test_file_without_a_digest_is_refused_with_the_one_to_pin(file, tmp_path):
    path = tmp_path / "mine.pth"
    path.hardlink_to(file)
    digest = extractors.find(str(file)).sha256()
    assert f"name them {path}#sha256={digest}" in refusal(Inception(str(path)))
    assert extractors.find(f"{path}#sha256={digest}").sha256() == digest


def test_nothing_is_unpickled_from_a_file_with_another_digest(tmp_path):
    mark = tmp_path / "mark"
    path = written(tmp_path, packed({"fc.weight": Bomb(mark)}))
    other = path.with_name("weights-0123abcd.pth")
    other.hardlink_to(path)
    assert ", expected 0123abcd: another file than was named" in refusal(Inception(str(other)))
    pin = "f" * 64
    assert f", expected {pin}: another" in refusal(Inception(str(path), pin))
    assert not mark.exists()


def test_no_code_in_a_file_is_run_even_under_its_own_digest(tmp_path):
    mark = tmp_path / "mark"
    path = written(tmp_path, packed({"fc.weight": Bomb(mark)}))
    assert "no file of tensors alone; expected torch-fidelity's" in refusal(Inception(str(path)))
    assert not mark.exists()
    torch.load(path, weights_only=False)  # as the library does
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no file of tensors alone"),
        (b"no weights at all", "no file of tensors alone"),
        (b"\x80\x04.", "no file of tensors alone"),
        (packed({"fc.weight": torch.zeros(2)})[:-100], "no file of tensors alone"),
        (packed([1, 2]), "no state dict of tensors"),
        (packed({"epoch": 3}), "no state dict of tensors"),
        (packed({1: torch.zeros(2)}), "no state dict of tensors"),
        (packed({"fc.weight": torch.zeros(2)}), "its tensors are not those of the Inception"),
    ],
)
def test_file_of_something_else_is_refused(tmp_path, content, message):
    path = written(tmp_path, content)
    assert refusal(Inception(str(path))).startswith(f"{path}: {message}")


def test_file_changed_since_is_noticed(tmp_path):
    path = written(tmp_path, b"first")
    extractor = Inception(str(path))
    assert len(extractor.sha256()) == 64
    path.write_bytes(b"second")
    with pytest.raises(DataError, match="another file than was named, or changed since"):
        extractor.sha256()


def test_missing_file_is_named(tmp_path):
    text = refusal(Inception(str(tmp_path / "gone-0123abcd.pth")))
    assert "gone-0123abcd.pth: No such file or directory; fetch torch-fidelity's" in text


def test_weights_are_downloaded_once(file, hub, tmp_path):
    source = tmp_path / file.name
    source.hardlink_to(file)
    place = hub(source)
    digest = Inception(str(file)).sha256()
    assert Inception().sha256() == digest
    assert place.read_bytes() == source.read_bytes()
    source.unlink()
    assert Inception().sha256() == digest


def test_weights_that_cannot_be_downloaded_are_told_where_to_put(hub, tmp_path):
    place = hub(tmp_path / "weights-0123abcd.pth")
    text = refusal(Inception())
    assert text.startswith(f"{place}: is not there and cannot be downloaded (<urlopen error")
    assert text.endswith("or name their file in evaluation.extractor or --extractor")


def test_download_of_something_else_is_not_kept(hub, tmp_path):
    source = tmp_path / "weights-0123abcd.pth"
    source.write_bytes(b"a page of a proxy")
    place = hub(source)
    assert 'cannot be downloaded (invalid hash value (expected "0123abcd"' in refusal(Inception())
    assert not list(place.parent.iterdir())


@pytest.mark.parametrize(
    "samples",
    [
        DIGITS.float(),
        DIGITS[:0],
        DIGITS[0],
        DIGITS.view(10, 2, 28, 28),
    ],
)
def test_other_samples_than_it_takes_are_refused(file, samples):
    with pytest.raises(DataError, match=r"found torch\..* expected uint8 images \(N, 1 or 3, H"):
        Inception(str(file)).extract(samples, "cpu")


def test_any_images_and_no_points_fit():
    assert INCEPTION.fitted("mine", Images(DIGITS, None)) is INCEPTION
    with pytest.raises(DataError, match="made for images, and 'ring' has points"):
        INCEPTION.fitted("ring", Points(torch.zeros(3, 2)))


def test_its_classes_are_not_the_datas(file):
    data = RealData("mine", Images(DIGITS[:10], None), Images(DIGITS[10:], None))
    names = ["fid", "inception_score", "modes", "class_kl", "confident_share"]
    judging = Evaluator(str(file), names, [], data, samples=10)
    rows = {row.metric: row for row in judging.evaluate(DIGITS[:10], final=False)}
    assert list(rows) == names
    assert rows["fid"].value > 0
    assert 1 <= rows["inception_score"].value < 1008
    reasons = {rows[name].error for name in names[2:]}
    assert reasons == {"the Inception network knows ImageNet's classes, not the data's"}
    assert (rows["fid"].extractor, rows["fid"].layer) == (file.stem, "2048")
