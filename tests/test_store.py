import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from executor_work import row, spec

from bench import store
from bench.errors import StoreError
from bench.records import CurveRow, MetricRow, RunResult, RunRow, TimingRow

RUN = spec("gan", 0)
CURVES = [
    CurveRow(RUN.run_id, 1, 1, 64, 0.5, critic_loss=1.25, penalty=None),
    CurveRow(RUN.run_id, 2, 2, 128, 1.0, critic_loss=float("nan"), at_clip_bound=0.5),
]
METRICS = [
    MetricRow(
        RUN.run_id, 2, 2, 128, 1.0, "fid", 12.5, "", "lower", 100, "digits", "mnist/test", None, 0.1
    )
]
TIMINGS = [TimingRow(RUN.run_id, 0, "warmup", 2, 1.0, 500.0, 1)]
FILES = {"samples/2.png": b"png", "generator.safetensors": b"weights"}


def result(status="completed", **columns) -> RunResult:
    run = row(RUN, status=status, threads=1, dirty=False, train_seconds=1.5, **columns)
    return RunResult(run, CURVES, METRICS, TIMINGS, FILES)


def plain(rows) -> list[dict[str, object]]:
    """Rows with every null and NaN as None."""
    return [{name: None if pd.isna(value) else value for name, value in r.items()} for r in rows]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store.prepare(tmp_path / "results", "suite")
    return tmp_path / "results"


def test_what_was_written_is_read(root):
    store.write(root, "suite", result())
    found = store.load_results(root / "suite")
    assert (found.suite, found.root) == ("suite", root / "suite")
    expected = {"runs": [result().run], "curves": CURVES, "metrics": METRICS, "timings": TIMINGS}
    for name, rows in expected.items():
        assert plain(getattr(found, name).to_dict("records")) == plain(map(vars, rows))


def test_files_lie_beside_the_tables(root):
    folder = store.write(root, "suite", result())
    found = store.load_results(root / "suite").files(RUN.run_id)
    assert {name: path.read_bytes() for name, path in found.items()} == FILES
    assert found["samples/2.png"] == folder / "samples/2.png"


def test_columns_follow_the_rows_and_carry_their_version(root):
    table = pq.read_table(store.write(root, "suite", result()) / "run.parquet")
    assert table.schema.names == list(RunRow.__dataclass_fields__)
    types = {name: str(table.schema.field(name).type) for name in ("status", "seed", "dirty")}
    assert types == {"status": "string", "seed": "int64", "dirty": "bool"}
    assert not table.schema.field("run_id").nullable
    assert table.schema.field("error").nullable
    assert table.schema.metadata[b"schema_version"] == b"4"


def test_null_is_null_and_not_a_number(root):
    table = pq.read_table(store.write(root, "suite", result()) / "curves.parquet")
    assert table["penalty"].null_count == 2
    assert table["critic_loss"].null_count == 0


def test_suite_without_runs_has_empty_tables(root):
    found = store.load_results(root / "suite")
    assert found.runs.empty
    assert list(found.metrics.columns) == list(MetricRow.__dataclass_fields__)


def test_run_without_rows_is_a_run(root):
    store.write(root, "suite", RunResult.without_rows("suite", RUN, "lost", "killed"))
    found = store.load_results(root / "suite")
    assert list(found.runs["error"]) == ["killed"]
    assert found.curves.empty


@pytest.mark.parametrize("status", ["failed", "timeout", "lost"])
def test_failure_is_tried_again_and_replaced(root, status):
    store.write(root, "suite", RunResult.without_rows("suite", RUN, status, "why"))
    assert store.finished(root, "suite") == frozenset()
    folder = store.write(root, "suite", result())
    assert store.finished(root, "suite") == {RUN.run_id}
    assert [path.name for path in folder.parent.iterdir()] == [RUN.run_id]


@pytest.mark.parametrize("status", ["completed", "diverged"])
def test_finished_run_is_never_overwritten(root, status):
    store.write(root, "suite", result(status, torch="old"))
    folder = store.write(root, "suite", result(torch="new"))
    (run,) = store.load_results(root / "suite").runs.to_dict("records")
    assert (run["status"], run["torch"]) == (status, "old")
    assert [path.name for path in folder.parent.iterdir()] == [RUN.run_id]


def test_half_written_and_foreign_folders_are_not_finished(root):
    folder = store.write(root, "suite", result())
    partial = folder.with_name(f".{RUN.run_id}.staged")
    folder.rename(partial)  # killed before its commit
    (root / "suite/notes").mkdir()
    (root / "suite/notes/run.parquet").write_bytes(b"PAR1 and no more")
    (root / "suite/other").mkdir()
    (root / "suite/readme.txt").write_text("mine")
    pq.write_table(pq.read_table(partial / "run.parquet"), root / "suite/other/run.parquet")
    assert store.finished(root, "suite") == frozenset()
    store.write(root, "suite", result())
    assert store.finished(root, "suite") == {RUN.run_id}
    assert not partial.exists()


def rewritten(path: Path, drop: str | None = None, **metadata: str) -> None:
    table = pq.read_table(path)
    table = table if drop is None else table.drop_columns([drop])
    changed = {name.encode(): text.encode() for name, text in metadata.items()}
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | changed), path)


def test_newer_results_are_refused_and_not_overwritten(root):
    path = store.write(root, "suite", result()) / "run.parquet"
    rewritten(path, schema_version="5")
    told = rf"{path}: schema_version 5 is newer than this bench can read \(4\); upgrade"
    with pytest.raises(StoreError, match=told):
        store.load_results(root / "suite")
    with pytest.raises(StoreError, match=told):
        store.finished(root, "suite")
    with pytest.raises(StoreError, match=told):
        store.write(root, "suite", result())


def test_column_that_an_older_bench_had_not_is_null(root):
    rewritten(store.write(root, "suite", result()) / "run.parquet", drop="threads")
    runs = store.load_results(root / "suite").runs
    assert list(runs["threads"].isna()) == [True]
    assert list(runs.columns) == list(RunRow.__dataclass_fields__)


def test_truncated_table_is_one_line(root):
    path = store.write(root, "suite", result()) / "metrics.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError) as raised:
        store.load_results(root / "suite")
    assert str(raised.value).startswith(f"{path}: not a readable Parquet table (")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a//x", ".", "", "a\\x", "a\0x", "run.parquet", "./x"]
)
def test_file_name_cannot_leave_the_folder(root, name):
    before = sorted(root.rglob("*"))
    with pytest.raises(StoreError, match="cannot name a file of a run"):
        store.write(root, "suite", replace(result(), files={name: b""}))
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".", "..", "a" * 65, "ä"])
def test_name_cannot_leave_the_results(root, name):
    for use in (
        lambda: store.prepare(root, name),
        lambda: store.finished(root, name),
        lambda: store.write(root, "suite", RunResult(replace(result().run, run_id=name))),
    ):
        with pytest.raises(StoreError, match="cannot name a folder of results"):
            use()


def test_folder_that_cannot_be_written_is_said_before_anything_starts(tmp_path):
    (tmp_path / "results").write_text("a file in the way")
    told = "suite: cannot be written .*; choose another folder with --results"
    with pytest.raises(StoreError, match=told):
        store.prepare(tmp_path / "results", "suite")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_said(root):
    (root / "suite").chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        store.prepare(root, "suite")


def test_finished_run_is_replaced_on_request_by_a_finished_one_alone(root):
    store.write(root, "suite", result(torch="old"))
    lost = RunResult.without_rows("suite", RUN, "lost", "killed")
    store.write(root, "suite", lost, replace=True)
    assert list(store.load_results(root / "suite").runs["torch"]) == ["old"]
    store.write(root, "suite", result(torch="new"), replace=True)
    assert list(store.load_results(root / "suite").runs["torch"]) == ["new"]


def test_second_writer_is_refused_and_the_lock_ends_with_the_first(root):
    with (
        store.locked(root, "suite"),
        pytest.raises(StoreError, match="another `bench run` is at work on this suite"),
        store.locked(root, "suite"),
    ):
        pass
    with store.locked(root, "suite"):
        pass


def test_run_that_made_way_for_nothing_is_put_back(root):
    folder = store.write(root, "suite", result())
    folder.rename(folder.with_name(f".{folder.name}.replaced"))
    with store.locked(root, "suite"):
        assert store.finished(root, "suite") == {RUN.run_id}


def test_rows_of_runs_leave_out_what_cannot_be_read(root):
    path = store.write(root, "suite", result()) / "run.parquet"
    store.write(root, "suite", RunResult(row(spec("gan", 1))))
    path.write_bytes(path.read_bytes()[:-20])
    assert [run["seed"] for run in store.run_rows(root / "suite")] == [1]
    assert store.run_rows(root / "never-run") == []


def test_only_keeps_the_rows_of_its_runs(root):
    store.write(root, "suite", result())
    other = spec("gan", 1)
    store.write(root, "suite", RunResult(row(other)))
    found = store.load_results(root / "suite")
    assert len(found.runs) == 2
    assert list(found.only([other.run_id]).runs["seed"]) == [1]
    assert found.only([other.run_id]).curves.empty
    assert len(found.only([RUN.run_id]).curves) == 2


def test_suite_is_kept_as_it_was_run(root):
    store.keep_suite(root, "suite", 'name = "süite"', {"title": "T"})
    found = store.load_results(root / "suite")
    assert found.suite_text == 'name = "süite"'
    assert found.declaration == {"title": "T"}
    assert json.loads((root / "suite/declaration.json").read_text()) == {"title": "T"}


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_missing_declaration_says_what_to_do(root, content):
    if content is not None:
        (root / "suite/declaration.json").write_text(content)
    with pytest.raises(StoreError, match=r"declaration\.json: "):
        _ = store.load_results(root / "suite").declaration


def test_suite_is_found_by_file_name_and_folder(root, tmp_path):
    store.write(root, "suite", result())
    file = tmp_path / "some.toml"
    file.write_text('name = "suite"')
    for source in (str(file), "suite", str(root / "suite")):
        assert store.locate(source, root) == root / "suite"
    assert store.suites(root) == ["suite"]


def test_folder_without_results_does_not_hide_those_of_its_name(root, tmp_path, monkeypatch):
    store.write(root, "suite", result())
    (tmp_path / "suite").mkdir()
    monkeypatch.chdir(tmp_path)
    assert store.locate("suite", root) == root / "suite"


def test_suite_file_with_a_byte_order_mark_is_read(root, tmp_path):
    store.write(root, "suite", result())
    file = tmp_path / "some.toml"
    file.write_text('name = "suite"', encoding="utf-8-sig")
    assert store.locate(file, root) == root / "suite"


def test_suite_without_results_gets_the_nearest_name(root, tmp_path):
    with pytest.raises(StoreError, match="no results of a suite 'siute'; nothing has been run yet"):
        store.locate("siute", root)
    store.write(root, "suite", result())
    with pytest.raises(StoreError, match="no results of a suite 'siute'; did you mean 'suite'"):
        store.locate("siute", root)
    with pytest.raises(StoreError, match=r"no results of a suite '\.\./results'"):
        store.locate("../results", root)
