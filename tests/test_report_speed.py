"""A suite that compares step times with a baseline's: its numbers, its words, its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_fixture import declaration, outlines, troubled, written
from scipy import stats as scipy_stats
from speed_fixture import TIMES, declared, result, runs, stored

from bench.records import RunResult
from bench.reporting.base import Summary
from bench.reporting.numbers import effect
from bench.reporting.page import render_html
from bench.reporting.summary import summarize
from bench.reporting.text import render_json, render_markdown
from bench.store import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return stored(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def summary(results: Results) -> Summary:
    return summarize(results, declared())


def test_ratio_of_speeds_is_welchs_on_the_logarithm(summary: Summary) -> None:
    [case] = [c for b in summary.baselines for c in b.cases if c.variant == "wgan_compiled"]
    assert case.contrast is not None
    found = scipy_stats.ttest_ind(
        np.log(TIMES["wgan_textbook"]), np.log(TIMES["wgan_compiled"]), equal_var=False
    )
    band = found.confidence_interval(case.contrast.level)
    shown = (case.contrast.low, case.contrast.effect, case.contrast.high)
    middle = scipy_stats.gmean(TIMES["wgan_textbook"]) / scipy_stats.gmean(TIMES["wgan_compiled"])
    assert shown == pytest.approx((np.exp(band.low), middle, np.exp(band.high)))


def test_family_is_each_variant_with_its_baseline(summary: Summary) -> None:
    pairs = summary.readings[0].contrasts
    assert [(pair.a, pair.b) for pair in pairs] == [
        ("gan_eager", "gan_textbook"),
        ("gan_compiled", "gan_textbook"),
        *((f"wgan_{kind}", "wgan_textbook") for kind in ("eager", "compiled", "bf16", "stacked")),
    ]
    least = max(pair.level for pair in pairs)
    assert least == pytest.approx(1 - 0.05 / 6)  # Holm: α over all six for the smallest p


def test_verdict_says_it_in_words(summary: Summary) -> None:
    assert summary.headline == (
        "Compared with engine textbook, of 6 variants 4 are faster, 1 is slower and 1 is equal. "
        "Greatest gain: 5.61× faster [5.27, 5.96] (MLP, WGAN, batch 64: compiled bf16)."
    )
    assert [sentence.replace("×", "x") for sentence in summary.sentences] == [
        "MLP, GAN, batch 64: textbook has a median step time of 8 ms. Against it, "
        "eager: equal within 10 % (0.996x [0.958, 1.04]); compiled: 2.00x faster [1.85, 2.17].",
        "MLP, WGAN, batch 64: textbook has a median step time of 27 ms. Against it, "
        "eager: 1.22x slower [1.17, 1.28]; compiled: 2.77x faster [2.62, 2.94]; "
        "compiled bf16: 5.61x faster [5.27, 5.96]; "
        "compiled in groups of 2: 2.84x faster [2.71, 2.98].",
    ]


def test_stack_of_seeds_is_one_observation(summary: Summary) -> None:
    [cell] = [c for c in summary.lines[0].cells if c.variant == "wgan_stacked"]
    assert cell.values == ((0, 9.5), (2, 9.6), (4, 9.4))


def test_run_that_was_not_timed_alone_has_no_step_time(tmp_path: Path) -> None:
    shared = [result("gan_textbook", 0, 8.0), result("gan_textbook", 1, None)]
    found = summarize(written(tmp_path, shared, "engine_speed"), declared({"gan_textbook": (8.0,)}))
    assert found.lines[0].cells[0].values == ((0, 8.0),)
    assert found.costs[0].step_ms == 8.0
    assert "left out of the verdict: 1 completed run of gan_textbook." in found.notes[-1]


def test_markdown_of_one_baseline(summary: Summary) -> None:
    text = render_markdown(summary).split("### MLP, GAN, batch 64\n\n")[1].split("\n\n")[0]
    assert [row.strip("| ").replace("\\", "").split(" | ") for row in text.splitlines()] == [
        ["Engine", "Precision", "Group", "Step time, ms", "95 % interval", "Speed", "Verdict",
         "Utilisation", "Memory", "Variant"],
        ["---"] * 10,
        ["textbook", "fp32", "1", "8", "[7.75, 8.25]", "the measure", "–", "–", "612 MB",
         "gan_textbook"],
        ["eager", "fp32", "1", "8", "[7.66, 8.42]", "0.996× [0.958, 1.04]", "equal", "62 %",
         "612 MB", "gan_eager"],
        ["compiled", "fp32", "1", "4", "[3.76, 4.26]", "2.00× [1.85, 2.17]", "faster", "62 %",
         "612 MB", "gan_compiled"],
    ]  # fmt: skip


def test_the_three_formats_have_the_same_ratios(summary: Summary, results: Results) -> None:
    cases = [case for baseline in summary.baselines for case in baseline.cases if case.contrast]
    page, text = render_html(summary, results), render_markdown(summary).replace("\\", "")
    [suite] = json.loads(render_json(summary))["suites"]
    told = [c["contrast"] for b in suite["baselines"] for c in b["cases"] if c["contrast"]]
    assert [each["effect"] for each in told] == [case.contrast.effect for case in cases]
    for case in cases:
        assert f'<td class="n">{effect(case.contrast)}</td>' in page
        assert f"| {effect(case.contrast)} | {case.word} |" in text


def test_page_leaves_out_what_such_a_suite_does_not_have(
    summary: Summary, results: Results
) -> None:
    page = render_html(summary, results)
    for absent in ("through training", "Losses and diagnostics", "real data", "Samples</h2>"):
        assert absent not in page
    assert page.count('class="forest"') == 6


def test_without_a_baseline_every_pair_is_compared_as_ever(results: Results) -> None:
    plain = summarize(results, replace(declared(), against=None, baselines={}))
    assert plain.baselines == ()
    assert len(plain.readings[0].contrasts) == 8 * 7 // 2
    assert plain.headline.startswith(
        "Of these 8 recipes, gan_compiled reached the lowest step time: a median of 4 over "
        "3 timings, 0.830 times that of wgan_bf16"
    )
    assert "The recipe gan_compiled is faster than wgan_bf16: step time 0.830× [" in plain.verdict


def test_ordinary_suite_shows_utilisation_where_it_is_known(tmp_path: Path) -> None:
    found = troubled(tmp_path)
    assert "Utilisation" not in render_markdown(summarize(found, declaration()))
    known = replace(found, runs=found.runs.assign(utilisation=0.62))
    summary = summarize(known, declaration())
    assert "62 %" in render_markdown(summary)
    with outlines():
        assert '<td class="n">62 %</td>' in render_html(summary, known)


def test_greatest_gain_is_one_that_has_a_verdict(tmp_path: Path) -> None:
    times = {name: TIMES[name] for name in ("gan_textbook", "gan_compiled")}
    wild = {"gan_eager": (0.2, 8.0, 0.1)}  # the better median, and no verdict
    found = summarize(stored(tmp_path, times | wild), declared(times | wild))
    assert "1 is faster and 1 is not decided. Greatest gain: 2.00× faster" in found.headline


def test_smaller_last_stack_is_no_observation_of_the_larger(tmp_path: Path) -> None:
    times = {name: TIMES[name] for name in ("wgan_textbook", "wgan_stacked")}
    last = result("wgan_stacked", 3, 15.0).run
    asked = json.dumps(json.loads(last.spec) | {"group": [6]})  # a seed is left over
    made = [*runs(times), RunResult(replace(last, spec=asked))]
    found = summarize(written(tmp_path, made, "engine_speed"), declared(times))
    [cell] = [c for c in found.lines[0].cells if c.variant == "wgan_stacked"]
    assert [value for _, value in cell.values] == [9.5, 9.6, 9.4]


def test_note_names_what_a_variant_shares_with_its_baseline(results: Results) -> None:
    told = summarize(results, declared()).notes[0]
    assert "critic steps, batch size, budget and evaluation." in told
    other = replace(declared(), against={"batch_size": 64})
    assert "critic steps, budget and evaluation." in summarize(results, other).notes[0]


def test_recipes_tell_the_group_where_variants_differ_in_it(
    tmp_path: Path, summary: Summary
) -> None:
    assert {each.name: each.parts["Group"] for each in summary.recipes}["wgan_stacked"] == "2"
    assert "Threads" not in summary.recipes[0].parts
    alike = {name: TIMES[name] for name in ("gan_textbook", "gan_eager")}
    [first, _] = summarize(stored(tmp_path, alike), declared(alike)).recipes
    assert "Group" not in first.parts


def test_column_of_a_score_keeps_its_capitals_and_has_no_unit(
    summary: Summary, results: Results
) -> None:
    lines = [replace(b.line, label="FID (digits)", unit="") for b in summary.baselines]
    beside = [replace(b, line=line) for b, line in zip(summary.baselines, lines, strict=True)]
    scored = replace(summary, metric_label="FID (digits)", baselines=tuple(beside))
    assert "| FID (digits) | 95 %" in render_markdown(scored)
    assert ">FID (digits)</th>" in render_html(scored, results)
