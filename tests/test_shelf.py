"""Banks of real data on disk: never stale, shared by runs that start together, never in the way."""

import multiprocessing
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import shelf_work
import torch

from bench.datasets.mnist import MNIST
from bench.extractors.base import Extractor
from bench.extractors.digits import DIGITS
from bench.metrics import evaluator
from bench.metrics.evaluator import Evaluator, real_bank
from bench.shelf import Shelf, cache_folder
from bench.training.precision import applied

IMAGES = MNIST().load("test").images[:20]


class Counting(Extractor):
    """Pixels as features; counts how often it is asked."""

    layer, preprocessing, fits = "pixels", "none", None

    def __init__(self, name="counting", weights="0" * 64, **changes):
        self.name, self.weights, self.extractions = name, weights, 0
        vars(self).update(changes)

    def sha256(self):
        return self.weights

    def extract(self, samples, device):
        self.extractions += 1
        return samples.flatten(1).float(), None


def extractions(shelf, images=IMAGES, **changes):
    """How many a bank of these images takes, with what this shelf holds."""
    extractor = Counting(**changes)
    bank = real_bank(extractor, images, "mnist/test", shelf=shelf)
    assert torch.equal(bank.features, images.flatten(1).float())
    return extractor.extractions


@pytest.fixture
def shelf(tmp_path):
    """One that holds the bank of the images already."""
    kept = Shelf(tmp_path / "cache")
    assert extractions(kept) == 1
    return kept


def test_nothing_is_extracted_twice(shelf):
    assert extractions(shelf) == extractions(shelf, IMAGES.clone()) == 0


def one_pixel_brighter():
    images = IMAGES.clone()
    images[7, 0, 14, 14] += 1
    return images


@pytest.mark.parametrize(
    "change",
    [
        {"images": one_pixel_brighter()},
        {"images": IMAGES.flip(0)},
        {"images": IMAGES[:-1]},
        {"images": IMAGES.view(20, 1, 14, 56)},
        {"name": "other"},
        {"weights": "1" * 64},
        {"layer": "other"},
        {"preprocessing": "other"},
    ],
    ids=["pixel", "order", "N", "shape", "name", "weights", "layer", "preprocessing"],
)
def test_other_data_or_another_extractor_is_a_miss(shelf, change):
    assert extractions(shelf, **change) == 1
    assert extractions(shelf, **change) == extractions(shelf) == 0


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (torch, "get_num_threads", lambda: 7),
        (torch, "__version__", "9.9.0"),
        (torch.backends.cpu, "get_cpu_capability", lambda: "other"),
        (evaluator, "version", lambda library: "9.9"),
        (evaluator, "_code", lambda: "other"),
        (evaluator, "_source", lambda module: "other"),
    ],
)
def test_other_machinery_is_a_miss(shelf, monkeypatch, where, name, value):
    with monkeypatch.context() as patch:
        patch.setattr(where, name, value)
        assert extractions(shelf) == 1
        assert extractions(shelf) == 0
    assert extractions(shelf) == 0


def test_a_gpu_and_its_rounding_are_told_apart(monkeypatch):
    found = []
    for name, rounding in (("A", "fp32"), ("A", "tf32"), ("B", "fp32")):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        with applied(rounding, torch.device("cuda")):
            found.append(evaluator._machinery("cuda"))
    assert len({str(each) for each in found}) == 3
    assert evaluator._machinery("cpu") not in found


@pytest.mark.parametrize("folder", ["extractors", "metrics"])
def test_code_that_changes_has_another_digest(tmp_path, monkeypatch, folder):
    source = Path(evaluator.__file__).parents[1]
    for name in ("extractors", "metrics"):
        shutil.copytree(source / name, tmp_path / name)
    monkeypatch.setattr(evaluator, "__file__", str(tmp_path / "metrics" / "evaluator.py"))
    same = evaluator._code.__wrapped__()
    with (tmp_path / folder / "base.py").open("a") as file:
        file.write("\n")
    assert evaluator._code() == same != evaluator._code.__wrapped__()


def test_what_follows_from_a_bank_is_kept_with_it_and_not_with_another(shelf):
    made = []

    def derived(images):
        bank = real_bank(Counting(), images, "mnist/test", shelf=shelf)
        sums = bank.derived("sum", lambda: {"sum": made.append(1) or bank.features.sum()})
        return sums["sum"].item()

    assert derived(IMAGES) == derived(IMAGES) == IMAGES.sum()
    assert derived(one_pixel_brighter()) == IMAGES.sum() + 1
    assert len(made) == 2


def test_second_evaluator_extracts_nothing_but_the_samples(tmp_path, monkeypatch):
    asked = []
    plain = type(DIGITS).extract
    monkeypatch.setattr(type(DIGITS), "extract", lambda *a: asked.append(len(a[1])) or plain(*a))
    rows = []
    for _ in range(2):
        shelf = Shelf(tmp_path)
        judging = Evaluator(
            "digits", ("fid", "recall"), (), shelf_work.small_mnist(), 99, shelf=shelf
        )
        rows.append(judging.evaluate(MNIST().load("test").images[:99], final=False))
    assert asked == [1500, 99, 99, 99]  # reference, samples, floor; then samples
    assert [row.floor for row in rows[0]] == [row.floor for row in rows[1]]
    assert [row.value for row in rows[0]] == [row.value for row in rows[1]]


@pytest.fixture(scope="module")
def processes():
    """Two others that work at once."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_two_processes_that_start_together_compute_once(tmp_path, processes):
    log = tmp_path / "log"
    asked = [
        processes.submit(shelf_work.take, str(tmp_path / "cache"), str(log), value)
        for value in (1.0, 2.0)
    ]
    found = [each.result() for each in asked]
    assert len(log.read_text().split()) == 1
    assert found[0] == found[1] == [float(log.read_text())]


def test_processes_that_make_and_delete_an_entry_read_whole_ones_only(tmp_path, processes):
    asked = [processes.submit(shelf_work.take_many, str(tmp_path), value) for value in (1.0, 2.0)]
    for each in asked:
        assert each.result() <= {1.0, 2.0}
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_floors_are_the_same_in_another_process(tmp_path, processes):
    threads = torch.get_num_threads()
    there = processes.submit(shelf_work.floors, str(tmp_path / "theirs"), threads).result()
    assert there == shelf_work.floors(str(tmp_path / "ours"), threads)
    assert there == processes.submit(shelf_work.floors, str(tmp_path / "ours"), threads).result()
    assert None not in [there[name] for name in ("fid", "precision", "authenticity")]


def test_maker_that_dies_leaves_the_entry_to_the_next(tmp_path):
    started = tmp_path / "started"
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=shelf_work.hold, args=(str(tmp_path / "cache"), str(started)))
    other.start()
    while not started.exists():
        time.sleep(0.02)
    other.kill()
    other.join()
    found = Shelf(tmp_path / "cache").take(shelf_work.KEY, lambda: {"x": torch.ones(3)})
    assert found["x"].tolist() == [1, 1, 1]


def spoilt(content):
    """The ways in which a file may be damaged."""
    middle = len(content) * 3 // 4
    flipped = bytes([content[middle] ^ 1])
    return {
        "empty": b"",
        "cut": content[:-1],
        "half": content[:middle],
        "flipped bit": content[:middle] + flipped + content[middle + 1 :],
        "zeros": bytes(len(content)),
        "text": b"not what it was",
    }


@pytest.mark.parametrize("damage", spoilt(bytes(8)))
def test_damaged_file_is_made_anew(shelf, tmp_path, damage):
    (file,) = (tmp_path / "cache").glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(spoilt(whole)[damage])
    assert extractions(shelf) == 1
    assert file.read_bytes() == whole
    assert extractions(shelf) == 0


@pytest.mark.parametrize("place", ["file", "file/below", "x" * 300])
def test_folder_that_cannot_be_made_costs_nothing_but_time(tmp_path, place):
    (tmp_path / "file").write_text("no folder")
    kept = Shelf(tmp_path / place)
    assert extractions(kept) == extractions(kept) == 1


def test_entry_that_is_a_folder_costs_nothing_but_time(shelf, tmp_path):
    (file,) = (tmp_path / "cache").glob("*.safetensors")
    file.unlink()
    file.mkdir()
    assert extractions(shelf) == extractions(shelf) == 1


def test_full_disk_costs_nothing_but_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        found = pool.submit(shelf_work.take_on_a_full_disk, str(tmp_path)).result()
    assert found == ([1.0], [])


def test_without_a_folder_nothing_is_kept():
    kept = Shelf(None)
    assert extractions(kept) == extractions(kept) == 1


def test_place_is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setenv("BENCH_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.delenv("BENCH_CACHE")
    assert cache_folder() == Path("/somewhere/bench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "bench"
