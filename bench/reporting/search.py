"""The chapter on a search: what each variant reaches with k trials, and by which it is compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bench.records import Amount
from bench.reporting.base import Declaration
from bench.reporting.comparison import metric_label
from bench.reporting.experiments import Searched, Tuning
from bench.reporting.numbers import NONE, count, listed, number, plural
from bench.search import Entry, Outcome, Tried, outcome
from bench.stats import BestOf, best_of
from bench.store import Results

HOW = (
    "A line is the expected best of k trials: the mean of the best over every set of k of the "
    "trials. The band is the 95 % interval of the median best of k, from order statistics, "
    "whatever the scores are like; an end that so few trials do not bound is open. A point is one "
    "trial. The winner’s score is the best of many and so too good: the comparison is of fresh "
    "seeds."
)
_UNITS = {
    "images": "images",
    "epochs": "epochs",
    "generator_steps": "generator steps",
    "critic_steps": "critic steps",
}
_MOST = 4
"""Changes of order that are told one by one."""


def searched(results: Results, declaration: Declaration) -> Searched | None:
    """What a suite's search found, from all of its results; None where it has no search.

    Raises `KeyError` or `TypeError` where `declaration.json` holds something else.
    """
    declared = results.declaration
    if "search" not in declared:
        return None
    asked = [Entry(**one) for one in declared["trials"]]
    found = outcome(asked, results, declaration.metric, declaration.at)
    settings, winners = declared["search"]["declared"], declared["winners"]
    worst = _worst(found)
    tunings = tuple(
        _tuning(list(trials), found, settings[variant], winners.get(variant), worst)
        for variant, trials in groupby(
            sorted(found.trials, key=lambda trial: list(settings).index(trial.variant)),
            key=lambda trial: trial.variant,
        )
    )
    label = _label(results, asked, declaration.metric)
    said = [
        *_pending(tunings),
        *_reached(tunings, label, lower=found.lower),
        *_order(tunings, lower=found.lower),
        *_diverged(tunings, label, worst),
        *_lengths(results, asked),
    ]
    seeds = tuple(declared["search"]["seeds"])
    return Searched(label, found.better, found.scale, seeds, tunings, tuple(said))


def _label(results: Results, asked: Sequence[Entry], metric: str) -> str:
    rows = results.only([entry.run_id for entry in asked]).metrics
    extractors = rows.loc[rows["metric"] == metric, "extractor"]
    return metric_label(metric, str(extractors.iloc[0]) if len(extractors) else "")


def _worst(found: Outcome) -> float | None:
    """The worst score that any finished trial reached: what a diverged one counts as."""
    scores = [trial.score for trial in found.trials if trial.score is not None]
    return (max if found.lower else min)(scores, default=None)


def _tuning(
    trials: list[Tried],
    found: Outcome,
    declared: Mapping[str, Any],
    winner: int | None,
    worst: float | None,
) -> Tuning:
    scores = [trial.score for trial in trials]
    # where no trial has a score, the worst of another variant's says nothing of this one
    whole = any(score is not None for score in scores) and all(each.finished for each in trials)
    curve = best_of(scores, lower=found.lower, scale=found.scale, worst=worst) if whole else ()
    best = next((trial for trial in trials if trial.number == winner), None)
    return Tuning(trials[0].variant, tuple(trials), curve, best, declared)


def _pending(tunings: Sequence[Tuning]) -> Iterator[str]:
    left = sum(not trial.finished for each in tunings for trial in each.trials)
    if left:
        verb = "has" if left == 1 else "have"
        yield f"{plural(left, 'trial')} {verb} no result yet; the comparison waits for them."


def _reached(tunings: Sequence[Tuning], label: str, *, lower: bool) -> Iterator[str]:
    """What all the trials together reach."""
    known = [each for each in tunings if each.curve]
    for k, alike in _by_count(known):
        ordered = _ranked(alike, k, lower=lower)
        ends = [f"{each.variant} {number(_at(each, k))}" for each in ordered]
        yield f"With {plural(k, 'trial')} each, the expected best {label} is {listed(ends)}."


def _by_count(known: Sequence[Tuning]) -> Iterator[tuple[int, list[Tuning]]]:
    for k in dict.fromkeys(len(each.curve) for each in known):
        yield k, [each for each in known if len(each.curve) == k]


def _at(each: Tuning, k: int) -> float:
    return each.curve[k - 1].expected


def _ranked(tunings: Iterable[Tuning], k: int, *, lower: bool) -> list[Tuning]:
    return sorted(tunings, key=lambda each: _at(each, k) if lower else -_at(each, k))


def _order(tunings: Sequence[Tuning], *, lower: bool) -> Iterator[str]:
    """Where the order of the variants changes with the number of trials."""
    known = [each for each in tunings if each.curve]
    if len(known) < 2:
        return
    most = min(len(each.curve) for each in known)
    orders = [
        (k, tuple(each.variant for each in _ranked(known, k, lower=lower)))
        for k in range(1, most + 1)
    ]
    changes = [orders[0]]
    for k, order in orders[1:]:
        if order != changes[-1][1]:
            changes.append((k, order))
    if len(changes) == 1:
        if most > 1:
            yield "The order of the variants is the same with any number of trials."
        return
    told = [
        f"{', '.join(order)} {'with 1 trial' if k == 1 else f'from {k} trials on'}"
        for k, order in changes[:_MOST]
    ]
    more = len(changes) - _MOST
    rest = f", and changes {plural(more, 'more time')}" if more > 0 else ""
    yield f"The order of the variants, best first, is {'; '.join(told)}{rest}."


def _diverged(tunings: Sequence[Tuning], label: str, worst: float | None) -> Iterator[str]:
    """How many trials came to nothing, and what they count as."""
    lost = {
        each.variant: sum(trial.finished and trial.score is None for trial in each.trials)
        for each in tunings
    }
    none = [each.variant for each in tunings if lost[each.variant] == len(each.trials)]
    some = {name: many for name, many in lost.items() if many and name not in none}
    parts = [
        f"{some[each.variant]} of {plural(len(each.trials), 'trial')} of {each.variant}"
        for each in tunings
        if each.variant in some
    ]
    if none and worst is not None:
        stands = "the first stands in for a winner"
        yield f"Every trial of {listed(none)} diverged or has no value: {stands}."
    if parts and worst is not None:
        many = sum(some.values()) > 1
        counts = "each counts" if many else "it counts"
        told = f"{listed(parts)} diverged or {'have' if many else 'has'} no value: {counts} as the"
        yield f"{told} worst {label} of any trial, {number(worst)}."
    elif none and worst is None:
        yield "No trial has a value: every one diverged or was not judged."


def _lengths(results: Results, asked: Sequence[Entry]) -> Iterator[str]:
    """What trials cannot say, where they are not as long as the comparison's runs."""
    budgets = {
        str(run_id): Amount(**json.loads(str(spec))["budget"])
        for run_id, spec in zip(results.runs["run_id"], results.runs["spec"], strict=True)
    }
    compared = {
        str(run["variant"]): budgets[str(run["run_id"])]
        for run in results.declaration.get("runs", ())
        if str(run["run_id"]) in budgets
    }
    for entry in asked:
        own, other = budgets.get(entry.run_id), compared.get(entry.variant)
        if own and other and own != other:
            shorter = own.unit == other.unit and own.count < other.count
            word = "shorter than" if shorter else "not as long as"
            text = f"A trial is {word} a run of the comparison, {_length(own)} against"
            favour = ", and favours settings that are quick at first" if shorter else ""
            yield f"{text} {_length(other)}{favour}."
            return


def _length(amount: Amount) -> str:
    return f"{count(amount.count)} {_UNITS[amount.unit]}"


def setting(value: Any) -> str:
    """A drawn value as a person writes it."""
    if value is None:
        return NONE
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:g}" if isinstance(value, int | float) else json.dumps(value)


def settings(drawn: Mapping[str, Any]) -> str:
    """`optimizer.lr = 0.0004, clip = 0.01`."""
    return ", ".join(f"{name} = {setting(value)}" for name, value in drawn.items())


def standing(trial: Tried) -> str:
    """What became of a trial, where it has no score."""
    if not trial.finished:
        return "no result yet"
    if trial.score is not None:
        return ""
    return "diverged" if trial.diverged else "no value"


WINNERS = ("Variant", "Trial", "Setting", "Declared", "Won by")


def winners(found: Searched) -> list[tuple[str, ...]]:
    """A row for each drawn key of each variant: what was declared, and what won."""
    return [
        (each.variant, f"{each.winner.number} of {len(each.trials)}", *change)
        for each in found.tunings
        if each.winner is not None
        for change in changes(each)
    ]


def changes(each: Tuning) -> list[tuple[str, str, str]]:
    """A key, what the variant has by itself and what won, for each drawn key of one that has."""
    drawn = each.winner.drawn if each.winner else {}
    return [(key, setting(each.declared.get(key)), setting(value)) for key, value in drawn.items()]


def curves(found: Searched) -> list[tuple[str, str, str, str]]:
    """A row for each k of each variant: the expected best, and the interval of the median one."""
    return [
        (each.variant, str(best.k), number(best.expected), _ends(best))
        for each in found.tunings
        for best in each.curve
    ]


def _ends(best: BestOf) -> str:
    low, high = ("open" if end is None else number(end) for end in (best.low, best.high))
    return f"[{low}, {high}]"


def trials(found: Searched) -> list[tuple[str, str, str, str]]:
    """A row for each trial: its variant, its number, what was drawn, and its score."""
    return [
        (
            each.variant,
            str(trial.number),
            settings(trial.drawn),
            number(trial.score) if trial.score is not None else standing(trial),
        )
        for each in found.tunings
        for trial in each.trials
    ]
