"""The small suite that the tests of suites and plans write variations of."""

from __future__ import annotations

from pathlib import Path

from bench.suite import Suite, load_suite

SUITES = Path(__file__).parent.parent / "suites"

HEAD = """
schema = 1
name = "mine"
dataset.name = "mnist"
network = { name = "mlp", latent_dim = 64 }
training = { budget = { images = 6400 }, batch_size = 32 }
"""
GAN = '[[variant]]\nname = "gan"\npreset = "mlp_gan"\n'
WGAN = """[[variant]]
name = "wgan"
objective = "wgan"
clip = 0.02
critic_steps = 5
optimizer = { name = "rmsprop", lr = 5e-5, alpha = 0.9 }
"""
PAIR = """[[variant]]
name = "gan"
objective = "gan"
optimizer = { name = "adam", lr = 1e-3 }
[[variant]]
name = "wgan"
objective = "wgan"
clip = 0.02
optimizer = { name = "rmsprop", lr = 1e-3 }
"""
"""A recipe without a preset for either family: what a search is laid over."""


def suite_of(folder: Path, text: str, **options) -> Suite:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return load_suite(path, **options)
