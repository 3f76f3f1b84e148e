"""CIFAR-10 from a folder of a few made-up pictures, and what is said where it is not there."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from cifar_fixture import BATCHES, FOLDER, write_cifar

from bench.datasets.vision import CIFAR10
from bench.errors import DataError


@pytest.mark.parametrize(("split", "names"), [("train", BATCHES[:5]), ("test", BATCHES[5:])])
def test_splits_are_their_files_one_after_the_other(tmp_path, monkeypatch, split, names):
    contents = write_cifar(tmp_path, monkeypatch)
    data = CIFAR10(root=str(tmp_path)).load(split)
    pixels = np.concatenate([contents[name]["data"] for name in names])
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    assert torch.equal(data.images, torch.from_numpy(pixels.reshape(-1, 3, 32, 32)))
    assert data.labels.tolist() == [one for name in names for one in contents[name]["labels"]]


def test_a_damaged_file_is_not_opened(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / FOLDER / "data_batch_3").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(DataError) as caught:
        CIFAR10(root=str(tmp_path)).load("train")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / FOLDER}: a file of CIFAR-10 is missing or damaged")
    assert "\n" not in message


def test_a_folder_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / FOLDER).mkdir()
    with pytest.raises(DataError, match=r"expected the files of cifar-10-python\.tar\.gz as pub"):
        CIFAR10(root=str(tmp_path)).load("test")


def test_no_network_and_no_folder_says_where_the_archive_goes(tmp_path, monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    root = tmp_path / "data"
    with pytest.raises(DataError) as caught:
        CIFAR10(root=str(root)).load("train")
    message = str(caught.value)
    assert message.startswith(f"{root / FOLDER}: CIFAR-10 is not there and cannot be downloaded (")
    assert f"unpack cifar-10-python.tar.gz in {root}" in message
    assert "\n" not in message
    assert not root.exists()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """The address of a server on this machine that offers what lies in `tmp_path`."""
    handler = partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as offering:
        thread = threading.Thread(target=offering.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{offering.server_port}"
        offering.shutdown()
        thread.join()


def test_missing_data_are_downloaded_once(tmp_path, monkeypatch, server):
    from torchvision import datasets

    write_cifar(tmp_path / "served", monkeypatch)
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "served" / FOLDER, FOLDER)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{server}/{archive.name}")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    root = tmp_path / "data"
    first = CIFAR10(root=str(root)).load("train")
    archive.unlink()
    assert torch.equal(CIFAR10(root=str(root)).load("train").images, first.images)
    assert [path.name for path in root.iterdir()] == [FOLDER]


def test_a_run_that_was_slower_takes_the_others_folder(tmp_path, monkeypatch):
    from torchvision import datasets

    write_cifar(tmp_path / "served", monkeypatch)
    root = tmp_path / "data"

    def meanwhile(self):
        shutil.copytree(tmp_path / "served" / FOLDER, f"{self.root}/{FOLDER}")
        shutil.copytree(tmp_path / "served" / FOLDER, root / FOLDER)

    monkeypatch.setattr(datasets.CIFAR10, "download", meanwhile)
    assert len(CIFAR10(root=str(root)).load("test").images) == 4
    assert [path.name for path in root.iterdir()] == [FOLDER]
