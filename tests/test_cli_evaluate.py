"""`bench evaluate` on the command line: what it prints, and one line for every mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from test_cli import said
from test_datasets import write_pictures, write_split
from test_evaluate import saved

from bench import __version__
from bench.datasets.mnist import MNIST
from bench.extractors.digits import SHA256

DIGITS = MNIST().load("train").images[10:40]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a small MNIST in data/."""
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        write_split(tmp_path / "data" / "MNIST" / "raw", split, 60)
    return tmp_path


def evaluate(capsys, *arguments):
    return said(capsys, "evaluate", *arguments)


MNIST_ = ("--dataset", "mnist", "--root", "data")


def test_every_value_stands_beside_its_floor_and_what_it_depends_on(capsys, here):
    source = saved(here, "images.npy", DIGITS).name
    code, out, err = evaluate(capsys, source, *MNIST_, "--metrics", "precision", "--samples", 20)
    table, facts = out.split("\n\n")
    head, row = table.splitlines()
    assert (code, err) == (0, "")
    assert head.split("  ")[0] == "metric"
    assert row.split()[:2] == ["Precision", "(digits)"]
    assert row.split()[4:8] == ["↑", "higher", "3", row.split()[-1]]
    assert row.split()[-1].startswith("mnist/test/60@")
    told = facts.splitlines()
    assert re.fullmatch("their SHA-256     [0-9a-f]{64}", told.pop(3))
    assert told == [
        "judged",
        "source            images.npy: array",
        "samples           20",
        "extractor         digits, 99.59 % of its test split right",
        f"its SHA-256       {SHA256}",
        "layer             penultimate, before its ReLU",
        "preprocessing     uint8 / 255",
        f"reference (test)  {row.split()[-1]}",
        "real data         as many of the split that is not the reference, judged alike",
    ]


def test_json_is_the_same_for_a_script(capsys, here):
    source = saved(here, "pictures", DIGITS).name
    code, out, _ = evaluate(capsys, source, *MNIST_, "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found) == ["metrics", "floors", "errors", "provenance", "class_shares"]
    assert found["metrics"]["authenticity"] == 0.0
    assert found["metrics"]["kid"] is None
    assert "needs at least 1,000 samples, found 30" in found["errors"]["kid"]
    assert set(found["metrics"]) == set(found["floors"]) >= {"fid", "coverage", "modes"}
    assert sum(found["class_shares"]) == pytest.approx(1.0)
    provenance = found["provenance"]
    assert {key: provenance[key] for key in ("source", "dataset", "samples", "extractor")} == {
        "source": "pictures", "dataset": "mnist", "samples": 30, "extractor": "digits"
    }  # fmt: skip
    assert provenance["extractor_sha256"] == SHA256
    assert provenance["k"]["density"] == 5
    assert set(provenance["references"]) == {"test", "train"}
    assert provenance["bench_version"] == __version__


def test_a_metric_without_a_value_says_why_and_the_others_are_kept(capsys, here):
    source = saved(here, "images.npy", DIGITS).name
    arguments = (source, *MNIST_, "--metrics", "modes, kid", "--metrics", "fid")
    code, out, _ = evaluate(capsys, *arguments)
    assert code == 3  # it was asked for by name
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["Modes", "KID", "FID"]
    assert "KID (digits) has no value: a subset of 1,000 needs at least" in lines[4]
    assert evaluate(capsys, source, *MNIST_)[0] == 0


def test_an_extractor_is_trained_and_judges(capsys, here):
    write_pictures(here / "own", 24)
    asked = ("--root", "own", "--epochs", 2, "--out", "x.safetensors")
    code, out, err = evaluate(capsys, "--train-extractor", "folder", *asked)
    assert code == 0
    assert err == "epoch 1 of 2\nepoch 2 of 2\n"
    first, second, *_, third = out.splitlines()
    assert first.startswith("x.safetensors: ")
    assert third == 'in a suite, under [evaluation]: extractor = "x.safetensors"'
    own = ("--dataset", "folder", "--root", "own", "--extractor", "x.safetensors")
    code, out, err = evaluate(capsys, "own/test/cat", *own, "--json", "--metrics", "modes_any")
    assert (code, err) == (0, "")
    assert second == f"SHA-256 {json.loads(out)['provenance']['extractor_sha256']}"


def test_a_poor_classifier_is_called_one(capsys, here):
    write_pictures(here / "own", 24)
    asked = ("--root", "own", "--epochs", 1, "--out", "x.safetensors")
    _, out, _ = evaluate(capsys, "--train-extractor", "folder", *asked)
    accuracy = float(out.split(": ")[1].split(" %")[0])
    assert ("features that tell little" in out) == (accuracy < 80)


def wrong_files(folder):
    """A file for each thing that can be wrong with one."""
    images = DIGITS.numpy()
    arrays = {
        "float": images / np.float32(255), "int": images.astype("i8"), "wide": images[..., :20],
        "last": np.moveaxis(images, 1, 3), "none": images[:0], "one": np.uint8(3),
        "flat": images.reshape(30, -1), "nan": np.array([[0.0, np.nan]]), "flags": images > 9,
        "bits": (images > 9).astype("u1"),
        "points": np.zeros((3, 2), "f4"), "space": np.zeros((3, 3), "f4"),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    tables = {
        "short": {"image": [b"abc"]}, "text": {"image": ["abc"]}, "null": {"image": [None, b"x"]},
        "several": {"a": [b"x"], "b": [b"y"]}, "empty": {"image": pa.array([], pa.binary())},
        "xyz": {"x": [0.5], "y": [0.5], "z": [0.5]}, "whole": {"x": [1], "y": [2]},
        "hole": {"p": pa.array([[0.5, None]], pa.list_(pa.float32()))},
    }  # fmt: skip
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "cut.npy").write_bytes((folder / "int.npy").read_bytes()[:300])
    (folder / "no.npy").write_bytes(b"\x93NUMPY\x01\x00\x06\x00(((((")
    (folder / "no.parquet").write_bytes(b"PAR1 or not")
    (folder / "images.zip").touch()
    (folder / "nothing").mkdir()
    saved(folder, "pictures", DIGITS)
    (folder / "nested").mkdir()
    saved(folder / "nested", "pictures", DIGITS[:2])


RING = ("--dataset", "ring")
WRONG = [
    ("float.npy", MNIST_, "found float32; expected uint8, 0 to 255; multiply and round first"),
    ("int.npy", MNIST_, "found int64; expected uint8, 0 to 255"),
    ("bits.npy", MNIST_, "found pixels of 0 and 1 alone; expected 0 to 255"),
    ("nested", MNIST_, "nested: holds folders of pictures, too (pictures); name one of them"),
    ("flags.npy", MNIST_, "found bool; expected uint8"),
    ("wide.npy", MNIST_, "found samples (1, 28, 20), expected images (1, 28, 28)"),
    ("flat.npy", MNIST_, "found samples (784,), expected images (1, 28, 28)"),
    ("last.npy", MNIST_, "found images (28, 28, 1); channels come second, expected (1, 28, 28)"),
    ("none.npy", MNIST_, "none.npy: holds no samples"),
    ("one.npy", MNIST_, "one.npy: found a single number"),
    ("cut.npy", MNIST_, "cut.npy: cannot be read"),
    ("no.npy", MNIST_, "no.npy: cannot be read"),
    ("points.npy", MNIST_, "found float32; expected uint8"),
    ("nan.npy", RING, "nan.npy: 1 of 1 points are not finite"),
    ("int.npy", RING, "found int64, expected points of float32 or float64"),
    ("space.npy", RING, "found samples (3,), expected points (2,)"),
    ("pictures", RING, "found a folder, expected points (2,) in a file"),
    ("short.parquet", MNIST_, "found a row of 3 values, expected 784: those of a sample"),
    ("text.parquet", MNIST_, "column 'image' holds string; expected bytes, or lists of uint8"),
    ("null.parquet", MNIST_, "column 'image' holds 1 nulls"),
    ("several.parquet", MNIST_, "found the columns a, b; expected one that is named 'image'"),
    ("empty.parquet", MNIST_, "empty.parquet: holds no samples"),
    ("no.parquet", MNIST_, "no.parquet: cannot be read as Parquet"),
    ("xyz.parquet", RING, "found the columns x, y, z; expected 2 of floats, or one of lists"),
    ("whole.parquet", RING, "found int64, expected points of float32 or float64"),
    ("hole.parquet", RING, "found nulls among the values of a sample"),
    ("images.zip", MNIST_, "found a file that ends in '.zip'; expected"),
    ("gone.npy", MNIST_, "gone.npy: no such file"),
    ("nothing", MNIST_, "nothing: holds no pictures; expected files that end in .png"),
    ("gone", MNIST_, "gone: no such file or folder, and no run: results has the suites none"),
    ("a/b/c", MNIST_, "a/b/c: no such file or folder, and no run"),
    ("x" * 300, MNIST_, "no such file or folder"),
    ("pictures", (), "dataset: found none; name the one that the samples resemble"),
    ("pictures", ("--dataset", "mnst"), "'mnst' is not a dataset; did you mean 'mnist'?"),
    ("pictures", ("--dataset", "folder"), "dataset 'folder': root: is missing; give it by --root"),
    ("pictures", (*RING, "--root", "x"), "dataset 'ring': root: unknown key"),
    ("pictures", ("--dataset", "mnist", "--root", "x"), "x/MNIST/raw: holds no train-images"),
    ("pictures", (*MNIST_, "--samples", 31), "asked for 31 samples, found 30; expected 1 to 30"),
    ("pictures", (*MNIST_, "--samples", 0), "Invalid value for '--samples'"),
    ("pictures", (*MNIST_, "--metrics", "fdi"), "'fdi' is not a metric; did you mean 'fid'?"),
    ("pictures", (*MNIST_, "--metrics", ","), "metrics: found none; expected the name of one"),
    ("pictures", (*MNIST_, "--metrics", "reverse_kl"), "'reverse_kl' is not defined for images"),
    ("pictures", (*MNIST_, "--extractor", "digit"), "not an extractor; did you mean 'digits'?"),
    ("pictures", (*MNIST_, "--extractor", "points"), "extractor 'points' is made for points"),
    ("pictures", (*MNIST_, "--extractor", "gone.safetensors"), "gone.safetensors: "),
    ("pictures", (*MNIST_, "--device", "cuda:99"), "device 'cuda:99': this machine has no such"),
    ("pictures", (*MNIST_, "--epochs", 1), "--out, --epochs: found no --train-extractor"),
    ("pictures", ("--train-extractor", "mnist"), "--train-extractor: takes --root, --out and"),
]


@pytest.mark.parametrize(("source", "options", "told"), WRONG)
def test_a_mistake_gives_one_line(capsys, here, source, options, told):
    wrong_files(here)
    code, out, err = evaluate(capsys, source, *options)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "SOURCE: found none; expected a run, a folder or a file to judge"),
        (("--train-extractor", "mnst"), "'mnst' is not a dataset; did you mean 'mnist'?"),
        (("--train-extractor", "ring"), "ring: has points"),
        (("--train-extractor", "mnist", "--root", "x"), "x/MNIST/raw: holds no train-images"),
        (("--train-extractor", "mnist", "--root", "data", "--out", "x.pth"), "x.pth: expected"),
        (("--train-extractor", "mnist", "--epochs", 0), "Invalid value for '--epochs'"),
    ],
)
def test_a_wrong_call_starts_nothing(capsys, here, arguments, told):
    code, out, err = evaluate(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert list(here.rglob("*.safetensors")) == []


REFERENCE = "reference/mnist_compare"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (REFERENCE, "a whole suite; name one of its runs: "),
        ("mnist_compare", "a whole suite; name one of its runs: mnist_compare/VARIANT/SEED"),
        (f"{REFERENCE}/gan/0", "holds no generator.safetensors; its weights were not kept here"),
        (f"{REFERENCE}/gan/7", "'gan/7' is not a run of this suite; did you mean"),
        ("mnist_compare/wgann/0", "'wgann/0' is not a run of this suite; did you mean 'wgan/0'?"),
        ("mnist_compares/gan/0", "no run: results/reference has the suites bf16_equivalence, cla"),
    ],
)
def test_a_run_that_is_none_or_left_nothing_is_said(capsys, monkeypatch, source, told):
    monkeypatch.chdir(ROOT)
    name = f"results/{source}" if source.startswith("reference") else source
    code, _, err = evaluate(capsys, name, "--results", "results/reference")
    assert (code, err.count("\n")) == (2, 1)
    assert told in err


def test_a_diverged_run_is_said_to_be_one(capsys, here):
    from dataclasses import replace

    from executor_work import row, spec

    from bench import store
    from bench.records import RunResult

    store.prepare(here / "results", "small")
    run = replace(row(spec("gan"), "small"), status="diverged")
    folder = store.write(here / "results", "small", RunResult(run))
    code, _, err = evaluate(capsys, folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "the run is diverged, and only a completed one leaves its generator" in err


def test_the_run_of_a_network_that_changed_does_not_fit(capsys, here):
    from test_recorder import FEW, execute, spec

    from bench import store
    from bench.training.samples import weights

    declared = spec(budget=FEW, dataset={"name": "mnist", "root": "data"})
    (result,) = execute(declared)
    store.prepare(here / "results", "small")
    folder = store.write(here / "results", "small", result)
    other = weights(torch.nn.Linear(3, 3), declared)
    (folder / "generator.safetensors").write_bytes(other)
    code, _, err = evaluate(capsys, folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "its weights do not fit its network 'mlp'" in err
