"""How samples and data overlap, by nearest neighbours: quality, variety and copying told apart.

A set's manifold is the union of balls around its points, each reaching to its point's k-th nearest
neighbour.  k is the papers' own: 3 for precision and recall, 5 for density and coverage.  Every
number depends on k and on the number of samples; real data gets far less than 1, hence the floor.

Distances are computed in tiles that fit a processor's cache, as |a|² + |b|² − 2 a·b with the
reference's mean taken off; no N × N matrix is ever held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from bench.extractors.base import FeatureBank
from bench.metrics.base import Metric, need
from bench.shelf import Tensors

PRECISION_K, DENSITY_K = 3, 5
_TILE = 1000
"""Points of either set in a tile of distances: 4 MB."""
_NARROW = 16
"""Up to so many features distances are computed in double precision: neighbours among many points
in few dimensions are nearer to each other than float32 rounds |a|² + |b|² − 2 a·b."""
_TIE, _COPY = 8, 128
"""What rounding may do, in epsilons of the type times |b|².

A point on the edge of a ball is in it: with `_TIE`, or 4 to 24, sets that share points get the
numbers of double precision to a sample.  A point as near as `_COPY`, 1.5e-5 |b|² in float32, is at
the centre: copies came out at up to 22 (stacked digits; 49 with tails as heavy as the ninth power
of a normal), and no two images of MNIST's test split are nearer than 2.4e-3 |b|².
"""
_BLUR, _FEW = 100, 0.01
"""Where more than this share of neighbours is nearer than so many times `_COPY`, distances are
computed in double precision: no two images of MNIST are, but clusters of flat shades were, whose
density came out three times too high."""


def _precision(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of samples on the data's manifold; Kynkäänniemi et al. 2019, equation 2."""
    return _overlap(samples, reference, PRECISION_K, "precision")


def _recall(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of the data on the samples' manifold; Kynkäänniemi et al. 2019, equation 2."""
    return _overlap(samples, reference, PRECISION_K, "recall")


def _density(samples: FeatureBank, reference: FeatureBank) -> float:
    """Mean number of the data's balls around a sample, over k; can exceed 1; Naeem et al. 2020,
    equation 3."""
    return _overlap(samples, reference, DENSITY_K, "density")


def _coverage(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of the data's balls that hold a sample; Naeem et al. 2020, equation 4."""
    return _overlap(samples, reference, DENSITY_K, "coverage")


def _authenticity(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of samples farther from the nearest training image than that image is from its own
    nearest neighbour; a copy never is.  Alaa et al. 2022, equation 10.

    The reference is the training split, so what real data gets is that of held-out data.
    """
    need(2, len(reference), "a nearest neighbour", "of the reference")
    own, dtype = _nearest_own(reference)
    a, b = samples.features.to(dtype), reference.features.to(dtype)
    mean = _centre(b)
    nearest, squared = _nearest(a, b, mean)
    return float((squared > _reach(own, b, mean)[nearest]).double().mean())


def _overlap(samples: FeatureBank, reference: FeatureBank, k: int, name: str) -> float:
    """One of precision, recall, density and coverage: all come from one pass over all distances."""
    need(k + 1, len(samples), f"k = {k} for nearest neighbours")
    need(k + 1, len(reference), f"k = {k} for nearest neighbours", "of the reference")
    known = f"overlap with {reference.identity}"
    return float(samples.derived(known, lambda: _measured_overlap(samples, reference))[name])


def _measured_overlap(samples: FeatureBank, reference: FeatureBank) -> Tensors:
    ks = PRECISION_K, min(DENSITY_K, len(reference) - 1)
    dtype = _dtype(samples, reference)
    ours, theirs = _balls(samples, (PRECISION_K,), dtype), _balls(reference, ks, dtype)
    a, b = samples.features.to(dtype), reference.features.to(dtype)
    mean = _centre(b)
    reach = _reach(ours[str(PRECISION_K)], a, mean).numpy()
    precise, dense = (_reach(theirs[str(k)], b, mean).numpy() for k in ks)
    inside, recalled = np.zeros(len(a), dtype=bool), np.zeros(len(b), dtype=bool)
    covered, balls = np.zeros(len(b), dtype=bool), np.zeros(len(a), dtype=np.int64)
    for rows, columns, tile in _tiles(a, b, mean):
        squared = tile.numpy()
        inside[rows] |= (squared <= precise[columns]).any(axis=1)
        within = squared <= dense[columns]
        balls[rows] += within.view(np.uint8).sum(axis=1, dtype=np.uint32)
        covered[columns] |= within.any(axis=0)
        recalled[columns] |= (squared <= reach[rows, None]).any(axis=0)
    found = {
        "precision": inside.mean(),
        "recall": recalled.mean(),
        "density": balls.mean() / DENSITY_K,
        "coverage": covered.mean(),
    }
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in found.items()}


def _balls(bank: FeatureBank, ks: tuple[int, ...], dtype: torch.dtype) -> Tensors:
    """The squared distance of each point to its k-th nearest neighbour, (N,) by k."""
    name = f"balls of {ks} in {dtype}"
    return bank.derived(name, lambda: _neighbours(bank.features.to(dtype), ks))


def _neighbours(a: Tensor, ks: tuple[int, ...]) -> Tensors:
    mean = _centre(a)
    kept: list[Tensor] = []
    nearest = torch.empty(0, dtype=a.dtype)
    for rows, columns, tile in _tiles(a, a, mean):
        squared = tile.clamp_(min=0)
        if rows.start == columns.start:
            squared.diagonal().fill_(-1.0)  # the point itself comes first, whatever its copies do
        least = squared.topk(min(max(ks) + 1, squared.shape[1]), largest=False).values
        nearest = least if columns.start == 0 else torch.cat([nearest, least], dim=1)
        if columns.stop == len(a):
            found = nearest.topk(max(ks) + 1, largest=False).values
            kept.append(found[:, list(ks)])
    radii = torch.cat(kept)
    return {str(k): radii[:, place].contiguous() for place, k in enumerate(ks)}


def _nearest_own(bank: FeatureBank) -> tuple[Tensor, torch.dtype]:
    """The squared distance of each point to its nearest neighbour, (N,), in the type that it had to
    be computed in."""

    def found(dtype: torch.dtype) -> Tensor:
        of = bank.features.to(dtype)
        return bank.derived(f"nearest in {dtype}", lambda: {"squared": _to_nearest(of)})["squared"]

    narrow = bank.features.shape[1] <= _NARROW
    if narrow or _tight(found(torch.float32), bank.features):
        return found(torch.float64), torch.float64
    return found(torch.float32), torch.float32


def _to_nearest(a: Tensor) -> Tensor:
    """The squared distance of each point (N, d) to its nearest neighbour, from half the tiles."""
    mean = _centre(a)
    best = torch.full((len(a),), torch.inf, dtype=a.dtype)
    for rows, columns, tile in _tiles(a, a, mean, upper=True):
        if rows == columns:
            tile.diagonal().fill_(torch.inf)
        for place, dim in ((rows, 1), (columns, 0)):
            best[place] = torch.minimum(best[place], tile.amin(dim))
    return best.clamp_(min=0)


def _nearest(a: Tensor, b: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """For each of a the index of the nearest of b, and the squared distance to it, both (N,)."""
    best = torch.full((len(a),), torch.inf, dtype=a.dtype)
    index = torch.zeros(len(a), dtype=torch.int64)
    for rows, columns, tile in _tiles(a, b, mean):
        place = torch.from_numpy(tile.numpy().argmin(axis=1))
        found = tile.gather(1, place[:, None])[:, 0]
        closer = found < best[rows]
        best[rows] = torch.where(closer, found, best[rows])
        index[rows] = torch.where(closer, place + columns.start, index[rows])
    return index, best


def _dtype(*banks: FeatureBank) -> torch.dtype:
    """The type that the distances between two sets, and within either, are computed in."""
    if any(bank.features.shape[1] <= _NARROW or len(bank) <= PRECISION_K for bank in banks):
        return torch.float64
    balls = (_balls(bank, (PRECISION_K,), torch.float32)[str(PRECISION_K)] for bank in banks)
    tight = [_tight(ball, bank.features) for ball, bank in zip(balls, banks, strict=True)]
    return torch.float64 if any(tight) else torch.float32


def _tight(squared: Tensor, x: Tensor) -> bool:
    """Whether points (N, d) cluster so tightly that float32 blurs the distances within a cluster;
    `squared` (N,) are those to their neighbours."""
    unit = torch.finfo(torch.float32).eps * _norms(x, _centre(x))
    return bool((squared < _BLUR * _COPY * unit).double().mean() > _FEW)


def _centre(x: Tensor) -> Tensor:
    """The mean (d,); raises `ValueError` for features too large to be squared."""
    mean = x.mean(dim=0)
    if not math.isfinite(float(_norms(x, mean).max())):
        raise ValueError("the features are too large for distances between them")
    return mean


def _reach(squared: Tensor, centres: Tensor, mean: Tensor) -> Tensor:
    """Squared radii (N,) of balls about centres (N, d), with room for rounding."""
    unit = torch.finfo(centres.dtype).eps * _norms(centres, mean)
    return torch.maximum(squared + _TIE * unit, _COPY * unit)


def _tiles(
    a: Tensor, b: Tensor, mean: Tensor, *, upper: bool = False
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Squared distances of (N, d) to (M, d), a tile at a time: its rows, its columns and itself.

    `mean` (d,) is taken off both: it tells nothing and costs digits.  A tile is overwritten by the
    next one.  `upper`: of a square matrix the tiles on the diagonal and above.
    """
    norms_a, norms_b = _norms(a, mean), _norms(b, mean)
    buffer = torch.empty(_TILE * _TILE, dtype=a.dtype)
    for rows in _slices(len(a)):
        centred = a[rows] - mean
        for columns in _slices(len(b), rows.start if upper else 0):
            shape = rows.stop - rows.start, columns.stop - columns.start
            tile = buffer[: shape[0] * shape[1]].view(shape)
            torch.addmm(norms_b[columns], centred, (b[columns] - mean).T, alpha=-2, out=tile)
            yield rows, columns, tile.add_(norms_a[rows, None])


def _slices(count: int, start: int = 0) -> Iterator[slice]:
    for first in range(start, count, _TILE):
        yield slice(first, min(first + _TILE, count))


def _norms(x: Tensor, mean: Tensor) -> Tensor:
    """|x − mean|² of each row, (N,)."""
    return torch.cat([(part - mean).square().sum(dim=1) for part in torch.split(x, _TILE)])


PRECISION = Metric(_precision, unit="share", better="higher", k=PRECISION_K, least=PRECISION_K + 1)
RECALL = Metric(_recall, unit="share", better="higher", k=PRECISION_K, least=PRECISION_K + 1)
DENSITY = Metric(_density, unit="", better="higher", k=DENSITY_K, least=DENSITY_K + 1)
COVERAGE = Metric(_coverage, unit="share", better="higher", k=DENSITY_K, least=DENSITY_K + 1)
AUTHENTICITY = Metric(_authenticity, unit="share", better="higher", k=1, against="train")
