"""A search the whole way: trials, winners, the comparison; interrupted, failed and gone on with."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from suite_text import PAIR, suite_of

import bench
from bench import api, plan, search, store
from bench.cli import main
from bench.records import RunResult
from bench.search import Unsettled
from bench.stats import scale_for

TINY = """
schema = 1
name = "tiny"
dataset.name = "ring"
network = { name = "toy", generator_widths = [8], critic_widths = [8] }
training = { budget = { generator_steps = 4 }, batch_size = 16, engine = "eager" }
evaluation = { samples = 50, metrics = ["wasserstein_2"], every = { generator_steps = 4 } }
primary = { metric = "wasserstein_2" }
matrix = { seeds = [0], devices = ["cpu"] }
[search]
trials = 2
seeds = [100]
budget = { generator_steps = 2 }
space = { "optimizer.lr" = { log_uniform = [1e-4, 1e-1] } }
"""
TINY += PAIR


@pytest.fixture
def tiny(tmp_path):
    return suite_of(tmp_path, TINY)


@pytest.fixture
def larger(tmp_path):
    return suite_of(tmp_path, TINY, overrides=["search.trials=3", "search.seeds=[100, 101]"])


@pytest.fixture
def serial(tmp_path):
    return {"results": tmp_path / "r", "executor": "serial"}


def imagined(tmp_path, suite, values, *, status=None):
    """Results of trials that nobody ran: variant → a value for each of its runs, None: diverged."""
    store.prepare(tmp_path, suite.name)
    left = {name: iter(each) for name, each in values.items()}
    for run in plan.trials(suite):
        value = next(left[run.variant])
        ended = status or ("diverged" if value is None else "completed")
        result = RunResult.without_rows(suite.name, run.spec, ended, "as imagined")
        rows = [] if value is None else [_row(run.spec.run_id, value)]
        store.write(tmp_path, suite.name, replace(result, metrics=rows))
    return store.load_results(tmp_path / suite.name)


def _row(run_id, value):
    from bench.records import MetricRow

    where = (run_id, 2, 2, 32, 0.1)
    return MetricRow(
        *where, "wasserstein_2", value, "distance", "lower", 50, "points", "ring/test", 0.5, 0.1,
        "ab" * 32, "points", "none",
    )  # fmt: skip


def test_two_stages_share_no_seed_and_nothing_is_done_twice(tiny, serial):
    heard = []
    results = bench.run(tiny, **serial, on_result=lambda result: heard.append(result.run))
    trials, compared = heard[:4], heard[4:]
    assert [run.variant for run in trials] == [
        f"{name}-trial-0{number}" for number in (1, 2) for name in ("gan", "wgan")
    ]
    assert [(run.variant, run.seed) for run in compared] == [("gan", 0), ("wgan", 0)]
    assert list(api.current(results).runs["variant"]) == ["gan", "wgan"]
    assert len(api.trials(results).runs) == 4
    declared = results.declaration
    drawn = {(one["variant"], one["trial"]): one["drawn"] for one in declared["trials"]}
    for run in compared:
        spec = json.loads(run.spec)
        won = drawn[run.variant, declared["winners"][run.variant]]
        assert spec["optimizer"]["lr"] == won["optimizer.lr"]
        assert spec["budget"]["count"] == 4
    bench.run(tiny, **serial, on_result=heard.append)
    assert len(heard) == 6


def test_search_interrupted_at_any_place_goes_on_to_the_same_comparison(tiny, tmp_path):
    ends = set()
    for after in (1, 4, 5):  # among the trials, between the stages, in the comparison
        options = {"results": tmp_path / str(after), "executor": "serial"}
        heard = []

        def stop(result, heard=heard, after=after):
            heard.append(result)
            if len(heard) == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.run(tiny, **options, on_result=stop)
        assert len(store.finished(options["results"], "tiny")) == after
        results = bench.run(tiny, **options, on_result=heard.append)
        assert len(heard) == 6
        ends.add(tuple(results.declaration["run_ids"]))
    assert len(ends) == 1


def test_winner_is_the_best_geometric_mean_and_a_diverged_trial_comes_last(larger, tmp_path):
    # trials × seeds; arithmetic means would choose 2 for gan: (1, 8) is 2.83 on the logarithm
    values = {"gan": [1.0, 8.0, 3.0, 3.0, 5.0, 5.0], "wgan": [0.1, None, 7.0, 7.0, 7.0, 7.0]}
    results = imagined(tmp_path, larger, values)
    tuned = search.tuned(larger, results)
    assert tuned.search.winners == {"gan": 1, "wgan": 2}
    assert tuned.recipes["gan"] == larger.search.trials["gan"][0].recipe
    found = search.outcome(search.entries(larger), results, "wasserstein_2", "final")
    assert found.trials[0].score == pytest.approx(8**0.5)
    assert [one.score for one in found.trials if one.variant == "wgan"] == [
        None,
        pytest.approx(7.0),
        pytest.approx(7.0),
    ]
    assert scale_for([1.0], unit="distance") == found.scale == "log"


def test_all_trials_diverged_leaves_the_first(larger, tmp_path):
    results = imagined(tmp_path, larger, {"gan": [None] * 6, "wgan": [None] * 6})
    assert search.tuned(larger, results).search.winners == {"gan": 1, "wgan": 1}


def test_failed_trial_holds_the_comparison_back_with_one_line(larger, tmp_path):
    results = imagined(tmp_path, larger, {"gan": [1.0] * 6, "wgan": [1.0] * 6}, status="failed")
    tuned = search.tuned(larger, results)
    assert plan.expand(tuned) == ()
    told = (
        "tiny: 12 of 12 runs of the search have no result (gan-trial-01/100 failed, "
        "gan-trial-01/101 failed, wgan-trial-01/100 failed, 9 more); the comparison waits for them"
    )
    with pytest.raises(Unsettled, match="the same command tries them again") as caught:
        search.require_settled(tuned, results)
    assert str(caught.value).startswith(told)
    assert Unsettled.exit_code == 3


def test_command_line_runs_both_stages_and_shows_them(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    verb = ["run", "mine.toml", "--executor", "serial"]
    assert main([*verb, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "gan/0" in told
    assert "winner not known yet" in told
    assert "6 of 6 runs to do" in told
    assert main([*verb, "--set", "search.trials=1"]) == 0
    told = capsys.readouterr().out
    assert "tiny: 2 of 2 runs of the search to do" in told
    assert "gan: trial 1 of 1 won, optimizer.lr = " in told
    assert "tiny: 2 of 2 runs to do" in told
    assert main(["show", "tiny"]) == 0
    told = capsys.readouterr().out
    assert (
        "search: 2 of 2 runs of trials have ended; gan won by trial 1 and wgan by trial 1" in told
    )
    assert main(["show", "tiny", "gan-trial-01/100"]) == 0


def test_more_trials_keep_the_first_ones_and_leave_old_spaces_behind(tiny, serial, tmp_path):
    bench.run(suite_of(tmp_path, TINY, overrides=["search.trials=1"]), **serial)
    heard = []
    bench.run(tiny, **serial, on_result=lambda result: heard.append(result.run.variant))
    assert heard[:2] == ["gan-trial-02", "wgan-trial-02"]
    other = ["search.trials=1", 'search.space."optimizer.lr".log_uniform=[1e-3, 1e-1]']
    results = bench.run(suite_of(tmp_path, TINY, overrides=other), **serial)
    assert len(api.trials(results).runs) == 2
    assert set(api.current(results).runs["variant"]) == {"gan", "wgan"}
    assert len(results.runs) > 6
