from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_fixture import declaration, result, troubled, whole, written

from bench.reporting.base import Summary
from bench.reporting.numbers import duration, interval, number
from bench.reporting.summary import summarize
from bench.reporting.text import render_json, render_markdown
from bench.stats import Interval


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(troubled(tmp_path_factory.mktemp("results")), declaration())


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_markdown_and_json_give_the_same_numbers(summary: Summary) -> None:
    [suite] = strict(render_json(summary))["suites"]
    text = render_markdown(summary)
    for line in suite["lines"]:
        for cell in line["cells"]:
            found = cell["description"]
            shown = interval(Interval(**found["interval"]))
            row = f"| {cell['variant']} | {number(found['median'])} | {shown} |"
            assert row in text
    for row in suite["costs"]:
        assert f"{number(row['step_ms'])} ms" in text
        assert duration(row["cost"]) in text


def test_markdown_and_json_give_the_same_verdict(summary: Summary) -> None:
    [suite] = strict(render_json(summary))["suites"]
    text = render_markdown(summary).replace("&lt;", "<")
    assert suite["headline"] == summary.headline
    for sentence in suite["verdict"].split("\n"):
        assert sentence in text


def test_json_says_what_a_script_needs(summary: Summary) -> None:
    whole_file = strict(render_json(summary))
    assert whole_file["format_version"] == 1
    [suite] = whole_file["suites"]
    first = suite["readings"][0]["contrasts"][0]
    assert (first["a"], first["b"], first["verdict"]) == ("wgan_gp", "gan", "better")
    assert first["low"] < first["effect"] < first["high"] < 1
    assert [f["status"] for f in suite["failures"]] == ["diverged", "missing", "lost"]


def test_table_of_one_small_suite(tmp_path: Path) -> None:
    runs = [result("gan", seed, fid=value, samples=False) for seed, value in enumerate((90, 110))]
    summary = summarize(written(tmp_path, runs), declaration(("gan",), seeds=(0, 1)))
    table = render_markdown(summary).split("## Comparison\n\n")[1].split("\n\n")[0]
    assert table.splitlines()[:3] == [
        "| Metric | Variant | Median | 95 % interval | Seeds | Real data |",
        "| --- | --- | --- | --- | --- | --- |",
        "| FID (digits) ↓ | gan | 100 | [27.8, 356] | 90, 110 | 0.530 |",
    ]


def test_hostile_text_cannot_break_markdown(tmp_path: Path) -> None:
    error = "| <script>alert(1)</script> [x](javascript:alert(1))\n# heading"
    lost = result("gan", 0, status="failed", error=error, samples=False)
    hostile = declaration(("gan",), seeds=(0,), title="*a* <b>", text="```\n# out\n```")
    text = render_markdown(summarize(written(tmp_path, [lost]), hostile))
    assert r"\*a\* &lt;b&gt;" in text
    assert r"\| &lt;script&gt;alert(1)&lt;/script&gt; [x]\(javascript:alert(1)) # heading |" in text
    assert text.rstrip().endswith("````toml\n```\n# out\n```\n````")


def test_two_suites_make_two_sections(tmp_path: Path) -> None:
    results = whole(tmp_path)
    both = [summarize(results, declaration(title=title)) for title in ("First", "Second")]
    assert [line for line in render_markdown(*both).splitlines() if line.startswith("# ")] == [
        "# First",
        "# Second",
    ]
    assert len(strict(render_json(*both))["suites"]) == 2
