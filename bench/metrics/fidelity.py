"""How far samples are from the data as distributions: FID, KID and inception score.

The numbers are torch-fidelity's, on what we extracted once: its functions on features, which know
nothing of the library's cache, whose keys hold only the name of an input.  They are not exported
(hence the pin `>=0.4,<0.5`), and a test holds all three to `calculate_metrics`.  Two parts are
ours.  The trace term of FID: the library takes the eigenvalues of an unsymmetric product, which is
slower at 2,048 features and inexact where a covariance is singular.  The kernel of KID: NumPy's
power took seven times as long as two products on the features of `digits`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.extractors.base import FeatureBank
from bench.metrics.base import IMAGES, Metric, need
from bench.shelf import Tensors

SPLITS = 10
"""The inception score is the mean over this many parts of the samples, as in the paper."""
SUBSET = 1000
SUBSETS = 100
"""KID is the mean over so many pairs of random subsets of `SUBSET` samples, as in the library."""
_LIBRARY_SEED = 2020
"""By which torch-fidelity draws them: the same subsets, so that the same number results."""


def _fid(samples: FeatureBank, reference: FeatureBank) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½) of the features; Heusel et al. 2017, equation 6."""
    one = samples.derived("moments", lambda: _moments(samples))
    two = reference.derived("moments", lambda: _moments(reference))
    root = reference.derived("root", lambda: {"root": _root(two["covariance"])})["root"]
    mixed = _trace_of_root(samples, one, root)
    apart = (one["mean"] - two["mean"]).square().sum()
    spread = one["covariance"].trace() + two["covariance"].trace()
    return float(apart + spread - 2 * mixed)


def _moments(bank: FeatureBank) -> Tensors:
    """Mean (d,) and covariance (d, d), in double precision: the library would average in the
    features' own."""
    from torch_fidelity import metric_fid

    need(2, len(bank), "a covariance")
    found = metric_fid.fid_features_to_statistics(bank.features.double())
    mean, covariance = torch.from_numpy(found["mu"]), torch.as_tensor(found["sigma"])
    return {"mean": mean, "covariance": covariance.reshape(len(mean), len(mean))}


def _root(covariance: Tensor) -> Tensor:
    """The symmetric square root of a covariance (d, d)."""
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * _nonzero(values).sqrt()) @ vectors.T
    return root


def _trace_of_root(samples: FeatureBank, of: Tensors, root: Tensor) -> Tensor:
    """tr (Σ₁Σ₂)^½ as the sum of the roots of the eigenvalues of S Σ₁ S, where S = Σ₂^½.

    Those other than 0 are also the eigenvalues of X S (X S)ᵀ/(N − 1), X being the centred features:
    N × N, smaller and not singular where there are fewer samples than features.
    """
    count, width = samples.features.shape
    if count > width:
        product = root @ of["covariance"] @ root
    else:
        half = (samples.features.double() - of["mean"]) @ root
        product = half @ half.T / (count - 1)
    return _nonzero(torch.linalg.eigvalsh(product)).sqrt().sum()


def _nonzero(values: Tensor) -> Tensor:
    """Eigenvalues (n,) of a positive matrix, ascending; what rounding left of zeros is 0 again.

    The root of such a rest is a thousand times its error, and there may be thousands of them.
    """
    smallest = values[-1] * len(values) * torch.finfo(values.dtype).eps
    return torch.where(values > smallest, values, 0.0)


def _kid(samples: FeatureBank, reference: FeatureBank) -> float:
    """The squared maximum mean discrepancy under the kernel (x·y/d + 1)³, unbiased, so that equal
    distributions may fall below 0; Bińkowski et al. 2018, section 4."""
    need(SUBSET, min(len(samples), len(reference)), f"a subset of {SUBSET:,}")
    draw = np.random.RandomState(_LIBRARY_SEED)
    estimates = []
    for _ in range(SUBSETS):
        chosen = (draw.choice(len(bank), SUBSET, replace=False) for bank in (samples, reference))
        x, y = (
            bank.features[index] for bank, index in zip((samples, reference), chosen, strict=True)
        )
        within = sum(_kernel_sum(each, each, diagonal=False) for each in (x, y))
        across = _kernel_sum(x, y, diagonal=True)
        estimates.append(within / (SUBSET * (SUBSET - 1)) - 2 * across / SUBSET**2)
    return float(np.mean(estimates))


def _kernel_sum(x: Tensor, y: Tensor, *, diagonal: bool) -> float:
    """Σ (x·y/d + 1)³ over all pairs of (N, d) and (N, d), with or without each point's own."""
    base = torch.addmm(torch.ones(()), x, y.T, alpha=1 / x.shape[1])
    kernel = base * base * base
    own = 0.0 if diagonal else kernel.diagonal().sum(dtype=torch.float64).item()
    return kernel.sum(dtype=torch.float64).item() - own


def _inception_score(samples: FeatureBank, reference: FeatureBank) -> float:
    """exp E[KL(p(y|x) ‖ p(y))], between 1 and the number of classes; Salimans et al. 2016."""
    from torch_fidelity import metric_isc

    need(SPLITS, len(samples), f"{SPLITS} splits")
    values = metric_isc.isc_features_to_metric(samples.logits, splits=SPLITS)
    return float(values[metric_isc.KEY_METRIC_ISC_MEAN])


FID = Metric(_fid, unit="", better="lower")
KID = Metric(_kid, unit="", better="lower")
INCEPTION_SCORE = Metric(_inception_score, unit="classes", better="higher", kinds=IMAGES)
