from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.reporting.palette import COLORS, Look
from bench.reporting.panels import POINTS, lines, scaled, thinned


def painted(values: list[float], mark: float | None, *, log: bool = True) -> Axes:
    axes = Figure().add_subplot()
    axes.plot(values)
    scaled(axes, values, mark, "real data", log=log)
    return axes


@pytest.mark.parametrize(
    ("mark", "said", "edge"),
    [(0.983, "real data 0.983, below ↓", 0.03), (9000.0, "real data 9,000, above ↑", 0.97)],
)
def test_reference_far_off_is_named_and_leaves_the_axis_to_the_curves(
    mark: float, said: str, edge: float
) -> None:
    axes = painted([1000.0, 400.0, 100.0], mark)
    low, high = axes.get_ylim()
    assert 50 < low < 100
    assert 1000 < high < 2000
    assert [(text.get_text(), text.get_position()) for text in axes.texts] == [(said, (1, edge))]
    assert len(axes.lines) == 1


@pytest.mark.parametrize("mark", [34.0, 300.0, 2900.0])
def test_reference_within_three_times_is_drawn(mark: float) -> None:
    axes = painted([1000.0, 400.0, 100.0], mark)
    low, high = axes.get_ylim()
    assert low < min(mark, 100) < max(mark, 1000) < high
    assert list(axes.lines[1].get_ydata()) == [mark, mark]
    assert not axes.texts


@pytest.mark.parametrize(("mark", "said"), [(0.0, "0"), (-1.2e-5, "-1.20e-05")])
def test_reference_without_a_logarithm_lies_below(mark: float, said: str) -> None:
    axes = painted([3.0, 2.0], mark)
    assert axes.get_yscale() == "log"
    assert axes.texts[0].get_text() == f"real data {said}, below ↓"


@pytest.mark.parametrize("log", [True, False])
def test_reference_that_is_not_known_is_a_dash(log: bool) -> None:
    axes = painted([3.0, 2.0], None, log=log)
    assert [text.get_text() for text in axes.texts] == ["real data –"]
    assert len(axes.lines) == 1


def test_values_without_a_logarithm_keep_the_axis_linear() -> None:
    axes = painted([3.0, 0.0, float("inf")], 1.0)
    assert axes.get_yscale() == "linear"
    assert list(axes.lines[1].get_ydata()) == [1.0, 1.0]


@pytest.mark.parametrize("values", [[337.0, 759.0], [1.42, 2.33], [270.0, 1500.0], [0.09, 6.0]])
def test_logarithmic_axis_has_three_to_eight_ticks(values: list[float]) -> None:
    axes = painted(values, None)
    low, high = axes.get_ylim()
    assert 3 <= len([tick for tick in axes.get_yticks() if low <= tick <= high]) <= 8


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    rows = pd.DataFrame({"run_id": "a", "generator_step": range(1, 10_001)})
    kept = thinned(rows)["generator_step"].tolist()
    assert (kept[0], kept[-1]) == (1, 10_000)
    assert len(kept) <= POINTS + 1


def test_up_to_64_variants_no_two_look_the_same() -> None:
    look = Look(tuple(f"v{place}" for place in range(64)))
    assert len({(look.color(name), look.shape(name)) for name in look.variants}) == 64


@pytest.mark.parametrize("dots", [True, False])
def test_no_two_of_24_lines_look_the_same(dots: bool) -> None:
    look = Look(tuple(f"v{place}" for place in range(24)))
    about = {"status": "completed", "generator_step": [1, 2, 3], "value": [1.0, 2.0, 3.0]}
    rows = pd.concat(
        [pd.DataFrame({"run_id": v, "variant": v, **about}) for v in look.variants],
        ignore_index=True,
    )
    axes = Figure().add_subplot()
    lines(axes, rows, ("generator_step", "value"), look, dots=dots)
    bold = [line for line in axes.lines if line.get_linewidth() == 2]
    assert len({(line.get_color(), line.get_marker()) for line in bold}) == len(bold) == 24


def test_curves_of_few_variants_need_no_markers() -> None:
    look = Look(tuple(f"v{place}" for place in range(len(COLORS))))
    about = {"status": "completed", "generator_step": [1, 2], "value": [1.0, 2.0]}
    axes = Figure().add_subplot()
    rows = pd.DataFrame({"run_id": "a", "variant": "v0", **about})
    lines(axes, rows, ("generator_step", "value"), look, dots=False)
    assert {line.get_marker() for line in axes.lines} == {"", "None"}
