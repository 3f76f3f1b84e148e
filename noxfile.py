"""One command a habit, the same here and in CI: `nox -s tests`, `nox -s lint`, `nox -s types`.

The sessions run in the environment that nox itself was installed into, by
`pip install -e ".[dev]"`: torch with its CUDA libraries weighs several gigabytes, and one copy of
it is enough.
"""

from __future__ import annotations

import sys

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"


def run(session: nox.Session, *arguments: str) -> None:
    """Run a module of this environment."""
    session.run(sys.executable, "-m", *arguments)


@nox.session
def tests(session: nox.Session) -> None:
    """Every test, two files at a time; arguments go to pytest: `nox -s tests -- -k parity`.

    Two, however many cores there are: a process takes about a gigabyte.
    """
    run(session, "pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session
def parity(session: nox.Session) -> None:
    """The compiled engine against the textbook loop: every objective, network and precision."""
    run(session, "pytest", "tests/test_parity.py", "-m", "long or not long", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict."""
    run(session, "mypy")


@nox.session
def compare(session: nox.Session) -> None:
    """The comparison on MNIST and its report; arguments go to `bench run`."""
    run(session, "bench", "run", "suites/mnist_compare.toml", *session.posargs)
    run(session, "bench", "report", "suites/mnist_compare.toml")


@nox.session
def claims(session: nox.Session) -> None:
    """The textbook claims on points and their report, about ten minutes."""
    run(session, "bench", "run", "suites/claims_quick.toml", *session.posargs)
    run(session, "bench", "report", "suites/claims_quick.toml")


@nox.session
def step_time(session: nox.Session) -> None:
    """Step time against batch size, width and group; prints the constants of bench/step_time.py."""
    session.run(sys.executable, "scripts/fit_step_time.py", *session.posargs)


@nox.session
def profile(session: nox.Session) -> None:
    """What a variant's time goes to: `nox -s profile -- suites/mnist_compare.toml wgan_gp`."""
    session.run(sys.executable, "scripts/profile_variant.py", *session.posargs)


@nox.session
def metrics(session: nox.Session) -> None:
    """What each metric catches and what it costs: the tables of docs/metrics.md."""
    session.run(sys.executable, "scripts/measure_metrics.py", *session.posargs)


@nox.session
def check_long(session: nox.Session) -> None:
    """`bench check` in whole packages of a user's, bisection too: minutes."""
    files = ("tests/test_check_end_to_end.py", "tests/test_check_bisect.py")
    run(session, "pytest", *files, "-m", "long or not long", *session.posargs)


@nox.session
def check_trials(session: nox.Session) -> None:
    """How often `bench check` is right about revisions whose slowdown is known; an hour or more."""
    session.run(sys.executable, "scripts/check_trials.py", *session.posargs)
