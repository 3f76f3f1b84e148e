"""Results of an imaginary suite, written through the real store: plausible, and quick to make."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from matplotlib.axes import Axes
from PIL import Image, ImageDraw

from bench import store
from bench.records import (
    Amount,
    CurveRow,
    Evaluation,
    MetricRow,
    RunResult,
    RunRow,
    RunSpec,
    Status,
    identity,
)
from bench.reporting import svg
from bench.reporting.summary import Declaration
from bench.store import Results

IMAGES, BATCH, EVALUATIONS = 1_200_000, 64, 6
SEEDS = (0, 1, 2, 3, 4)
TEXT = (
    'schema = 1\nname = "mnist_compare"\n\n[primary]\nmetric = "fid"\nat = "final"\nmargin = 0.10\n'
)

ADAM, RMSPROP = {"name": "adam", "lr": 2e-4}, {"name": "rmsprop", "lr": 5e-5}
RECIPES: dict[str, dict[str, Any]] = {
    "gan": {"objective": {"name": "gan"}, "optimizer": ADAM, "critic_steps": 1},
    "wgan": {
        "objective": {"name": "wgan", "clip": 0.01},
        "optimizer": RMSPROP,
        "critic_steps": 5,
    },
    "wgan_gp": {
        "objective": {"name": "wgan_gp", "penalty_weight": 10.0},
        "optimizer": ADAM,
        "critic_steps": 5,
    },
}
FID = {"gan": 150.0, "wgan": 260.0, "wgan_gp": 55.0}
STEP_MS = {"gan": 4.1, "wgan": 9.7, "wgan_gp": 16.9}
SOURCE = (10_000, "digits", "mnist/test")
MACHINE: dict[str, Any] = {
    "bench_version": "0.1.0",
    "commit": "7d81086c0ffee",
    "dirty": False,
    "started_at": "2026-01-01T00:00:00+00:00",
    "finished_at": "2026-01-01T00:01:00+00:00",
    "os": "Linux 6.1",
    "python": "3.11.9",
    "torch": "2.15.0",
    "cpu": "Imaginary CPU @ 3 GHz",
    "cores": 2,
    "threads": 1,
    "memory_bytes": 8_000_000_000,
    "engine_used": "compiled",
    "workers": 2,
}


def declaration(variants: Sequence[str] = tuple(RECIPES), **changes: Any) -> Declaration:
    """What the imaginary suite declares, with changes."""
    plain = Declaration(
        name="mnist_compare",
        title="GAN, WGAN and WGAN-GP on MNIST",
        metric="fid",
        at="final",
        margin=0.1,
        variants=tuple(variants),
        seeds=SEEDS,
        text=TEXT,
    )
    return replace(plain, **changes)


def cells(runs: Sequence[tuple[str, int]]) -> tuple[tuple[str, str, int, str], ...]:
    """(variant, seed) pairs as a declaration keeps them: with run_id and device."""
    return tuple((spec(name, seed).run_id, name, seed, "cpu") for name, seed in runs)


def spec(variant: str, seed: int, recipe: Mapping[str, Any] | None = None) -> RunSpec:
    """The declared run of a variant; a name that is no recipe takes the GAN's."""
    recipe = recipe or RECIPES.get(variant, RECIPES["gan"])
    return RunSpec(
        variant=variant,
        dataset={"name": "mnist"},
        network={"name": "mlp", "latent_dim": 100},
        schedule={"name": "constant"},
        init="torch",
        batch_size=BATCH,
        budget=Amount("images", IMAGES),
        engine="compiled",
        precision="fp32",
        evaluation=Evaluation(Amount("images", 240_000), 10_000, ("fid",), (), "digits"),
        seed=seed,
        group=(seed,),
        device="cpu",
        **recipe,
    )


def result(
    variant: str,
    seed: int,
    *,
    fid: float | None = None,
    status: Status = "completed",
    error: str | None = None,
    samples: bool = True,
    suite: str = "mnist_compare",
    like: str | None = None,
) -> RunResult:
    """One run of a variant that trains `like` a recipe; a run that is not completed stops early."""
    like = like or (variant if variant in RECIPES else "gan")
    declared = spec(variant, seed, RECIPES[like])
    chance = random.Random(f"{variant}/{seed}")
    n_critic = declared.critic_steps
    steps = -(-IMAGES // (BATCH * n_critic))
    level = FID[like] * exp(chance.gauss(0, 0.12)) if fid is None else fid
    done = 1.0 if status == "completed" else 0.4
    marks = [round(steps * (i + 1) / EVALUATIONS) for i in range(EVALUATIONS)]
    marks = [step for step in marks if step <= steps * done + 1]
    last = marks[-1]
    run = RunRow(
        **identity(suite, declared),
        status=status,
        error=error,
        wall_seconds=80.0,
        train_seconds=last * STEP_MS[like] / 1000 * chance.uniform(1.0, 1.2),
        eval_seconds=4.0,
        compile_seconds=12.0 + chance.random(),
        generator_steps=last,
        critic_steps=last * n_critic,
        images=last * n_critic * BATCH,
        images_per_second=1000 / STEP_MS[like] * n_critic * BATCH,
        solo_step_ms=STEP_MS[like] * chance.uniform(0.98, 1.02),
        peak_memory_bytes=612_000_000,
        **MACHINE,
    )

    def where(step: int) -> tuple[Any, ...]:
        images = step * n_critic * BATCH
        return run.run_id, step, step * n_critic, images, step * STEP_MS[like] / 1000

    metrics = [
        row
        for i, step in enumerate(marks)
        for row in _metrics(where(step), level * early(i), like, chance)
    ]
    rows = range(50, last + 1, max(1, steps // 60))
    curves = [_curve(where(step), step / steps, like, chance) for step in rows]
    shown = marks if samples else []
    files = {f"samples/{step}.png": grid(like, step / steps, seed) for step in shown}
    return RunResult(run, curves, metrics, (), files)


def early(evaluation: int) -> float:
    """How many times its last value the FID is at an evaluation."""
    return 1 + 3 * (exp(-1.2 * evaluation) - exp(-1.2 * (EVALUATIONS - 1)))


def _metrics(
    where: tuple[Any, ...], fid: float, like: str, chance: random.Random
) -> list[MetricRow]:
    modes = {"gan": chance.choice([6, 7, 8]), "wgan": 10, "wgan_gp": 10}[like]
    weights = [
        chance.uniform(0.6, 1.4) if i < modes else chance.uniform(0, 0.08) for i in range(10)
    ]
    values = [
        ("fid", fid, "distance", "lower", 0.53),
        ("inception_score", 10 - fid / 50, "score", "higher", 9.86),
        ("modes", float(modes), "classes", "higher", 10.0),
        ("modes_any", 10.0, "classes", "higher", 10.0),
        ("class_kl", 0.02 + 0.12 * (10 - modes) + 0.01 * chance.random(), "nats", "lower", 0.0006),
        ("confident_share", 0.97 - fid / 700, "share", "near_reference", 0.985),
        *(
            (f"class_share_{i}", weight / sum(weights), "share", "near_reference", 0.1)
            for i, weight in enumerate(weights)
        ),
    ]
    return [
        MetricRow(
            *where, name, value, unit, better, *SOURCE, floor, 0.2, "ab" * 32, "penultimate",
            "uint8 / 255",
        )
        for name, value, unit, better, floor in values
    ]  # fmt: skip


def _curve(where: tuple[Any, ...], at: float, like: str, chance: random.Random) -> CurveRow:
    noise = chance.gauss(0, 0.05)
    gap = {"gan": 3.0, "wgan": 0.4, "wgan_gp": 5.0}[like] * (0.3 + exp(-4 * at)) + noise
    return CurveRow(
        *where,
        critic_loss={"gan": 0.9, "wgan": -0.4, "wgan_gp": -4.0}[like] * (0.4 + exp(-3 * at))
        + noise,
        generator_loss={"gan": 1.6, "wgan": 0.1, "wgan_gp": 2.0}[like] + at + 2 * noise,
        real_score=gap / 2,
        fake_score=-gap / 2,
        score_gap=gap,
        penalty=0.02 + 0.1 * exp(-9 * at) + abs(noise) / 20 if like == "wgan_gp" else None,
        critic_grad_norm=exp(noise * 3) * 2,
        generator_grad_norm=exp(noise * 3 - at),
        lipschitz_p50={"gan": 4.0, "wgan": 0.09, "wgan_gp": 0.97}[like] * exp(noise),
        lipschitz_max={"gan": 18.0, "wgan": 0.2, "wgan_gp": 1.6}[like] * exp(noise),
        at_clip_bound=0.75 + noise / 5 if like == "wgan" else None,
    )


def grid(like: str, at: float, seed: int) -> bytes:
    """A grid of 8 × 8 blurred numerals that get clearer through training."""
    chance = random.Random(f"{like}/{seed}")
    picture = Image.new("RGB", (8 * 30, 8 * 30))
    draw = ImageDraw.Draw(picture)
    for place in range(64):
        x, y = place % 8 * 30, place // 8 * 30
        shade = round(255 * (0.3 + 0.7 * at))
        draw.text((x + 9, y + 5), str(chance.randrange(10)), fill=(shade,) * 3, font_size=20)
    speckle = Image.effect_noise(picture.size, 90 * (1.1 - at)).convert("RGB")
    out = io.BytesIO()
    Image.blend(picture, speckle, 0.45 * (1.1 - at)).convert("L").save(out, "PNG")
    return out.getvalue()


def written(root: Path, results: Sequence[RunResult], suite: str = "mnist_compare") -> Results:
    """The results as the store gives them back."""
    store.prepare(root, suite)
    for each in results:
        store.write(root, suite, each)
    return store.load_results(root / suite)


def whole(root: Path, *, samples: bool = False, **variants: str) -> Results:
    """Every variant with five completed seeds; `name="recipe"` adds a variant like a recipe."""
    names = variants or {name: name for name in RECIPES}
    runs = [
        result(name, seed, like=like, samples=samples)
        for name, like in names.items()
        for seed in SEEDS
    ]
    return written(root, runs)


def troubled(root: Path, *, samples: bool = False) -> Results:
    """One diverged run, one lost with hostile text, one missing; the others completed."""
    runs = [
        result(name, seed, samples=samples)
        for name in RECIPES
        for seed in SEEDS
        if (name, seed) != ("gan", 4)
    ]
    runs[3] = result(
        "gan", 3, status="diverged", error="loss became nan at step 7,500", samples=samples
    )
    lost = "<script>alert('error')</script> worker died: signal 9"
    runs[-1] = RunResult.without_rows("mnist_compare", spec("wgan_gp", 4), "lost", lost)
    return written(root, runs)


@contextmanager
def outlines() -> Iterator[None]:
    """Within it a page's figures have their size, key and words, and nothing drawn in them.

    A page of fifteen runs has some seventy, and drawing them is nearly all of its time; where words
    and layout are tested, they are seconds for nothing.
    """
    drawn = svg.draw
    with pytest.MonkeyPatch.context() as patch:
        for name, module in [*sys.modules.items()]:
            if name.startswith("bench.reporting.") and getattr(module, "draw", None) is drawn:
                patch.setattr(module, "draw", _outline)
        yield


def _outline(key: str, size: tuple[float, float], alt: str, paint: Callable[[Axes], None]) -> str:
    width, height = (72 * each for each in size)
    box = f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}"'
    return f'<svg id="{escape(key)}" {box} class="figure"></svg>'
