from dataclasses import replace

import pytest
from executor_work import row, spec

from bench import forecast, store
from bench.records import Amount, Group, RunResult

MLP = {
    "name": "mlp",
    "latent_dim": 100,
    "generator_widths": (128, 256),
    "critic_widths": (256, 128),
    "slope": 0.2,
}
RUN = replace(spec("gan"), network=MLP)


def test_operations_of_an_mlp_are_those_of_its_matrices():
    generator = 2 * 64 * (100 * 128 + 128 * 256 + 256 * 784)
    critic = 2 * 64 * (784 * 256 + 256 * 128 + 128 * 1)
    expected = (generator + 6 * critic) + (3 * generator + 2 * critic)
    assert forecast._operations(RUN) == expected
    penalised = replace(RUN, objective={"name": "wgan_gp"}, critic_steps=5)
    expected = 5 * (generator + 12 * critic) + 3 * generator + 2 * critic
    assert forecast._operations(penalised) == expected


def test_longer_budget_is_forecast_longer():
    short, long = (
        replace(RUN, budget=Amount("images", count)) for count in (64_000_000, 128_000_000)
    )
    first, second = (forecast.forecast(Group("s", (each,)), [], 1) for each in (short, long))
    assert second - forecast._START["eager"] == pytest.approx(
        2 * (first - forecast._START["eager"])
    )


def test_earlier_run_of_the_recipe_is_believed(tmp_path):
    store.prepare(tmp_path, "suite")
    for seed, seconds in enumerate((10.0, 30.0, 20.0)):
        done = replace(RUN, seed=seed, group=(seed,))
        store.write(
            tmp_path, "suite", RunResult(row(done, wall_seconds=seconds, generator_steps=10))
        )
    earlier = [store.run_rows(tmp_path / "suite")]
    longer = replace(RUN, budget=Amount("generator_steps", 50), seed=7, group=(7,))
    assert forecast.forecast(Group("suite", (longer,)), earlier, 1) == pytest.approx(100.0)


def test_nothing_is_known_of_a_gpu_before_a_first_run():
    assert forecast.forecast(Group("suite", (replace(RUN, device="cuda"),)), [], 1) is None
