import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from bench import extractors, seeding
from bench.datasets.base import Dataset, Images
from bench.datasets.folder import Folder
from bench.datasets.mnist import MNIST
from bench.datasets.synthetic import Ring
from bench.errors import DataError, RequestError, StoreError
from bench.extractors.classifier import Classifier, Made, pack
from bench.extractors.recipe import accuracy, noise, train
from bench.extractors.training import train_extractor
from bench.metrics.evaluator import Evaluator, RealData
from bench.registry import label

DIGITS = (1, 3, 7)
COUNTS = {"train": 600, "test": 200}


def coloured(pixels):
    """The digit in a colour of its own on another, 32×32."""
    ink, paper = (255, 200, 40), (30, 60, 120)
    shade = torch.nn.functional.pad(pixels, (2, 2, 2, 2)).float().unsqueeze(-1) / 255
    blend = shade * torch.tensor(ink) + (1 - shade) * torch.tensor(paper)
    return blend.round().to(torch.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two data sets in folders of classes: digits as they are, and in colour."""
    found = {}
    for name, change in (("grey", lambda pixels: pixels), ("colour", coloured)):
        root = tmp_path_factory.mktemp(name)
        for split, count in COUNTS.items():
            data = MNIST().load(split)
            for digit in DIGITS:
                folder = root / split / str(digit)
                folder.mkdir(parents=True)
                for i, image in enumerate(data.images[data.labels == digit][: count // 3]):
                    Image.fromarray(change(image[0]).numpy()).save(folder / f"{i:03}.bmp")
        found[name] = Folder(root=str(root))
    return found


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """Extractors of both, trained for a few passes."""
    out = tmp_path_factory.mktemp("extractors")
    return {
        name: train_extractor("folder", dataset, out / f"{name}.safetensors", epochs=3)
        for name, dataset in folders.items()
    }


def labelled(count, shape=(1, 28, 28), classes=3):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *shape), generator=generator, dtype=torch.uint8)
    return Images(images, torch.arange(count) % classes)


class Given(Dataset):
    """A data set of what it is given."""

    def __init__(self, train_split, test_split):
        object.__setattr__(self, "splits", {"train": train_split, "test": test_split})

    @property
    def shape(self):
        return tuple(self.splits["train"].images.shape[1:])

    def load(self, split):
        return self.splits[split]


@pytest.mark.parametrize(("name", "shape"), [("grey", (1, 28, 28)), ("colour", (3, 32, 32))])
def test_file_of_a_trained_classifier_is_an_extractor(folders, trained, name, shape):
    extractor = extractors.find(str(trained[name].path))
    test = folders[name].load("test")
    bank = extractor.bank(test.images, "test")
    right = (bank.logits.argmax(1) == test.labels).double().mean().item()
    assert right == trained[name].accuracy > 0.9
    assert bank.features.shape == (len(test.images), 128)
    assert (extractor.name, label("extractors", extractor.name)) == (name, name)
    assert (extractor.made.shape, extractor.made.classes) == (shape, 3)


def test_its_provenance_is_in_the_file(folders, trained):
    made = extractors.find(str(trained["grey"].path)).made
    assert (made.dataset, made.root) == ("folder", folders["grey"].root)
    assert (made.images, made.epochs, made.seed) == (600, 3, 0)
    assert made.test_accuracy == trained["grey"].accuracy
    assert made.torch == torch.__version__
    assert made.test_sha256 != extractors.find(str(trained["colour"].path)).made.test_sha256


def test_training_again_gives_the_same_weights(folders, trained, tmp_path):
    again = train_extractor("folder", folders["grey"], tmp_path / "again.safetensors", epochs=3)
    first, second = (load(each.path.read_bytes()) for each in (trained["grey"], again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train_extractor(
        "folder", folders["grey"], tmp_path / "other.safetensors", epochs=3, seed=1
    )
    assert other.sha256 != again.sha256
    assert not torch.equal(load(other.path.read_bytes())["head.weight"], first["head.weight"])


def test_training_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    train("any", labelled(30), epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_real_images_are_far_nearer_than_noise(folders, trained):
    splits = (folders["colour"].load(split) for split in ("train", "test"))
    data = RealData("folder", *splits)
    judge = Evaluator(str(trained["colour"].path), ["fid", "modes"], [], data, samples=180)
    draw = seeding.generator(0, "test/noise")
    samples = {"real": data.train.images[::3][:180], "noise": noise(180, (3, 32, 32), draw).byte()}
    found = {
        name: {row.metric: row.value for row in judge.evaluate(images, final=False)}
        for name, images in samples.items()
    }
    assert found["noise"]["fid"] > 20 * found["real"]["fid"]
    assert found["real"]["modes"] == 3
    assert found["noise"]["modes"] < 3


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 40), (4, 64, 64)])
def test_any_shape_of_eight_pixels_or_more_can_be_learnt(shape):
    data = labelled(60, shape, classes=2)
    right = torch.arange(shape[2]) >= shape[2] // 2
    bright = right == data.labels.view(-1, 1, 1, 1).bool()  # one half or the other
    data = Images(torch.where(bright, 200, data.images // 4), data.labels)
    calls = []
    network = train("any", data, epochs=20, on_epoch=lambda *done: calls.append(done))
    assert accuracy(network, data) == 1
    assert calls == [(done, 20) for done in range(1, 21)]


def test_pin_of_the_file_is_held_to_it(trained):
    path, digest = trained["grey"].path, trained["grey"].sha256
    assert extractors.pinned(str(path)) == f"{path}#sha256={digest}"
    assert extractors.find(f"{path}#sha256={digest[:8]}").sha256() == digest
    with pytest.raises(DataError, match=f"SHA-256 {digest}, expected {'0' * 64}: another file"):
        extractors.find(f"{path}#sha256={'0' * 64}")


def test_extractor_that_is_there_is_not_overwritten(folders, trained):
    path = trained["grey"].path
    with pytest.raises(StoreError, match="is there already, and runs may have been judged by it"):
        train_extractor("folder", folders["colour"], path, epochs=1)
    assert extractors.find(str(path)).sha256() == trained["grey"].sha256


def test_altered_file_has_another_digest(trained, tmp_path):
    altered = tmp_path / "grey.safetensors"
    content = trained["grey"].path.read_bytes()
    altered.write_bytes(content)
    first = extractors.find(str(altered))
    altered.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    second = extractors.find(str(altered))
    assert first.sha256() == trained["grey"].sha256 != second.sha256()
    assert extractors.find(str(altered)) is second


def test_file_with_a_shipped_extractors_name_does_not_take_it(trained, tmp_path):
    path = tmp_path / "digits.safetensors"
    path.write_bytes(trained["grey"].path.read_bytes())
    assert extractors.find(str(path)).name == "digits.safetensors"


def test_other_data_than_it_was_trained_on_are_refused(folders, trained):
    extractor = extractors.find(str(trained["grey"].path))
    grey, colour = (folders[name].load("test") for name in ("grey", "colour"))
    assert extractor.fitted("folder", grey) is extractor
    with pytest.raises(DataError, match=r"'grey' knows folder only.*on 'kmnist'"):
        extractor.fitted("kmnist", grey)
    with pytest.raises(DataError, match=r"shape \(3, 32, 32\), not \(1, 28, 28\)\): test split"):
        extractor.fitted("folder", colour)
    inverted, renamed = Images(255 - grey.images, grey.labels), Images(grey.images, grey.labels + 1)
    for other in (inverted, renamed):
        with pytest.raises(DataError, match=r"other images and labels .*extractor folder --root"):
            extractor.fitted("folder", other)
    with pytest.raises(DataError, match="made for images, and 'ring' has points"):
        extractor.fitted("ring", Ring().load("test"))


def spoilt(content):
    """Files that are not what they should be, and what is said of each."""
    tensors = load(content)
    head = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    entry = json.loads(head["__metadata__"]["bench"])

    def with_entry(**changes):
        return save(tensors, metadata={"bench": json.dumps(entry | changes)})

    return {
        "no safetensors file": b"PK\x03\x04 some other file",
        "no safetensors file (": content[: len(content) // 2],
        "without the metadata entry 'bench'": save(tensors),
        "metadata.bench: Invalid JSON": save(tensors, metadata={"bench": "{"}),
        "metadata.bench.classes: Input should be greater": with_entry(classes=1),
        "metadata.bench.shape.1: Input should be a valid integer": with_entry(shape=[1, "x", 28]),
        "metadata.bench.version: Input should be 1": with_entry(version=2),
        "not those of a classifier of 9 classes": with_entry(classes=9),
        "images of shape (1, 29, 40000)": with_entry(shape=[1, 29, 40_000]),
        "tensors are not those": save(
            {name: value.cfloat() for name, value in tensors.items()},
            metadata={"bench": json.dumps(entry)},
        ),
        "not those of a classifier of 3 classes": save(
            {name: value for name, value in tensors.items() if name != "head.bias"},
            metadata={"bench": json.dumps(entry)},
        ),
    }


def test_file_that_is_not_one_is_refused_in_a_line(trained, tmp_path):
    path = tmp_path / "spoilt.safetensors"
    for message, content in spoilt(trained["grey"].path.read_bytes()).items():
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            extractors.find(str(path))
        text = str(caught.value)
        assert text.startswith(f"{path}: ")
        assert message in text
        assert text.endswith("; expected a file made by `bench evaluate --train-extractor DATASET`")
        assert "\n" not in text


@pytest.mark.parametrize("name", ["gone.safetensors", "a\0b.safetensors", "~nobody/x.safetensors"])
def test_missing_file_is_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"\.safetensors: .*; expected a file made by `bench"):
        extractors.find(name)


def test_the_same_classifier_is_packed_into_the_same_bytes():
    made = Made("any", None, (1, 8, 8), 2, 0.5, 10, 1, 0, "2.11.0", "0" * 64, "1" * 64)
    network = Classifier((1, 8, 8), 2)
    assert pack(network, made) == pack(network, made)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Ring(samples=10, test_samples=10), "has points, whose extractor is 'points'"),
        (Given(Images(labelled(9).images, None), labelled(9)), "the train split has no labels"),
        (Given(labelled(9), Images(labelled(9).images, None)), "the test split has no labels"),
        (Given(labelled(9, (1, 7, 9)), labelled(9, (1, 7, 9))), "expected at least 8×8 pixels"),
        (Given(labelled(9), labelled(9, (1, 28, 29))), r"shapes \(1, 28, 28\) and \(1, 28, 29\)"),
        (Given(labelled(9, classes=1), labelled(9)), "one class alone, expected at least two"),
    ],
)
def test_data_that_teach_no_classes_are_refused(tmp_path, dataset, message):
    path = tmp_path / "any.safetensors"
    with pytest.raises(DataError, match=f"^mine: .*{message}"):
        train_extractor("mine", dataset, path)
    assert not list(tmp_path.iterdir())


def test_place_that_cannot_be_written_is_refused_before_training(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.safetensors").mkdir()
    data = Given(labelled(9), labelled(9))

    def refused(kind, path, **options):
        with pytest.raises(kind) as caught:
            train_extractor("any", data, Path(path), on_epoch=pytest.fail, **options)
        return str(caught.value)

    assert "cannot be written" in refused(StoreError, tmp_path / "file" / "x.safetensors")
    assert "is a folder" in refused(StoreError, tmp_path / "folder.safetensors")
    assert "ends in .safetensors" in refused(RequestError, tmp_path / "x.pt")
    assert "at least 1" in refused(RequestError, tmp_path / "x.safetensors", epochs=0)
