"""Where values come from: what must not be compared is refused, and what is shown says it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from metrics_fixture import TRAIN, judged_by_all, suite
from report_fixture import declaration, outlines, result, spec, written
from speed_fixture import declared as timed_declaration
from speed_fixture import runs as timed_runs

from bench.errors import NotComparable
from bench.records import RunResult
from bench.reporting.base import Summary
from bench.reporting.origins import basis, extractors, sources
from bench.reporting.page import render_html, render_side_by_side
from bench.reporting.summary import require_comparable, summarize
from bench.reporting.text import render_markdown
from bench.store import Results

OTHERWISE = [
    # a column, another value than the fixture's, how the refusal calls it, both values in words
    ("extractor", "inception", "extractors", "digits", "inception"),
    ("extractor_sha256", "cd" * 32, "extractor weights", "abababababab", "cdcdcdcdcdcd"),
    ("layer", "logits", "layers", "penultimate", "logits"),
    ("preprocessing", "none", "preprocessings", "uint8 / 255", "none"),
    ("samples", 5000, "sample counts", "10000", "5000"),
    ("reference", TRAIN, "reference data", "mnist/test", TRAIN),
    ("k", 7, "values of k", "3", "7"),
    ("k", None, "values of k", "3", "none"),
]
"""Of precision, which is not the primary metric."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return suite(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def page(results: Results, summary: Summary) -> str:
    return render_html(summary, results)


@pytest.fixture(scope="module")
def summary(results: Results) -> Summary:
    return summarize(results, declaration())


def edited(results: Results, metric: str, run: int | None = None, **columns: object) -> Results:
    """The same results with the rows of a metric changed, of one run or of all."""
    metrics = results.metrics.copy()
    where = metrics["metric"] == metric
    if run is not None:
        where &= metrics["run_id"] == results.runs["run_id"].iloc[run]
    for column, value in columns.items():
        metrics.loc[where, column] = value
    return replace(results, metrics=metrics)


@pytest.mark.parametrize(("column", "value", "noun", "one", "other"), OTHERWISE)
def test_metric_of_two_origins_is_refused_within_a_suite(  # noqa: PLR0917 - a row of the table
    results: Results, column: str, value: object, noun: str, one: str, other: str
) -> None:
    apart = edited(results, "precision", 0, **{column: value})
    with pytest.raises(NotComparable) as caught:
        summarize(apart, declaration())
    assert str(caught.value) == (
        f"mnist_compare: precision comes from 2 {noun} ({', '.join(sorted([one, other]))}); "
        "expected one: values of different ones must not be compared"
    )


@pytest.mark.parametrize(("column", "value", "noun", "one", "other"), OTHERWISE)
def test_metric_of_two_origins_is_refused_across_suites(  # noqa: PLR0917 - a row of the table
    results: Results, summary: Summary, column: str, value: object, noun: str, one: str, other: str
) -> None:
    again = edited(results, "precision", **{column: value})
    second = summarize(again, declaration(name="second"))
    with pytest.raises(NotComparable) as caught:
        render_side_by_side([(summary, results), (second, again)])
    assert str(caught.value) == (
        f"mnist_compare and second: precision has different {noun} ({one} and {other}); expected "
        "the same: render a report for each"
    )


def test_shares_of_classes_have_an_origin_too(results: Results, summary: Summary) -> None:
    names = [f"class_share_{index}" for index in range(10)]
    again = results
    for name in names:
        again = edited(again, name, samples=64)
    with pytest.raises(NotComparable, match="class_share has different sample counts"):
        require_comparable([summary, summarize(again, declaration(name="second"))])


def test_third_suite_is_held_against_both(results: Results, summary: Summary) -> None:
    of_old = summarize(edited(results, "precision", preprocessing=None), declaration(name="old"))
    other = summarize(edited(results, "precision", preprocessing="none"), declaration(name="new"))
    require_comparable([of_old, summary])
    require_comparable([of_old, other])
    with pytest.raises(NotComparable, match="mnist_compare and new: precision has different prep"):
        require_comparable([of_old, summary, other])


def test_table_that_does_not_tell_the_preprocessing_conflicts_with_none(results: Results) -> None:
    old = edited(results, "fid", 0, preprocessing=None)
    assert summarize(old, declaration()).lines[0].preprocessing == "uint8 / 255"
    untold = summarize(edited(results, "fid", preprocessing=None), declaration())
    assert untold.lines[0].preprocessing is None


def test_costs_are_compared_whatever_samples_come_from(tmp_path: Path) -> None:
    runs = [
        replace(run, metrics=[replace(row, run_id=run.run.run_id) for row in _rows(place)])
        for place, run in enumerate(timed_runs())
    ]
    summary = summarize(written(tmp_path, runs, "engine_speed"), timed_declaration())
    assert [line.metric for line in summary.lines][:2] == ["step_ms", "inception_score"]
    assert summary.headline.startswith("Compared with engine textbook")
    assert (
        "Not shown, since values from 2 sample counts (10000, 9) must not be compared: fid and "
        "class_share." in summary.notes
    )


def _rows(place: int) -> list[object]:
    """Metrics of one run, of another number of samples for the first."""
    rows = result("gan", 0, samples=False).metrics[-16:]
    apart = ("fid", *(f"class_share_{index}" for index in range(10)))
    return [replace(r, samples=9) if place == 0 and r.metric in apart else r for r in rows]


def test_basis_says_what_most_have_and_in_what_others_differ(
    summary: Summary, tmp_path: Path
) -> None:
    by = "by the extractor digits (layer: penultimate; preprocessing: uint8 / 255)"
    assert basis(summary.lines) == (
        f"from 10,000 samples against mnist/test {by}; Authenticity (digits) against {TRAIN}"
    )
    points = summarize(suite(tmp_path, points=True), declaration(metric="wasserstein_2"))
    assert basis(points.lines).endswith("preprocessing: none); W₂ (points) from 2,000 samples")


def test_every_metric_has_its_origin_in_every_format(summary: Summary, page: str) -> None:
    rows = sources(summary)
    assert len(rows) == 13
    assert rows[0] == ("FID (digits)", "10,000", "–", "mnist/test")
    assert ("Precision (digits)", "10,000", "3", "mnist/test") in rows
    assert ("Authenticity (digits)", "10,000", "1", TRAIN) in rows
    assert rows[-1] == ("Class share (digits)", "10,000", "–", "mnist/test")
    [extractor] = extractors(summary)
    assert extractor.endswith(f"weights SHA-256 {'ab' * 32}")
    text = render_markdown(summary).replace("\\", "")
    for name, samples, k, reference in rows:
        assert f"| {name} | {samples} | {k} | {reference} |" in text
        cells = f'<td class="n">{samples}</td><td class="n">{k}</td><td class="digest">{reference}'
        assert f'<th scope="row">{name}</th>{cells}</td>' in page
    assert extractor in page
    assert extractor in text


def test_floor_and_k_stand_behind_the_name_of_every_metric(summary: Summary, page: str) -> None:
    [table] = re.findall(r'<table class="comparison">(.*?)</table>', page, flags=re.DOTALL)
    told = re.findall(r"<small>([^<]*real data[^<]*)</small>", table)
    assert len(told) == len(summary.lines) == 12
    assert told[0] == "distance · real data 0.530"
    assert "share · k = 3 · real data 0.930" in told
    assert "real data -1.20e-05" in told
    assert "k = 5 · real data 1.01" in told


def test_floor_stands_behind_every_value_in_words(
    results: Results, summary: Summary, page: str
) -> None:
    assert "(real data 0.530) over 5 seeds" in summary.headline
    assert summary.notes[-1].endswith(" (real data 0.530).")
    text = render_markdown(summary).replace("\\", "")
    assert "| FID (digits) at 36.5 s (real data 0.530) |" in text
    assert "FID (digits) at 36.5 s<br><small>real data 0.530</small></th>" in page
    alone = summarize(results.only(results.runs["run_id"][:5]), declaration(("gan",)))
    assert "(real data 0.530) over 5 seeds; there is nothing to compare it with." in alone.headline


def test_floor_that_is_not_known_is_a_dash(results: Results) -> None:
    few = edited(results.only(results.runs["run_id"][:2]), "fid", floor=None)
    summary = summarize(few, declaration(("gan",), seeds=(0, 1)))
    assert "(real data –) over 2 seeds" in summary.headline
    page = render_html(summary, few)
    assert page.count("real data –</text>") == 3
    assert "<small>distance · real data –</small>" in page


def test_floor_stands_beside_a_baseline(results: Results) -> None:
    against = {"against": {"engine": "textbook"}, "baselines": {"gan": "wgan", "wgan_gp": "wgan"}}
    summary = summarize(results, declaration(**against))
    [baseline] = summary.baselines
    assert re.search(
        r"median FID \(digits\) of \d+ distance \(real data 0\.530\)\.", baseline.sentence
    )
    assert "| FID (digits), distance (real data 0.530) |" in render_markdown(summary).replace(
        "\\", ""
    )
    header = "FID (digits), distance<br><small>real data 0.530</small></th>"
    with outlines():
        assert header in render_html(summary, results)


def test_floor_stands_beside_the_medians_of_several_suites(results: Results) -> None:
    few = results.only(results.runs["run_id"][:2])
    timed = replace(few, metrics=few.metrics.iloc[:0])
    for metric, found, shown in (("fid", few, 2), ("step_ms", timed, 0)):
        summary = summarize(found, declaration(("gan",), metric=metric, seeds=(0, 1)))
        with outlines():
            beside = render_side_by_side([(summary, found), (summary, found)])
        overview = beside.split('<section class="overview"')[1].split("</section>")[0]
        assert overview.count('<td class="n">0.530</td>') == shown
        assert ("Real data" in overview) == bool(shown)


def test_figures_name_real_data_and_draw_no_course_of_one_point(page: str) -> None:
    alts = re.findall(r'aria-label="(\w[^"]* \(digits\) (?:against|by variant)[^"]*)"', page)
    assert alts
    assert all("real data" in alt for alt in alts)
    followed = [alt.partition(" against")[0] for alt in alts if " against real images" in alt]
    assert "KID (digits)" in followed
    assert "Precision (digits)" not in followed
    assert "real data -1.20e-05, below ↓</text>" in page


def test_missing_values_say_why(tmp_path: Path) -> None:
    runs = [judged_by_all(result("gan", seed, samples=False)) for seed in (0, 1)]
    lost, why = runs[0].metrics[-1].generator_step, "12 of 10,000 samples are not finite"
    rows = [
        replace(row, value=None, error=why)
        if row.generator_step == lost and row.metric in ("fid", "kid")
        else row
        for row in runs[0].metrics
    ]
    summary, page, text = _rendered(tmp_path, [replace(runs[0], metrics=rows), runs[1]])
    assert summary.gaps == (f"No value of FID (digits) and KID (digits) in gan/0: {why}.",)
    assert f"1 completed run of gan ({why})." in summary.notes[1]
    assert summary.lines[0].cells[0].errors == ((0, why),)
    assert f"/0: {why}.</li>" in page
    assert f"- {summary.gaps[0]}" in text


def test_metric_without_any_value_says_so_once(tmp_path: Path) -> None:
    why = "extractor 'other' gives no class probabilities"
    runs = [result("gan", seed, samples=False) for seed in (0, 1, 2)]
    bare = [
        replace(
            run,
            metrics=[
                replace(row, value=None, floor=None, error=why) if "modes" in row.metric else row
                for row in run.metrics
            ],
        )
        for run in runs
    ]
    summary, page, _ = _rendered(tmp_path, bare)
    assert summary.gaps == (
        f"No value of Modes (digits) and Modes (any) (digits) in any run: {why}.",
    )
    assert page.count("<small>no value</small>") == 2
    assert "<small>classes · real data –</small>" in page


def test_diverged_and_lost_runs_owe_no_value(tmp_path: Path) -> None:
    runs = [
        result("gan", 0, status="diverged", samples=False),
        RunResult.without_rows("mnist_compare", spec("gan", 1), "lost", "killed"),
    ]
    assert summarize(written(tmp_path, runs), declaration(("gan",), seeds=(0, 1))).gaps == ()


def _rendered(root: Path, runs: list[RunResult]) -> tuple[Summary, str, str]:
    results = written(root, runs)
    declared = declaration(("gan",), seeds=tuple(run.run.seed for run in runs))
    summary = summarize(results, declared)
    text = render_markdown(summary).replace("\\", "")
    return summary, render_html(summary, results), text
