from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from report_fixture import (
    RECIPES,
    SEEDS,
    cells,
    declaration,
    result,
    spec,
    troubled,
    whole,
    written,
)

from bench.errors import NotComparable
from bench.records import RunResult
from bench.reporting.frames import select
from bench.reporting.summary import require_comparable, summarize
from bench.reporting.verdict import headline, pair_detail
from bench.stats import Sample, between, contrast
from bench.stats.base.ranks import EXACT_UP_TO
from bench.store import Results

TWO = ("one", "two")
NOISE = (0.9, 0.95, 1.0, 1.05, 1.1)


def pair(root: Path, one: float, two: float, noise: tuple[float, ...] = NOISE) -> Results:
    """Two variants of one recipe whose final FID spreads alike around two values."""
    return written(
        root,
        [
            result(name, seed, fid=level * factor, samples=False)
            for name, level in zip(TWO, (one, two), strict=True)
            for seed, factor in enumerate(noise)
        ],
    )


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two variants, one with half the FID of the other."""
    return pair(tmp_path_factory.mktemp("apart"), 40.0, 80.0)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Every recipe, with five seeds each."""
    return whole(tmp_path_factory.mktemp("three"))


def swapped(results: Results) -> Results:
    """The same tables with the two variants' names exchanged."""
    names = results.runs["variant"].map({"one": "two", "two": "one"})
    return replace(results, runs=results.runs.assign(variant=names))


def edited(results: Results, where: pd.Series, **columns: object) -> Results:
    """The same results with some metric rows changed."""
    metrics = results.metrics.copy()
    for column, value in columns.items():
        metrics.loc[where, column] = value
    return replace(results, metrics=metrics)


def test_verdict_names_the_better_recipe_and_the_true_ratio(apart: Results) -> None:
    summary = summarize(apart, declaration(TWO))
    [contrast] = summary.readings[0].contrasts
    assert (contrast.a, contrast.b, contrast.verdict) == ("one", "two", "better")
    assert contrast.effect == pytest.approx(0.5)
    assert summary.headline == (
        "Of these 2 recipes, one reached the lowest final FID (digits): "
        "a median of 40 (real data 0.530) over 5 seeds, 0.500 times that of two."
    )


def test_swapping_the_rows_swaps_the_verdict(apart: Results) -> None:
    before = summarize(apart, declaration(TWO))
    after = summarize(swapped(apart), declaration(TWO))
    first = between(before.readings[0].contrasts, "one", "two")
    second = between(after.readings[0].contrasts, "one", "two")
    assert first is not None
    assert second is not None
    assert (first.verdict, second.verdict) == ("better", "worse")
    assert "two reached the lowest" in after.headline


def test_identical_variants_with_other_seeds_show_no_difference(tmp_path: Path) -> None:
    summary = summarize(whole(tmp_path, one="gan", two="gan"), declaration(TWO))
    assert summary.readings[0].contrasts[0].verdict == "not_enough_evidence"
    assert summary.headline == (
        "No difference found between these 2 recipes in final FID (digits): "
        "not enough evidence at 5 seeds each."
    )


def test_close_variants_with_little_noise_are_equal(tmp_path: Path) -> None:
    results = pair(tmp_path, 50.0, 50.5, noise=(0.99, 0.995, 1.0, 1.005, 1.01))
    headline = summarize(results, declaration(TWO)).headline
    assert headline == (
        "These 2 recipes are equal: every difference in final FID (digits) lies within the "
        "margin of 10 %."
    )


def test_three_against_three_says_what_it_cannot_show(tmp_path: Path) -> None:
    results = pair(tmp_path, 40.0, 41.0, noise=NOISE[:3])
    [sentence] = summarize(results, declaration(TWO, seeds=(0, 1, 2))).readings[0].details
    assert "Ranks alone cannot be significant: smallest p with 3 against 3 is 0.10." in sentence
    assert "seeds each would probably decide" in sentence


def test_one_seed_gives_medians_and_no_verdict(tmp_path: Path) -> None:
    summary = summarize(pair(tmp_path, 40.0, 80.0, (1.0,)), declaration(TWO, seeds=(0,)))
    assert "not enough evidence at 1 seed each" in summary.headline
    assert "with 1 against 1 completed runs there is no interval" in summary.readings[0].pairs[0]
    assert [cell.description.median for cell in summary.lines[0].cells] == [40.0, 80.0]


def test_one_variant_is_described_and_compared_with_nothing(tmp_path: Path) -> None:
    summary = summarize(whole(tmp_path, gan="gan"), declaration(("gan",)))
    assert summary.readings[0].contrasts == ()
    assert summary.headline.startswith("One recipe alone, gan: median final FID (digits) ")


def test_diverged_lost_and_missing_runs_are_said(tmp_path: Path) -> None:
    summary = summarize(troubled(tmp_path), declaration())
    assert (
        "Of 15 runs, 12 completed, 1 diverged (gan 1), 1 failed (wgan_gp 1) and 1 missing (gan 1)."
        in summary.notes[1]
    )
    found = [(f.variant, f.seed, f.status) for f in summary.failures]
    assert found == [("gan", 3, "diverged"), ("gan", 4, "missing"), ("wgan_gp", 4, "lost")]
    assert summary.lines[0].cells[0].description.diverged == 1


def test_diverged_run_is_in_no_median(tmp_path: Path) -> None:
    runs = [result("gan", seed, fid=100.0, samples=False) for seed in (0, 1)]
    runs.append(result("gan", 2, fid=9.0, status="diverged", samples=False))
    line = summarize(written(tmp_path, runs), declaration(("gan",), seeds=(0, 1, 2))).lines[0]
    assert line.cells[0].values == ((0, 100.0), (1, 100.0))


def test_variant_of_diverged_runs_only_loses(tmp_path: Path) -> None:
    runs = [result("one", seed, fid=50.0 + seed, samples=False) for seed in SEEDS]
    runs += [result("two", seed, status="diverged", samples=False) for seed in SEEDS]
    summary = summarize(written(tmp_path, runs), declaration(TWO))
    assert summary.headline == (
        "Of these 2 recipes, one did best in final FID (digits): better than two "
        "(decided by diverged runs: 0 of 5 against 5 of 5)."
    )
    assert summary.readings[0].sentences == (
        "The recipe one did better than two, decided by diverged runs: 0 of 5 against 5 of 5. "
        "Fisher’s test of how many diverged: Holm-corrected p = 0.0079. "
        "one wins 100 % of all pairings of their runs: exact Mann–Whitney p = 0.0079 "
        "(not corrected).",
    )


def test_diverged_runs_too_few_to_decide_are_said(tmp_path: Path) -> None:
    runs = [result("one", seed, fid=50.0 + seed, samples=False) for seed in (0, 1)]
    runs += [result("two", seed, status="diverged", samples=False) for seed in (0, 1)]
    summary = summarize(written(tmp_path, runs), declaration(TWO, seeds=(0, 1)))
    assert summary.readings[0].pairs == (
        "Not enough evidence between one and two: with 2 against 0 completed runs there is no "
        "interval, and 0 against 2 diverged ones decide nothing.",
    )


def test_each_p_value_stands_with_its_own_test(apart: Results) -> None:
    [detail] = summarize(apart, declaration(TWO)).readings[0].details
    assert detail == (
        "Interval at 95.0 %. Welch’s test at the margin: Holm-corrected p < 0.001. one wins 100 % "
        "of all pairings of their runs: exact Mann–Whitney p = 0.0079 (not corrected)."
    )


def against(a: Sample, b: Sample) -> str:
    return pair_detail(contrast(a, b, better="lower", margin=0.1, scale="raw"))


def test_mann_whitney_is_exact_only_where_it_is_counted_out() -> None:
    for runs, said in ((EXACT_UP_TO, True), (EXACT_UP_TO + 1, False)):
        values = tuple(float(i) for i in range(runs))
        detail = against(Sample("a", values[1:], diverged=1), Sample("b", (500.0, 501.0)))
        assert ("exact Mann–Whitney" in detail) == said


def test_p_value_of_ranks_is_not_called_welchs() -> None:
    some = Sample("b", (7.0, 8.0, 9.0, 8.5, 7.5))
    diverged = against(Sample("a", (1.0, 1.1, 0.9, 1.2), diverged=1), some)
    assert "Rank test, diverged runs counted: Holm-corrected p = " in diverged
    alike = against(Sample("a", (1.0,) * 5), Sample("b", (2.0,) * 5))
    assert "Rank test of values without spread: Holm-corrected p = 0.0079." in alike


def test_variant_without_a_value_is_not_counted_and_said(tmp_path: Path) -> None:
    results = pair(tmp_path, 40.0, 80.0)
    assert summarize(results, declaration((*TWO, "wgan_gp"))).headline == (
        "Of these 2 recipes, one reached the lowest final FID (digits): a median of 40 "
        "(real data 0.530) over 5 seeds, 0.500 times that of two; wgan_gp has no value and is not "
        "compared."
    )
    undecided = summarize(
        whole(tmp_path / "b", one="gan", two="gan"), declaration((*TWO, "a", "b"))
    )
    assert undecided.headline == (
        "No difference found between these 2 recipes in final FID (digits): not enough evidence "
        "at 5 seeds each; a and b have no value and are not compared."
    )


def test_one_variant_with_a_value_is_compared_with_nothing(tmp_path: Path) -> None:
    summary = summarize(whole(tmp_path, gan="gan"), declaration(("gan", "wgan")))
    assert summary.headline == "Nothing to compare: only gan has a value."


def test_variants_that_nobody_beat_do_not_lead(tmp_path: Path) -> None:
    levels = {
        "one": (40.0, NOISE),
        "two": (80.0, NOISE),
        "three": (55.0, (0.5, 0.7, 1.0, 1.4, 2.0)),
    }
    runs = [
        result(name, seed, fid=level * factor, samples=False)
        for name, (level, noise) in levels.items()
        for seed, factor in enumerate(noise)
    ]
    summary = summarize(written(tmp_path, runs), declaration(tuple(levels)))
    assert summary.headline == (
        "No single best recipe in final FID (digits): one and three are not beaten, not enough "
        "evidence between them; two did worse than at least one of the others (5 seeds each)."
    )


def test_alone_unbeaten_is_not_yet_best(tmp_path: Path) -> None:
    summary = summarize(whole(tmp_path, a="gan", b="gan", c="gan"), declaration(("a", "b", "c")))
    line, pairs = summary.readings[0].line, summary.readings[0].contrasts
    named = {frozenset((pair.a, pair.b)): pair for pair in pairs}
    chain = [
        replace(named[frozenset("ab")], a="a", b="b", verdict="better"),
        replace(named[frozenset("bc")], a="b", b="c", verdict="better"),
        named[frozenset("ac")],
    ]
    assert "a is not beaten, nor better than all others; b and c did worse" in headline(
        line, "final", chain
    )


def test_lost_runs_only_give_no_verdict(tmp_path: Path) -> None:
    lost = RunResult.without_rows("mnist_compare", spec("gan", 0), "lost", "killed")
    summary = summarize(written(tmp_path, [lost]), declaration(("gan",), seeds=(0,)))
    assert summary.headline == "No verdict: no run was evaluated by FID."
    assert summary.failures[0].error == "killed"


def test_empty_results_give_no_verdict(tmp_path: Path) -> None:
    summary = summarize(written(tmp_path, []), declaration())
    assert summary.headline == "No verdict: there are no runs yet."
    assert len(summary.failures) == 15


def test_only_declared_runs_can_be_missing(tmp_path: Path) -> None:
    declared = [("gan", 0), ("gan", 1), ("wgan", 7)]
    results = written(tmp_path, [result("gan", 0, samples=False)])
    summary = summarize(results, declaration(("gan", "wgan"), runs=cells(declared)))
    found = [(f.variant, f.seed, f.status) for f in summary.failures]
    assert found == [("gan", 1, "missing"), ("wgan", 7, "missing")]
    assert [recipe.missing for recipe in summary.recipes] == [1, 1]
    assert "Of 3 runs, 1 completed and 2 missing (gan 1, wgan 1)." in summary.notes[0]


def test_runs_missing_on_one_device_are_named_by_it(tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0, samples=False)])
    runs = (*cells([("gan", 0)]), ("feedfacefeedface", "gan", 0, "cuda"))
    summary = summarize(results, declaration(("gan",), seeds=(0,), runs=runs))
    assert summary.variants == ("gan (cpu)", "gan (cuda)")
    assert [(f.variant, f.seed) for f in summary.failures] == [("gan (cuda)", 0)]
    assert summary.headline == "Nothing to compare: only gan (cpu) has a value."


def test_results_are_reproduced_with_their_options(tmp_path: Path) -> None:
    options = ("--set", "training.budget.images=240000", "--set", "title='a b'", "--seeds", "0-2")
    summary = summarize(whole(tmp_path, gan="gan"), declaration(("gan",), options=options))
    checkout, run, report = summary.reproduction
    assert checkout == "git checkout 7d81086c0ffee"
    assert shlex.split(run, comments=True) == ["bench", "run", "mnist_compare.toml", *options]
    assert report == "bench report mnist_compare.toml"


def test_without_a_commit_the_version_is_said_and_nothing_checked_out(tmp_path: Path) -> None:
    results = whole(tmp_path, gan="gan")
    installed = replace(results, runs=results.runs.assign(commit=None, dirty=None))
    summary = summarize(installed, declaration(("gan",)))
    assert summary.reproduction == (
        "# made by bench 0.1.0; no commit is recorded",
        "bench run mnist_compare.toml    # the suite as printed in this report, saved by this name",
        "bench report mnist_compare.toml",
    )


def test_primary_changed_after_runs_is_warned_of_first(apart: Results) -> None:
    cpus = ["Another CPU", *apart.runs["cpu"].iloc[1:]]
    mixed = replace(apart, runs=apart.runs.assign(cpu=cpus))
    first, second = summarize(mixed, declaration(TWO, changed_from="modes, margin 5 %")).warnings
    assert first == ("The primary was changed after runs had finished: it was modes, margin 5 %.")
    assert second.startswith("These runs come from 2 environments")


def test_null_value_is_left_out_and_said(apart: Results) -> None:
    one = apart.runs.loc[apart.runs["variant"] == "one", "run_id"].iloc[0]
    of_run = (apart.metrics["run_id"] == one) & (apart.metrics["metric"] == "fid")
    summary = summarize(edited(apart, of_run, value=None), declaration(TWO))
    assert [len(cell.values) for cell in summary.lines[0].cells] == [4, 5]
    said = "Without a value of FID (digits), and so left out of the verdict: 1 completed run of one"
    assert any(note.startswith(said) for note in summary.notes)


def test_best_reading_takes_the_best_evaluation(apart: Results) -> None:
    early = apart.metrics["generator_step"] == apart.metrics["generator_step"].min()
    two = apart.metrics["run_id"].isin(apart.runs[apart.runs["variant"] == "two"]["run_id"])
    lucky = early & two & (apart.metrics["metric"] == "fid")
    summary = summarize(edited(apart, lucky, value=1.0), declaration(TWO))
    assert [reading.at for reading in summary.readings] == ["final", "best"]
    assert summary.readings[1].line.cells[1].description.median == 1.0
    assert "one reached the lowest final" in summary.headline
    assert any("Read at the best evaluation instead" in note for note in summary.notes)


def test_two_extractors_are_refused(apart: Results) -> None:
    where = apart.metrics["run_id"] == apart.runs["run_id"].iloc[0]
    with pytest.raises(NotComparable, match=r"fid comes from 2 extractors \(digits, inception\)"):
        summarize(edited(apart, where, extractor="inception"), declaration(TWO))


def test_two_recipes_under_one_name_are_refused(apart: Results) -> None:
    specs = apart.runs["spec"].where(
        apart.runs.index > 0,
        apart.runs["spec"].str.replace('"batch_size":64', '"batch_size":9'),
    )
    changed = replace(apart, runs=apart.runs.assign(spec=specs))
    with pytest.raises(NotComparable, match=r"'one' holds runs of several recipes.*batch_size"):
        summarize(changed, declaration(TWO))


def test_devices_are_variants_of_their_own(tmp_path: Path) -> None:
    results = whole(tmp_path, gan="gan")
    devices = ["cuda" if seed < 2 else "cpu" for seed in results.runs["seed"]]
    split = replace(results, runs=results.runs.assign(device=devices))
    summary = summarize(split, declaration(("gan",)))
    assert summary.variants == ("gan (cpu)", "gan (cuda)")
    assert [len(cell.values) for cell in summary.lines[0].cells] == [3, 2]


def test_mixed_hardware_is_said_loudly(apart: Results) -> None:
    cpus = ["Another CPU", *apart.runs["cpu"].iloc[1:]]
    mixed = replace(apart, runs=apart.runs.assign(cpu=cpus))
    assert summarize(mixed, declaration(TWO)).warnings == (
        "These runs come from 2 environments, which differ in cpu. Timings and costs of different "
        "hardware must not be compared.",
    )
    assert summarize(apart, declaration(TWO)).warnings == ()


def test_engine_that_was_not_the_declared_one_is_said(apart: Results) -> None:
    eager = replace(apart, runs=apart.runs.assign(engine_used="eager"))
    expected = "10 runs asked for the engine compiled and used eager."
    assert summarize(eager, declaration(TWO)).warnings == (expected,)


def test_cost_is_steps_times_the_step_alone(three: Results) -> None:
    summary = summarize(three, declaration())
    cost = {row.variant: row for row in summary.costs}
    for row in summary.costs:
        assert row.cost == pytest.approx(row.generator_steps * row.step_ms / 1000, rel=0.02)
    assert summary.equal_cost == cost["wgan"].cost
    assert cost["gan"].ratio == pytest.approx(cost["gan"].cost / cost["wgan"].cost)
    assert cost["gan"].at_equal_cost > summary.lines[0].cells[0].description.median


def test_step_timed_once_a_variant_prices_all_its_runs(three: Results) -> None:
    timed = three.runs["solo_step_ms"].where(three.runs["seed"] == 0)
    frames = select(replace(three, runs=three.runs.assign(solo_step_ms=timed)), declaration())
    once = timed.groupby(three.runs["variant"]).first()
    expected = frames.metrics["generator_step"] * frames.metrics["variant"].map(once) / 1000
    assert frames.metrics["cost"].tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("metric", "values", "said"),
    [
        ("modes", (6.0, 10.0), "a median of 10 (real data 10) over 5 seeds, 4 above one."),
        (
            "class_kl",
            (0.5, 0.2),
            "a median of 0.200 (real data 0.000600) over 5 seeds, 0.400 times that of one.",
        ),
        ("confident_share", (0.9, 0.99), "over 5 seeds, 0.0800 nearer to real data than one."),
    ],
)
def test_headline_says_the_lead_in_the_terms_of_the_metric(
    apart: Results, metric: str, values: tuple[float, float], said: str
) -> None:
    two = apart.metrics["run_id"].isin(apart.runs[apart.runs["variant"] == "two"]["run_id"])
    of_metric = apart.metrics["metric"] == metric
    apart = edited(apart, of_metric & ~two, value=values[0])
    apart = edited(apart, of_metric & two, value=values[1])
    headline = summarize(apart, declaration(TWO, metric=metric, margin=0.01)).headline
    assert headline.startswith("Of these 2 recipes, two reached the ")
    assert headline.endswith(said)


def test_metric_near_a_reference_is_compared_by_its_distance(apart: Results) -> None:
    two = apart.metrics["run_id"].isin(apart.runs[apart.runs["variant"] == "two"]["run_id"])
    share = apart.metrics["metric"] == "confident_share"
    apart = edited(edited(apart, share & two, value=0.99), share & ~two, value=0.9)
    summary = summarize(apart, declaration(TWO, metric="confident_share", margin=0.01))
    [contrast] = summary.readings[0].contrasts
    assert (contrast.a, contrast.effect) == ("two", pytest.approx(0.005 - 0.085))
    assert contrast.margin == pytest.approx(0.01 * 0.985)


def test_margin_of_a_bounded_metric_is_a_share_of_what_real_data_gets(three: Results) -> None:
    summary = summarize(three, declaration(metric="modes", margin=0.1))
    assert {contrast.margin for contrast in summary.readings[0].contrasts} == {1.0}
    assert "the margin of 1 classes" in summary.readings[0].pairs[0]


def test_parts_of_a_vector_are_one_histogram_and_no_table_rows(three: Results) -> None:
    summary = summarize(three, declaration())
    [shares] = summary.shares
    assert shares.classes == tuple(range(10))
    assert all(sum(parts) == pytest.approx(1) for _, parts in shares.values["gan"])
    assert not [line.metric for line in summary.lines if line.metric.startswith("class_share")]


def test_objective_alone_is_credited_only_if_nothing_else_differs(tmp_path: Path) -> None:
    summary = summarize(whole(tmp_path), declaration())
    assert "no difference can be credited to the objective alone" in summary.notes[0]
    specs = results_with_one_difference(tmp_path)
    assert "may be credited to it" in summarize(specs, declaration(TWO)).notes[0]


def results_with_one_difference(root: Path) -> Results:
    results = pair(root / "alone", 40.0, 80.0)
    other = '"objective":{"name":"gan_minimax"}'
    specs = [
        text.replace('"objective":{"name":"gan"}', other) if name == "two" else text
        for name, text in zip(results.runs["variant"], results.runs["spec"], strict=True)
    ]
    return replace(results, runs=results.runs.assign(spec=specs))


def test_suites_with_other_primary_metrics_are_not_put_side_by_side(three: Results) -> None:
    first = summarize(three, declaration())
    second = summarize(three, declaration(name="other", metric="modes"))
    require_comparable([first, first])
    with pytest.raises(NotComparable, match="mnist_compare and other have different primary met"):
        require_comparable([first, second])


def test_declared_order_is_the_order_everywhere(three: Results) -> None:
    backwards = tuple(reversed(RECIPES))
    summary = summarize(three, declaration(backwards))
    assert summary.variants == backwards
    assert tuple(cell.variant for cell in summary.lines[0].cells) == backwards
    assert tuple(row.variant for row in summary.costs) == backwards
