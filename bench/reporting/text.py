"""The report as Markdown and as JSON: the numbers of the page, without its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import median
from typing import Any

from bench.reporting import behaviour, claims, probes, search
from bench.reporting.base import FORMAT_VERSION, Baseline, MetricLine, Recipe, Shares, Summary
from bench.reporting.checked import SHOWN, Checked
from bench.reporting.markdown import bullets, plain, table
from bench.reporting.numbers import (
    ARROWS,
    NONE,
    beside,
    count,
    duration,
    effect,
    interval,
    memory,
    moment,
    number,
    percent,
    plural,
)
from bench.reporting.origins import SOURCES, extractors, sources
from bench.reporting.verdict import real


def render_json(*summaries: Summary, guarded: Sequence[tuple[str, Checked]] = ()) -> str:
    """`{"format_version": 5, "suites": [...]}`; what is not a number is null.

    `guarded`: suites that have checks alone, by name; they come last.
    """
    alone = [
        {"verdict": found.headline, "declaration": {"name": name}, "checks": asdict(found)}
        for name, found in guarded
    ]
    whole = {
        "format_version": FORMAT_VERSION,
        "suites": [*({"verdict": each.verdict, **asdict(each)} for each in summaries), *alone],
    }
    return json.dumps(_finite(whole), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def render_markdown(*summaries: Summary, guarded: Sequence[tuple[str, Checked]] = ()) -> str:
    """One section a suite; text that comes from users cannot break a table or start markup.

    `guarded`: as of `render_json`.
    """
    alone = ("\n\n".join([f"# {plain(name)}", *_checks(found)]) + "\n" for name, found in guarded)
    return "\n".join([*map(_suite, summaries), *alone])


def _suite(summary: Summary) -> str:
    declared = summary.declaration
    blocks = [
        f"# {plain(declared.title)}",
        *_claims(summary),
        f"**{plain(summary.headline)}**",
        *(f"> **Warning:** {plain(warning)}" for warning in summary.warnings),
        bullets(summary.sentences),
        bullets(summary.notes),
        *_probes(summary),
        *_search(summary),
        "## Comparison",
        *(block for baseline in summary.baselines for block in _baseline(baseline)),
        _comparison(summary),
        bullets(summary.gaps),
        *(block for shares in summary.shares for block in _shares(shares, summary.variants)),
        *_behaviour(summary),
        "## Cost and speed",
        _costs(summary),
        *_checks(summary.checks),
        *_failures(summary),
        "## Recipes",
        _recipes(summary.recipes, many=summary.many),
        *_provenance(summary),
        "## Environment",
        bullets(
            f"{plural(each.runs, 'run')}: " + ", ".join(f"{k} {v}" for k, v in each.facts.items())
            for each in summary.environments
        ),
        "## How to reproduce",
        _code("sh", "\n".join(summary.reproduction)),
        _code("toml", declared.text),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _claims(summary: Summary) -> Iterable[str]:
    """What the suite claims, and what became of it."""
    if not summary.claims:
        return
    yield f"## {plain(claims.headline(summary.claims))}"
    yield table(claims.COLUMNS_OF, claims.rows(summary.claims))
    yield plain(claims.LEVELS)


def _search(summary: Summary) -> Iterable[str]:
    """What the suite's search found, and by which settings its variants are compared."""
    if (found := summary.search) is None:
        return
    yield "## Search"
    yield bullets(found.sentences)
    if rows := search.curves(found):
        yield table(["Variant", "k", "Expected best of k", "Median best of k, 95 %"], rows)
        yield plain(search.HOW)
    if settings := search.winners(found):
        yield "### Settings that won"
        yield table(search.WINNERS, settings)
    yield "### Every trial"
    yield table(["Variant", "Trial", "Drawn", found.label], search.trials(found))


def _probes(summary: Summary) -> Iterable[str]:
    """What the suite's probes measured: a table a quantity."""
    for probe in summary.probes:
        yield f"## Probe: {plain(probe.title)}"
        yield plain(probe.about)
        yield plain(probes.done(probe))
        for panel in probe.panels:
            yield f"### {plain(panel.label)}"
            yield table(probes.header(panel), probes.rows(panel))
            yield plain(panel.note)


def _behaviour(summary: Summary) -> Iterable[str]:
    """How each variant trained."""
    if summary.behaviour:
        yield "## Training behaviour"
        yield table(behaviour.headings(summary), behaviour.rows(summary))
        yield plain(behaviour.about(summary))


def _checks(found: Checked | None) -> Iterable[str]:
    """The latest check whole, those before it in a line each, and the latest calibration."""
    if found is None:
        return
    yield "## Regression checks"
    if found.latest:
        yield found.latest.markdown().rstrip()
    if found.earlier:
        yield "### Earlier checks"
        yield bullets(
            f"{moment(past.started_at)}, {past.about}: {past.headline}"
            for past in found.earlier[:SHOWN]
        )
        if found.before:
            yield found.before
    if found.calibration:
        yield found.calibration.markdown().rstrip()


def _baseline(baseline: Baseline) -> Iterable[str]:
    """The variants beside one baseline, which comes first."""
    line = baseline.line
    yield f"### {plain(baseline.label)}"
    value = ", ".join(filter(None, [line.label[:1].upper() + line.label[1:], line.unit]))
    value += real(line)
    ratio = line.cost.inverse.capitalize() if line.cost else "Against the first"
    header = ["Engine", "Precision", "Group", value, "95 % interval", ratio, "Verdict"]
    rows = [
        [
            case.engine or case.variant,
            case.precision or NONE,
            count(case.group),
            number(case.cell.description.median),
            interval(case.cell.description.interval),
            effect(case.contrast) if case.contrast else "the measure",
            case.word or NONE,
            percent(case.utilisation),
            memory(case.peak_memory_bytes),
            case.variant,
        ]
        for case in baseline.cases
    ]
    yield table([*header, "Utilisation", "Memory", "Variant"], rows)


def _comparison(summary: Summary) -> str:
    """Every metric of every variant; one told beside baselines already is not told again."""
    rows = [row for line in summary.others for row in _line(line)]
    if not rows:
        return "" if summary.baselines else "No run has been evaluated."
    header = ["Metric", "Variant", "Median", "95 % interval", "Seeds", "Real data"]
    return table(header, rows)


def _line(line: MetricLine) -> Iterable[list[str]]:
    for cell in line.cells:
        yield [
            f"{line.label} {ARROWS[line.better]}",
            cell.variant,
            number(cell.description.median),
            interval(cell.description.interval),
            ", ".join(number(value) for _, value in cell.values) or NONE,
            number(line.floor),
        ]


def _shares(shares: Shares, variants: Sequence[str]) -> Iterable[str]:
    """A metric that comes in parts: each class's median over the seeds."""
    yield f"### {plain(shares.label)} of each class, medians over seeds"
    rows = [
        [
            str(index),
            *(number(_middle(shares, name, place)) for name in variants),
            number(shares.floor[place]),
        ]
        for place, index in enumerate(shares.classes)
    ]
    yield table(["Class", *variants, "Real data"], rows)


def _middle(shares: Shares, variant: str, place: int) -> float | None:
    values = [parts[place] for _, parts in shares.values[variant]]
    return median(values) if values else None


def _costs(summary: Summary) -> str:
    at = f"{summary.metric_label} at {duration(summary.equal_cost)}{beside(summary.floor)}"
    columns = {
        "Variant": [row.variant for row in summary.costs],
        "Step alone": [f"{number(row.step_ms)} ms" for row in summary.costs],
        "Utilisation": [percent(row.utilisation) for row in summary.costs],
        "Steps": [count(row.generator_steps) for row in summary.costs],
        "Cost": [duration(row.cost) for row in summary.costs],
        at: [number(row.at_equal_cost) for row in summary.costs],
        "Images/s": [number(row.images_per_second) for row in summary.costs],
        "Compile": [duration(row.compile_seconds) for row in summary.costs],
        "Eval": [percent(row.eval_share, 1) for row in summary.costs],
        "Memory": [memory(row.peak_memory_bytes) for row in summary.costs],
    }
    if not summary.utilised:
        del columns["Utilisation"]
    if summary.costly:
        del columns[at]
    return table(list(columns), zip(*columns.values(), strict=True))


def _provenance(summary: Summary) -> list[str]:
    """What each metric was computed from; nothing where none was."""
    if not (rows := sources(summary)):
        return []
    return ["## Provenance of the metrics", table(SOURCES, rows), bullets(extractors(summary))]


def _failures(summary: Summary) -> list[str]:
    if not summary.failures:
        return []
    rows = [
        [f.variant, str(f.seed), f.status, count(f.step), f.error or NONE] for f in summary.failures
    ]
    return ["## Runs without a result", table(["Variant", "Seed", "Status", "Step", "Why"], rows)]


def _recipes(recipes: Sequence[Recipe], *, many: bool) -> str:
    headings = dict.fromkeys(heading for each in recipes for heading in each.parts)
    rows = [[heading, *(each.parts.get(heading, NONE) for each in recipes)] for heading in headings]
    whole = [["", *(each.name for each in recipes)], *rows, ["Runs", *map(_runs, recipes)]]
    if many:  # a variant a row: a page is longer than it is wide
        whole = [list(row) for row in zip(*whole, strict=True)]
    return table(whole[0], whole[1:])


def _runs(recipe: Recipe) -> str:
    """`4 completed, 1 diverged`, as the page says it."""
    others = {"diverged": recipe.diverged, "failed": recipe.failed, "missing": recipe.missing}
    return ", ".join(
        [f"{recipe.completed} completed", *(f"{n} {noun}" for noun, n in others.items() if n)]
    )


def _code(language: str, text: str) -> str:
    if not text.strip():
        return ""
    longest = max((len(run) for run in _ticks(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _ticks(text: str) -> list[str]:
    return "".join(char if char == "`" else " " for char in text).split()
