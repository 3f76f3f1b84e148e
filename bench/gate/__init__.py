"""The regression check: did a revision make training steps slower, on this machine, by more than a
margin?

    order       who is first, random and balanced
    modules     what a tree has that the other one has not
    harness     the stopwatch, a script: all it times of a tree is `bench.training.subject`
    worker      a worker as its driver sees it
    turn        one round's processes, and their turns
    rounds      round after round
    course      rounds until the planned looks have decided
    checking    what head is held against
    calibration the machine's own noise, and what checks come to in it
    bisection   the first slow revision: a check a step of `git bisect run`

The decision itself is `bench.stats.Plan`.
"""

from bench.gate.bisection import Bisection, bisect
from bench.gate.calibration import Noise, noise
from bench.gate.cases import subjects
from bench.gate.checking import against, calibrate, compare, record
from bench.gate.course import TIMEOUT, Check
from bench.gate.turn import WrongTree
from bench.gate.verdicts import exit_code, log_ratios, log_values, used, value
from bench.gate.worktrees import Repository, Revision

__all__ = [
    "TIMEOUT",
    "Bisection",
    "Check",
    "Noise",
    "Repository",
    "Revision",
    "WrongTree",
    "against",
    "bisect",
    "calibrate",
    "compare",
    "exit_code",
    "log_ratios",
    "log_values",
    "noise",
    "record",
    "subjects",
    "used",
    "value",
]
