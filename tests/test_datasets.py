import gzip
import hashlib
import math
import pickle
import struct
import threading
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import chi2, kstest

from bench import registry
from bench.assets.build_mnist import PUBLISHED_MD5, build, idx_files
from bench.datasets import mnist
from bench.datasets.folder import Folder
from bench.datasets.mnist import MNIST
from bench.datasets.stacked import StackedMNIST
from bench.datasets.synthetic import (
    Gaussian1D,
    Grid,
    GridPacGAN,
    Ring,
    RingPacGAN,
    SwissRoll,
)
from bench.datasets.vision import CIFAR10, KMNIST, FashionMNIST
from bench.errors import DataError


def idx(numbers, sizes):
    """An IDX file of bytes, written independently of the package."""
    return struct.pack(f">{1 + len(sizes)}i", 0x0800 + len(sizes), *sizes) + bytes(numbers)


def write_split(folder, split, count, *, packed=False):
    """The first images of a split of MNIST in IDX files, as torchvision names them."""
    data = MNIST().load(split)
    prefix = {"train": "train", "test": "t10k"}[split]
    contents = {
        "images-idx3": idx(data.images[:count].flatten().tolist(), (count, 28, 28)),
        "labels-idx1": idx(data.labels[:count].tolist(), (count,)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in contents.items():
        path = folder / f"{prefix}-{kind}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)


def write_pictures(root, count=4):
    """The first digits of each split as PNG files, a folder a class: cat, dog."""
    for split in ("train", "test"):
        for place, image in enumerate(MNIST().load(split).images[:count]):
            folder = root / split / ("dog" if place % 2 else "cat")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[0].numpy()).save(folder / f"{place}.png")


def write_cifar(root, monkeypatch, count=4):
    """Pictures in the files of CIFAR-10 for Python, and torchvision kept from asking for the real
    ones: the n-th of a file is n red, n + 1 green and n + 2 blue, and of class n."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    colours = [[n] * 1024 + [n + 1] * 1024 + [n + 2] * 1024 for n in range(count)]
    held = {"data": np.array(colours, dtype=np.uint8), "labels": list(range(count))}
    for name, content in {
        **dict.fromkeys(names, held),
        "batches.meta": {"label_names": []},
    }.items():
        (folder / name).write_bytes(pickle.dumps(content))


@pytest.fixture
def root(tmp_path):
    """Twenty images of each split in torchvision's layout."""
    for split in ("train", "test"):
        write_split(tmp_path / "MNIST" / "raw", split, 20)
    return tmp_path


def test_embedded_mnist_is_the_published_one():
    files = idx_files(mnist.EMBEDDED)
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    assert sums == PUBLISHED_MD5


def test_embedded_mnist_loads_what_the_idx_files_say():
    files = idx_files(mnist.EMBEDDED)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        data = MNIST().load(split)
        assert data.images.numpy().tobytes() == files[f"{prefix}-images-idx3-ubyte"][16:]
        assert bytes(data.labels.tolist()) == files[f"{prefix}-labels-idx1-ubyte"][8:]


def test_embedded_mnist_has_the_known_class_counts():
    train, test = MNIST().load("train"), MNIST().load("test")
    assert train.labels.bincount().tolist() == [
        *(5923, 6742, 5958, 6131, 5842),
        *(5421, 5918, 6265, 5851, 5949),
    ]
    assert test.labels.bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]


def test_build_refuses_other_data(tmp_path, root):
    with pytest.raises(ValueError, match="train-images-idx3-ubyte: MD5"):
        build(root / "MNIST" / "raw", tmp_path / "mnist.parquet")


def test_damaged_embedded_copy_is_named(tmp_path, monkeypatch):
    broken = tmp_path / "mnist.parquet"
    broken.write_bytes(mnist.EMBEDDED.read_bytes()[:100_000])
    monkeypatch.setattr(mnist, "EMBEDDED", broken)
    with pytest.raises(DataError, match=r"mnist\.parquet: .*install bench again"):
        mnist._embedded.__wrapped__("train")


TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
"""Data set → what torchvision calls it."""


@pytest.mark.parametrize("name", registry.BUILT_IN["datasets"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_dataset_gives_the_same_samples_of_its_shape_every_time(
    tmp_path, monkeypatch, name, split
):
    options = {"root": str(tmp_path)}
    if name in TORCHVISION:
        write_split(tmp_path / TORCHVISION[name] / "raw", split, 20)
    elif name == "folder":
        write_pictures(tmp_path)
    elif name == "cifar10":
        write_cifar(tmp_path, monkeypatch)
    else:
        options = {"samples": 200, "test_samples": 100}
    dataset = registry.load("datasets", name)(**options)
    first, again = dataset.load(split), dataset.load(split)
    assert tuple(first.samples.shape[1:]) == dataset.shape
    assert first.samples.dtype == (torch.float32 if len(dataset.shape) == 1 else torch.uint8)
    assert torch.equal(first.samples, again.samples)
    if name == "swiss_roll":
        assert (first.labels, first.centres, first.sigma) == (None, None, None)
    else:
        assert first.labels.dtype == torch.int64
        assert len(first.labels) == len(first.samples)
        assert torch.equal(first.labels, again.labels)


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("packed", [True, False])
def test_every_dataset_reads_torchvisions_layout(tmp_path, name, split, packed):
    dataset = registry.load("datasets", name)
    write_split(tmp_path / TORCHVISION[name] / "raw", split, 20, packed=packed)
    data, expected = dataset(root=str(tmp_path)).load(split), MNIST().load(split)
    assert data.images.shape == (20, *dataset.shape)
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.images, expected.images[:20])
    assert torch.equal(data.labels, expected.labels[:20])
    data.images[0] = 0  # memory that torch may write to


def test_cifar_is_read_in_colour_with_its_classes(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    train, test = (CIFAR10(root=str(tmp_path)).load(split) for split in ("train", "test"))
    assert (train.images.shape, test.images.shape) == ((20, 3, 32, 32), (4, 3, 32, 32))
    assert test.images[2].amin((1, 2)).tolist() == test.images[2].amax((1, 2)).tolist() == [2, 3, 4]
    assert train.labels.tolist() == [0, 1, 2, 3] * 5


def test_files_that_are_not_cifars_are_refused_unopened(tmp_path):
    with pytest.MonkeyPatch.context() as written:
        write_cifar(tmp_path, written)
    with pytest.raises(DataError, match=r"CIFAR-10 is missing or damaged .*; expected") as caught:
        CIFAR10(root=str(tmp_path)).load("test")
    assert "\n" not in str(caught.value)


def test_torchvision_reads_the_same(root):
    from torchvision import datasets

    theirs = datasets.MNIST(root, train=True)
    ours = MNIST(root=str(root)).load("train")
    assert torch.equal(ours.images.squeeze(1), theirs.data)
    assert torch.equal(ours.labels, theirs.targets)


def test_missing_folder_says_what_root_is(tmp_path):
    with pytest.raises(DataError, match=r"'root' is the folder that holds MNIST.raw"):
        MNIST(root=str(tmp_path / "nowhere")).load("train")


@pytest.mark.parametrize("place", ["", "raw", "MNIST"])
def test_files_in_the_wrong_place_are_found_and_named(tmp_path, place):
    write_split(tmp_path / place, "test", 3)
    with pytest.raises(DataError) as caught:
        MNIST(root=str(tmp_path)).load("test")
    assert f"found it in {tmp_path / place}: move it to {tmp_path / 'MNIST' / 'raw'}" in str(
        caught.value
    )


def broken(content, damage):
    return {
        "truncated": content[:-1],
        "too long": content + b"\0",
        "headless": content[:6],
        "empty": b"",
        "other magic": idx([0] * 20, (20,)) if content[3] == 3 else idx([0] * 8, (2, 2, 2)),
        "no items": content[:4] + bytes(4) + content[8:16] * (content[3] == 3),
    }[damage]


@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
@pytest.mark.parametrize(
    "damage", ["truncated", "too long", "headless", "empty", "other magic", "no items"]
)
def test_damaged_file_gives_one_line_that_names_it(root, kind, damage):
    path = root / "MNIST" / "raw" / f"train-{kind}-ubyte"
    path.write_bytes(broken(path.read_bytes(), damage))
    with pytest.raises(DataError) as caught:
        MNIST(root=str(root)).load("train")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "expected" in message
    assert "\n" not in message


@given(
    content=st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda end: bytes([0, 0, 8, 3]) + end),
        st.binary(max_size=40).map(lambda end: struct.pack(">4i", 2051, 1, 28, 28) + end),
    ),
    packed=st.booleans(),
)
def test_no_bytes_at_all_give_anything_but_a_data_error(tmp_path_factory, content, packed):
    folder = tmp_path_factory.mktemp("fuzz") / "MNIST" / "raw"
    write_split(folder, "test", 1)
    (folder / "t10k-images-idx3-ubyte").unlink()
    (folder / f"t10k-images-idx3-ubyte{'.gz' if packed else ''}").write_bytes(content)
    with suppress(DataError):
        MNIST(root=str(folder.parent.parent)).load("test")


def test_other_image_size_is_refused(root):
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(idx([0] * 20 * 32 * 32, (20, 32, 32)))
    with pytest.raises(DataError, match="found images of 32×32 pixels, expected 28×28"):
        MNIST(root=str(root)).load("train")


def test_labels_that_do_not_fit_are_refused(root):
    path = root / "MNIST" / "raw" / "train-labels-idx1-ubyte"
    path.write_bytes(idx([0] * 19, (19,)))
    with pytest.raises(DataError, match="19 labels for 20 images"):
        MNIST(root=str(root)).load("train")
    path.write_bytes(idx([10] * 20, (20,)))
    with pytest.raises(DataError, match="found label 10, expected 0 to 9"):
        MNIST(root=str(root)).load("train")


@pytest.mark.parametrize("damage", ["not gzip", "cut"])
def test_damaged_gzip_is_named(tmp_path, damage):
    folder = tmp_path / "MNIST" / "raw"
    write_split(folder, "test", 20, packed=True)
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(b"plain" if damage == "not gzip" else path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz: cannot be read"):
        MNIST(root=str(tmp_path)).load("test")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server on this machine that torchvision downloads Fashion-MNIST from."""
    from torchvision import datasets

    served = tmp_path / "served"
    for split in ("train", "test"):
        write_split(served, split, 20, packed=True)
    resources = [
        (path.name, hashlib.md5(path.read_bytes()).hexdigest()) for path in sorted(served.iterdir())
    ]
    handler = partial(_Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(
            datasets.FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"]
        )
        monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_missing_data_is_downloaded_once(tmp_path, mirror, monkeypatch):
    from torchvision import datasets

    root = tmp_path / "data"
    data = FashionMNIST(root=str(root)).load("train")
    assert torch.equal(data.images, MNIST().load("train").images[:20])
    assert len(list((root / "FashionMNIST" / "raw").iterdir())) == 4
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])
    assert len(FashionMNIST(root=str(root)).load("test").images) == 20


def test_no_network_and_no_folder_says_how_to_mend(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.KMNIST, "mirrors", ["http://127.0.0.1:9/"])
    root = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        KMNIST(root=str(root)).load("train")
    message = str(caught.value)
    assert message.startswith(f"{root / 'KMNIST' / 'raw'}: the files of KMNIST are not there")
    assert "train-images-idx3-ubyte" in message
    assert "\n" not in message
    assert not root.exists()


def test_ring_has_its_published_numbers():
    ring = Ring().load("train")
    assert ring.points.shape == (100_000, 2)
    assert ring.centres.tolist()[0] == pytest.approx([2 / 1.414, 0.0])
    assert ring.centres.norm(dim=1).tolist() == pytest.approx([2 / 1.414] * 8)
    # E‖c + noise‖ = r + σ² / 2r to first order; the mean of 100,000 has a deviation of σ / 316
    radius, sigma = 2 / 1.414, 0.02 / 1.414
    mean = ring.points.double().norm(dim=1).mean().item()
    assert mean == pytest.approx(radius + sigma**2 / (2 * radius), abs=4 * sigma / 316)


def test_options_of_the_ring_are_what_they_say():
    ring = Ring(modes=3, radius=1.0, sigma=0.0, scale=2.0, samples=50, test_samples=7).load("test")
    half = 3**0.5 / 4
    expected = torch.tensor([[0.5, 0.0], [-0.25, half], [-0.25, -half]])
    assert torch.allclose(ring.centres, expected, atol=1e-6)
    assert torch.equal(ring.points, ring.centres[ring.labels])
    assert len(ring.points) == 7


SYNTHETIC = [Ring, RingPacGAN, Grid, GridPacGAN, SwissRoll, Gaussian1D]


@pytest.mark.parametrize("made", SYNTHETIC)
def test_the_splits_of_points_are_different_draws_of_the_published_size(made):
    train, test = (made(test_samples=500).load(split) for split in ("train", "test"))
    assert (len(train.points), len(test.points)) == (100_000, 500)
    assert torch.isin(test.points, train.points).double().mean() < 0.1  # of 2²⁴ floats


def test_the_rings_points_are_the_ones_that_earlier_runs_saw():
    digest = hashlib.sha256(Ring().load("train").points.numpy().tobytes()).hexdigest()
    assert digest.startswith("677daff0475451d0")


@pytest.mark.parametrize("made", [Ring, RingPacGAN, Grid, GridPacGAN, Gaussian1D])
def test_every_mode_is_as_likely_and_as_wide(made):
    data = made().load("train")
    counts, modes = data.labels.bincount().double(), len(data.centres)
    expected = len(data.points) / modes
    spread = ((counts - expected).square() / expected).sum().item()
    assert spread <= chi2.ppf(0.999, modes - 1) if modes > 1 else spread == 0
    noise = (data.points - data.centres[data.labels]).double() / data.sigma
    dimensions = noise.shape[1]
    assert torch.allclose(noise.mean(0), torch.zeros(dimensions).double(), atol=4 / 316)
    covariance = noise.T.cov().reshape(dimensions, dimensions)
    assert torch.allclose(covariance, torch.eye(dimensions).double(), atol=4 * (2e-5) ** 0.5)


def test_pacgans_ring_and_grid_have_its_numbers():
    ring, grid = (made(samples=1).load("train") for made in (RingPacGAN, GridPacGAN))
    assert ring.centres.norm(dim=1).tolist() == pytest.approx([1.0] * 8)
    axis = [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert grid.centres.tolist() == [[x, y] for x in axis for y in axis]
    assert (ring.sigma, grid.sigma) == (0.01, 0.05)


def test_the_grids_of_both_papers_differ_in_scale_alone():
    ours, theirs = Grid(samples=50).load("train"), GridPacGAN(samples=50).load("train")
    assert torch.allclose(ours.points * 2.828, theirs.points, rtol=1e-6)
    assert torch.equal(GridPacGAN(scale=2.828, samples=50).load("train").points, ours.points)


def test_options_of_the_grid_are_what_they_say():
    grid = Grid(side=2, spacing=3.0, sigma=0.0, scale=0.5, test_samples=40).load("test")
    assert grid.centres.tolist() == [[-3.0, -3.0], [-3.0, 3.0], [3.0, -3.0], [3.0, 3.0]]
    assert torch.equal(grid.points, grid.centres[grid.labels])


def test_the_swiss_roll_without_noise_is_its_formula_at_uniform_angles():
    points = SwissRoll(noise=0.0, scale=1.0).load("train").points.double()
    t = points.norm(dim=1)
    assert torch.allclose(points, t[:, None] * torch.stack([t.cos(), t.sin()], 1), atol=1e-5)
    uniform = kstest(t.numpy(), "uniform", args=(1.5 * math.pi, 3 * math.pi))
    assert uniform.pvalue > 1e-3


def test_noise_of_the_swiss_roll_is_what_it_says_before_the_division():
    plain, blurred = (SwissRoll(noise=noise).load("train").points for noise in (0.0, 0.25))
    noise = (blurred - plain).double() * 7.5
    assert torch.allclose(noise.T.cov(), 0.0625 * torch.eye(2).double(), atol=1e-3)


def test_the_swiss_roll_is_scikit_learns():
    # E x² of make_swiss_roll's first axis, ∫ t² cos² t dt / 3π over [3π/2, 9π/2], plus the noise
    points = SwissRoll().load("train").points.double() * 7.5
    t = torch.linspace(1.5 * math.pi, 4.5 * math.pi, 100_001, dtype=torch.float64)
    for axis, turn in enumerate((t.cos(), t.sin())):
        expected = torch.trapezoid((t * turn) ** 2, t) / (3 * math.pi) + 0.0625
        assert points[:, axis].square().mean() == pytest.approx(expected.item(), rel=0.015)


def test_gaussian_of_the_line_has_its_mean_and_width():
    data = Gaussian1D(mean=-2.0, sigma=0.5).load("train")
    assert data.points.mean().item() == pytest.approx(-2, abs=4 * 0.5 / 316)
    assert kstest(data.points[:, 0].numpy(), "norm", args=(-2.0, 0.5)).pvalue > 1e-3
    assert (data.centres.tolist(), data.sigma) == ([[-2.0]], 0.5)


def test_stacked_mnist_is_three_digits_of_the_split(tmp_path):
    for split, count in (("train", 30), ("test", 20)):
        write_split(tmp_path / "MNIST" / "raw", split, count)
        digits = MNIST(root=str(tmp_path)).load(split)
        label = {
            bytes(image): int(c)
            for image, c in zip(digits.images.numpy(), digits.labels, strict=True)
        }
        stacked = StackedMNIST(str(tmp_path), samples=50, test_samples=50).load(split)
        for image, found in zip(stacked.images.numpy(), stacked.labels.tolist(), strict=True):
            a, b, c = (label[bytes(channel)] for channel in image)
            assert found == 100 * a + 10 * b + c


def test_stacked_mnist_has_the_published_sizes_and_every_mode():
    assert (StackedMNIST().samples, StackedMNIST().test_samples) == (128_000, 26_000)
    test = StackedMNIST().load("test")
    assert test.images.shape == (26_000, 3, 28, 28)
    counts = test.labels.bincount(minlength=StackedMNIST.classes)
    assert len(counts) == 1000
    assert counts.min() > 0
    # a class is a digit's share cubed; E = 26 with a deviation of 5
    shares = MNIST().load("test").labels.bincount() / 10_000
    expected = 26_000 * (shares[:, None, None] * shares[:, None] * shares).flatten()
    assert ((counts - expected).square() / expected).mean() == pytest.approx(1.0, abs=0.2)


def test_folder_numbers_its_classes_by_name(tmp_path):
    write_pictures(tmp_path)
    for split in ("train", "test"):
        data, digits = Folder(str(tmp_path)).load(split), MNIST().load(split).images
        assert data.labels.tolist() == [0, 0, 1, 1]
        assert torch.equal(data.images, digits[[0, 2, 1, 3]])


def test_folder_without_classes_has_no_labels(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (5, 3), (1, 2, 3)).save(tmp_path / split / "a.png")
    data = Folder(str(tmp_path)).load("test")
    assert data.labels is None
    assert Folder(str(tmp_path)).shape == (3, 3, 5)
    assert data.images[0, :, 0, 0].tolist() == [1, 2, 3]


def _other_size(root):
    for path in (root / "test").rglob("*.png"):
        Image.new("L", (9, 9)).save(path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda root: (root / "train").rename(root / "Train"), r"train: No such file.*in train/"),
        (lambda root: (root / "test" / "cow").mkdir(), "classes cat, cow, dog, expected those"),
        (lambda root: (root / "test" / "dog" / "1.png").unlink(), r"dog: holds no pictures"),
        (lambda root: Image.new("L", (28, 28)).save(root / "train" / "x.png"), "x.png beside the"),
        (lambda root: Image.new("L", (9, 9)).save(root / "test" / "cat" / "9.png"), "9×9 pixels"),
        (_other_size, r"test pictures are \(1, 9, 9\), training pictures \(1, 28, 28\)"),
    ],
    ids=["no split", "other classes", "no pictures", "loose", "a size", "another size"],
)
def test_folder_that_is_not_as_expected_gives_one_line(tmp_path, damage, told):
    write_pictures(tmp_path, 3)
    damage(tmp_path)
    with pytest.raises(DataError, match=told) as caught:
        Folder(str(tmp_path)).load("test")
    assert "\n" not in str(caught.value)


def test_folder_of_a_home_that_is_not_there_gives_one_line():
    with pytest.raises(DataError, match=r"~nobody-here/x: .*; write the path out"):
        Folder("~nobody-here/x").load("train")
