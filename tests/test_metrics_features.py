import hashlib

import pytest
import torch
from safetensors import safe_open

from bench.assets.train_digit_classifier import README, deform, noise
from bench.datasets.mnist import MNIST
from bench.errors import DataError
from bench.metrics import features
from bench.metrics.features import DIGITS, SHA256, WEIGHTS


def test_digit_classifier_is_right_on_99_5_percent_of_the_test_split():
    data = MNIST().load("test")
    bank = DIGITS.bank(data.images, "mnist/test")
    right = (bank.logits.argmax(1) == data.labels).double().mean().item()
    assert right >= 0.995
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
    monkeypatch.setattr(features, "WEIGHTS", altered)
    with pytest.raises(DataError, match=r"SHA-256 .*, expected .*; install bench again"):
        DIGITS.sha256()


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "WEIGHTS", tmp_path / "gone.safetensors")
    with pytest.raises(DataError, match=r"gone\.safetensors: No such file"):
        DIGITS.sha256()


def test_no_images_are_refused():
    with pytest.raises(DataError, match=r"found 0 torch\.uint8 images"):
        DIGITS.bank(torch.zeros(0, 1, 28, 28, dtype=torch.uint8), "none")


def test_deformed_digits_keep_their_size_and_their_ink():
    images = MNIST().load("train").images[:500].float()
    generator = torch.Generator().manual_seed(0)
    deformed = deform(images, generator)
    assert deformed.shape == images.shape
    assert deformed.mean().item() == pytest.approx(images.mean().item(), rel=0.1)
    assert not torch.equal(deformed, images)


def test_noise_to_train_on_spans_black_to_white():
    shades = noise(1001, torch.Generator().manual_seed(0))
    assert shades.shape == (1001, 1, 28, 28)
    assert 0 <= shades.min() < 1
    assert 254 < shades.max() <= 255


def test_what_is_no_digit_is_not_called_one():
    generator = torch.Generator().manual_seed(1)
    uniform = torch.randint(0, 256, (500, 1, 28, 28), generator=generator, dtype=torch.uint8)
    flat = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1).expand(-1, 1, 28, 28)
    for images in (uniform, flat, uniform // 4 + 96):
        assert DIGITS.bank(images, "no digits").classes(0.9).sum() == 0
