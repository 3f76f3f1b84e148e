"""`bench evaluate`: every metric of samples, ours or made elsewhere; an extractor to judge by."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.base import JsonOption, ResultsOption, print_json, print_line, print_table
from bench.errors import RequestError

if TYPE_CHECKING:
    from bench.evaluation import Evaluated, Provenance
    from bench.metrics.evaluator import Measurement

POOR = 0.8
"""The accuracy of a classifier below which its user is told."""
MISSING = 3
"""The exit code where a metric that was asked for by name has no value."""


def evaluate(  # noqa: PLR0913, PLR0917 - a verb's options are its arguments
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="A run (its folder, or SUITE/VARIANT/SEED), a folder of pictures, an .npy or a "
            ".parquet file.",
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to judge against; by default a run's own."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the data set's files are.")
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="What judges; made for the data by default."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="A random choice; all by default.")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="a,b,…", help="These metrics only; repeatable."),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    results: ResultsOption = Path("results"),
    json: JsonOption = False,
    train_extractor: Annotated[
        str | None,
        typer.Option(metavar="DATASET", help="Train a classifier of it to judge by, no SOURCE."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Its new file; extractors/DATASET.safetensors by default."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="How long it is trained.")] = None,
) -> int:
    """Judge samples by every metric, each beside what real data gets.

    Images are uint8: .npy arrays (N, H, W) or (N, C, H, W), a Parquet column `image` of their
    bytes. Points are floats: (N, D), or a column a dimension. Exit code 3: a metric named by
    --metrics has no value.
    """
    if train_extractor is not None:
        judging = (source, dataset, extractor, samples, metrics)
        if any(option is not None for option in judging):
            raise RequestError("--train-extractor: takes --root, --out and --epochs, and no SOURCE")
        return _train(train_extractor, root, out, epochs, json)
    if source is None:
        raise RequestError("SOURCE: found none; expected a run, a folder or a file to judge")
    if out is not None or epochs is not None:
        raise RequestError("--out, --epochs: found no --train-extractor, with which they go")
    from bench import evaluation

    names = None if metrics is None else [n.strip() for part in metrics for n in part.split(",")]
    found = evaluation.evaluate(
        source,
        dataset=dataset,
        root=root,
        extractor=extractor,
        samples=samples,
        metrics=None if names is None else [name for name in names if name],
        device=device,
        results=results,
        on_note=lambda line: print_line(line, stderr=True),
    )
    (_print_json if json else _print)(found)
    lost = any(each.error is not None for each in found.measurements)
    return MISSING if lost and metrics is not None else 0


def _print(found: Evaluated) -> None:
    from bench.reporting.comparison import metric_label

    print_table(
        ["metric", "value", "real data", "better", "k", "against"],
        [_row(each) for each in found.measurements],
    )
    for each in found.measurements:
        if each.error is not None:
            label = metric_label(each.metric, each.extractor)
            print_line(f"{label} has no value: {each.error}")
    print_line("")
    print_table(["judged", ""], _facts(found.provenance))


def _row(each: Measurement) -> list[str]:
    from bench.reporting.comparison import metric_label
    from bench.reporting.numbers import ARROWS, NONE, number

    return [
        metric_label(each.metric, each.extractor),
        number(each.value),
        number(each.floor),
        f"{ARROWS[each.better]} {each.better.replace('_', ' ')}",
        NONE if each.k is None else str(each.k),
        each.reference,
    ]


def _facts(found: Provenance) -> list[list[str]]:
    from bench.registry import label
    from bench.reporting.numbers import count

    first = [f"{label('metrics', name)}: the first {count(n)}" for name, n in found.first.items()]
    return [
        ["source", f"{found.source}: {found.form}"],
        ["samples", "; ".join([count(found.samples), *first])],
        ["their SHA-256", found.samples_sha256],
        ["extractor", f"{found.extractor}{_right(found.extractor_accuracy)}"],
        ["its SHA-256", found.extractor_sha256],
        ["layer", found.layer],
        ["preprocessing", found.preprocessing],
        *[[f"reference ({split})", data] for split, data in sorted(found.references.items())],
        ["real data", "as many of the split that is not the reference, judged alike"],
    ]


def _right(accuracy: float | None) -> str:
    return "" if accuracy is None else f", {100 * accuracy:.2f} % of its test split right"


def _print_json(found: Evaluated) -> None:
    judged = found.measurements
    print_json(
        {
            "metrics": {each.metric: each.value for each in judged},
            "floors": {each.metric: each.floor for each in judged},
            "errors": {each.metric: each.error for each in judged if each.error is not None},
            "provenance": asdict(found.provenance),
            "class_shares": found.class_shares,
        }
    )


def _train(
    dataset: str, root: Path | None, out: Path | None, epochs: int | None, json: bool
) -> int:
    from bench import evaluation

    trained = evaluation.train_extractor(
        dataset, root=root, out=out, epochs=epochs, on_epoch=_epoch
    )
    facts = {"path": str(trained.path), "accuracy": trained.accuracy, "sha256": trained.sha256}
    if json:
        print_json(facts)
        return 0
    print_line(f"{trained.path}: {100 * trained.accuracy:.2f} % of the test split right")
    print_line(f"SHA-256 {trained.sha256}")
    if trained.accuracy < POOR:
        print_line("a classifier that is so often wrong has features that tell little", "yellow")
    print_line(f'in a suite, under [evaluation]: extractor = "{trained.path.as_posix()}"')
    return 0


def _epoch(done: int, epochs: int) -> None:
    print_line(f"epoch {done} of {epochs}", stderr=True)
