"""What an evaluation of 10,000 samples costs on one thread, each case in a process of its own.

`scripts/measure_metrics.py --sizes` runs it for the page; by hand, a case: `python
scripts/measure_sizes.py periodic`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

from bench import environment
from bench.datasets.mnist import MNIST
from bench.extractors.base import SAMPLES, FeatureBank
from bench.extractors.digits import DIGITS
from bench.metrics.evaluator import Evaluator, RealData, metrics_of
from bench.metrics.fidelity import FID
from bench.networks.mlp import MLP
from bench.shelf import Key, Shelf, cache_folder
from bench.suite.tables import METRICS
from bench.training.samples import generate

COUNT, WIDTH, TIMES = 10_000, 2_048, 5
CASES = {
    "first": ("first evaluation on a machine, all metrics, references and floors measured", None),
    "periodic": ("periodic evaluation, generation included: the four usual metrics", 0.7),
    "final": ("final evaluation, generation included: all twelve metrics", 4.0),
    "wide": (f"FID at {WIDTH:,} features, reference kept, extraction not included", 3.0),
}
"""What is measured, and the seconds it should take."""


def measured(case: str) -> tuple[float, int | None]:
    """Seconds of a case in this process, on one thread, and the most memory it held so far."""
    torch.set_num_threads(1)
    seconds = _fid() if case == "wide" else _evaluation(case)
    return seconds, environment.peak_memory_bytes(torch.device("cpu"))


def _evaluation(case: str) -> float:
    generator = MLP().generator(MNIST.shape).requires_grad_(False)
    latents = torch.randn(COUNT, MLP().latent_dim)
    data = RealData("mnist", MNIST().load("train"), MNIST().load("test"))
    judge = Evaluator("digits", METRICS["images"], metrics_of("images"), data, COUNT)

    def evaluate() -> None:
        judge.evaluate(generate(generator, latents, MLP().range), final=case != "periodic")

    if case == "first":
        return _seconds(evaluate)
    evaluate()
    return median(_seconds(evaluate) for _ in range(TIMES))


def _fid() -> float:
    draw = torch.Generator().manual_seed(0)
    features = torch.empty(COUNT, WIDTH).exponential_(generator=draw)
    key: Key = {"features": "exponential", "seed": 0}
    reference = FeatureBank(features, None, DIGITS, "drawn", key, Shelf(cache_folder()))

    def fid() -> None:
        FID.compute(FeatureBank(features, None, DIGITS, SAMPLES), reference)

    fid()
    return median(_seconds(fid) for _ in range(TIMES))


def _seconds(work: Callable[[], None]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def table() -> str:
    """Every case a row, measured with a cache that the first one fills, and the machine."""
    rows = [["10,000 samples, one thread", "seconds", "target", "peak memory"], ["---"] * 4]
    with TemporaryDirectory() as cache:
        places = {"BENCH_CACHE": cache, "OMP_NUM_THREADS": "1"}
        for case, (what, target) in CASES.items():
            command = [sys.executable, __file__, case]
            done = subprocess.run(
                command, env=os.environ | places, stdout=subprocess.PIPE, check=True
            )
            seconds, peak = json.loads(done.stdout)
            held = "not known" if peak is None else f"{peak / 1e9:.2f} GB"
            rows.append([what, f"{seconds:.2f}", f"{target:g}" if target else "–", held])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", _machine()])


def _machine() -> str:
    here = environment.current()
    memory = "" if here.memory_bytes is None else f", {here.memory_bytes / 2**30:.0f} GiB"
    return (
        f"Medians of {TIMES} (the first row: once), each case in a fresh process, on {here.cpu}, "
        f"{here.cores} cores{memory}; torch {here.torch}, Python {here.python}. Of the memory, "
        f"{_imports()} are what `import torch` takes there."
    )


def _imports() -> str:
    code = "import torch; from bench.environment import peak_memory_bytes as peak; "
    code += "print(f'{(peak(torch.device(\"cpu\")) or 0) / 1e9:.2f} GB')"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
