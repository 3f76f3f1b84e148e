"""The report as Markdown and as JSON: the numbers of the page, without its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import median
from typing import Any

from bench.reporting.base import FORMAT_VERSION, MetricLine, Recipe, Shares, Summary
from bench.reporting.numbers import (
    ARROWS,
    NONE,
    count,
    duration,
    interval,
    memory,
    number,
    percent,
    plural,
)


def render_json(*summaries: Summary) -> str:
    """`{"format_version": 1, "suites": [...]}`; what is not a number is null."""
    whole = {
        "format_version": FORMAT_VERSION,
        "suites": [{"verdict": each.verdict, **asdict(each)} for each in summaries],
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


def render_markdown(*summaries: Summary) -> str:
    """One section a suite; text that comes from users cannot break a table or start markup."""
    return "\n".join(_suite(summary) for summary in summaries)


def _suite(summary: Summary) -> str:
    declared = summary.declaration
    blocks = [
        f"# {_plain(declared.title)}",
        f"**{_plain(summary.headline)}**",
        *(f"> **Warning:** {_plain(warning)}" for warning in summary.warnings),
        _bullets(summary.readings[0].sentences if summary.readings else ()),
        _bullets(summary.notes),
        "## Comparison",
        _comparison(summary),
        *(block for shares in summary.shares for block in _shares(shares, summary.variants)),
        "## Cost and speed",
        _costs(summary),
        *_failures(summary),
        "## Recipes",
        _recipes(summary.recipes),
        "## Environment",
        _bullets(
            f"{plural(each.runs, 'run')}: " + ", ".join(f"{k} {v}" for k, v in each.facts.items())
            for each in summary.environments
        ),
        "## How to reproduce",
        _code("sh", "\n".join(summary.reproduction)),
        _code("toml", declared.text),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _comparison(summary: Summary) -> str:
    header = ["Metric", "Variant", "Median", "95 % interval", "Seeds", "Real data"]
    rows = [row for line in summary.lines for row in _line(line)]
    return _table(header, rows)


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
    yield f"### {_plain(shares.label)} of each class, medians over seeds"
    rows = [
        [
            str(index),
            *(number(_middle(shares, name, place)) for name in variants),
            number(shares.floor[place]),
        ]
        for place, index in enumerate(shares.classes)
    ]
    yield _table(["Class", *variants, "Real data"], rows)


def _middle(shares: Shares, variant: str, place: int) -> float | None:
    values = [parts[place] for _, parts in shares.values[variant]]
    return median(values) if values else None


def _costs(summary: Summary) -> str:
    at = f"{summary.metric_label} at {duration(summary.equal_cost)}"
    header = ["Variant", "Step alone", "Steps", "Cost", at, "Images/s", "Compile", "Eval", "Memory"]
    rows = [
        [
            row.variant,
            f"{number(row.step_ms)} ms",
            count(row.generator_steps),
            duration(row.cost),
            number(row.at_equal_cost),
            number(row.images_per_second),
            duration(row.compile_seconds),
            percent(row.eval_share, 1),
            memory(row.peak_memory_bytes),
        ]
        for row in summary.costs
    ]
    return _table(header, rows)


def _failures(summary: Summary) -> list[str]:
    if not summary.failures:
        return []
    rows = [
        [f.variant, str(f.seed), f.status, count(f.step), f.error or NONE] for f in summary.failures
    ]
    return ["## Runs without a result", _table(["Variant", "Seed", "Status", "Step", "Why"], rows)]


def _recipes(recipes: Sequence[Recipe]) -> str:
    headings = dict.fromkeys(heading for each in recipes for heading in each.parts)
    rows = [[heading, *(each.parts.get(heading, NONE) for each in recipes)] for heading in headings]
    runs = ["Runs", *(_runs(each) for each in recipes)]
    return _table(["", *(each.name for each in recipes)], [*rows, runs])


def _runs(recipe: Recipe) -> str:
    """`4 completed, 1 diverged`, as the page says it."""
    others = {"diverged": recipe.diverged, "failed": recipe.failed, "missing": recipe.missing}
    return ", ".join(
        [f"{recipe.completed} completed", *(f"{n} {noun}" for noun, n in others.items() if n)]
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines)


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _code(language: str, text: str) -> str:
    if not text.strip():
        return ""
    longest = max((len(run) for run in _ticks(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _ticks(text: str) -> list[str]:
    return "".join(char if char == "`" else " " for char in text).split()


_MARKUP = str.maketrans({char: f"\\{char}" for char in "\\|*`_[]!~$"})
_TAGS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def _plain(text: str) -> str:
    """One line in which nothing is a tag, a link, a picture, code, emphasis or a column's end."""
    return " ".join(text.split()).translate(_MARKUP).translate(_TAGS)
