import hashlib

import pytest
import torch
from safetensors import safe_open

from bench import extractors
from bench.assets.train_digit_classifier import README
from bench.datasets.mnist import MNIST
from bench.datasets.stacked import StackedMNIST
from bench.errors import DataError, UnknownName
from bench.extractors import digits, weights
from bench.extractors.digits import DIGITS, SHA256, WEIGHTS
from bench.extractors.recipe import deform, noise


def test_digit_classifier_is_right_on_99_5_percent_of_the_test_split():
    data = MNIST().load("test")
    bank = DIGITS.bank(data.images, "mnist/test")
    right = (bank.logits.argmax(1) == data.labels).double().mean().item()
    assert right == DIGITS.accuracy >= 0.995
    assert bank.features.shape == (10_000, 128)
    with safe_open(WEIGHTS, "pt") as file:
        assert file.metadata()["test accuracy"] == f"{right:.2%}"


def test_digest_is_the_files_and_stands_in_the_readme():
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == SHA256 == DIGITS.sha256()
    assert f"`{SHA256}`" in README.read_text(encoding="utf-8")


def test_readme_and_weights_tell_the_same_provenance():
    text = README.read_text(encoding="utf-8")
    with safe_open(WEIGHTS, "pt") as file:
        for name, value in file.metadata().items():
            assert f"| {name} | {value} |" in text


def test_features_of_an_image_do_not_depend_on_its_neighbours():
    images = MNIST().load("test").images[:600]
    whole, alone = DIGITS.bank(images, "many"), DIGITS.bank(images[599:], "one")
    torch.testing.assert_close(whole.features[599:], alone.features, rtol=1e-4, atol=1e-4)


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    altered = tmp_path / "digit_classifier.safetensors"
    altered.write_bytes(WEIGHTS.read_bytes()[:-1] + b"\0")
    monkeypatch.setattr(digits, "WEIGHTS", altered)
    with pytest.raises(DataError, match=r"SHA-256 .*, expected .*; install bench again"):
        DIGITS.sha256()


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(digits, "WEIGHTS", tmp_path / "gone.safetensors")
    with pytest.raises(DataError, match=r"gone\.safetensors: No such file"):
        DIGITS.sha256()


def test_no_images_are_refused():
    with pytest.raises(DataError, match=r"found 0 torch\.uint8 images"):
        DIGITS.bank(torch.zeros(0, 1, 28, 28, dtype=torch.uint8), "none")


def test_three_stacked_digits_are_read_a_channel_at_a_time():
    data = StackedMNIST(test_samples=1000).load("test")
    stacked = DIGITS.fitted("stacked_mnist", data)
    bank = stacked.bank(data.images, "stacked_mnist/test")
    alone = DIGITS.bank(data.images[:, 1:2], "the middle channel")
    torch.testing.assert_close(bank.features[:, 128:256], alone.features, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bank.logits.exp().sum(1), torch.ones(1000))
    assert (bank.logits.argmax(1) == data.labels).double().mean() > 0.98  # 0.996³


def test_stacked_digits_take_three_channels_only():
    data = StackedMNIST(test_samples=10).load("test")
    stacked = DIGITS.fitted("stacked_mnist", data)
    with pytest.raises(DataError, match=r"shape \(1, 28, 28\), expected \(3, 28, 28\)"):
        stacked.bank(data.images[:, :1], "one channel")


def test_deformed_digits_keep_their_size_and_their_ink():
    images = MNIST().load("train").images[:500].float()
    generator = torch.Generator().manual_seed(0)
    deformed = deform(images, generator)
    assert deformed.shape == images.shape
    assert deformed.mean().item() == pytest.approx(images.mean().item(), rel=0.1)
    assert not torch.equal(deformed, images)


def test_noise_to_train_on_spans_black_to_white():
    shades = noise(1001, (1, 28, 28), torch.Generator().manual_seed(0))
    assert shades.shape == (1001, 1, 28, 28)
    assert 0 <= shades.min() < 1
    assert 254 < shades.max() <= 255


def test_what_is_no_digit_is_not_called_one():
    generator = torch.Generator().manual_seed(1)
    uniform = torch.randint(0, 256, (500, 1, 28, 28), generator=generator, dtype=torch.uint8)
    flat = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(-1, 1, 28, 28)
    for images in (uniform, flat, uniform // 4 + 96):
        assert DIGITS.bank(images, "no digits").classes(0.9).sum() == 0


def test_names_and_files_are_told_apart_by_their_ends():
    assert extractors.is_file("mine.safetensors")
    assert extractors.is_file("inception-0a1b2c3d.pth#sha256=0a1b2c3d")
    assert not extractors.is_file("digits")
    assert extractors.pinned("digits") == "digits"
    with pytest.raises(UnknownName, match="'digit' is not an extractor; did you mean 'digits'"):
        extractors.find("digit")


@pytest.mark.parametrize(
    ("dataset", "kind", "name"),
    [
        ("mnist", "images", "digits"),
        ("stacked_mnist", "images", "digits"),
        ("ring", "points", "points"),
    ],
)
def test_data_that_bench_brings_have_an_extractor(dataset, kind, name):
    assert extractors.default(dataset, kind) == name
    assert extractors.find(name).name == name


def test_other_data_are_told_how_to_get_one():
    with pytest.raises(DataError, match=r"`bench evaluate --train-extractor kmnist`.*'inception'"):
        extractors.default("kmnist", "images")


def test_a_pin_may_be_a_head_of_the_digest_in_either_case(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    for pin in ("", known, known[:8], known[:20].upper()):
        assert weights.read(file, pin, "") == (b"abc", known)
    with pytest.raises(DataError, match=f"weights: SHA-256 {known}, expected {'0' * 8}: another"):
        weights.read(file, "0" * 8, "")


@pytest.mark.parametrize("pin", ["ba7816b", "ba7816bg", "0" * 65, "#"])
def test_a_pin_that_is_no_digest_is_refused(tmp_path, pin):
    with pytest.raises(DataError, match=rf"found #sha256={pin}, expected 8 to 64 hexadecimal"):
        weights.read(tmp_path, pin, "")
