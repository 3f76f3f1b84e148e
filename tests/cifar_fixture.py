"""A folder as CIFAR-10's archive unpacks to, of a few made-up pictures."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np

FOLDER = "cifar-10-batches-py"
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def write_cifar(root: Path, monkeypatch, count: int = 4) -> dict[str, dict]:
    """File name → what it holds: `count` pictures; torchvision takes these for the real files."""
    from torchvision import datasets

    folder = root / FOLDER
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    contents = {
        name: {
            "data": draw.integers(0, 256, (count, 3 * 32 * 32), dtype=np.uint8),
            "labels": [int(label) for label in draw.integers(0, 10, count)],
        }
        for name in BATCHES
    }
    contents["batches.meta"] = {"label_names": [str(i) for i in range(10)]}
    sums = {}
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5(path.read_bytes()).hexdigest()
    meta = {**datasets.CIFAR10.meta, "md5": sums["batches.meta"]}
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[n, sums[n]] for n in BATCHES[:5]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [[n, sums[n]] for n in BATCHES[5:]])
    return contents
