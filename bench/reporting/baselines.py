"""Variants beside the one that each is compared with, grouped by it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from bench.registry import label
from bench.reporting.base import Baseline, Case, Cost, MetricLine
from bench.reporting.frames import Frames
from bench.reporting.numbers import effect, listed, number, plural
from bench.reporting.verdict import margin, noun, real
from bench.stats import Contrast, Verdict

_UNDECIDED = "not decided"


def baselines(
    frames: Frames, line: MetricLine, contrasts: Sequence[Contrast], costs: Sequence[Cost]
) -> tuple[Baseline, ...]:
    """Every baseline with the variants compared with it, in the declared order."""
    of = {pair.a: pair for pair in contrasts}
    spent = {row.variant: row for row in costs}
    names = dict.fromkeys(pair.b for pair in contrasts)
    found = []
    for name in names:
        variants = [pair.a for pair in contrasts if pair.b == name]
        cases = [_case(frames, line, spent[v], of.get(v)) for v in (name, *variants)]
        found.append(_baseline(frames, line, _labelled(cases)))
    return tuple(found)


def headline(line: MetricLine, asked: str, found: Sequence[Baseline]) -> str:
    """One sentence: how many variants did better or worse than their baselines, and by how much.

    `asked`: the settings that make a baseline, in words.
    """
    cases = [case for baseline in found for case in baseline.cases[1:]]
    compared = [case for case in cases if _effect(case) is not None]
    if not compared:
        need = f"at least two {noun(line)}s each"
        return f"No verdict: no variant and its baseline ({asked}) have {need}."
    counts = Counter(case.word for case in cases)
    order = [
        _word(line, verdict) for verdict in ("better", "worse", "equal", "not_enough_evidence")
    ]
    parts = [
        f"{counts[word]} {'is' if counts[word] == 1 else 'are'} {word}"
        for word in order
        if counts[word]
    ]
    text = f"Compared with {asked}, of {plural(len(cases), 'variant')} {listed(parts)}"
    if line.cost is None or not counts[line.cost.gain]:
        return f"{text}."
    gained = [case for case in compared if case.word == line.cost.gain]
    most = max(gained, key=lambda case: _effect(case) or 0.0)
    place = next(baseline.label for baseline in found if most in baseline.cases)
    return (
        f"{text}. Greatest gain: {_phrase(line, most).partition(': ')[2]} ({place}: {most.label})."
    )


def _effect(case: Case) -> float | None:
    return case.contrast.effect if case.contrast else None


def _case(frames: Frames, line: MetricLine, cost: Cost, pair: Contrast | None) -> Case:
    runs = frames.of(cost.variant)
    return Case(
        variant=cost.variant,
        label=cost.variant,
        engine=str(runs["engine"].iloc[0]) if len(runs) else "",
        precision=str(runs["precision"].iloc[0]) if len(runs) else "",
        group=int(runs["group_size"].max()) if len(runs) else 0,
        cell=next(cell for cell in line.cells if cell.variant == cost.variant),
        contrast=None if pair is None else spoken(line, pair),
        word="" if pair is None else _word(line, pair.verdict),
        utilisation=cost.utilisation,
        peak_memory_bytes=cost.peak_memory_bytes,
    )


def spoken(line: MetricLine, pair: Contrast) -> Contrast:
    """The contrast as people say it: of two step times, the ratio of the speeds."""
    if line.cost is None or pair.effect is None or pair.scale != "log":
        return pair
    return replace(
        pair,
        effect=1 / pair.effect,
        low=None if pair.high is None else 1 / pair.high,
        high=None if pair.low is None else 1 / pair.low,
        better="lower" if pair.better == "higher" else "higher",
    )


def _word(line: MetricLine, verdict: Verdict) -> str:
    gain, loss = (line.cost.gain, line.cost.loss) if line.cost else ("better", "worse")
    words = {"better": gain, "worse": loss, "equal": "equal"}
    return words.get(verdict, _UNDECIDED)


def _labelled(cases: Sequence[Case]) -> list[Case]:
    """The cases, each called by its settings; by its name where another has the same ones."""
    first = cases[0]
    called = [_label(case, first) for case in cases]
    twice = Counter(called)
    return [
        replace(case, label=text if text and twice[text] == 1 else case.variant)
        for case, text in zip(cases, called, strict=True)
    ]


def _label(case: Case, baseline: Case) -> str:
    precision = f" {case.precision}" if case.precision != baseline.precision else ""
    group = f" in groups of {case.group}" if case.group != baseline.group else ""
    return f"{case.engine}{precision}{group}"


def _baseline(frames: Frames, line: MetricLine, cases: Sequence[Case]) -> Baseline:
    first, *others = cases
    called = _in_common(frames, first.variant)
    said = "; ".join(_phrase(line, case) for case in others)
    value = f"{number(first.cell.description.median)} {line.unit}".strip() + real(line)
    sentence = f"{called}: {first.label} has a median {line.label} of {value}. Against it, {said}."
    own = replace(line, cells=tuple(case.cell for case in cases))
    return Baseline(called, sentence, own, tuple(cases))


def _in_common(frames: Frames, variant: str) -> str:
    """`MLP, WGAN, batch 64`."""
    runs = frames.of(variant)
    if runs.empty:
        return variant
    spec = json.loads(str(runs["spec"].iloc[0]))
    network, objective = (
        label(f"{part}s", spec[part]["name"]) for part in ("network", "objective")
    )
    return f"{network}, {objective}, batch {spec['batch_size']}"


def _phrase(line: MetricLine, case: Case) -> str:
    """`compiled bf16: 5.61× faster [5.40, 5.82]`."""
    pair = case.contrast
    if pair is None or pair.effect is None:
        sides = f"{pair.n_a} against {pair.n_b}" if pair else "no"
        return f"{case.label}: no interval, from {sides} {noun(line)}s"
    if case.word == _UNDECIDED or pair.scale == "raw":
        return f"{case.label}: {case.word} ({effect(pair)})"
    if case.word == "equal":
        return f"{case.label}: equal within {margin(line, pair.margin)} ({effect(pair)})"
    shown = pair if pair.effect >= 1 or line.cost is None else _inverted(pair)
    ratio, _, band = effect(shown).partition(" ")
    return f"{case.label}: {ratio} {case.word} {band}".rstrip()


def _inverted(pair: Contrast) -> Contrast:
    low, high = (None if x is None else 1 / x for x in (pair.high, pair.low))
    return replace(pair, effect=1 / (pair.effect or 1.0), low=low, high=high)
