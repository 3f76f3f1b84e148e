"""Judges the samples of a run: features once, every metric from them, each beside its floor."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor
from torch.backends import cudnn

from bench import extractors, registry, seeding
from bench.datasets.base import Images, Kind, Points, Split
from bench.errors import DataError, suggestion
from bench.extractors.base import SAMPLES, Extractor, FeatureBank
from bench.metrics.base import Metric
from bench.records import Direction
from bench.shelf import Key, Shelf, cache_folder

CLASSES_SHOWN = 100
"""Up to so many classes each has its share of the samples among the metrics."""
_SHARE = "class_share_"

_LIBRARIES = ("torch-fidelity", "numpy", "scipy")
"""What metrics are computed with, beside torch."""

_UNDEFINED = (ValueError, ArithmeticError, torch.linalg.LinAlgError)  # type: ignore[attr-defined] # it is public
"""What a metric raises where its number does not exist; all else is a bug and not hidden."""


@dataclass(frozen=True)
class Measurement:
    """One metric of one set of samples."""

    metric: str
    value: float | None
    unit: str
    better: Direction
    samples: int
    extractor: str
    extractor_sha256: str
    layer: str
    preprocessing: str
    k: int | None
    reference: str
    floor: float | None
    """What as many real samples, which are not of the reference, get against it; None where there
    are fewer of them."""
    seconds: float
    """Of this metric alone; the extraction, which all share, is not in it."""
    error: str | None
    """Why there is no value."""


@dataclass(frozen=True)
class RealData:
    """Both splits of a data set, as they are judged by."""

    name: str
    train: Images | Points
    test: Images | Points

    @property
    def kind(self) -> Kind:
        """What its samples are."""
        return "images" if isinstance(self.train, Images) else "points"

    def split(self, name: Split) -> Tensor:
        """The samples of a split, uint8 images (N, C, H, W) or float32 points (N, D)."""
        return (self.train if name == "train" else self.test).samples


class Evaluator:
    """Judges sets of `samples` samples by named metrics against real data.

    The reference is the test split, or the training split for a metric that looks for copies; the
    floor comes from the other one.  Besides the metrics asked for, every evaluation gives the share
    of samples in each class (`class_share_0`, …), where there are at most 100.  The metrics of
    `final_metrics` are computed at the end of a run only; without any metric no extractor is needed
    and nothing is measured.  Banks of real data, and what follows from them, are kept on `shelf`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a run's declaration of its evaluation, and its data
        self,
        extractor: str,
        metrics: Sequence[str],
        final_metrics: Sequence[str],
        data: RealData,
        samples: int,
        device: torch.device | str = "cpu",
        shelf: Shelf | None = None,
    ) -> None:
        """Without a shelf, that in the user's cache folder.

        Raises `UnknownName` for a name that no registry holds, `DataError` for an extractor or a
        metric that was not made for the data.
        """
        self._metrics = {name: fitting_metric(name, data.kind) for name in metrics}
        self._final_metrics = self._metrics | {
            name: fitting_metric(name, data.kind) for name in final_metrics
        }
        self._extractor = (
            extractors.find(extractor).fitted(data.name, data.test) if self._final_metrics else None
        )
        self._data, self._samples, self._device = data, samples, device
        self._shelf = Shelf(cache_folder()) if shelf is None else shelf
        self._banks: dict[tuple[Split, bool], FeatureBank | None] = {}
        self._floors: dict[str, float | None] = {}

    def prepare(self) -> None:
        """Extract the reference and measure the floors now rather than at the first evaluation."""
        if self._extractor and self._metrics:
            for name, metric in self._asked(final=False).items():
                self._floor(name, metric)

    def evaluate(self, samples: Tensor, *, final: bool) -> tuple[Measurement, ...]:
        """Every metric of samples, images or points as the data's; of the final ones if this is the
        end.

        A metric that is not defined for these samples has no value but an error; the others keep
        theirs.  Raises `DataError` for samples of another number or form.
        """
        metrics = self._asked(final=final)
        if not metrics or self._extractor is None:
            return ()
        if len(samples) != self._samples:
            raise DataError(f"found {len(samples)} samples, expected {self._samples}")
        bank = self._extractor.bank(samples, SAMPLES, self._device)
        lost = int((~bank.features.isfinite().all(dim=1)).sum())
        if lost:
            return self._without_value(f"{lost:,} of {len(bank):,} samples are not finite", final)
        return tuple(self._measure(name, metric, bank) for name, metric in metrics.items())

    def _without_value(self, error: str, final: bool) -> tuple[Measurement, ...]:
        """Every metric of an evaluation that there is nothing to judge in, and why."""
        return tuple(
            self._measurement(name, metric, None, error, 0.0)
            for name, metric in self._asked(final=final).items()
        )

    def _asked(self, *, final: bool) -> dict[str, Metric]:
        metrics = self._final_metrics if final else self._metrics
        return metrics | self._class_shares if metrics else {}

    @property
    def _class_shares(self) -> dict[str, Metric]:
        """A metric for each class of the data: the share of samples in it."""
        reference = self._reference("test")
        try:
            count = len(reference.classes())
        except ValueError:  # classes of other data, or none
            return {}
        return {
            f"{_SHARE}{k}": _class_share(k) for k in range(count if count <= CLASSES_SHOWN else 0)
        }

    def _measure(self, name: str, metric: Metric, bank: FeatureBank) -> Measurement:
        self._floor(name, metric)  # off the clock
        start = perf_counter()
        value, error = _compute(metric, bank, self._reference(metric.against))
        return self._measurement(name, metric, value, error, perf_counter() - start)

    def _measurement(
        self, name: str, metric: Metric, value: float | None, error: str | None, seconds: float
    ) -> Measurement:
        assert self._extractor is not None
        return Measurement(
            metric=name,
            value=value,
            unit=metric.unit,
            better=metric.better,
            samples=min(self._samples, metric.at_most or self._samples),
            extractor=self._extractor.name,
            extractor_sha256=self._extractor.sha256(),
            layer=self._extractor.layer,
            preprocessing=self._extractor.preprocessing,
            k=metric.k,
            reference=self._looked_at(metric),
            floor=self._floor(name, metric),
            seconds=seconds,
            error=error,
        )

    def _looked_at(self, metric: Metric) -> str:
        reference = self._reference(metric.against)
        some = metric.at_most is not None and metric.at_most < len(reference)
        return f"{reference.source}, the first {metric.at_most:,}" if some else reference.source

    def _reference(self, split: Split) -> FeatureBank:
        """The whole split."""
        found = self._bank(split, whole=True)
        assert found is not None
        return found

    def _bank(self, split: Split, *, whole: bool) -> FeatureBank | None:
        """The split's bank, whole or as many of it as there are samples; None where there are
        fewer."""
        if (split, whole) not in self._banks:
            self._banks[split, whole] = self._extracted(split, whole=whole)
        return self._banks[split, whole]

    def _extracted(self, split: Split, *, whole: bool) -> FeatureBank | None:
        real = self._data.split(split)
        if not whole:
            if self._samples > len(real):
                return None
            draw = seeding.generator(0, "metrics/floor")  # always the same ones
            real = real[torch.randperm(len(real), generator=draw)[: self._samples]]
        assert self._extractor is not None
        return real_bank(
            self._extractor, real, f"{self._data.name}/{split}", self._device, self._shelf
        )

    def _floor(self, name: str, metric: Metric) -> float | None:
        """What real data gets, measured when first asked for."""
        if name not in self._floors:
            self._floors[name] = self._measured_floor(name, metric)
        return self._floors[name]

    def _measured_floor(self, name: str, metric: Metric) -> float | None:
        real = self._bank("train" if metric.against == "test" else "test", whole=False)
        if real is None:
            return None
        reference = self._reference(metric.against)

        def floor() -> dict[str, Tensor]:
            value, _ = _compute(metric, real, reference)
            return {
                "floor": torch.tensor(math.nan if value is None else value, dtype=torch.float64)
            }

        # the code of others may change unseen, and shares are read off at once
        own = metric.compute.__module__.startswith(__package__) and not name.startswith(_SHARE)
        kept = real.derived(f"{name} against {reference.identity}", floor) if own else floor()
        value = kept["floor"].item()
        return value if math.isfinite(value) else None


def real_bank(
    extractor: Extractor,
    real: Tensor,
    called: str,
    device: torch.device | str = "cpu",
    shelf: Shelf | None = None,
) -> FeatureBank:
    """The bank of real samples, from the shelf or on it from now on.

    Its key holds whatever its numbers depend on, the code that computes them included.
    """
    shelf = shelf or Shelf(None)
    whole = hashlib.sha256(f"{real.dtype} {tuple(real.shape)}".encode())
    whole.update(real.cpu().contiguous().numpy().data)
    data = whole.hexdigest()
    key: Key = {
        "data": data,
        "samples": len(real),
        "extractor": extractor.name,
        "weights": extractor.sha256(),
        "layer": extractor.layer,
        "preprocessing": extractor.preprocessing,
        "extractor code": _source(type(extractor).__module__),
        **_machinery(torch.device(device).type),
    }

    def extracted() -> dict[str, Tensor]:
        features, outputs = extractor.extract(real, device)
        return {"features": features} | ({} if outputs is None else {"outputs": outputs})

    found = shelf.take(key, extracted)
    source = f"{called}/{len(real)}@{data[:8]}"
    return FeatureBank(found["features"], found.get("outputs"), extractor, source, key, shelf)


def _machinery(device: str) -> Mapping[str, str | int]:
    """What numbers depend on in their last digits beside data and weights."""
    gpu = device == "cuda"
    products = torch.backends.cuda.matmul, cudnn.conv  # type: ignore[attr-defined] # by setattr
    return {
        "device": torch.cuda.get_device_name() if gpu else device,
        "rounding": " ".join(each.fp32_precision for each in products) if gpu else "none",
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "code": _code(),
        **{name: version(name) for name in _LIBRARIES} | {"torch": str(torch.__version__)},
    }


@cache
def _code() -> str:
    """A digest of the code behind every bank and metric."""
    root = Path(__file__).parents[1]
    files = sorted([*root.glob("extractors/*.py"), *root.glob("metrics/*.py")])
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()


@cache
def _source(module: str) -> str:
    """A digest of the code of an extractor, which may be another package's."""
    file = getattr(sys.modules[module], "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "unknown"


def fitting_metric(name: str, kind: Kind) -> Metric:
    """The metric of that name; raises `DataError` where it is not one of images, or of points."""
    metric: Metric = registry.load("metrics", name)
    if kind not in metric.kinds:
        raise DataError(
            f"metric {name!r} is not defined for {kind}{suggestion(name, metrics_of(kind))}"
        )
    return metric


def metrics_of(kind: Kind) -> tuple[str, ...]:
    """Every metric that is defined for images, or for points."""
    names = registry.entries("metrics")
    return tuple(name for name in names if kind in registry.load("metrics", name).kinds)


def _class_share(k: int) -> Metric:
    def share(samples: FeatureBank, reference: FeatureBank) -> float:
        return float(samples.class_shares()[k])

    return Metric(share, unit="share", better="near_reference")


def _compute(
    metric: Metric, samples: FeatureBank, reference: FeatureBank
) -> tuple[float | None, str | None]:
    """The value, or None and the reason why there is none."""
    if metric.at_most is not None:
        samples, reference = samples.head(metric.at_most), reference.head(metric.at_most)
    try:
        value = metric.compute(samples, reference)
    except _UNDEFINED as error:
        return None, str(error)
    return (value, None) if math.isfinite(value) else (None, f"not a finite number: {value}")
