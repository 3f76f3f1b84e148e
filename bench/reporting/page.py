"""The report as one offline HTML page: every style, script and picture inside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import bench
from bench.reporting import (
    behaviour,
    check_figures,
    check_words,
    claims,
    dots,
    figures,
    findings,
    forest,
    history,
    history_figures,
    numbers,
    origins,
    probe_figures,
    probes,
    search,
    search_figures,
    tables,
)
from bench.reporting.base import Shares, Summary
from bench.reporting.checked import SHOWN, Checked
from bench.reporting.frames import select
from bench.reporting.gallery import Gallery, gallery
from bench.reporting.history import History
from bench.reporting.palette import DARK, LIGHT, Look
from bench.reporting.panels import AXIS_NAMES
from bench.reporting.summary import require_comparable
from bench.store import Results

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """One suite on the page: its summary, and what is drawn from its results."""

    key: str
    """Leads every id of the chapter."""
    summary: Summary
    judged: bool
    """Whether there is more to look at than what runs cost: samples, losses, metrics."""
    primary: list[str]
    curve_axes: tuple[str, ...]
    losses: list[figures.Quantity]
    diagnostics: Mapping[str, list[str]]
    bars: list[str]
    others: list[str]
    shares: list[tuple[Shares, list[str]]]
    gallery: Gallery
    search: list[str]
    probes: list[probe_figures.Drawn]
    checks: check_figures.Drawn | None


@dataclass(frozen=True)
class Guarded:
    """One suite on the page of which there are checks, and no runs."""

    key: str
    suite: str
    checks: check_figures.Drawn


def render_html(summary: Summary, results: Results) -> str:
    """The page of one suite."""
    return render_side_by_side([(summary, results)])


def render_side_by_side(
    suites: Sequence[tuple[Summary, Results]], guarded: Sequence[tuple[str, Checked]] = ()
) -> str:
    """The page of several suites, their primary metrics in one table.

    `guarded`: suites that have checks alone, by name; they come last.  Raises `NotComparable` where
    these do not mean the same.
    """
    require_comparable([summary for summary, _ in suites])
    tuned = [each.search.variants for each, _ in suites if each.search]
    names = [*(each.variants for each, _ in suites), *tuned]
    look = Look(tuple(dict.fromkeys(name for each in names for name in each)))
    chapters = [_chapter(f"s{i}", *suite, look) for i, suite in enumerate(suites)]
    alone = [
        Guarded(f"g{i}", name, check_figures.drawn(f"g{i}", found))
        for i, (name, found) in enumerate(guarded)
    ]
    return _page("page.html.j2", chapters=chapters, alone=alone, look=look)


def render_history(found: History) -> str:
    """The page of one suite's checks across its revisions."""
    return _page("history.html.j2", history=found, figures=history_figures.drawn(found))


def _page(template: str, **parts: object) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            css=_static("report.css").replace("LIGHT", LIGHT).replace("DARK", DARK),
            js=_static("report.js"),
            version=bench.__version__,
            **parts,
        )
    )


def _chapter(key: str, summary: Summary, results: Results, look: Look) -> Chapter:
    frames = select(results, summary.declaration)
    judged = not summary.costly or not frames.metrics.empty
    subject = figures.Subject(frames if judged else frames.without_rows(), summary, look, key)
    return Chapter(
        key=key,
        summary=summary,
        judged=judged,
        primary=figures.primary(subject),
        curve_axes=figures.curve_axes(subject),
        losses=figures.losses(subject),
        diagnostics=figures.diagnostics(subject),
        bars=figures.bars(subject),
        others=figures.others(subject),
        shares=[(found, figures.class_bars(subject, found)) for found in summary.shares],
        gallery=gallery(frames, results) if judged else Gallery(()),
        search=search_figures.panels(key, summary.search, look) if summary.search else [],
        probes=probe_figures.drawn(key, summary.probes, look),
        checks=check_figures.drawn(key, summary.checks) if summary.checks else None,
    )


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "svg": Markup,  # drawn here, escaped where it was drawn
        "named": tables.named,
        "number": numbers.number,
        "interval": numbers.interval,
        "effect": numbers.effect,
        "count": numbers.count,
        "duration": numbers.duration,
        "percent": numbers.percent,
        "exact_percent": numbers.exact_percent,
        "memory": numbers.memory,
        "moment": numbers.moment,
        "settings": numbers.settings,
    }
    found.globals |= {
        "about": tables.about,
        "behaviour": behaviour,
        "claims_headline": claims.headline,
        "CLAIM_LEVELS": claims.LEVELS,
        "dots": dots.dots,
        "late": claims.late,
        "told": claims.told,
        "VERDICTS": findings.VERDICTS,
        "mark": tables.mark,
        "track": tables.track,
        "strip": tables.strip,
        "forest": forest.forest,
        "span": forest.span,
        "AXIS_NAMES": AXIS_NAMES,
        "SHOWN_CHECKS": SHOWN,
        "QUANTITIES": check_words.QUANTITIES,
        "NUMBERS": history.COLUMNS,
        "numbers_of": history.numbers,
        "ARROWS": numbers.ARROWS,
        "BETTER": numbers.BETTER,
        "basis": origins.basis,
        "extractors": origins.extractors,
        "sources": origins.sources,
        "SOURCES": origins.SOURCES,
        "probe_how": probes.how,
        "probe_done": probes.done,
        "probe_header": probes.header,
        "probe_rows": probes.rows,
        "SEARCH_HOW": search.HOW,
        "trials": search.trials,
        "winners": search.winners,
        "changes": search.changes,
    }
    return found


def _static(name: str) -> Markup:
    return Markup((_HERE / "static" / name).read_text(encoding="utf-8"))
