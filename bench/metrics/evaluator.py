"""Judges the samples of a run: features once, every metric from them, each beside its floor."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import torch
from torch import Tensor

from bench import registry, seeding
from bench.errors import DataError
from bench.metrics.base import Extractor, FeatureBank, Metric
from bench.records import Direction

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
    reference: str
    floor: float | None
    """What as many real training images get against the same reference; None where there are
    fewer of them than samples."""
    seconds: float
    """Of this metric alone; the extraction, which all share, is not in it."""
    error: str | None
    """Why there is no value."""


class Evaluator:
    """Judges sets of `samples` images by named metrics against the whole test split.

    Besides the metrics asked for, every evaluation gives the share of samples in each class
    (`class_share_0`, …).  The metrics of `final_metrics` are computed at the end of a run only;
    without any metric no extractor is needed and nothing is measured.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a run's declaration of its evaluation, and its data
        self,
        extractor: str,
        metrics: Sequence[str],
        final_metrics: Sequence[str],
        train: Tensor,
        test: Tensor,
        dataset: str,
        samples: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """`train` and `test` are the splits' uint8 images (N, C, H, W).

        Raises `UnknownName` for a name that no registry holds, `DataError` for an extractor that
        was not made for the data set.
        """
        self._metrics = {name: _metric(name) for name in metrics}
        self._final_metrics = self._metrics | {name: _metric(name) for name in final_metrics}
        self._extractor = fitting(extractor, dataset) if self._final_metrics else None
        self._train, self._test = train, test
        self._dataset, self._samples, self._device = dataset, samples, device
        self._floors: dict[str, float | None] = {}

    def prepare(self) -> None:
        """Extract the reference and measure the floors now rather than at the first evaluation."""
        if self._extractor and self._metrics:
            for name, metric in (self._metrics | _class_shares(self._reference)).items():
                self._floor(name, metric)

    def evaluate(self, images: Tensor, *, final: bool) -> tuple[Measurement, ...]:
        """Every metric of uint8 images (samples, C, H, W); of the final ones if this is the end.

        A metric that is not defined for these samples has no value but an error; the others keep
        theirs.  Raises `DataError` for images of another number or form.
        """
        metrics = self._final_metrics if final else self._metrics
        if not metrics or self._extractor is None:
            return ()
        if len(images) != self._samples:
            raise DataError(f"found {len(images)} samples, expected {self._samples}")
        bank = self._extractor.bank(images, "samples", self._device)
        return tuple(
            self._measure(name, metric, bank)
            for name, metric in (metrics | _class_shares(bank)).items()
        )

    def _measure(self, name: str, metric: Metric, bank: FeatureBank) -> Measurement:
        floor = self._floor(name, metric)
        start = perf_counter()
        value, error = _compute(metric, bank, self._reference)
        return Measurement(
            metric=name,
            value=value,
            unit=metric.unit,
            better=metric.better,
            samples=len(bank),
            extractor=bank.extractor,
            extractor_sha256=bank.sha256,
            layer=bank.layer,
            reference=self._reference.source,
            floor=floor,
            seconds=perf_counter() - start,
            error=error,
        )

    @cached_property
    def _reference(self) -> FeatureBank:
        return self._remembered(self._test, "test")

    @cached_property
    def _real(self) -> FeatureBank | None:
        """As many training images as there are samples, always the same ones."""
        if self._samples > len(self._train):
            return None
        order = torch.randperm(len(self._train), generator=seeding.generator(0, "metrics/floor"))
        return self._remembered(self._train[order[: self._samples]], "train")

    def _floor(self, name: str, metric: Metric) -> float | None:
        """What real data gets, measured when first asked for."""
        if name not in self._floors and self._real is not None:
            self._floors[name] = _compute(metric, self._real, self._reference)[0]
        return self._floors.get(name)

    def _remembered(self, images: Tensor, split: str) -> FeatureBank:
        """The bank of real images, extracted once a process."""
        assert self._extractor is not None
        digest = hashlib.sha256(images.cpu().numpy().tobytes()).hexdigest()[:8]
        source = f"{self._dataset}/{split}/{len(images)}@{digest}"
        key = (self._extractor.sha256(), self._extractor.layer, source, str(self._device))
        if key not in _BANKS:
            _BANKS[key] = self._extractor.bank(images, source, self._device)
        return _BANKS[key]


_BANKS: dict[tuple[str, ...], FeatureBank] = {}


def fitting(extractor: str, dataset: str) -> Extractor:
    """The named extractor; raises `DataError` if it was not made for the data set."""
    found: Extractor = registry.load("extractors", extractor)
    if dataset not in found.fits:
        raise DataError(
            f"evaluation.extractor: {extractor!r} knows {', '.join(found.fits)} only, and its "
            f"features mean nothing on {dataset!r}; set evaluation.metrics and "
            "evaluation.final_metrics to [], or name an extractor made for it"
        )
    return found


def _metric(name: str) -> Metric:
    metric: Metric = registry.load("metrics", name)
    return metric


def _class_shares(bank: FeatureBank) -> dict[str, Metric]:
    """A metric for each class of the bank's classifier: the share of samples in it."""
    return {
        f"class_share_{k}": Metric(
            lambda samples, reference, k=k: float(samples.class_shares()[k]),  # type: ignore[misc]
            unit="share",
            better="near_reference",
        )
        for k in range(bank.logits.shape[1])
    }


def _compute(
    metric: Metric, samples: FeatureBank, reference: FeatureBank
) -> tuple[float | None, str | None]:
    """The value, or None and the reason why there is none."""
    try:
        value = metric.compute(samples, reference)
    except _UNDEFINED as error:
        return None, str(error)
    return (value, None) if math.isfinite(value) else (None, f"not a finite number: {value}")
