"""What other processes do with a shelf in tests."""

import os
import resource
import time
from pathlib import Path

import torch

from bench.datasets.base import Images
from bench.datasets.mnist import MNIST
from bench.metrics.evaluator import Evaluator, RealData
from bench.shelf import Shelf

KEY = {"data": "abc", "samples": 3}


def small_mnist() -> RealData:
    """The first 1,500 images of either split."""
    splits = (MNIST().load("train"), MNIST().load("test"))
    return RealData("mnist", *(Images(split.images[:1500], None) for split in splits))


def take(folder: str, log: str, value: float) -> list[float]:
    """Take the entry; its maker leaves a line in the log, and takes its time."""

    def make():
        with Path(log).open("a") as file:
            file.write(f"{value}\n")
        time.sleep(0.5)
        return {"x": torch.full((200_000,), value)}

    return Shelf(Path(folder)).take(KEY, make)["x"].unique().tolist()


def take_many(folder: str, value: float) -> set[float]:
    """Take an entry that others delete and make, over and over: each time it is whole."""
    seen = set()
    for _ in range(60):
        found = Shelf(Path(folder)).take(KEY, lambda: {"x": torch.full((200_000,), value)})
        seen |= {*found["x"].unique().tolist()}
        for file in Path(folder).glob("*.safetensors"):
            file.unlink(missing_ok=True)
    return seen


def hold(folder: str, started: str) -> None:
    """Begin to make the entry, and never end."""

    def make():
        Path(started).touch()
        time.sleep(60)
        raise AssertionError

    Shelf(Path(folder)).take(KEY, make)


def take_on_a_full_disk(folder: str) -> tuple[list[float], list[str]]:
    """Take an entry where no file may become as long; what came of it, and what lies there."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    found = Shelf(Path(folder)).take(KEY, lambda: {"x": torch.ones(10_000)})["x"]
    return found.unique().tolist(), [name for name in os.listdir(folder) if "lock" not in name]


def floors(folder: str, threads: int) -> dict[str, float | None]:
    """The floors of a small part of MNIST, by metric, with this folder as the cache."""
    torch.set_num_threads(threads)
    metrics = ("fid", "inception_score", "precision", "recall", "authenticity", "class_kl")
    shelf = Shelf(Path(folder))
    judging = Evaluator("digits", metrics, (), small_mnist(), 1000, shelf=shelf)
    judging.prepare()
    rows = judging.evaluate(small_mnist().test.samples[:1000], final=False)
    return {row.metric: row.floor for row in rows}
