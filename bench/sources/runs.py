"""Samples of a run's generator, as it was judged at the end of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench import store
from bench.errors import BenchError, DataError, RequestError, StoreError
from bench.networks.base import require_range, with_population_statistics
from bench.records import RunSpec
from bench.sources.base import Shape, Source, is_points
from bench.training.base import Recipe
from bench.training.samples import generate, latents

WEIGHTS = "generator.safetensors"


@dataclass(frozen=True)
class StoredRun(Source):
    """A finished run's generator: its weights, batch norm on population statistics."""

    form = "generator of a run"

    declared: RunSpec
    state: Mapping[str, Tensor]

    @property
    def spec(self) -> RunSpec:
        """What was declared of it."""
        return self.declared

    @staticmethod
    def read(folder: Path) -> StoredRun:
        """The run in that folder; raises `StoreError` where it left no generator."""
        from safetensors import SafetensorError, safe_open

        path = folder / WEIGHTS
        if not path.is_file():
            raise StoreError(f"{folder}: holds no {WEIGHTS}; {_reason(folder)}")
        try:
            with safe_open(path, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
                spec = RunSpec.from_json((file.metadata() or {})["spec"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{path}: not a generator that this version of bench wrote "
                f"({type(error).__name__}: {' '.join(str(error).split())})"
            ) from error
        return StoredRun(f"{folder} ({spec.label})", spec, state)

    def samples(self, shape: Shape, count: int | None, device: torch.device) -> Tensor:
        """The samples of the run's last evaluation, or the first `count` of them; for more than
        those, as many others.

        Latents of a GPU are others than those of a CPU: on the run's own type of device they are
        the same.
        """
        wanted = self.declared.evaluation.samples if count is None else count
        if wanted < 1:
            raise RequestError(f"{self.name}: asked for {wanted} samples; expected at least 1")
        recipe = Recipe.of([self.declared])
        generator = self._generator(recipe, shape).to(device)
        drawn = max(wanted, self.declared.evaluation.samples)
        drawn_for = latents(
            self.declared.seed, drawn, recipe.network.latent_dim, device, points=is_points(shape)
        )
        return generate(generator, drawn_for, recipe.network.range)[:wanted]

    def _generator(self, recipe: Recipe, shape: Shape) -> torch.nn.Module:
        require_range(self.declared.network["name"], recipe.network.range, shape)
        made = recipe.generator(shape, self.declared.seed)
        generator = with_population_statistics(made, ())
        try:
            generator.load_state_dict(self.state)
        except RuntimeError as error:
            lines = str(error).splitlines()
            raise DataError(
                f"{self.name}: its weights do not fit its network {self.declared.network['name']!r}"
                f" ({lines[min(1, len(lines) - 1)].strip()})"
            ) from error
        return generator


def is_run(folder: Path) -> bool:
    """Whether the folder is one run's, whatever became of it."""
    return (folder / WEIGHTS).is_file() or (folder / "run.parquet").is_file()


def suite_folder(name: str, results: Path) -> Path | None:
    """Where the results of a suite lie that is named so; None where there is none."""
    try:
        return store.locate(name, results)
    except (BenchError, OSError):  # the latter: no name that a file could have
        return None


def named(source: str, results: Path) -> StoredRun:
    """The run called `SUITE/VARIANT/SEED`, or `SUITE/` and the head of its `run_id`.

    Raises `RequestError` where there is none.
    """
    parts = source.rstrip("/").split("/")
    for length in (2, 1):  # of what names the run
        suite, wanted = "/".join(parts[:-length]), "/".join(parts[-length:])
        folder = suite_folder(suite, results) if suite else None
        if folder is not None:
            found = store.load_results(folder)
            run = store.find_run(found.only(found.declaration.get("run_ids", ())), wanted)
            return StoredRun.read(folder / run["run_id"])
    known = ", ".join(store.suites(results)) or "none"
    raise RequestError(
        f"{source}: no such file or folder, and no run: {results} has the suites {known}; expected "
        "a run as SUITE/VARIANT/SEED or its folder, a folder of pictures, an .npy or .parquet file"
    )


def _reason(folder: Path) -> str:
    """Why a run's folder holds no generator, and what can be done."""
    rows = [row for row in store.run_rows(folder.parent) if row["run_id"] == folder.name]
    if rows and rows[0]["status"] != "completed":
        return f"the run is {rows[0]['status']}, and only a completed one leaves its generator"
    return "its weights were not kept here; `bench run --fresh` trains it anew"
