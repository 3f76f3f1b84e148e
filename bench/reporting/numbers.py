"""Numbers as the report writes them: the same in HTML, Markdown and sentences.

Three significant digits, thin about everything else; a value that is not there is an en dash.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, isfinite, log10

from bench.records import Direction
from bench.stats import Contrast, Interval

NONE = "–"
ARROWS: dict[Direction, str] = {"lower": "↓", "higher": "↑", "near_reference": "≈"}
BETTER: dict[Direction, str] = {
    "lower": "lower is better",
    "higher": "higher is better",
    "near_reference": "nearer to the value of real data is better",
}


def number(value: float | None, digits: int = 3) -> str:
    """Significant digits, trailing zeros kept; whole numbers whole, with thousands separators."""
    if value is None or not isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits}g}")
    if value == int(value) or abs(rounded) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{rounded:.{digits - 1 - floor(log10(abs(rounded)))}f}"


def signed(value: float) -> str:
    """A difference, its sign always written (a true minus)."""
    return ("−" if value < 0 else "+") + number(abs(value))


def percent(value: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    return NONE if value is None or not isfinite(value) else f"{100 * value:.{digits}f} %"


def exact_percent(value: float) -> str:
    """A declared share, all its digits kept: `10 %`, `0.5 %`."""
    return f"{round(100 * value, 6):g} %"


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return NONE if value is None or not isfinite(value) else f"{round(value):,}"


def duration(seconds: float | None) -> str:
    """Seconds in the unit that a person would say."""
    if seconds is None or not isfinite(seconds):
        return NONE
    if seconds < 100:
        return f"{number(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def moment(iso: str) -> str:
    """A date and time, to the minute: `2026-03-01 10:00`."""
    return iso[:16].replace("T", " ")


def memory(size: float | None) -> str:
    """Bytes in MB or GB (powers of ten)."""
    if size is None or not isfinite(size):
        return NONE
    return f"{number(size / 1e9)} GB" if size >= 1e9 else f"{number(size / 1e6)} MB"


def measured(value: float | None, unit: str) -> str:
    """A time or a size: `4.13 ms`, `2.5 s`, `412 MB`."""
    if unit == "bytes":
        return memory(value)
    return duration(value) if unit == "s" or value is None else f"{number(value)} {unit}"


def ratio(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Of two positive numbers, in thousandths about 1: `1.043×`, `1.043× [1.021, 1.065]`."""
    if value is None:
        return NONE
    centre = f"{_thousandths(value)}×"
    if low is None or high is None:
        return centre
    return f"{centre} [{_thousandths(low)}, {_thousandths(high)}]"


def _thousandths(value: float) -> str:
    return f"{value:.3f}" if 0.1 <= value < 10 else number(value)


def growth(value: float | None) -> str:
    """A relative growth in per cent, three digits of it: `5.91 %`."""
    return NONE if value is None or not isfinite(value) else f"{number(100 * value)} %"


def beside(floor: float | None) -> str:
    """What stands behind every value of a metric: ` (real data 2.01)`, or a dash for the number."""
    return f" (real data {number(floor)})"


def interval(found: Interval | None) -> str:
    """`[low, high]`, or a dash where one seed allows none."""
    return NONE if found is None else f"[{number(found.low)}, {number(found.high)}]"


def effect(contrast: Contrast) -> str:
    """A ratio (`0.35×`) or a signed difference, with its interval; a dash where there is none."""
    if contrast.effect is None:
        return NONE
    form = signed if contrast.scale == "raw" else number
    mark = "" if contrast.scale == "raw" else "×"
    centre = f"{form(contrast.effect)}{mark}"
    if contrast.low is None or contrast.high is None:
        return centre
    return f"{centre} [{form(contrast.low)}, {form(contrast.high)}]"


def p_value(value: float | None) -> str:
    """`p = 0.03`, or `p < 0.001`."""
    if value is None or not isfinite(value):
        return "p unknown"
    return "p < 0.001" if value < 0.001 else f"p = {number(value, 2)}"


def settings(found: Mapping[str, object]) -> str:
    """Keys and their values as a sentence has them: `engine textbook and group 1`."""
    return listed([f"{key} {value}" for key, value in found.items()])


def plural(amount: int, noun: str) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
