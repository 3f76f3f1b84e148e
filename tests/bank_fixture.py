"""Banks of features that a test has made itself, and second implementations to hold metrics to."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import svdvals
from scipy.spatial.distance import cdist

from bench.extractors.base import SAMPLES, Extractor, FeatureBank


class Given(Extractor):
    """Stands beside features that come from nowhere."""

    name, layer, preprocessing, fits = "given", "none", "none", None

    def sha256(self):
        return "0" * 64

    def extract(self, samples, device):
        raise NotImplementedError


def bank(features, logits=None, source=SAMPLES):
    """The bank of features (N, d), and of class logits (N, K) where there are any."""
    outputs = None if logits is None else torch.as_tensor(logits, dtype=torch.float32)
    return FeatureBank(torch.as_tensor(features, dtype=torch.float32), outputs, Given(), source)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_fid(a, b):
    """FID by the nuclear norm of X₁ᵀX₂, X being the centred features: no root is ever taken."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
    one, two = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    mixed = svdvals(one @ two.T).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + (one**2).sum() + (two**2).sum() - 2 * mixed


def plain_overlap(samples, reference):
    """Precision and recall (k = 3), density and coverage (k = 5) from whole float64 matrices."""
    ours, theirs, across = (
        cdist(x.double(), y.double())
        for x, y in ((samples, samples), (reference, reference), (samples, reference))
    )
    reach, near, far = (np.sort(d)[:, k] for d, k in ((ours, 3), (theirs, 3), (theirs, 5)))
    return {
        "precision": (across <= near).any(axis=1).mean(),
        "recall": (across <= reach[:, None]).any(axis=0).mean(),
        "density": (across <= far).sum() / (5 * len(samples)),
        "coverage": (across <= far).any(axis=0).mean(),
    }


def plain_authenticity(samples, train):
    own = np.sort(cdist(train.double(), train.double()))[:, 1]
    across = cdist(samples.double(), train.double())
    nearest = across.argmin(axis=1)
    return (across.min(axis=1) > own[nearest]).mean()
