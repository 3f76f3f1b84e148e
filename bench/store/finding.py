"""One run of a suite, by the names that a person has for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.errors import RequestError, suggestion

if TYPE_CHECKING:
    from bench.store.reader import Results


def find_run(results: Results, wanted: str) -> dict[str, Any]:
    """The row of the run with that `variant/seed`, or whose `run_id` alone begins so.

    Raises `RequestError` where there is none, or more than one.
    """
    runs = results.runs.to_dict("records")
    labels = [f"{run['variant']}/{run['seed']}" for run in runs]
    matching = [
        run
        for run, label in zip(runs, labels, strict=True)
        if wanted == label or (len(wanted) >= 4 and run["run_id"].startswith(wanted))
    ]
    if len(matching) == 1:
        return {str(name): value for name, value in matching[0].items()}
    if matching:
        ids = ", ".join(run["run_id"] for run in matching)
        raise RequestError(f"{wanted!r} is {len(matching)} runs of this suite; name one: {ids}")
    raise RequestError(f"{wanted!r} is not a run of this suite{suggestion(wanted, labels)}")
