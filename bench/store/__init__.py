"""The results on disk: one folder a run, there whole or not at all.

    results/<suite>/suite.toml          the suite's text, as last run
    results/<suite>/declaration.json    what it compares: title, primary metric, variants, runs
    results/<suite>/<run_id>/           four Parquet tables, and the run's files
    results/<suite>/probes/             one table a seed of a probe: <probe_id>.parquet
    results/<suite>/.<run_id>.partial/  a group under way, with its checkpoint
    results/<suite>/.<run_id>.staged/   a run being written
    results/<suite>/.lock               held by the `bench run` at work on the suite

The tables' columns follow from the row types of `bench.records.rows`, whose docstring holds the
history of the format; every table carries its `schema_version`.
"""

from __future__ import annotations

from bench.store.base import TABLES, schema
from bench.store.finding import find_run
from bench.store.partial import UnderWay, discard, partial, under_way
from bench.store.probes import finished_probes, probe_file, write_probe
from bench.store.reader import Results, finished, load_results, locate, run_rows, suites
from bench.store.writer import keep_suite, locked, prepare, write

__all__ = [
    "TABLES",
    "Results",
    "UnderWay",
    "discard",
    "find_run",
    "finished",
    "finished_probes",
    "keep_suite",
    "load_results",
    "locate",
    "locked",
    "partial",
    "prepare",
    "probe_file",
    "run_rows",
    "schema",
    "suites",
    "under_way",
    "write",
    "write_probe",
]
