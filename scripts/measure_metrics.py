"""What each metric catches and misses on MNIST, what it owes to the number of samples, and what it
costs: the tables of `docs/metrics.md`.

`nox -s metrics` measures all and writes them between the page's markers; `--sets` measures the
first two, `--sizes` the last.  A test measures the sets again and holds the page to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from bench import registry, seeding
from bench.datasets.mnist import MNIST
from bench.extractors.base import SAMPLES, FeatureBank
from bench.extractors.digits import DIGITS
from bench.metrics.base import Metric
from bench.metrics.evaluator import metrics_of, real_bank
from bench.shelf import Shelf, cache_folder

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
COUNT = 5_000
"""Images of a set, and of the reference."""
DRAWS = 4
"""Real sets of either split, by which a value is called caught."""
COUNTS = (250, 1_000, 2_500, 5_000, 10_000)
"""Images of real sets that differ in nothing else."""
WHISKER = 1.5
"""How far beyond the range of real data a value must lie to be told from them."""
STREAM = "measure_metrics"

Values = dict[str, float]
"""By the metric's name."""


@dataclass(frozen=True)
class Measured:
    """Every metric of every set, and of several real ones."""

    sets: Mapping[str, Values]
    real: tuple[Values, ...]

    def range(self, metric: str) -> tuple[float, float]:
        """The least and the most that real data gets."""
        found = [values[metric] for values in self.real if metric in values]
        return min(found), max(found)

    def mark(self, name: str, metric: str) -> str:
        """`caught` where a set is worse than all real data, by more than `WHISKER` times the range
        of real data, `flattered` where it is better by as much, else `missed`."""
        low, high = self.range(metric)
        value, room = self.sets[name][metric], WHISKER * (high - low)
        above, below = value > high + room, value < low - room
        better = _metric(metric).better
        if better == "near_reference":
            return "caught" if above or below else "missed"
        worse, improved = (above, below) if better == "lower" else (below, above)
        return "caught" if worse else "flattered" if improved else "missed"


def measure() -> Measured:
    """Real data of both splits against a half of MNIST's test split, and what a bad generator may
    do against one of those halves.

    Training images are real data to all metrics but the one that looks for them.
    """
    train, test = (MNIST().load(split).images for split in ("train", "test"))
    held_out = DIGITS.bank(test, "mnist/test")
    copied = real_bank(DIGITS, train, "mnist/train", shelf=Shelf(cache_folder()))
    order = torch.randperm(len(train), generator=_draw("train"))
    real = []
    for draw in range(DRAWS):
        honest, reference = (_part(held_out, half) for half in halves(draw))
        seen = _part(copied, order[draw * COUNT : (draw + 1) * COUNT])
        real += [_values(honest, reference, copied), _values(seen, reference)]
    honest, other = (_part(held_out, half) for half in halves(DRAWS))  # none of those above
    found = {"other half of the test split": _values(honest, other, copied)}
    reference = _part(held_out, halves(0)[1])
    for name, images in sets(train[order[:COUNT]]).items():
        found[name] = _values(DIGITS.bank(images, SAMPLES), reference, copied)
    return Measured(found, tuple(real))


def halves(draw: int) -> tuple[Tensor, Tensor]:
    """The places of an honest set and of the reference in the test split, at random: MNIST's first
    5,000 test images are known to be the easier ones."""
    order = torch.randperm(2 * COUNT, generator=_draw("halves", draw))
    return order[:COUNT], order[COUNT:]


def sets(train: Tensor) -> dict[str, Tensor]:
    """What a bad generator may do, as sets of `COUNT` images; `train` are as many of the training
    split.  All but the copies are made of the half of the test split that is not the reference."""
    test, place = MNIST().load("test"), halves(0)[0]
    assert test.labels is not None
    honest, digits = test.images[place], test.labels[place]
    by_digit = honest[digits.argsort(stable=True)]
    uniform = torch.randint(0, 256, honest.shape, generator=_draw("uniform"))
    return {
        "blurred": blurred(honest, 3),
        "noisy": noisy(honest, 16),
        "uniform noise": uniform.byte(),
        "all black": torch.zeros_like(honest),
        "two digits": _filled(honest[digits < 2]),
        "no eights": _filled(honest[digits != 8]),
        "100 images": by_digit[:: COUNT // 100].repeat(COUNT // 100, 1, 1, 1),
        "training images": train,
        "training images, noisy": noisy(train, 8),
    }


def blurred(images: Tensor, width: int) -> Tensor:
    """Each pixel the mean of `width` × `width`."""
    kernel = torch.full((1, 1, width, width), 1 / width**2)
    return F.conv2d(images.float(), kernel, padding=width // 2).round().byte()


def noisy(images: Tensor, sigma: float) -> Tensor:
    """With normal noise of that deviation, in shades of 255."""
    added = sigma * torch.randn(images.shape, generator=_draw("noisy"))
    return (images + added).round().clamp(0, 255).byte()


def _filled(images: Tensor) -> Tensor:
    """`COUNT` images, none twice: after the given ones the same a pixel further, in four ways."""
    shifts = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
    shifted = [images.roll(shift, dims=(-2, -1)) for shift in shifts]
    return torch.cat(shifted)[:COUNT]


def _draw(use: str, seed: int = 0) -> torch.Generator:
    return seeding.generator(seed, f"{STREAM}/{use}")


def _part(bank: FeatureBank, place: Tensor) -> FeatureBank:
    assert bank.outputs is not None
    return FeatureBank(bank.features[place], bank.outputs[place], bank.extractor, "a half")


def _values(
    samples: FeatureBank, reference: FeatureBank, train: FeatureBank | None = None
) -> Values:
    by = {"test": reference} | ({} if train is None else {"train": train})
    metrics = {name: _metric(name) for name in metrics_of("images")}
    asked = {name: each for name, each in metrics.items() if each.against in by}
    return {name: each.compute(samples, by[each.against]) for name, each in asked.items()}


def _metric(name: str) -> Metric:
    found: Metric = registry.load("metrics", name)
    return found


STYLE = {"caught": "**{}**", "flattered": "*{}*", "missed": "{}"}


def sets_table(measured: Measured) -> str:
    """A set a row, a metric a column; what is caught in bold, what is flattered in italics."""
    metrics = metrics_of("images")
    rows = [["", *(f"`{metric}`" for metric in metrics)], ["---"] * (len(metrics) + 1)]
    ranges = (dict.fromkeys(map(short, measured.range(metric))) for metric in metrics)
    rows.append(["real data", *(" to ".join(bounds) for bounds in ranges)])
    for name, values in measured.sets.items():
        marks = (STYLE[measured.mark(name, metric)] for metric in metrics)
        cells = (mark.format(short(values[m])) for m, mark in zip(metrics, marks, strict=True))
        rows.append([name, *cells])
    return _table(rows)


def counts_table() -> str:
    """Real data against real data, a number of samples a row: what a metric owes to N alone."""
    train, test = (MNIST().load(split).images for split in ("train", "test"))
    order = torch.randperm(len(train), generator=_draw("train"))
    real, reference = DIGITS.bank(train[order[: max(COUNTS)]], SAMPLES), DIGITS.bank(test, "test")
    metrics = [name for name in metrics_of("images") if _metric(name).against == "test"]
    rows = [["N", *(f"`{metric}`" for metric in metrics)], ["---"] * (len(metrics) + 1)]
    for count in COUNTS:
        cells = (_said(_metric(metric), real.head(count), reference) for metric in metrics)
        rows.append([f"{count:,}", *cells])
    return _table(rows)


def _said(metric: Metric, samples: FeatureBank, reference: FeatureBank) -> str:
    try:
        return short(metric.compute(samples, reference))
    except ValueError:  # too few samples for it
        return "–"


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def short(value: float) -> str:
    """Three digits that tell something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def between(page: str, name: str) -> str:
    """What the page holds between a pair of markers."""
    return page.partition(_marker(name))[2].partition(_marker(f"end of {name}"))[0].strip()


def _marker(name: str) -> str:
    return f"<!-- {name} -->"


def main() -> None:
    """Measure, print, and write into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", action="store_true", help="only what is caught")
    parser.add_argument("--sizes", action="store_true", help="only what it costs")
    options = parser.parse_args()
    every = not (options.sets or options.sizes)
    if options.sets or every:
        _write("sets", sets_table(measure()))
        _write("counts", counts_table())
    if options.sizes or every:
        import measure_sizes

        _write("sizes", measure_sizes.table())


def _write(name: str, table: str) -> None:
    print(table)
    before, start, rest = PAGE.read_text(encoding="utf-8").partition(_marker(name))
    _, end, after = rest.partition(_marker(f"end of {name}"))
    if not start or not end:
        raise SystemExit(f"{PAGE}: has no {_marker(name)} … {_marker(f'end of {name}')}")
    PAGE.write_text(f"{before}{start}\n{table}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
