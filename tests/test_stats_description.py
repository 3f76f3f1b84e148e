"""One variant's interval and rate: closed forms, published values, coverage by simulation."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from scipy import stats as scipy_stats

import bench.stats
from bench.errors import NotComparable
from bench.stats import Interval, Sample, describe, scale_for, wilson
from bench.stats.base import from_scale

FIDS = (12.1, 14.9, 10.2, 13.3, 18.0)


def test_raw_interval_is_students_t():
    interval = describe(Sample("gan", FIDS), scale="raw").interval
    low, high = scipy_stats.ttest_1samp(FIDS, 0).confidence_interval(0.95)
    assert interval == Interval(
        pytest.approx(np.mean(FIDS)), pytest.approx(low), pytest.approx(high), 0.95, 5
    )


def test_log_interval_surrounds_the_geometric_mean():
    interval = describe(Sample("gan", FIDS), scale="log", level=0.9).interval
    low, high = scipy_stats.ttest_1samp(np.log(FIDS), 0).confidence_interval(0.9)
    assert interval is not None
    assert interval.centre == pytest.approx(scipy_stats.gmean(FIDS))
    assert (interval.low, interval.high) == pytest.approx((np.exp(low), np.exp(high)))


def test_interval_of_two_values_by_hand():
    interval = describe(Sample("gan", (1.0, 3.0)), scale="raw").interval
    assert interval is not None
    assert interval.high - 2 == pytest.approx(12.7062, abs=1e-4)  # t of 1 degree of freedom, s/√n 1


def test_interval_of_five_seeds_covers_at_its_level():
    rng = np.random.default_rng(7)
    covered = 0
    for values in rng.lognormal(np.log(20), 0.8, (2000, 5)):
        interval = describe(Sample("gan", tuple(values)), scale="log").interval
        assert interval is not None
        covered += interval.low <= 20 <= interval.high
    assert 0.93 <= covered / 2000 <= 0.97


def test_one_finished_seed_has_a_median_and_no_interval():
    description = describe(Sample("gan", (7.0,), diverged=4), scale="log")
    assert (description.median, description.interval) == (7.0, None)
    assert (description.n, description.diverged) == (1, 4)


def test_value_without_a_logarithm_has_no_interval_on_log():
    sample = Sample("gan", (-0.1, 0.2, 0.3))
    assert describe(sample, scale="log").interval is None
    assert describe(sample, scale="raw").interval is not None


def test_diverged_runs_leave_the_interval_alone():
    with_losses = describe(Sample("gan", FIDS, diverged=5), scale="log")
    without = describe(Sample("gan", FIDS), scale="log")
    assert (with_losses.interval, with_losses.median) == (without.interval, without.median)
    assert with_losses.diverged_rate.centre == 0.5
    assert without.diverged_rate.centre == 0.0


def test_equal_values_have_an_interval_without_width():
    interval = describe(Sample("gan", (0.1, 0.1, 0.1)), scale="raw").interval
    assert interval == Interval(0.1, 0.1, 0.1, 0.95, 3)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_newcombes_published_values(successes, n, low, high):
    interval = wilson(successes, n)  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.centre == successes / n


def test_rate_without_runs_says_nothing():
    description = describe(Sample("gan", ()), scale="log")
    assert description.diverged_rate == Interval(0.5, 0.0, 1.0, 0.95, 0)
    assert (description.median, description.interval) == (None, None)


def test_whatever_the_spread_a_description_is_json():
    description = describe(Sample("gan", (1e-300, 1e300)), scale="log")
    assert json.loads(json.dumps(asdict(description), allow_nan=False))["n"] == 2
    assert from_scale(1e9, "log") * from_scale(-1e9, "log") == pytest.approx(1)


def test_value_that_is_not_finite_is_refused_in_one_line():
    with pytest.raises(NotComparable, match=r"variant 'gan'.*nan, expected") as caught:
        Sample("gan", (1.0, float("nan")))
    assert "\n" not in str(caught.value)


def test_negative_count_is_refused():
    with pytest.raises(ValueError, match="diverged: -1"):
        Sample("gan", (1.0,), diverged=-1)


@pytest.mark.parametrize(
    ("values", "unit", "scale"),
    [
        ((3.0, 40.0), "", "log"),
        ((3.0, 9.0), "classes", "raw"),
        ((0.2, 0.9), "share", "raw"),
        ((0.0, 1.0), "nats", "raw"),
    ],
)
def test_scale_follows_the_metrics_nature(values, unit, scale):
    assert scale_for(values, unit=unit) == scale


def test_package_is_what_it_lists_and_leaves_torch_alone():
    assert sorted(bench.stats.__all__) == bench.stats.__all__
    assert all(hasattr(bench.stats, name) for name in bench.stats.__all__)
    code = "import bench.stats, sys; print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
