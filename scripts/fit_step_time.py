"""Step time against batch size, width and group size on this machine's CPU, and what fits it.

`nox -s step_time` runs it: some minutes, most of them compilations.  Times are those of the
processor, on one thread, so that what else the machine does disturbs them little.  It writes
`docs/step_time.csv` and `docs/step_time.png`, and prints the constants of `bench/step_time.py`, to
be put there by hand.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.optimize import nnls

from bench import registry
from bench.networks.base import Network
from bench.networks.dcgan import DCGAN
from bench.networks.mlp import MLP
from bench.networks.toy import Toy
from bench.objectives.gan import NonSaturating
from bench.objectives.wgan import WGAN, WGANGP
from bench.optimizers import Adam, RMSprop
from bench.step_time import FEATURES, features
from bench.training.arithmetic import step_cost
from bench.training.base import Engine, Recipe
from bench.training.stacked import Stacked
from bench.training.textbook import Textbook

OBJECTIVES: dict[str, tuple[Any, Any, int]] = {
    "gan": (NonSaturating(), Adam(), 1),
    "wgan": (WGAN(), RMSprop(), 5),
    "wgan_gp": (WGANGP(), Adam(), 5),
}
IMAGES, POINTS = (1, 28, 28), (2,)
TOY = Toy(generator_widths=(64, 64), critic_widths=(64, 64))
CSV = Path("docs/step_time.csv")


@dataclass(frozen=True)
class Case:
    """One point at which the step is timed."""

    network: str
    objective: str
    engine: str
    batch: int = 64
    width: float = 1.0
    group: int = 1

    @property
    def parts(self) -> tuple[Network, tuple[int, ...]]:
        """The network and the shape of its data."""
        if self.network == "toy":
            return TOY, POINTS
        if self.network == "dcgan":
            return DCGAN(), IMAGES
        up, down = (tuple(int(w * self.width) for w in ws) for ws in ((128, 256), (256, 128)))
        return MLP(generator_widths=up, critic_widths=down), IMAGES


def cases() -> Iterator[Case]:
    """Every objective at the tutorials' size, then one thing at a time made larger or smaller."""
    for engine in ("textbook", "eager", "compiled"):
        for objective in OBJECTIVES:
            yield Case("mlp", objective, engine)
            yield Case("toy", objective, engine)
        for batch in (16, 256, 1024):
            yield Case("mlp", "wgan", engine, batch=batch)
        for width in (0.25, 2.0, 4.0):
            yield Case("mlp", "wgan", engine, width=width)
        yield Case("toy", "wgan_gp", engine, batch=256)
        yield Case("dcgan", "gan", engine, batch=16)
        yield Case("dcgan", "gan", engine, batch=64)
        yield Case("dcgan", "wgan_gp", engine, batch=16)
        if engine != "textbook":
            for group in (2, 4, 8, 16):
                yield Case("mlp", "wgan", engine, group=group)
            for group in (4, 16):
                yield Case("toy", "wgan_gp", engine, group=group)
            yield Case("dcgan", "gan", engine, batch=16, group=2)


def timed(case: Case, seconds: float) -> dict[str, Any]:
    """The fastest of several stretches of steps, in milliseconds an iteration of the group."""
    (network, shape), (objective, optimizer, critic_steps) = case.parts, OBJECTIVES[case.objective]
    recipe = Recipe(
        network=network,
        objective=objective,
        optimizer=optimizer,
        schedule=registry.load("schedules", "constant")(),
        init=registry.load("inits", "torch"),
        seeds=tuple(range(case.group)),
        critic_steps=critic_steps,
        batch_size=case.batch,
    )
    data = torch.rand(20_000, *shape)
    samples = data if shape == POINTS else data.mul(255).to(torch.uint8)
    engine: Engine = (
        Textbook(recipe, samples)
        if case.engine == "textbook"
        else Stacked(recipe, samples, compiled=case.engine == "compiled")
    )
    began = time.perf_counter()
    engine.warm_up()
    warm_up = time.perf_counter() - began
    cost = step_cost(recipe, shape)
    row = asdict(case) | {"ms": _fastest(engine, seconds) * 1e3, "warm_up_seconds": warm_up}
    return row | {"critic_steps": critic_steps} | asdict(cost)


def _fastest(engine: Engine, seconds: float) -> float:
    done, count, found = 0, 1, []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop or len(found) < 3:
        began = time.process_time()
        engine.advance(done, done + count, 10**9)
        took = time.process_time() - began
        done += count
        if took < seconds / 8:
            count *= 2
        else:
            found.append(took / count)
    return min(found)


def fit(rows: list[dict[str, Any]]) -> None:
    """Print the constants for each engine, and how far from the measurements they lead."""
    for engine in ("textbook", "eager", "compiled"):
        own = [row for row in rows if row["engine"] == engine]
        matrix = np.array([_features(row) for row in own])
        measured = np.array([row["ms"] / 1e3 for row in own])
        solution, _ = nnls(matrix / measured[:, None], np.ones(len(own)))
        told = ", ".join(f"{n}={v:.3g}" for n, v in zip(FEATURES, solution, strict=True))
        print(f'    "{engine}": Coefficients({told}),')
        for row, ratio in zip(own, matrix @ solution / measured, strict=True):
            name = f"{row['network']} {row['objective']} batch {row['batch']} width {row['width']}"
            print(f"      {name} group {row['group']}: {row['ms']:.3f} ms, forecast {ratio:.2f}×")


def _features(row: dict[str, Any]) -> tuple[float, ...]:
    numbers = {name: row[name] for name in ("operations", "bytes", "calls", "updates")}
    images = 0 if row["network"] == "toy" else row["batch"]
    return features(
        row["engine"], row["group"], row["critic_steps"], images, rate=row["rate"], **numbers
    )


def plot(rows: list[dict[str, Any]]) -> None:
    """Step time of the tutorial MLP under clipping, against each thing that makes it larger."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    base = {"batch": 64, "width": 1.0, "group": 1}
    for axes, what in zip(figure.subplots(1, 3), base, strict=True):
        others = {key: value for key, value in base.items() if key != what}
        for engine, colour in (
            ("textbook", "#8a8f98"),
            ("eager", "#e08a2e"),
            ("compiled", "#2f7fd1"),
        ):
            points = sorted(
                (row[what], row["ms"] / row["group"])
                for row in rows
                if (row["network"], row["objective"], row["engine"]) == ("mlp", "wgan", engine)
                if all(row[key] == value for key, value in others.items())
            )
            if len(points) > 1:
                axes.plot(*zip(*points, strict=True), "o-", color=colour, label=engine)
        axes.set(xlabel=what, xscale="log", yscale="log")
    figure.axes[0].set_ylabel("ms a generator iteration, a member")
    figure.axes[0].legend(frameon=False)
    figure.savefig(CSV.with_suffix(".png"), dpi=120)


def main() -> None:
    """Measure, or with `--again` fit and plot what `docs/step_time.csv` holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="do not measure anew")
    parser.add_argument("--engine", action="append", help="anew for this one only; repeatable")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each case")
    options = parser.parse_args()
    if not options.again:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        asked = options.engine or ["textbook", "eager", "compiled"]
        rows = [row for row in _kept() if row["engine"] not in asked]
        for case in (each for each in cases() if each.engine in asked):
            rows.append(timed(case, options.seconds) | {"rate": _rate()})
            print(case, f"{rows[-1]['ms']:.3f} ms", flush=True)
            _keep(rows)
    fit(_kept())
    plot(_kept())


def _rate() -> float:
    """`matmul_rate` in processor time."""
    a, out = torch.ones(1024, 1024), torch.empty(1024, 1024)
    found = []
    for _ in range(8):
        began = time.process_time()
        torch.mm(a, a, out=out)
        found.append(2.0 * 1024**3 / (time.process_time() - began))
    return max(found)


def _keep(rows: list[dict[str, Any]]) -> None:
    with CSV.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _kept() -> list[dict[str, Any]]:
    """The rows of the file, where there is one."""
    if not CSV.exists():
        return []
    with CSV.open(newline="") as file:
        return [{key: _read(value) for key, value in row.items()} for row in csv.DictReader(file)]


def _read(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


if __name__ == "__main__":
    main()
