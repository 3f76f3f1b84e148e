"""How long runs will take: known answers from rows that are made up, and from a step's counts."""

from dataclasses import replace

import pytest
from executor_work import row, spec

from bench import environment, forecast, store
from bench.forecast import Estimate
from bench.records import Amount, Group, RunResult
from bench.step_time import _CPU, step_seconds
from bench.training.arithmetic import StepCost

MLP = {
    "name": "mlp",
    "latent_dim": 100,
    "generator_widths": (128, 256),
    "critic_widths": (256, 128),
    "slope": 0.2,
}
RUN = replace(spec("gan"), network=MLP)


@pytest.fixture(autouse=True)
def _rate(monkeypatch):
    monkeypatch.setattr(forecast, "_rate", lambda precision, threads: 1e11)


def group(run, **changes):
    return Group("suite", (run,), **changes)


def estimate(run, earlier=(), workers=1):
    (found,) = forecast.forecast([group(run)], earlier, workers)
    return found


def rows(tmp_path, *seconds, **columns):
    """Completed runs of ten steps that trained for so many seconds each."""
    store.prepare(tmp_path, "suite")
    here = environment.current("cpu")
    known = {"cpu": here.cpu, "gpu": None, "engine_used": "eager", "eval_seconds": 0.0}
    for seed, each in enumerate(seconds):
        done = replace(RUN, seed=seed, group=(seed,))
        made = known | {"train_seconds": each, "generator_steps": 10} | columns
        store.write(tmp_path, "suite", RunResult(row(done, **made)))
    return [store.run_rows(tmp_path / "suite")]


def test_longer_budget_is_forecast_longer_by_its_steps():
    budgets = (Amount("generator_steps", count) for count in (1_000_000, 3_000_000))
    first, second = (estimate(replace(RUN, budget=budget)).seconds for budget in budgets)
    assert second / first == pytest.approx(3, rel=0.01)


def test_earlier_run_of_the_recipe_is_believed(tmp_path):
    earlier = rows(tmp_path, 10.0, 30.0, 20.0)
    longer = replace(RUN, budget=Amount("generator_steps", 50), seed=7, group=(7,))
    assert estimate(longer, earlier).seconds == pytest.approx(50 * 2.0 + forecast._START)
    faster = replace(longer, optimizer={**RUN.optimizer, "lr": 1.0})  # another recipe
    assert estimate(faster, earlier).seconds < 50


def test_run_of_another_machine_is_scaled_by_its_rate(tmp_path):
    elsewhere = {"cpu": "another", "cores": 64}
    longer = replace(RUN, budget=Amount("generator_steps", 50))
    earlier = rows(tmp_path, 20.0, **elsewhere, matmul_rate=2e11)
    assert estimate(longer, earlier).seconds == pytest.approx(50 * 4.0 + forecast._START)
    untold = rows(tmp_path / "untold", 20.0, **elsewhere)
    assert estimate(longer, untold) == estimate(longer)


def test_first_group_of_a_recipe_compiles_and_the_next_finds_it_compiled():
    compiled = replace(RUN, engine="compiled", compile="always")
    groups = [group(replace(compiled, seed=seed, group=(seed,))) for seed in (0, 1, 2)]
    first, second, third = (each.seconds for each in forecast.forecast(groups, [], 1))
    saved = forecast._COMPILE["cold"] - forecast._COMPILE["cached"]
    assert first - second == pytest.approx(saved)
    assert second == third


def test_run_too_short_to_compile_is_forecast_uncompiled():
    short = replace(RUN, engine="compiled", budget=Amount("generator_steps", 10))
    assert estimate(short) == estimate(replace(short, engine="eager"))


def test_groups_are_taken_up_in_order_by_the_next_free_worker():
    each = [Estimate(seconds, alone=0.0) for seconds in (4.0, 1.0, 1.0, 5.0)]
    assert forecast.total(each, 1) == forecast._DRIVER + 11.0
    assert forecast.total(each, 2) == forecast._DRIVER + 7.0  # 4 beside 1, 1 and then 5
    timed = [replace(each[0], alone=2.0), *each[1:]]
    assert (
        forecast.total(timed, 2) == forecast._DRIVER + 8.0
    )  # for two seconds the other worker waits
    assert forecast.total([], 2) == 0.0


def test_nothing_is_known_of_a_gpu_before_a_first_run():
    assert estimate(replace(RUN, device="cuda")) is None


@pytest.mark.parametrize("engine", _CPU)
def test_step_of_a_group_costs_its_members_and_its_calls(engine):
    cost = StepCost(operations=1e9, bytes=1e6, calls=500, updates=1e6, held_bytes=0)
    common = {"critic_steps": 5, "images": 64, "rate": 1e11}
    one, four = (step_seconds(cost, engine, members=k, **common) for k in (1, 4))
    own = _CPU[engine]
    calls = own.call * (6 if engine == "compiled" else 500)
    assert four - calls == pytest.approx(4 * (one - calls))
    images = own.image * 5 * 64 if engine == "textbook" else 0
    expected = own.product * 0.01 + own.byte * 1e6 + own.update * 1e6 + calls + images
    assert one == pytest.approx(expected)


def test_machine_is_held_for_the_blocks_that_are_timed():
    assert forecast._timed_steps(1000, 1000) == 150  # three blocks of 50 after the first
    assert forecast._timed_steps(75, 25) == 50
    assert forecast._timed_steps(30, 1000) == 30  # one block is all there is


def test_serial_executor_starts_once():
    groups = [group(replace(RUN, seed=seed, group=(seed,))) for seed in (0, 1, 2)]
    spawned, serial = (
        sum(each.seconds for each in forecast.forecast(groups, [], 1, spawned=own))
        for own in (True, False)
    )
    assert spawned - serial == pytest.approx(2 * forecast._START)


def test_runs_that_could_not_be_compiled_are_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.RUN", replace(RUN, engine="compiled", compile="always"))
    longer = replace(RUN, budget=Amount("generator_steps", 50))
    fallen = rows(tmp_path, 20.0, compile_seconds=0.0)
    assert estimate(longer, fallen).seconds == pytest.approx(50 * 2.0 + forecast._START)
    compiled = rows(tmp_path / "compiled", 10.0, engine_used="compiled", compile_seconds=0.0)
    both = [[*fallen[0], *compiled[0]]]
    assert estimate(longer, both).seconds == pytest.approx(50 * 1.0 + forecast._START)


def test_run_too_short_to_compile_tells_nothing_of_a_long_one(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.RUN", replace(RUN, engine="compiled"))
    longer = replace(RUN, budget=Amount("generator_steps", 5000))
    assert estimate(longer, rows(tmp_path, 1e4)) == estimate(longer)
