"""How far samples are from the data as distributions of features: FID and inception score.

Both are torch-fidelity's own functions on features.  Those are not exported (hence the pin
`>=0.4,<0.5`, and a parity test against `calculate_metrics`), but they take what we extracted once,
and know nothing of the library's cache, whose keys hold only the name of an input.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bench.metrics.base import FeatureBank, Metric

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SPLITS = 10
"""The inception score is the mean over this many parts of the samples, as in the paper."""


def _fid(samples: FeatureBank, reference: FeatureBank) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) of the features; Heusel et al. 2017, equation 6."""
    from torch_fidelity import metric_fid

    _need(2, len(samples), "a covariance")
    values = metric_fid.fid_statistics_to_metric(
        _statistics(samples), _statistics(reference), verbose=False
    )
    return float(values[metric_fid.KEY_METRIC_FID])


@lru_cache(maxsize=4)  # by identity: a run's reference and floor are asked for again and again
def _statistics(bank: FeatureBank) -> dict[str, npt.NDArray[np.float64]]:
    """Mean and covariance, in double precision: the library would average in the features' own."""
    from torch_fidelity import metric_fid

    statistics: dict[str, npt.NDArray[np.float64]]
    statistics = metric_fid.fid_features_to_statistics(bank.features.double())
    return statistics


def _inception_score(samples: FeatureBank, reference: FeatureBank) -> float:
    """exp E[KL(p(y|x) ‖ p(y))], between 1 and the number of classes; Salimans et al. 2016."""
    from torch_fidelity import metric_isc

    _need(SPLITS, len(samples), f"{SPLITS} splits")
    values = metric_isc.isc_features_to_metric(samples.logits, splits=SPLITS)
    return float(values[metric_isc.KEY_METRIC_ISC_MEAN])


def _need(least: int, found: int, purpose: str) -> None:
    if found < least:
        raise ValueError(f"{purpose} needs at least {least} samples, found {found}")


FID = Metric(_fid, unit="", better="lower")
INCEPTION_SCORE = Metric(_inception_score, unit="classes", better="higher")
