"""Which classes of the data, or modes, a generator covers.

A count of classes with any sample at all is broken by the classifier's own errors: two digits
alone fill all ten classes at 99.5 % accuracy.  `modes` therefore asks for confidence and for a
tenth of a class's uniform share; `modes_any` is there to compare with papers.  Points have their
nearest mode as their class, and belong to it within 3 σ.
"""

from __future__ import annotations

import torch

from bench.extractors.base import FeatureBank
from bench.metrics.base import IMAGES, POINTS, Metric

CONFIDENCE = 0.9
FRACTION = 10
"""A class is covered if it holds its uniform share of the samples divided by this."""
SINGLE = 1
"""So many samples may be an error of the classifier: of 10,000 images in 125 classes of stacked
MNIST, 141 classes held one."""


def _modes(samples: FeatureBank, reference: FeatureBank) -> float:
    """Classes that hold ≥ N/(10 K) confident samples, and two at least; thresholded form of Metz et
    al. 2017."""
    counts = samples.classes(CONFIDENCE)
    # multiplied out, in whole numbers, so that no rounding decides on the boundary
    enough = counts * len(counts) * FRACTION >= len(samples)
    return float((enough & (counts >= SINGLE + 1)).sum())


def _modes_any(samples: FeatureBank, reference: FeatureBank) -> float:
    """Classes with at least one sample; of points, modes with one within 3 σ; Lin et al. 2018
    (PacGAN)."""
    return float((samples.classes() > 0).sum())


def _class_kl(samples: FeatureBank, reference: FeatureBank) -> float:
    """Σ p log(p/q) of the class shares, in nats; real data gets about (K − 1)/2N, not 0.

    Srivastava et al. 2017 (VEEGAN); both histograms are the classifier's, so that its bias
    cancels.
    """
    p, q = samples.class_shares(), reference.class_shares()
    missing = torch.nonzero((p > 0) & (q == 0)).flatten().tolist()
    if missing:
        raise ValueError(f"the reference has no sample of class {missing[0]}")
    held = p > 0
    return float((p[held] * (p[held] / q[held]).log()).sum())


def _confident_share(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of samples whose class has a probability of at least 0.9."""
    return float(samples.classes(CONFIDENCE).sum()) / len(samples)


def _high_quality(samples: FeatureBank, reference: FeatureBank) -> float:
    """The share of points within 3 σ of the nearest mode; Srivastava et al. 2017 (VEEGAN)."""
    return float(samples.classes().sum()) / len(samples)


MODES = Metric(_modes, unit="classes", better="higher", by_class=True)
MODES_ANY = Metric(_modes_any, unit="classes", better="higher", by_class=True)
CLASS_KL = Metric(_class_kl, unit="nats", better="lower", kinds=IMAGES, by_class=True)
CONFIDENT_SHARE = Metric(
    _confident_share, unit="share", better="near_reference", kinds=IMAGES, by_class=True
)
HIGH_QUALITY = Metric(_high_quality, unit="share", better="higher", kinds=POINTS, by_class=True)
REVERSE_KL = Metric(_class_kl, unit="nats", better="lower", kinds=POINTS, by_class=True)
"""The same number as `class_kl` under the name it has for points: each point counts to its nearest
mode, however far that is (Lin et al. 2018, PacGAN)."""
