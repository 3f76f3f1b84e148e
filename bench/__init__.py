"""Train GAN variants side by side and say, with statistics, which one did better, at what cost.

    import bench

    suite = bench.load_suite("suites/mnist_compare.toml")
    bench.run(suite)
    results = bench.load_results("results/mnist_compare")
    print(bench.compare(results).verdict)

The names below are the whole public API; each is imported when it is first used, so that
`import bench` and `bench --help` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "BenchError": "bench.errors",
    "Results": "bench.store",
    "check": "bench.api",
    "compare": "bench.api",
    "evaluate": "bench.evaluation",
    "load_results": "bench.store",
    "load_suite": "bench.suite",
    "report": "bench.api",
    "run": "bench.api",
    "train_extractor": "bench.evaluation",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - the literal stands in _PUBLIC, and a test holds it


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
