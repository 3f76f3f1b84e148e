"""Judging samples of any source by every metric, each value with all that it depends on; and
training an extractor to judge by."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench import __version__, extractors, sources
from bench.datasets.base import Kind
from bench.environment import cores, resolve_device
from bench.errors import DataError, RequestError
from bench.extractors import training
from bench.extractors.training import Trained
from bench.metrics.evaluator import Evaluator, Measurement, RealData, fitting_metric, metrics_of
from bench.records import Part, RunSpec
from bench.sources.base import Shape, Source
from bench.suite.base import dotted
from bench.suite.checks import check_part
from bench.training.base import resolve
from bench.training.precision import applied

Where = str | os.PathLike[str]

_RATE = 8e10
"""Operations a second of a slow network on a core: 0.14 s for an image by Inception."""
SLOW = 1e9
"""Operations a sample, from which on an extractor does not see the training split unasked."""


@dataclass(frozen=True)
class Provenance:
    """All that the numbers of one evaluation depend on."""

    source: str
    form: str
    """What kind of source it is, lossy pictures told from others."""
    samples_sha256: str
    """Of the samples that were judged."""
    dataset: str
    samples: int
    extractor: str
    extractor_sha256: str
    extractor_accuracy: float | None
    """Of a classifier, on its data's test split."""
    layer: str
    preprocessing: str
    references: Mapping[str, str]
    """Split → the data that metrics are measured against: `mnist/test/10000@1f0e6c2a`."""
    k: Mapping[str, int]
    """Metric → which nearest neighbours it looks at."""
    first: Mapping[str, int]
    """Metric → how many samples it looks at, where these are not all."""
    device: str
    bench_version: str


@dataclass(frozen=True)
class Evaluated:
    """What every metric asked for says of one set of samples."""

    measurements: tuple[Measurement, ...]
    class_shares: tuple[float | None, ...]
    """The share of samples in each class of the data; none where classes are unknown, or many."""
    provenance: Provenance


def evaluate(  # noqa: PLR0913 - the options of `bench evaluate`, all but the source by name
    source: Where,
    *,
    dataset: str | None = None,
    root: Where | None = None,
    extractor: str | None = None,
    samples: int | None = None,
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    results: Where = "results",
    on_note: Callable[[str], None] = lambda line: None,
) -> Evaluated:
    """Judge samples: of a finished run, in a folder of pictures, in an .npy or a Parquet file.

    A run is named by its folder, as `SUITE/VARIANT/SEED`, or by `SUITE/` and the head of its
    `run_id`.  `root` is where the data set's files are; `extractor` a name or a file of weights;
    fewer `samples` than there are, a random choice of them.  Left out, these are what the run
    declared; for other sources the data set's own extractor and all samples, and for either every
    metric that is defined for the data; one against the training split only if named, where the
    extractor is slow.  `on_note` hears a line before anything that takes long.  A run is judged
    with the threads that it had, and on the type of device that it had where there is one: its
    final numbers come out again.

    Raises `RequestError` and `StoreError` for whatever is wrong with the source or an option; a
    metric that these samples give no value has the reason instead.
    """
    found = sources.find(source, Path(results))
    part = _dataset_part(dataset, root, found.spec)
    data = _real_data(part)
    shape = tuple(data.test.samples.shape[1:])
    _require_same_shape(found, part, shape)
    judge = extractor or _extractor(part, data.kind, found.spec)
    names = _usual(judge, data.kind) if metrics is None else tuple(dict.fromkeys(metrics))
    _require_fitting(names, judge, data)
    at = torch.device(_device(device, found.spec))
    with _as_in_a_run(at, found.spec):
        chosen = found.samples(shape, samples, at)
        _require_same_range(found, chosen, data.test.samples)
        _tell_how_long(judge, data, len(chosen), at, on_note)
        evaluator = Evaluator(judge, names, (), data, len(chosen), at)
        measured = evaluator.evaluate(chosen, final=True)
    return Evaluated(
        tuple(each for each in measured if each.metric in names),
        tuple(each.value for each in measured if each.metric not in names),
        _provenance(measured[: len(names)], found, data, chosen, str(at), judge),
    )


def train_extractor(
    dataset: str,
    *,
    root: Where | None = None,
    out: Where | None = None,
    epochs: int | None = None,
    on_epoch: Callable[[int, int], None] = lambda done, epochs: None,
) -> Trained:
    """Train a classifier of a labelled data set of images, to judge samples by, on all cores.

    Written to `out`; where it is left out, to `extractors/DATASET.safetensors`, or for the data set
    `folder` under the name of its root.  Raises `DataError` for a data set without classes,
    `RequestError` or `StoreError` for an `out` that will not do.
    """
    part = _dataset_part(dataset, root)
    name = Path(part["root"]).absolute().name if dataset == "folder" else dataset
    path = Path(out or f"extractors/{name}.safetensors")
    asked = {} if epochs is None else {"epochs": epochs}
    threads = torch.get_num_threads()
    torch.set_num_threads(cores())
    try:
        found = resolve("datasets", part)
        return training.train_extractor(dataset, found, path, **asked, on_epoch=on_epoch)
    finally:
        torch.set_num_threads(threads)


def _dataset_part(dataset: str | None, root: Where | None, spec: RunSpec | None = None) -> Part:
    """The data set of that name, or of that run, with its options; raises `RequestError`."""
    if dataset is None and spec is None:
        raise RequestError(
            "dataset: found none; name the one that the samples resemble (--dataset NAME)"
        )
    own = spec.dataset if spec and dataset in (None, spec.dataset["name"]) else {"name": dataset}
    if spec and own is spec.dataset and root is None:
        return own
    part, faults = check_part("datasets", {**own, **({"root": str(root)} if root else {})})
    if part is not None:
        return part
    fault = faults[0]
    key = "" if fault.key == ("name",) else f" {own['name']!r}: {dotted(fault.key)}"
    mend = "; give it by --root DIR" if fault.missing and fault.key == ("root",) else ""
    raise RequestError(f"dataset{key}: {fault.text}{mend}")


def _real_data(part: Part) -> RealData:
    dataset = resolve("datasets", part)
    return RealData(part["name"], dataset.load("train"), dataset.load("test"))


def _require_same_shape(source: Source, part: Part, shape: Shape) -> None:
    """A run's samples may be judged by data other than its own, if these are of one shape."""
    if source.spec is None or source.spec.dataset == part:
        return
    own = resolve("datasets", source.spec.dataset).shape
    if own != shape:
        raise RequestError(
            f"{source.name}: makes samples {own} like {source.spec.dataset['name']!r}, but "
            f"{part['name']!r} has samples {shape}; name a data set of the same shape"
        )


def _extractor(part: Part, kind: Kind, spec: RunSpec | None) -> str:
    """A run's own, where it was judged and on the same data; else the one made for the data."""
    if spec and spec.dataset["name"] == part["name"]:
        asked = spec.evaluation
        if asked.metrics or asked.final_metrics:
            return asked.extractor
    return extractors.default(part["name"], kind)


def _require_fitting(metrics: Sequence[str], extractor: str, data: RealData) -> None:
    """What the evaluator refuses, refused before any sample is read or generated."""
    if not metrics:
        raise RequestError("metrics: found none; expected the name of one at least")
    for name in metrics:
        fitting_metric(name, data.kind)
    extractors.find(extractor).fitted(data.name, data.test)


def _usual(extractor: str, kind: Kind) -> tuple[str, ...]:
    """Every metric; but a slow network does not see a whole training split unless asked to."""
    slow = extractors.find(extractor).operations > SLOW
    names = metrics_of(kind)
    return tuple(n for n in names if not slow or fitting_metric(n, kind).against == "test")


def _tell_how_long(
    extractor: str, data: RealData, count: int, device: torch.device, on_note: Callable[[str], None]
) -> None:
    """A line before a slow network is at work on a CPU, on real data too if none of it is kept."""
    found = extractors.find(extractor)
    if found.operations > SLOW and device.type == "cpu":
        minutes = found.operations / (_RATE * torch.get_num_threads()) / 60
        total = count + min(count, len(data.train.samples)) + len(data.test.samples)
        on_note(
            f"{found.name} on a CPU: about {count * minutes:.0f} min for the samples, up to "
            f"{total * minutes:.0f} min if nothing of the real data lies in the cache"
        )


def _require_same_range(source: Source, found: Tensor, real: Tensor) -> None:
    """Refuse black and white that were written as 0 and 1 where the data go to 255."""
    if found.dtype == torch.uint8 and int(found.max()) == 1 < int(real.max()):
        raise DataError(
            f"{source.name}: found pixels of 0 and 1 alone; expected 0 to 255, as in the data set; "
            "multiply by 255"
        )


def _device(asked: str, spec: RunSpec | None) -> str:
    """The device asked for; `auto` is the type that the run had, or a GPU, where there is one."""
    known = resolve_device(asked)
    if asked != "auto":
        return asked
    return "cpu" if spec and spec.device == "cpu" else known


@contextmanager
def _as_in_a_run(device: torch.device, spec: RunSpec | None) -> Iterator[None]:
    """The numbers that a run is judged in: their last digits depend on these settings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads if spec else threads)
    torch.set_flush_denormal(True)
    try:
        with applied("fp32", device):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def _provenance(  # noqa: PLR0913, PLR0917 - all that numbers depend on
    measured: Sequence[Measurement],
    source: Source,
    data: RealData,
    samples: Tensor,
    device: str,
    judge: str,
) -> Provenance:
    one, count = measured[0], len(samples)
    digest = hashlib.sha256(samples.cpu().contiguous().numpy().data).hexdigest()
    splits = {each.metric: fitting_metric(each.metric, data.kind).against for each in measured}
    return Provenance(
        source=source.name,
        form=source.form,
        samples_sha256=digest,
        dataset=data.name,
        samples=count,
        extractor=one.extractor,
        extractor_sha256=one.extractor_sha256,
        extractor_accuracy=extractors.find(judge).accuracy,
        layer=one.layer,
        preprocessing=one.preprocessing,
        references={splits[each.metric]: each.reference for each in measured},
        k={each.metric: each.k for each in measured if each.k is not None},
        first={each.metric: each.samples for each in measured if each.samples < count},
        device=device,
        bench_version=__version__,
    )
