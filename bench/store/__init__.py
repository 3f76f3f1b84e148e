"""The results on disk: one folder a run, there whole or not at all.

    results/<suite>/suite.toml          the suite's text, as last run
    results/<suite>/declaration.json    what it compares: title, primary metric, variants, runs
    results/<suite>/<run_id>/           four Parquet tables, and the run's files
    results/<suite>/probes/             one table a seed of a probe: <probe_id>.parquet
    results/<suite>/checks.parquet      what each `bench check` found, a row a case
    results/<suite>/check_readings.parquet  what each process of theirs measured of a subject
    results/<suite>/.<run_id>.partial/  a group under way, with its checkpoint
    results/<suite>/.<run_id>.staged/   a run being written
    results/<suite>/.lock               held by the `bench run` at work on the suite
    results/<suite>/.checks.lock        held by a `bench check` while it appends

A stored baseline is one more table, wherever its user keeps it.

The tables' columns follow from the row types of `bench.records.rows` and `bench.records.checks`,
whose docstrings hold the history of the formats; every table carries its `schema_version`, one of
checks its `check_version`.
"""

from __future__ import annotations

from bench.store.base import TABLES, schema
from bench.store.baselines import prepare_baseline, read_baselines, write_baseline
from bench.store.checks import Checks, append_check, load_checks, prepare_checks
from bench.store.finding import find_run
from bench.store.partial import UnderWay, discard, partial, under_way
from bench.store.probes import finished_probes, probe_file, write_probe
from bench.store.reader import Results, finished, load_results, locate, run_rows, suites
from bench.store.writer import keep_suite, locked, prepare, write

__all__ = [
    "TABLES",
    "Checks",
    "Results",
    "UnderWay",
    "append_check",
    "discard",
    "find_run",
    "finished",
    "finished_probes",
    "keep_suite",
    "load_checks",
    "load_results",
    "locate",
    "locked",
    "partial",
    "prepare",
    "prepare_baseline",
    "prepare_checks",
    "probe_file",
    "read_baselines",
    "run_rows",
    "schema",
    "suites",
    "under_way",
    "write",
    "write_baseline",
    "write_probe",
]
