import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import fields, replace
from pathlib import Path

import check_fixture
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_store import rewritten

from bench import store
from bench.errors import StoreError
from bench.records import Baseline, CheckResult, CheckRow, Clocks, Fingerprint, Reading
from bench.store.base import alone

HOT = Clocks(1980, 2619, 71, 412.5, "thermal")
MACHINE = Fingerprint(**{f.name: check_fixture.MACHINE[f.name] for f in fields(Fingerprint)})
CHECK = replace(check_fixture.check(rounds=8), notes=("gan, base: cannot be compiled here",))
LATER = replace(check_fixture.check("baseline", rounds=8, check_id="d0d0"), notes=())
READINGS = LATER.readings
BASELINE = Baseline(
    suite="step_time",
    commit="1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    recorded_at="2026-03-01T10:00:00+00:00",
    fingerprint=MACHINE,
    reference_version=1,
    specs={subject: f"{subject}-of-its-own" for subject in check_fixture.CASES},
    readings=tuple(replace(each, before=Clocks(), after=HOT) for each in READINGS),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store.prepare_checks(tmp_path / "results", "step_time")
    return tmp_path / "results"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept/baselines.parquet"


def table(root: Path, name: str = "checks") -> Path:
    return root / f"step_time/{name}.parquet"


def test_what_was_found_is_read_again_to_the_last_digit(root):
    crashed = check_fixture.failed(CHECK.rows[0])
    hot = [replace(each, before=HOT, moved="SM clock") for each in CHECK.readings]
    result = CheckResult((crashed, *CHECK.rows[1:]), tuple(hot), CHECK.notes)
    store.append_check(root, "step_time", result)
    found = store.load_checks(root, "step_time")
    assert (found.rows, found.readings) == (result.rows, result.readings)
    assert found.of(crashed.check_id) == result


def test_checks_are_added_to_those_before(root):
    for result in (CHECK, LATER):
        store.append_check(root, "step_time", result)
    found = store.load_checks(root, "step_time")
    assert found.ids == ("c0ffee", "d0d0")
    assert [found.of(each) for each in found.ids] == [CHECK, LATER]
    assert found.of("unknown") == CheckResult((), ())
    assert sorted(path.name for path in (root / "step_time").iterdir()) == [
        "check_readings.parquet",
        "checks.parquet",
    ]


def test_columns_are_the_fields_in_order_and_carry_their_version(root):
    store.append_check(root, "step_time", CHECK)
    rows, readings = (pq.read_schema(table(root, name)) for name in ("checks", "check_readings"))
    assert rows.names == [each.name for each in fields(CheckRow)]
    clocks = [each.name for each in fields(Clocks)]
    plain = [each.name for each in fields(Reading) if each.name not in {"before", "after"}]
    assert readings.names == [*plain, *(f"{a}_{b}" for a in ("before", "after") for b in clocks)]
    types = {"looks": "int64", "step_ms": "double"}
    for name, schema in (("looks", rows), ("step_ms", readings)):
        assert str(schema.field(name).type.value_type) == types[name]
    assert rows.metadata[b"check_version"] == readings.metadata[b"check_version"] == b"1"


def test_suite_that_was_never_checked_has_no_checks(root, tmp_path):
    for place in (root, tmp_path / "nowhere"):
        found = store.load_checks(place, "step_time")
        assert (found.ids, found.rows, found.readings, found.notes) == ((), (), (), {})


def test_column_that_an_older_bench_had_not_is_null_and_stays_so(root):
    store.append_check(root, "step_time", CHECK)
    rewritten(table(root), drop="clock_policy", check_version="0")
    rewritten(table(root, "check_readings"), drop="reference_ms", check_version="0")
    store.append_check(root, "step_time", LATER)
    found = store.load_checks(root, "step_time")
    then, now = (found.of(each) for each in found.ids)
    assert {row.clock_policy for row in then.rows} == {None}
    assert {reading.reference_ms for reading in then.readings} == {()}
    assert now == LATER


def newer(path: Path) -> str:
    rewritten(path, check_version="2")
    return r"check_version 2 is newer than this bench can read \(1\); upgrade"


def truncated(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-20])
    return r"not a readable Parquet table \("


def damaged_within(path: Path) -> str:
    content = bytearray(path.read_bytes())
    content[100:400] = bytes(300)
    path.write_bytes(content)
    return r"not a readable Parquet table \("


def foreign(path: Path) -> str:
    pq.write_table(pa.table({"a": [1]}), path)
    return "no check_version; expected a table written by `bench check"


def another(path: Path) -> str:
    rewritten(path, table="probes")
    return "a table of probes, where one of "


FAULTS = [newer, truncated, damaged_within, foreign, another]


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("name", ["checks", "check_readings"])
def test_history_that_cannot_be_read_is_refused_beforehand_and_not_overwritten(root, name, spoil):
    store.append_check(root, "step_time", CHECK)
    told = spoil(table(root, name))
    content = {path: path.read_bytes() for path in (root / "step_time").iterdir()}
    for use in (
        lambda: store.prepare_checks(root, "step_time"),
        lambda: store.append_check(root, "step_time", LATER),
        lambda: store.load_checks(root, "step_time"),
    ):
        refused(use, rf"{table(root, name)}: {told}")
    assert content == {path: path.read_bytes() for path in (root / "step_time").iterdir()}


def refused(use: Callable[[], object], told: str) -> None:
    with pytest.raises(StoreError, match=told) as raised:
        use()
    assert "\n" not in str(raised.value)


def test_folder_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path):
    (tmp_path / "results").write_text("a file in the way")
    told = "step_time: cannot be written .*; choose another folder with --results"
    refused(lambda: store.prepare_checks(tmp_path / "results", "step_time"), told)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission_is_said(root):
    (root / "step_time").chmod(0o500)
    refused(lambda: store.prepare_checks(root, "step_time"), "Permission denied")


def test_full_disk_leaves_the_history_of_before(root, monkeypatch):
    store.append_check(root, "step_time", CHECK)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(lambda: store.append_check(root, "step_time", LATER), r"No space left on device\)$")
    assert store.load_checks(root, "step_time").ids == ("c0ffee",)
    assert not list((root / "step_time").glob(".*"))


def append(root: Path, check_id: str) -> None:
    store.append_check(root, "step_time", check_fixture.check(rounds=8, check_id=check_id))


def test_checks_that_end_together_all_stay(root):
    ids = [f"check-{number}" for number in range(6)]
    with ThreadPoolExecutor(len(ids)) as pool:
        with alone(root / "step_time/.checks.lock"):
            ends = [pool.submit(append, root, each) for each in ids]
            assert not wait(ends, timeout=0.2).done
        assert not [end for end in ends if end.exception(60)]
    found = store.load_checks(root, "step_time")
    assert sorted(found.ids) == ids
    assert all(len(found.of(each).readings) == len(CHECK.readings) for each in ids)


def test_run_at_work_on_the_suite_is_not_in_the_way(root):
    with store.locked(root, "step_time"):
        append(root, "c0ffee")
    assert store.load_checks(root, "step_time").ids == ("c0ffee",)


def test_suite_with_checks_alone_is_found_and_has_no_runs(root):
    assert store.suites(root) == []
    append(root, "c0ffee")
    assert store.suites(root) == ["step_time"]
    for source in ("step_time", str(root / "step_time")):
        assert store.locate(source, root) == root / "step_time"
    found = store.load_results(root / "step_time")
    assert (found.suite, len(found.runs), len(found.metrics)) == ("step_time", 0, 0)


def test_name_cannot_leave_the_results(root):
    for use in (store.prepare_checks, store.load_checks):
        refused(lambda use=use: use(root, "../x"), "cannot name a folder of results")


def test_baseline_is_read_again_to_the_last_digit(file):
    store.write_baseline(file, BASELINE)
    assert store.read_baselines(file) == (BASELINE,)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_baseline_takes_the_place_of_its_suite_and_machine_alone(file):
    others = [
        replace(BASELINE, suite="other"),
        replace(BASELINE, fingerprint=replace(MACHINE, gpu="H100", gpu_count=1)),
        replace(BASELINE, fingerprint=replace(MACHINE, torch="2.16.0")),
    ]
    for each in (BASELINE, *others):
        store.write_baseline(file, each)
    again = replace(BASELINE, commit="5" * 40, recorded_at="2026-04-01T10:00:00+00:00")
    store.write_baseline(file, again)
    assert store.read_baselines(file) == (*others, again)


def test_missing_baseline_says_what_writes_one(file):
    told = rf"{file}: no such file; bench check SUITE --record {file} writes one"
    refused(lambda: store.read_baselines(file), told)
    assert store.read_baselines(file, missing_ok=True) == ()
    assert store.prepare_baseline(file) == ()
    assert not file.exists()


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda fault: fault.__name__)
def test_baseline_that_cannot_be_read_is_refused_and_not_overwritten(file, spoil):
    store.write_baseline(file, BASELINE)
    told, content = spoil(file), file.read_bytes()
    for use in (
        lambda: store.read_baselines(file),
        lambda: store.prepare_baseline(file),
        lambda: store.write_baseline(file, BASELINE),
    ):
        refused(use, f"{file}: {told}")
    assert file.read_bytes() == content


def test_table_of_checks_is_no_baseline(root):
    append(root, "c0ffee")
    told = "checks.parquet: a table of checks, where one of baselines was expected"
    refused(lambda: store.read_baselines(table(root)), told)
    refused(lambda: store.read_baselines(root), "a folder; expected a Parquet file of baselines")


def test_baseline_that_cannot_be_written_is_said_beforehand(tmp_path):
    (tmp_path / "kept").write_text("a file in the way")
    refused(lambda: store.prepare_baseline(tmp_path / "kept/b.parquet"), "cannot be written")
