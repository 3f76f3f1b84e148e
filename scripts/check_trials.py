"""How often `bench check` is right: revisions whose slowdown is known, checked for real.

`nox -s check_trials` clones this repository, commits three revisions of the training step and holds
each against the first, many times over, as a user would: `bench check … --against …`, a process
each.  One revision differs in a comment; two do more work in every generator iteration, 30 % and
15 % of the step, as products that are timed beside it here beforehand.  The trials come in random
order, so that what the machine does meanwhile befalls all kinds alike.

Driven is the check of this tree, timed is the code that is committed in it, on the CPU.  It writes
a CSV, a row a trial, and beside it a summary with exact intervals (Clopper & Pearson 1934,
Biometrika 26: 404–413).  With the same `--clone` and `--csv` it goes on where it was ended: trials
that are in the CSV are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from scipy.stats import binomtest

from bench.errors import BenchError, RequestError
from bench.gate import subjects
from bench.suite import load_suite
from bench.training.batches import CriticBatch, GeneratorBatch
from bench.training.stacked import Stacked
from bench.training.subject import OpenSubject, open_subject

ROOT = Path(__file__).resolve().parents[1]
CHANGED = Path("bench/training/stacked.py")
STEP_TIME_ALONE = ("check.peak_memory.variants=[]", "check.compile_time.variants=[]")
BASE = "trials-base"
KINDS: Mapping[str, float] = {"comment": 0.0, "slower-30": 0.3, "slower-15": 0.15}
"""Kind of a trial, and the tag of its revision → how much longer its step takes."""
ALLOWED = {"slower-15": 0.2}
"""Kind → the share that may be missed; more only where a slowdown that small was not promised."""
ANCHOR = "        steps = [*(self.critic_step(batch)"
"""The line of `Stacked._iteration` that the work is put before."""
WORK = """\
        extra = torch.ones(64, 64)
        for _ in range({products}):
            torch.mm(extra, extra)
"""
BLOCK_SECONDS, PAIRS = 0.1, 20
TOLERANCE, ATTEMPTS = 0.01, 8


@dataclass(frozen=True)
class Trial:
    """One check, and what it said of the step time."""

    kind: str
    number: int
    verdict: str
    """`failed` where there was none."""
    ratio: float | None
    low: float | None
    high: float | None
    detectable: float | None
    rounds: int
    seconds: float
    exit_code: int


class Slower:
    """`Stacked._iteration` with so many products more, as `WORK` writes them."""

    products = 0

    @classmethod
    def install(cls) -> None:
        """In this process, for good."""
        original = Stacked._iteration

        def iteration(
            self: Stacked, critic: Sequence[CriticBatch], generator: GeneratorBatch
        ) -> dict[str, list[torch.Tensor]]:
            extra = torch.ones(64, 64)
            for _ in range(cls.products):
                torch.mm(extra, extra)
            return original(self, critic, generator)

        Stacked._iteration = iteration  # type: ignore[method-assign] # what is measured here


def products(subject: OpenSubject, growth: float) -> int:
    """How many of them make the step of an open subject longer by so much.

    Raises `RequestError` where this machine is too restless to tell.
    """
    number = 64
    for _ in range(ATTEMPTS):
        measured = _growth(subject, number)
        if abs(measured - growth) < TOLERANCE:
            print(f"{growth:.0%}: {number} products, measured {measured:.1%}", flush=True)
            return number
        number = max(1, round(number * growth / max(measured, growth / 4)))
    raise RequestError(f"no number of products makes the step {growth:.0%} longer, again and again")


def _growth(subject: OpenSubject, number: int) -> float:
    """The relative growth of the step: the median over pairs of blocks, one after the other."""
    steps = max(1, round(BLOCK_SECONDS / _seconds(subject, 5, 0) * 5))
    ratios = []
    for pair in range(PAIRS):
        order = (0, number) if pair % 2 else (number, 0)
        took = {each: _seconds(subject, steps, each) for each in order}
        ratios.append(took[number] / took[0])
    return median(ratios) - 1


def _seconds(subject: OpenSubject, steps: int, number: int) -> float:
    """Of the processor, so that what else the machine does disturbs them little."""
    Slower.products = number
    began = time.process_time()
    subject.advance(steps)
    return time.process_time() - began


@dataclass(frozen=True)
class Trials:
    """What is tried: one case of a suite, in a clone of this repository."""

    suite: Path
    variant: str
    sets: tuple[str, ...]
    clone: Path

    def commit_revisions(self) -> None:
        """A tag a kind, unless the clone has them already."""
        if not (self.clone / ".git").exists():
            _git(ROOT, "clone", "--quiet", str(ROOT), str(self.clone))
        if "slower-15" in _git(self.clone, "tag").split():
            return
        _git(self.clone, "tag", "--force", BASE, "HEAD")
        text = (self.clone / CHANGED).read_text(encoding="utf-8")
        if text.count(ANCHOR) != 1:
            raise RequestError(f"{CHANGED}: {text.count(ANCHOR)} lines {ANCHOR!r}; expected one")
        self._commit("comment", text + "\n# A comment, and nothing else.\n")
        subject = self._opened()
        for kind, growth in KINDS.items():
            if growth:
                work = WORK.format(products=products(subject, growth))
                self._commit(kind, text.replace(ANCHOR, work + ANCHOR))

    def run(self, kind: str, number: int) -> Trial:
        """One check, in a process of its own."""
        results = self.clone.with_name(f"{self.clone.name}-results")
        options = ["--variant", self.variant, "--results", str(results), "--json"]
        options += [word for each in (*STEP_TIME_ALONE, *self.sets) for word in ("--set", each)]
        revisions = ["--against", BASE, "--head", kind]
        command = [sys.executable, "-P", "-m", "bench", "check", str(self.suite)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, *revisions, *options],
            cwd=self.clone,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            told, said = process.communicate()
        except KeyboardInterrupt:
            process.terminate()  # and not killed: its worktrees go with it
            process.communicate()
            raise
        seconds = round(time.perf_counter() - began, 1)
        found = _found(told)
        if not found:
            print(said.strip(), file=sys.stderr)
        return Trial(
            kind=kind,
            number=number,
            verdict=found.get("verdict", "failed"),
            ratio=found.get("ratio"),
            low=found.get("low"),
            high=found.get("high"),
            detectable=found.get("detectable"),
            rounds=found.get("rounds", 0),
            seconds=seconds,
            exit_code=process.returncode,
        )

    def _opened(self) -> OpenSubject:
        """The case in this process, where `products` times it."""
        overrides = [*STEP_TIME_ALONE, *self.sets]
        suite = load_suite(
            self.suite, overrides=overrides, variants=[self.variant], devices=["cpu"]
        )
        (subject,) = subjects(suite)
        Slower.install()
        return open_subject([spec.to_json() for spec in subject.specs], "cpu", cold=False)

    def _commit(self, kind: str, text: str) -> None:
        _git(self.clone, "checkout", "--quiet", "--force", "--detach", BASE)
        (self.clone / CHANGED).write_text(text, encoding="utf-8")
        _git(self.clone, "commit", "--quiet", "--all", "--message", f"Trial: {kind}")
        _git(self.clone, "tag", "--force", kind)


def _found(told: str) -> dict[str, Any]:
    """The row of the one case in a check's JSON; nothing where it said none."""
    if not told:
        return {}
    (row,) = json.loads(told)["rows"]
    return dict(row)


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=trials", "-c", "user.email=trials@localhost"]
    quiet = ["-c", "commit.gpgsign=false", "-c", f"core.hooksPath={os.devnull}"]
    done = subprocess.run(
        ["git", *who, *quiet, "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RequestError(f"git {arguments[0]} in {folder}: {' '.join(done.stderr.split())}")
    return done.stdout


def read(file: Path) -> list[Trial]:
    """The trials in a CSV."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as lines:
        return [_parsed(row) for row in csv.DictReader(lines)]


def _parsed(row: Mapping[str, str]) -> Trial:
    ratio, low, high, detectable = (
        float(row[name]) if row[name] else None for name in ("ratio", "low", "high", "detectable")
    )
    return Trial(
        kind=row["kind"],
        number=int(row["number"]),
        verdict=row["verdict"],
        ratio=ratio,
        low=low,
        high=high,
        detectable=detectable,
        rounds=int(row["rounds"]),
        seconds=float(row["seconds"]),
        exit_code=int(row["exit_code"]),
    )


def write(file: Path, trials: Sequence[Trial]) -> None:
    """All of them, anew: a trial takes a minute, this nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, [each.name for each in fields(Trial)], lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(trial) for trial in trials)


def summary(trials: Sequence[Trial]) -> str:
    """A Markdown table, a row a kind."""
    header = ["trial", "checks", "regressed", "95 % interval", "fine", "inconclusive", "failed"]
    header += ["mean ratio", "detectable, median", "rounds, mean", "seconds, median"]
    rows = [header, ["---"] * len(header)]
    rows += [_row(kind, own) for kind in KINDS if (own := [t for t in trials if t.kind == kind])]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _row(kind: str, own: Sequence[Trial]) -> list[str]:
    verdicts = [trial.verdict for trial in own]
    known = {"regressed", "fine", "inconclusive"}
    regressed, others = verdicts.count("regressed"), sum(each not in known for each in verdicts)
    interval = binomtest(regressed, len(own)).proportion_ci(method="exact")
    ratios = [trial.ratio for trial in own if trial.ratio is not None]
    detectable = [trial.detectable for trial in own if trial.detectable is not None]
    return [
        kind,
        str(len(own)),
        str(regressed),
        f"{interval.low:.0%} to {interval.high:.0%}",
        str(verdicts.count("fine")),
        str(verdicts.count("inconclusive")),
        str(others),
        f"{fmean(ratios):.3f}" if ratios else "–",
        f"{median(detectable):.1%}" if detectable else "–",
        f"{fmean(trial.rounds for trial in own):.1f}",
        f"{median(trial.seconds for trial in own):.0f}",
    ]


def faults(trials: Sequence[Trial]) -> Iterator[str]:
    """What came out as it must not, a line each."""
    for kind, growth in KINDS.items():
        own = [trial for trial in trials if trial.kind == kind]
        missed = [trial for trial in own if trial.verdict != "regressed"]
        for trial in own:
            expected = {"regressed", "inconclusive"} if growth else {"fine", "inconclusive"}
            if trial.verdict not in expected:
                yield f"{kind} {trial.number}: {trial.verdict}"
        allowed = len(own) * ALLOWED.get(kind, 0.0)
        silent = [each for each in missed if (each.detectable or 0.0) < growth]
        if growth and len(missed) > allowed and (kind not in ALLOWED or silent):
            found, told = len(own) - len(missed), "and not every other one says why"
            yield f"{kind}: found {found} times of {len(own)}, {told}"


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="nox -s check_trials --", description="How often bench check is right."
    )
    for kind, number in zip(KINDS, (20, 10, 10), strict=True):
        parser.add_argument(f"--{kind}", type=int, default=number, metavar="N", help="checks")
    parser.add_argument("--suite", type=Path, default=ROOT / "suites/step_time.toml")
    parser.add_argument("--variant", default="mlp_gan", help="the case")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    parser.add_argument(
        "--clone", type=Path, metavar="DIR", help="kept; without it a temporary one"
    )
    parser.add_argument("--csv", type=Path, default=Path("reports/check_trials.csv"))
    return parser.parse_args(arguments)


def _run(trials: Trials, wanted: Sequence[tuple[str, int]], file: Path) -> list[Trial]:
    found = read(file)
    done = {(trial.kind, trial.number) for trial in found}
    left = [each for each in wanted if each not in done]
    for index, (kind, number) in enumerate(left, 1):
        found.append(trial := trials.run(kind, number))
        write(file, found)
        ratio = "" if trial.ratio is None else f", ratio {trial.ratio:.3f}"
        told = f"{trial.verdict}{ratio}, {trial.rounds} rounds, {trial.seconds:.0f} s"
        print(f"{index} of {len(left)}: {kind} {number}: {told}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; 1 where one came out as it must not."""
    asked = _asked(arguments)
    wanted = [
        (kind, number)
        for kind in KINDS
        for number in range(1, getattr(asked, kind.replace("-", "_")) + 1)
    ]
    random.Random(0).shuffle(wanted)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="check-trials-") as place:
        clone = (asked.clone or Path(place, "clone")).resolve()
        trials = Trials(asked.suite.resolve(), asked.variant, tuple(asked.sets), clone)
        try:
            trials.commit_revisions()
            found = _run(trials, wanted, asked.csv)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            return 130
    text = summary(found)
    asked.csv.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    wrong = list(faults(found))
    for line in wrong:
        print(f"- {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
