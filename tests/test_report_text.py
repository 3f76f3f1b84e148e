from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from report_fixture import declaration, outlines, result, troubled, whole, written

from bench.reporting.base import Summary
from bench.reporting.numbers import NONE, duration, effect, interval, number
from bench.reporting.page import render_html
from bench.reporting.summary import summarize
from bench.reporting.text import render_json, render_markdown
from bench.stats import Contrast, Interval
from bench.store import Results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return troubled(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def summary(results: Results) -> Summary:
    return summarize(results, declaration())


def strict(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def plain(markdown: str) -> str:
    """Markdown's text as a reader sees it."""
    return unescape(re.sub(r"\\(.)", r"\1", markdown))


def table(markdown: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, its header first."""
    rows = plain(markdown.split(f"{heading}\n\n")[1].split("\n\n", maxsplit=1)[0]).splitlines()
    return [
        row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows if "---" not in row
    ]


def cells_of_json(suite: dict[str, Any]) -> list[list[str]]:
    """Metric, variant, median, interval, every seed and floor: a row a cell, as text has them."""
    return [
        [
            line["label"],
            cell["variant"],
            number((found := cell["description"])["median"]),
            interval(Interval(**found["interval"]) if found["interval"] else None),
            ", ".join(number(value) for _, value in cell["values"]) or NONE,
            number(line["floor"]),
        ]
        for line in suite["lines"]
        for cell in line["cells"]
    ]


def cells_of_html(page: str) -> list[list[str]]:
    """The same, read from the page's comparison table."""
    [comparison] = re.findall(r'<table class="comparison">(.*?)</table>', page, flags=re.DOTALL)
    rows = []
    for body in comparison.split("<tbody")[1:]:
        [(label, floor)] = re.findall(
            r'colspan="4">(.+?) <span.*?· real data (.+?)</small>', body, flags=re.DOTALL
        )
        for row in body.split('<tr><th scope="row"')[1:]:
            [(variant, middle, band)] = re.findall(
                r'</svg>(\w+)</th><td class="n">(.+?)</td><td class="n">(.+?)</td>', row
            )
            [seeds] = re.findall(rf'aria-label="{variant}: (.+?)"', row) or [NONE]
            rows.append([label, variant, middle, band, seeds, floor])
    return rows


def test_the_three_formats_have_the_same_comparison(summary: Summary, results: Results) -> None:
    [suite] = strict(render_json(summary))["suites"]
    expected = cells_of_json(suite)
    assert len(expected) == 18
    with outlines():
        assert cells_of_html(render_html(summary, results)) == expected
    header, *rows = table(render_markdown(summary), "## Comparison")
    assert header[-2:] == ["Seeds", "Real data"]
    assert [[row[0][:-2], *row[1:]] for row in rows] == expected


def test_the_three_formats_have_the_same_primary_contrasts(
    summary: Summary, results: Results
) -> None:
    [suite] = strict(render_json(summary))["suites"]
    found = [Contrast(**each) for each in suite["readings"][0]["contrasts"]]
    assert len(found) == 3
    assert {None} & {
        value for each in found for value in (each.effect, each.low, each.high)
    } == set()
    with outlines():
        page = render_html(summary, results)
    drawn = re.findall(r'class="forest"[^>]* aria-label="([^"]+)"', page)
    assert drawn == [f"{each.a} against {each.b}: {effect(each)}" for each in found]
    said = r"final FID \(digits\) (\S+× \[[^\]]+\]), "
    assert re.findall(said, re.sub(r"<[^>]+>", "", page)) == [effect(each) for each in found]
    assert re.findall(said, plain(render_markdown(summary))) == [effect(each) for each in found]


def test_markdown_and_json_give_the_same_costs(summary: Summary) -> None:
    [suite] = strict(render_json(summary))["suites"]
    rows = {row[0]: row for row in table(render_markdown(summary), "## Cost and speed")}
    for row in suite["costs"]:
        assert rows[row["variant"]][1] == f"{number(row['step_ms'])} ms"
        assert rows[row["variant"]][3] == duration(row["cost"])


def test_markdown_and_json_give_the_same_verdict(summary: Summary) -> None:
    [suite] = strict(render_json(summary))["suites"]
    text = plain(render_markdown(summary))
    assert suite["headline"] == summary.headline
    for sentence in suite["verdict"].split("\n"):
        assert sentence in text


def test_json_says_what_a_script_needs(summary: Summary) -> None:
    whole_file = strict(render_json(summary))
    assert whole_file["format_version"] == 5
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
        r"| FID (digits) ↓ | gan | 100 | \[27.8, 356\] | 90, 110 | 0.530 |",
    ]


def test_markdown_has_the_shares_of_each_class(summary: Summary) -> None:
    [shares] = summary.shares
    heading = f"### {shares.label} of each class, medians over seeds"
    header, *rows = table(render_markdown(summary), heading)
    assert header == ["Class", "gan", "wgan", "wgan_gp", "Real data"]
    assert [row[0] for row in rows] == [str(index) for index in range(10)]
    third = sorted(parts[3] for _, parts in shares.values["wgan"])
    assert rows[3][2] == number(third[2])
    assert {row[-1] for row in rows} == {"0.100"}


def test_markdown_has_the_recipes(summary: Summary) -> None:
    header, *rows = table(render_markdown(summary), "## Recipes")
    assert header == ["", "gan", "wgan", "wgan_gp"]
    found = {row[0]: row[1:] for row in rows}
    for heading, text in summary.recipes[1].parts.items():
        assert found[heading][1] == text
    assert found["Runs"] == [
        "3 completed, 1 diverged, 1 missing",
        "5 completed",
        "4 completed, 1 failed",
    ]


def test_changed_primary_is_said_loudly_in_every_format(results: Results) -> None:
    changed = summarize(results, declaration(changed_from="modes at the best evaluation"))
    said = "was changed after runs had finished: it was modes at the best evaluation."
    [suite] = strict(render_json(changed))["suites"]
    assert suite["warnings"] == [f"The primary {said}"]
    assert suite["declaration"]["changed_from"] == "modes at the best evaluation"
    assert f"> **Warning:** The primary {said}" in render_markdown(changed)
    with outlines():
        page = render_html(changed, results)
    assert f'<p class="warning" role="note">The primary {said}</p>' in page
    assert "Declared before the runs" not in page


def test_hostile_text_cannot_break_markdown(tmp_path: Path) -> None:
    error = "| <script>alert(1)</script> [x](javascript:alert(1))\n# heading"
    lost = result("gan", 0, status="failed", error=error, samples=False)
    hostile = declaration(("gan",), seeds=(0,), title="*a* <b>", text="```\n# out\n```")
    text = render_markdown(summarize(written(tmp_path, [lost]), hostile))
    assert r"\*a\* &lt;b&gt;" in text
    link = r"\[x\](javascript:alert(1)) # heading |"
    assert rf"\| &lt;script&gt;alert(1)&lt;/script&gt; {link}" in text
    assert text.rstrip().endswith("````toml\n```\n# out\n```\n````")


def test_names_and_errors_cannot_format_markdown(tmp_path: Path) -> None:
    error = r"`rm` __all__ ![x](y) ~~no~~ $a$ \_"
    lost = result("_gan_", 0, status="failed", error=error, samples=False)
    text = render_markdown(
        summarize(written(tmp_path, [lost]), declaration(("_gan_",), seeds=(0,)))
    )
    assert r"| \_gan\_ | 0 | failed |" in text
    assert r"\`rm\` \_\_all\_\_ \!\[x\](y) \~\~no\~\~ \$a\$ \\\_ |" in text
    assert error in plain(text)


def test_two_suites_make_two_sections(tmp_path: Path) -> None:
    results = whole(tmp_path)
    both = [summarize(results, declaration(title=title)) for title in ("First", "Second")]
    assert [line for line in render_markdown(*both).splitlines() if line.startswith("# ")] == [
        "# First",
        "# Second",
    ]
    assert len(strict(render_json(*both))["suites"]) == 2
