import importlib

import pytest

import bench
from bench import api, store
from bench.errors import RequestError, StoreError


def test_public_names_are_there_and_sorted():
    importlib.import_module(
        "bench.reporting.summary"
    )  # must not put itself in the function's place
    assert bench.__all__ == sorted(bench.__all__)
    for name in bench.__all__:
        assert getattr(bench, name).__module__.startswith("bench.")
    assert set(bench.__all__) <= set(dir(bench))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bench.nothing  # noqa: B018


def test_public_namespace_matches_where_things_lie():
    for name, module in bench._PUBLIC.items():
        assert getattr(importlib.import_module(module), name) is getattr(bench, name)


def test_declaration_that_lacks_something_is_one_line(tmp_path):
    store.prepare(tmp_path, "suite")
    store.keep_suite(tmp_path, "suite", "", {"name": "suite", "run_ids": []})
    with pytest.raises(StoreError, match=r"declaration\.json: 'title' is missing or wrong"):
        api.compare(tmp_path / "suite")


@pytest.mark.parametrize(
    ("suites", "format", "told"),
    [
        ([], "html", "report: found no suite"),
        (["x"], "pdf", "format: 'pdf' is not one; expected one of: html, json, md"),
    ],
)
def test_report_of_nothing_or_in_no_format_is_refused(suites, format, told):
    with pytest.raises(RequestError, match=told):
        api.report(*suites, format=format)
