"""`bench.run` and `bench.compare` on real MNIST: small suites, the whole way."""

from __future__ import annotations

from suite_text import suite_of

import bench

TWINS = """
schema = 1
name = "twins"
dataset.name = "mnist"
network = { name = "mlp", generator_widths = [32], critic_widths = [32] }
training = { budget = { generator_steps = 60 }, batch_size = 32, engine = "eager" }
evaluation = { samples = 1000, metrics = ["fid"], every = { generator_steps = 60 } }
primary = { metric = "fid", margin = 0.0 }
variant = [{ name = "one", preset = "mlp_gan" }, { name = "other", preset = "mlp_gan" }]
matrix.seeds = [0, 1, 2, 3, 10, 11, 12, 13]
matrix.exclude = [
    { variant = "one", seed = [10, 11, 12, 13] },
    { variant = "other", seed = [0, 1, 2, 3] },
]
"""


def test_two_identical_variants_with_different_seeds_do_not_differ(tmp_path):
    results = bench.run(suite_of(tmp_path, TWINS), results=tmp_path / "r", executor="serial")
    assert results.runs.groupby("variant")["seed"].agg(list).to_dict() == {
        "one": [0, 1, 2, 3],
        "other": [10, 11, 12, 13],
    }
    (contrast,) = bench.compare(results).readings[0].contrasts
    assert contrast.verdict == "not_enough_evidence"
    assert contrast.low < 1.0 < contrast.high


def test_what_is_finished_is_not_done_again_and_fresh_gives_the_same_tables(tmp_path):
    suite = suite_of(tmp_path, TWINS, seeds=(0, 10))
    heard: list[str] = []
    options = {"results": tmp_path / "r", "executor": "serial"}
    first = bench.run(suite, **options)
    again = bench.run(suite, **options, on_progress=lambda progress: heard.append(progress.label))
    assert heard == []
    assert again.runs.equals(first.runs)
    fresh = bench.run(suite, **options, fresh=True)
    clocks = ["train_seconds", "seconds", "step_ms"]
    for table in ("curves", "metrics", "timings"):
        one, other = (
            getattr(results, table).drop(columns=clocks, errors="ignore")
            for results in (first, fresh)
        )
        assert one.equals(other)
