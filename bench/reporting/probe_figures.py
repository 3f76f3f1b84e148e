"""The panels of probes: a line a seed, the median of each series, and what theory says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from bench.reporting.experiments import Probed, ProbePanel, ProbePoint, ProbeSeries
from bench.reporting.figures import AIM
from bench.reporting.palette import Look
from bench.reporting.panels import dress, scaled
from bench.reporting.svg import INK, draw

SIZE = (4.6, 3.2)
MARKED = 30
"""Points of a line, up to which each has its marker."""
DASHED = (0, (4, 3))
TITLE = 42
"""Characters of a heading that the panel has room for; a longer one is set smaller."""


@dataclass(frozen=True)
class Drawn:
    """One probe on the page."""

    probe: Probed
    look: Look
    """The page's, where its lines are variants; else its own."""
    panels: list[str]


def drawn(key: str, probes: Sequence[Probed], look: Look) -> list[Drawn]:
    """Every probe with its panels; `key` leads their ids."""
    return [_drawn(f"{key}-probe{place}", probe, look) for place, probe in enumerate(probes)]


def _drawn(key: str, probe: Probed, look: Look) -> Drawn:
    own = look if set(probe.series) <= set(look.variants) else Look(probe.series)
    panels = [
        draw(f"{key}-{panel.quantity}", SIZE, _alt(panel), _painter(panel, own))
        for panel in probe.panels
    ]
    return Drawn(probe, own, panels)


def _alt(panel: ProbePanel) -> str:
    """For a screen reader: the panel, and where each line ends."""
    ends = [
        f"{line.name} {line.points[-1].median:.3g}"
        for line in panel.series
        if line.points and line.points[-1].median is not None
    ]
    return f"{panel.label} against {panel.x}; medians at the end: {', '.join(ends) or 'none'}"


def _painter(panel: ProbePanel, look: Look) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        for line in panel.series:
            _line(axes, line, look, log=panel.log_y)
        theory = _theory(axes, panel, look)
        values = [value for p in _points(panel) for _, value in p.values]
        shown = [value for value in values if value > 0 or not panel.log_y]
        scaled(axes, [*shown, *theory], panel.aim, AIM * (panel.aim is not None), log=panel.log_y)
        dress(axes, panel.label, panel.x)
        size = 11.5 * min(1.0, TITLE / len(panel.label))
        axes.set_title(panel.label, fontweight="bold", fontsize=size)
        if axes.get_yscale() == "linear":  # no power of ten apart from the ticks, under the title
            axes.yaxis.set_major_formatter(FuncFormatter(_short))
        if panel.log_x and all(point.x > 0 for point in _points(panel)):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=7))
            axes.xaxis.set_major_formatter(FuncFormatter(_short))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.minorticks_off()

    return paint


def _line(axes: Axes, line: ProbeSeries, look: Look, *, log: bool) -> None:
    """Each seed thin, their median bold."""
    hue = look.color(line.name)
    seeds = sorted({seed for point in line.points for seed, _ in point.values})
    for seed in seeds if len(seeds) > 1 else ():
        own = [(p.x, value) for p in line.points for one, value in p.values if one == seed]
        axes.plot(*_columns(_drawable(own, log)), color=hue, linewidth=0.7, alpha=0.45)
    middle = [(p.x, p.median) for p in line.points if p.median is not None]
    middle = _drawable(middle, log)
    marker = look.marker(line.name) if len(middle) <= MARKED or look.crowded else ""
    every = max(1, len(middle) // MARKED)
    axes.plot(
        *_columns(middle), color=hue, linewidth=2, marker=marker, markersize=4.5, markevery=every
    )


def _theory(axes: Axes, panel: ProbePanel, look: Look) -> list[float]:
    """A dashed line where theory is known, in a series' colour where series differ in it; its
    values."""
    told = {
        line.name: [(p.x, p.exact) for p in line.points if p.exact is not None]
        for line in panel.series
    }
    told = {name: points for name, points in told.items() if points}
    alike = len({tuple(points) for points in told.values()}) == 1
    for name, points in list(told.items())[: 1 if alike else None]:
        hue = INK if alike else look.color(name)
        axes.plot(*_columns(points), color=hue, linewidth=1.2, linestyle=DASHED, alpha=0.8)
    values = [value for points in told.values() for _, value in points]
    return [value for value in values if value > 0 or not panel.log_y]


def _short(value: float, _: object) -> str:
    return f"{value:g}".replace("-", "−")


def _points(panel: ProbePanel) -> list[ProbePoint]:
    return [point for line in panel.series for point in line.points]


def _drawable(points: list[tuple[float, float]], log: bool) -> list[tuple[float, float]]:
    """A logarithm is drawn of what has one."""
    return [(x, value) for x, value in points if value > 0 or not log]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
