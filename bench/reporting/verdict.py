"""The verdict in words: sentences made from contrasts, never written by hand.

A variant is a recipe, so the sentences speak of recipes; nothing here credits an objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.reading import At
from bench.reporting.base import MetricLine
from bench.reporting.numbers import (
    beside,
    effect,
    exact_percent,
    interval,
    listed,
    number,
    p_value,
    percent,
    plural,
)
from bench.stats import Contrast, unbeaten, winner
from bench.stats.base.ranks import EXACT_UP_TO

_EXTREME = {"lower": "lowest", "higher": "highest", "near_reference": "most real"}
SIGNIFICANT = 0.05


def headline(line: MetricLine, at: At, contrasts: Sequence[Contrast]) -> str:
    """One sentence: which recipe did best on the metric, or why nobody can say."""
    what = _what(line, at)
    with_value = [cell for cell in line.cells if cell.values]
    if not with_value:
        return f"No verdict: no completed run has a value of {line.label}."
    if len(line.cells) == 1:
        only = line.cells[0]
        return (
            f"One recipe alone, {only.variant}: median {what} "
            f"{number(only.description.median)} {interval(only.description.interval)}{real(line)} "
            f"over {plural(len(only.values), noun(line))}; there is nothing to compare it with."
        )
    if not contrasts:
        return f"Nothing to compare: only {with_value[0].variant} has a value."
    compared = {name for pair in contrasts for name in (pair.a, pair.b)}
    absent = [cell.variant for cell in line.cells if cell.variant not in compared]
    shown = replace(line, cells=tuple(cell for cell in line.cells if cell.variant in compared))
    return f"{_found(shown, what, contrasts)}{_left_out(absent)}."


def _left_out(absent: list[str]) -> str:
    if not absent:
        return ""
    verbs = ("has", "is") if len(absent) == 1 else ("have", "are")
    return f"; {listed(absent)} {verbs[0]} no value and {verbs[1]} not compared"


def _found(line: MetricLine, what: str, contrasts: Sequence[Contrast]) -> str:
    """What the contrasts say together; every cell of the line is in one of them."""
    if best := winner(contrasts):
        return _won(line, what, [_seen_from(best, pair) for pair in contrasts], best)
    if all(pair.verdict == "equal" for pair in contrasts):
        return (
            f"These {len(line.cells)} recipes are equal: every difference in {what} "
            f"lies within the margin of {margin(line, contrasts[0].margin)}"
        )
    return _undecided(line, what, contrasts)


def noun(line: MetricLine) -> str:
    """What one observation is: a seed; of what groups cost, a group that was timed."""
    return "timing" if line.cost else "seed"


def real(line: MetricLine) -> str:
    """What stands behind a value: that of real data; nothing behind what a run costs."""
    return "" if line.cost else beside(line.floor)


def _what(line: MetricLine, at: At) -> str:
    if line.cost:
        return line.label
    return f"final {line.label}" if at == "final" else f"{line.label} at the best evaluation"


def _won(line: MetricLine, what: str, pairs: list[Contrast], best: str) -> str:
    own = [pair for pair in pairs if pair.a == best]
    if any(pair.effect is None for pair in own):
        return (
            f"Of these {len(line.cells)} recipes, {best} did best in {what}: "
            f"{listed([_ahead(line, pair) for pair in own])}"
        )
    cell = next(cell for cell in line.cells if cell.variant == best)
    return (
        f"Of these {len(line.cells)} recipes, {best} reached the {_EXTREME[line.better]} {what}: "
        f"a median of {number(cell.description.median)}{real(line)} over "
        f"{plural(len(cell.values), noun(line))}, "
        f"{listed([_ahead(line, pair) for pair in own])}"
    )


def _ahead(line: MetricLine, pair: Contrast) -> str:
    """How far the best recipe is ahead of another, as one would say it; the interval follows."""
    if (amount := pair.effect) is None:
        return f"better than {pair.b} ({_by_divergence(pair)})"
    if pair.scale == "log":
        return f"{number(amount)} times that of {pair.b}"
    if line.better == "near_reference":
        side = "nearer to" if amount < 0 else "further from"
        return f"{number(abs(amount))} {side} real data than {pair.b}"
    return f"{number(abs(amount))} {'above' if amount > 0 else 'below'} {pair.b}"


def _by_divergence(pair: Contrast) -> str:
    return (
        f"decided by diverged runs: {pair.diverged_a} of {pair.n_a + pair.diverged_a} "
        f"against {pair.diverged_b} of {pair.n_b + pair.diverged_b}"
    )


def _undecided(line: MetricLine, what: str, contrasts: Sequence[Contrast]) -> str:
    decided = [pair for pair in contrasts if pair.verdict in ("better", "worse")]
    if not decided:
        return (
            f"No difference found between these {len(line.cells)} recipes in {what}: "
            f"not enough evidence at {_counts(line)}"
        )
    ahead = list(unbeaten(contrasts))
    behind = [cell.variant for cell in line.cells if cell.variant not in ahead]
    losers = f"; {listed(behind)} did worse than at least one of the others" if behind else ""
    best = _not_beaten(ahead, contrasts)
    return f"No single best recipe in {what}: {best}{losers} ({_counts(line)})"


def _not_beaten(ahead: list[str], contrasts: Sequence[Contrast]) -> str:
    """Who was not found worse than another, which does not yet make anyone the best."""
    if len(ahead) < 2:
        return (
            f"{ahead[0]} is not beaten, nor better than all others" if ahead else "all are beaten"
        )
    open_pairs = [pair for pair in contrasts if {pair.a, pair.b} <= set(ahead)]
    equal = all(pair.verdict == "equal" for pair in open_pairs)
    why = "equal within the margin" if equal else "not enough evidence between them"
    return f"{listed(ahead)} are not beaten, {why}"


def pair_sentence(line: MetricLine, at: At, pair: Contrast) -> str:
    """Who did better of two recipes, by how much, with interval and margin."""
    gain, loss = (line.cost.gain, line.cost.loss) if line.cost else ("better", "worse")
    verb = "is" if line.cost else "did"
    opening = {
        "better": f"The recipe {pair.a} {verb} {gain} than {pair.b}",
        "worse": f"The recipe {pair.a} {verb} {loss} than {pair.b}",
        "equal": f"The recipes {pair.a} and {pair.b} are equal",
        "not_enough_evidence": f"Not enough evidence between {pair.a} and {pair.b}",
    }[pair.verdict]
    if pair.effect is None and pair.grounds == "diverged":
        return f"{opening}, {_by_divergence(pair)}."
    return f"{opening}: {_evidence(line, at, pair)}."


def pair_detail(pair: Contrast, observation: str = "seed") -> str:
    """What stands behind the sentence: level, chance and p-values, and what they cannot show."""
    parts = (_level(pair), _test(pair), _chance(pair), _limits(pair, observation))
    return " ".join(part for part in parts if part)


def _evidence(line: MetricLine, at: At, pair: Contrast) -> str:
    if pair.grounds == "too_few_finished":
        sides = f"{pair.n_a} against {pair.n_b} completed runs"
        diverged = f"{pair.diverged_a} against {pair.diverged_b} diverged ones decide nothing"
        none = f"with {sides} there is no interval"
        return f"{none}, and {diverged}" if pair.diverged_a or pair.diverged_b else none
    if pair.grounds == "not_positive":
        return f"{line.label} has a value without a logarithm, so no ratio"
    held = {
        "no_spread": "; no seed differs from another, so only their number counts",
        "diverged": "; diverged runs, which lose to every completed one, hold a verdict back"
        if pair.verdict == "not_enough_evidence"
        else "; diverged runs, which lose to every completed one, decide",
    }.get(pair.grounds, "")
    place = _place(pair)
    distance = " in distance to real data" if line.better == "near_reference" else ""
    return (
        f"{_what(line, at)} {effect(pair)}{distance}, "
        f"{place} the margin of {margin(line, pair.margin)}{held}"
    )


def _level(pair: Contrast) -> str:
    known = pair.low is not None and pair.high is not None
    return f"Interval at {percent(pair.level, 1)}." if known else ""


def _place(pair: Contrast) -> str:
    """Where the interval lies, whatever the verdict makes of it."""
    edge = 1 / (1 + pair.margin) if pair.scale == "log" else -pair.margin
    far = 1 + pair.margin if pair.scale == "log" else pair.margin
    low, high = pair.low or 0.0, pair.high or 0.0
    if high < edge or low > far:
        return "beyond"
    return "within" if edge <= low and high <= far else "not clear of"


def _test(pair: Contrast) -> str:
    """The p-value that the verdict rests on, under the name of the test that gave it."""
    if pair.p_holm is None:
        return ""
    return f"{_tested(pair)}: Holm-corrected {p_value(pair.p_holm)}."


def _tested(pair: Contrast) -> str:
    if min(pair.n_a, pair.n_b) < 2:
        return "Fisher’s test of how many diverged"
    if pair.low == pair.high:
        return "Rank test of values without spread"
    if (pair.diverged_a or pair.diverged_b) and pair.p_value == pair.mann_whitney_p:
        return "Rank test, diverged runs counted"
    return "Welch’s test at the margin"


def _chance(pair: Contrast) -> str:
    if pair.beats is None or pair.mann_whitney_p is None:
        return ""
    runs = max(pair.n_a + pair.diverged_a, pair.n_b + pair.diverged_b)
    exact = "exact " if runs <= EXACT_UP_TO else ""
    return (
        f"{pair.a} wins {percent(pair.beats)} of all pairings of their runs: "
        f"{exact}Mann–Whitney {p_value(pair.mann_whitney_p)} (not corrected)."
    )


def _limits(pair: Contrast, observation: str) -> str:
    """What these seeds could not have shown, whatever they had been."""
    said = []
    if pair.smallest_p is not None and pair.smallest_p > SIGNIFICANT:
        sides = f"{pair.n_a + pair.diverged_a} against {pair.n_b + pair.diverged_b}"
        least = f"{pair.smallest_p:.2f}"
        said.append(f"Ranks alone cannot be significant: smallest p with {sides} is {least}.")
    if pair.seeds_needed is not None:
        needed = plural(pair.seeds_needed, observation)
        said.append(f"About {needed} each would probably decide.")
    return " ".join(said)


def _seen_from(name: str, pair: Contrast) -> Contrast:
    return pair.mirrored() if pair.b == name else pair


def _counts(line: MetricLine) -> str:
    """`5 seeds each`, or how many of each."""
    numbers = {len(cell.values) for cell in line.cells}
    if len(numbers) == 1:
        return f"{plural(numbers.pop(), noun(line))} each"
    return ", ".join(
        f"{cell.variant} {plural(len(cell.values), noun(line))}" for cell in line.cells
    )


def margin(line: MetricLine, value: float) -> str:
    """A margin as text: a percentage of a ratio, or an amount in the metric's unit."""
    if line.scale == "log":
        return exact_percent(value)
    return f"{number(value)} {line.unit}".strip()
