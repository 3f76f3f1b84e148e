"""How far samples are from the data as distributions: FID, KID and inception score.

The numbers are torch-fidelity's: a test holds all three to its `calculate_metrics`.  They are not
computed by it.  Its import takes seconds and 160 MB; its FID takes the eigenvalues of an
unsymmetric product, which is slower at 2,048 features and inexact where a covariance is singular;
its KID raises to a power by NumPy, which took seven times as long on the features of `digits`; and
NumPy's products use every core, however few threads a run was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from bench.extractors.base import FeatureBank
from bench.metrics.base import IMAGES, Metric, need
from bench.shelf import Tensors

SPLITS = 10
"""Of the samples, for the inception score."""
SUBSET = 1000
SUBSETS = 100
"""KID is the mean over so many pairs of random subsets of `SUBSET` samples, as in the library."""
_LIBRARY_SEED = 2020
"""By which torch-fidelity draws subsets and splits: the same ones, so that its number results."""
_ROWS = 1000
"""Features turned to double precision at once."""


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
    """Mean (d,) and covariance (d, d), in double precision."""
    need(2, len(bank), "a covariance")
    mean = bank.features.mean(dim=0, dtype=torch.float64)
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for part in torch.split(bank.features, _ROWS):
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred)
    return {"mean": mean, "covariance": covariance / (len(bank) - 1)}


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
    need(SUBSET, len(samples), f"a subset of {SUBSET:,}")
    need(SUBSET, len(reference), f"a subset of {SUBSET:,}", "of the reference")
    ours, theirs = _subsets(len(samples), len(reference))
    name = f"kernel within subsets beside {len(samples)}"
    kept = reference.derived(name, lambda: {"sums": _within(reference, theirs)})
    within = _within(samples, ours) + kept["sums"]
    pairs = zip(_parts(samples, ours), _parts(reference, theirs), strict=True)
    estimates = within / (SUBSET * (SUBSET - 1)) - 2 * _kernel_sums(pairs) / SUBSET**2
    return float(estimates.mean())


def _subsets(samples: int, reference: int) -> tuple[list[Tensor], list[Tensor]]:
    """Places of the subsets of either set, drawn in turns."""
    draw = np.random.RandomState(_LIBRARY_SEED)
    sizes = [samples, reference] * SUBSETS
    found = [torch.from_numpy(draw.choice(size, SUBSET, replace=False)) for size in sizes]
    return found[::2], found[1::2]


def _parts(bank: FeatureBank, subsets: list[Tensor]) -> Iterator[Tensor]:
    """The features (n, d) of each subset."""
    return (bank.features[places] for places in subsets)


def _within(bank: FeatureBank, subsets: list[Tensor]) -> Tensor:
    """Sums of the kernel over all pairs of two points of a subset, (subsets,)."""
    whole = _kernel_sums((part, part) for part in _parts(bank, subsets))
    norms = (part.double().square().mean(dim=1) for part in _parts(bank, subsets))
    return whole - torch.stack([(norm + 1).pow(3).sum() for norm in norms])


def _kernel_sums(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Sums of (x·y/d + 1)³ over all pairs of points of two subsets (n, d), for each such two."""
    kernel = torch.empty(SUBSET, SUBSET)  # one for all: freed each time, they fragment the heap
    found = torch.zeros(SUBSETS, dtype=torch.float64)
    for place, (x, y) in enumerate(pairs):
        torch.addmm(torch.ones(()), x, y.T, alpha=1 / x.shape[1], out=kernel)
        found[place] = kernel.pow_(3).sum(dim=1).sum(dtype=torch.float64)
    return found


def _inception_score(samples: FeatureBank, reference: FeatureBank) -> float:
    """exp E[KL(p(y|x) ‖ p(y))], between 1 and the number of classes; Salimans et al. 2016.

    The mean over ten random splits of the samples, as there.
    """
    count = len(samples)
    need(SPLITS, count, f"{SPLITS} splits")
    order = torch.from_numpy(np.random.RandomState(_LIBRARY_SEED).permutation(count))
    bounds = [split * count // SPLITS for split in range(SPLITS + 1)]
    splits = (order[start:stop] for start, stop in pairwise(bounds))
    return float(np.mean([_split_score(samples.logits[split].double()) for split in splits]))


def _split_score(logits: Tensor) -> float:
    """The score of one split, logits (n, K): exp of the classes' entropy less the samples'."""
    posterior = logits.softmax(dim=1)
    marginal = posterior.mean(dim=0)
    within = (posterior * logits.log_softmax(dim=1)).sum(dim=1).mean()
    return float((within - torch.xlogy(marginal, marginal).sum()).exp())


FID = Metric(_fid, unit="", better="lower", least=2)
KID = Metric(_kid, unit="", better="lower", least=SUBSET)
INCEPTION_SCORE = Metric(
    _inception_score, unit="classes", better="higher", least=SPLITS, kinds=IMAGES
)
