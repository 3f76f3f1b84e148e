"""One round's processes, one a side, and their turns at one subject after another.

Both live at the same time, and their blocks alternate (A B B A …), the one waiting while the other
trains: what the machine does meanwhile happens to both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from bench.gate.cases import usual
from bench.gate.modules import foreign
from bench.gate.order import blocks
from bench.gate.worker import Worker, WorkerFailed
from bench.gate.worktrees import Tree
from bench.records import Clocks, Side, Subject

WARM_UP_SECONDS = 0.25
_REFERENCE_SHARE = 0.5
"""Of a block's time: what the reference kernel beside it takes."""
Answers = dict[Side, dict[str, Any]]


class WrongTree(BenchError):
    """A side that imported another copy of what it was to be timed by."""


@dataclass(frozen=True)
class Fault:
    """Why one side could not be timed on a subject."""

    subject: str
    side: Side
    kind: str
    """As of `WorkerFailed`."""
    text: str


class Faulty(Exception):
    """A turn that came to nothing."""

    def __init__(self, faults: list[Fault]) -> None:
        """A fault a side, one at least."""
        super().__init__("; ".join(fault.text for fault in faults))
        self.faults = faults

    @property
    def lost(self) -> bool:
        """Whether a process is gone, so that this round's cannot go on."""
        return any(fault.kind in {"lost", "old"} for fault in self.faults)


@dataclass(frozen=True)
class Length:
    """How much of a subject is timed in a round."""

    blocks: int = 10
    """Timed, of each side."""
    block_seconds: float = 0.1
    """About; a block is whole steps, as many on either side and in every round."""


@dataclass(frozen=True)
class Turn:
    """What came of one subject's turn, by side."""

    steps: int
    repeats: int
    seconds: Mapping[Side, list[float]]
    """Of each block."""
    reference: list[float]
    """Seconds of the reference kernel beside each block; none where there are two sides."""
    opened: Answers
    closed: Answers
    before: Clocks
    after: Clocks


@dataclass(frozen=True)
class Processes:
    """The fresh processes of one round, in the order of their turns."""

    trees: Mapping[Side, Tree]
    workers: Mapping[Side, Worker]
    length: Length
    clocks: Callable[[str], Clocks]

    def turn(
        self,
        subject: Subject,
        steps: int | None,
        cores: Sequence[int],
        imported: dict[Side, dict[str, str]],
    ) -> Turn:
        """Time a subject: both sides open it, train blocks in turn, and close it.

        `steps` a block; None: as many as fill one.  On a CPU both sides train on the same `cores`:
        were each left on a core of its own, whatever else is busy there would slow one side.  Adds
        to `imported` what each side imported of its tree.  Raises `Faulty` and `WrongTree`.
        """
        opened = self._opened(subject)
        self._note_imports(subject, imported)
        rough = self._warmed_up(subject, cores)
        steps = steps or max(1, round(self.length.block_seconds * len(rough) / sum(rough)))
        repeats = self._repeats(subject, steps * sum(rough) / len(rough))
        before = self._clocks_at_work(subject, steps)
        seconds, reference = self._blocks(subject, steps, repeats)
        after = self._clocks_at_work(subject, steps)
        self._note_imports(subject, imported)  # a step may import, too
        closed = {side: self._ask(subject, side, "close") for side in self.trees}
        return Turn(steps, repeats, seconds, reference, opened, closed, before, after)

    def _note_imports(self, subject: Subject, imported: dict[Side, dict[str, str]]) -> None:
        for side, tree in self.trees.items():
            own = self._ask(subject, side, "imports", **_places(tree))
            _require_own(tree, side, own["strays"])
            imported.setdefault(side, {}).update(own["files"])

    def _opened(self, subject: Subject) -> Answers:
        """Both sides at once, unless the time it takes is what is guarded."""
        cold = "compile_time" in subject.guarded
        request = {
            "specs": [spec.to_json() for spec in subject.specs],
            "device": subject.device,
            "cold": cold,
            "usual": usual(subject.specs[0]),
        }
        found: Answers = {}
        faults: list[Fault] = []
        for side in self.trees:
            self.workers[side].send("open", **request)
            if cold:
                self._take(subject, side, found, faults)
        for side in () if cold else self.trees:
            self._take(subject, side, found, faults)
        self._require_none(faults)
        return found

    def _warmed_up(self, subject: Subject, cores: Sequence[int]) -> list[float]:
        """About how long a step takes, of each side: both are asked, whichever cannot train."""
        found: Answers = {}
        faults: list[Fault] = []
        for side in self.trees:
            self.workers[side].send("warm_up", seconds=WARM_UP_SECONDS, cores=[*cores])
            self._take(subject, side, found, faults)
        self._require_none(faults)
        return [found[side]["step_seconds"] for side in self.trees]

    def _take(self, subject: Subject, side: Side, found: Answers, faults: list[Fault]) -> None:
        try:
            found[side] = self.workers[side].receive()
        except WorkerFailed as failed:
            faults.append(Fault(subject.name, side, failed.kind, str(failed)))

    def _blocks(
        self, subject: Subject, steps: int, repeats: int
    ) -> tuple[dict[Side, list[float]], list[float]]:
        seconds: dict[Side, list[float]] = {side: [] for side in self.trees}
        reference: list[float] = []
        if len(self.trees) > 1:
            for side in blocks(list(self.trees), self.length.blocks):
                seconds[side].append(self._ask(subject, side, "block", steps=steps)["seconds"])
            return seconds, reference
        (side,) = self.trees
        for own in blocks([False, True], self.length.blocks):
            if own:
                seconds[side].append(self._ask(subject, side, "block", steps=steps)["seconds"])
            else:
                told = self._ask(subject, side, "reference", repeats=repeats)
                reference.append(told["seconds"] / repeats)
        return seconds, reference

    def _clocks_at_work(self, subject: Subject, steps: int) -> Clocks:
        """A GPU's half way through a block that is not timed: at rest nothing holds it back, and
        its clocks may be falling already."""
        found = self.clocks(subject.device)  # the first one of all opens the driver's library
        if subject.device.startswith("cuda"):
            side = next(iter(self.trees))
            self.workers[side].send("block", steps=steps)
            time.sleep(self.length.block_seconds / 2)
            found = self.clocks(subject.device)
            self._answer(subject, side)
        return found

    def _repeats(self, subject: Subject, block: float) -> int:
        """Of the reference kernel, beside a block of so many seconds."""
        if len(self.trees) > 1:
            return 0
        (side,) = self.trees
        once: float = self._ask(subject, side, "reference", repeats=1)["seconds"]
        return max(1, round(block * _REFERENCE_SHARE / once))

    def _ask(self, subject: Subject, side: Side, do: str, **request: Any) -> dict[str, Any]:
        self.workers[side].send(do, **request)
        return self._answer(subject, side)

    def _answer(self, subject: Subject, side: Side) -> dict[str, Any]:
        try:
            return self.workers[side].receive()
        except WorkerFailed as failed:
            self._require_none([Fault(subject.name, side, failed.kind, str(failed))])
            raise  # never: there is one

    def _require_none(self, faults: list[Fault]) -> None:
        """Raises `Faulty` of them."""
        if not faults:
            return
        faulty = Faulty(faults)
        if not faulty.lost:  # the processes live on, and let go of what they hold
            for side in self.trees:
                self._let_go(side)
        raise faulty

    def _let_go(self, side: Side) -> None:
        try:
            self.workers[side].ask("close")
        except WorkerFailed:
            return  # the next turn says so


@contextmanager
def started(
    trees: Mapping[Side, Tree], length: Length, timeout: float, clocks: Callable[[str], Clocks]
) -> Iterator[Processes]:
    """A fresh process a side, started at once, ended at the end; raises `Faulty` of no subject for
    a tree without the protocol."""
    with ExitStack() as stack:
        workers: dict[Side, Worker] = {}
        for side, tree in trees.items():
            workers[side] = Worker(tree.roots, timeout)
            stack.callback(workers[side].close)
        faults = []
        for side, worker in workers.items():
            worker.send("hello", foreign=foreign(trees, side))
        for side, worker in workers.items():
            try:
                worker.receive()
            except WorkerFailed as failed:
                faults.append(Fault("", side, failed.kind, str(failed)))
        if faults:
            raise Faulty(faults)
        yield Processes(trees, workers, length, clocks)


def _places(tree: Tree) -> dict[str, Any]:
    return {"roots": [str(root) for root in tree.roots], "checkout": str(tree.checkout)}


def _require_own(tree: Tree, side: Side, strays: Mapping[str, str]) -> None:
    if strays:
        name, path = next(iter(strays.items()))
        raise WrongTree(
            f"{side} {tree.revision.label}: imported {name} from {path}, and not from its own "
            "worktree; what is installed or on PYTHONPATH in its place (an editable install?) "
            "would be timed on both sides: uninstall it, or install it the ordinary way"
        )
