"""The figures of a search: the best of k trials against k."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.reporting.experiments import Searched, Tuning
from bench.reporting.palette import Look
from bench.reporting.panels import dress, scaled
from bench.reporting.svg import draw

SIZE = (4.6, 3.2)
_SPREAD = 0.28
"""How far left and right of k = 1 the trials stand, in units of k."""


def panels(key: str, found: Searched, look: Look) -> list[str]:
    """All variants in one panel, then each with its band; none without a finished search."""
    known = [each for each in found.tunings if each.curve]
    if not known:
        return []
    alt = f"Expected best {found.label} of k trials, by variant"
    together = draw(f"{key}-search", SIZE, alt, _painter(found, known, known, look, bands=False))
    return [
        together,
        *(
            draw(
                f"{key}-search-{place}", SIZE, f"Best {found.label} of k trials of {each.variant}",
                _painter(found, [each], known, look, bands=True),
            )
            for place, each in enumerate(known)
        ),
    ]  # fmt: skip


def _painter(
    found: Searched, shown: Sequence[Tuning], known: Sequence[Tuning], look: Look, *, bands: bool
) -> Callable[[Axes], None]:
    """Every panel on the scale of all that is `known`."""
    every = [t.score for each in known for t in each.trials if t.score is not None]

    def paint(axes: Axes) -> None:
        most = max(len(each.curve) for each in known)
        axes.set_xlim(1 - 2.2 * _SPREAD, most + 0.4)
        scaled(axes, every, None, "", log=found.scale == "log")
        if found.scale != "log":
            span = (max(every) - min(every)) or 1.0
            axes.set_ylim(min(every) - 0.06 * span, max(every) + 0.06 * span)
        for each in shown:
            if bands:
                _band(axes, each, look)
            _line(axes, each, look)
            _points(axes, each, look)
        title = shown[0].variant if bands else f"{found.label}: expected best of k"
        dress(axes, title, "trials, k")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))

    return paint


def _line(axes: Axes, each: Tuning, look: Look) -> None:
    ks, means = [best.k for best in each.curve], [best.expected for best in each.curve]
    axes.plot(
        ks, means, color=look.palette[each.variant], linewidth=2,
        marker=look.marker(each.variant), markersize=4, zorder=3,
    )  # fmt: skip


def _points(axes: Axes, each: Tuning, look: Look) -> None:
    """The trials around k = 1, side by side in their order."""
    scores = [trial.score for trial in each.trials if trial.score is not None]
    at = [1 + _SPREAD * (2 * (i + 0.5) / len(scores) - 1) for i in range(len(scores))]
    axes.plot(
        at, scores, linestyle="", marker="o", markersize=3.2, alpha=0.55,
        color=look.palette[each.variant], markeredgewidth=0, zorder=2,
    )  # fmt: skip


def _band(axes: Axes, each: Tuning, look: Look) -> None:
    """The interval at every k; towards an open end it is paler and has no edge."""
    floor, ceiling = axes.get_ylim()
    hue = look.palette[each.variant]
    for best in each.curve:
        if best.low is None and best.high is None:
            continue
        left, right = best.k - 0.5, best.k + 0.5
        low = best.low if best.low is not None else floor
        high = best.high if best.high is not None else ceiling
        whole = best.low is not None and best.high is not None
        axes.fill_between([left, right], low, high, color=hue, alpha=0.22 if whole else 0.1, lw=0)
        for end in (best.low, best.high):
            if end is not None:
                axes.plot([left, right], [end, end], color=hue, linewidth=1.2, alpha=0.8)
