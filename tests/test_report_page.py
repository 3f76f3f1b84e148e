from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_fixture import SEEDS, declaration, outlines, result, spec, troubled, whole, written

from bench.errors import NotComparable
from bench.records import RunResult
from bench.reporting.numbers import number
from bench.reporting.page import render_html, render_side_by_side
from bench.reporting.palette import COLORS, DARK, LIGHT
from bench.reporting.summary import Declaration, summarize
from bench.store import Results

HOSTILE = "<script>alert('title')</script>"
VOID = {"meta", "link", "img", "input", "br"}


class Page(HTMLParser):
    """Checks that tags nest, and collects ids, links and the content of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.scripts = 0
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"] or "")
        self.sources += [found[key] or "" for key in ("src", "href", "xlink:href") if key in found]
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return troubled(tmp_path_factory.mktemp("results"), samples=True)


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    declared = declaration(title=HOSTILE, text=f"title = '''{HOSTILE}'''")
    return render_html(summarize(results, declared), results)


def rendered(results: Results, declared: Declaration) -> str:
    text = render_html(summarize(results, declared), results)
    Page(text)
    return text


def test_page_is_well_formed_with_unique_ids(page: str) -> None:
    ids = Page(page).ids
    assert len(ids) == len(set(ids))


def test_page_needs_nothing_from_outside(page: str) -> None:
    outside = [s for s in Page(page).sources if not s.startswith(("#", "data:"))]
    assert outside == []
    assert "url(http" not in page
    assert "@import" not in page


def test_text_of_users_is_escaped(page: str) -> None:
    assert Page(page).scripts == 1
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(&#39;title&#39;)&lt;/script&gt;") >= 3
    assert "&lt;script&gt;alert(&#39;error&#39;)&lt;/script&gt; worker died: signal 9" in page


def test_page_shows_the_numbers_of_the_summary(page: str, results: Results) -> None:
    summary = summarize(results, declaration())
    for line in summary.lines:
        for cell in line.cells:
            assert f'<td class="n">{number(cell.description.median)}</td>' in page
    assert "reached the lowest final FID (digits): a median of " in page
    assert "<td>diverged</td>" in page


def test_page_of_fifteen_runs_stays_small(page: str) -> None:
    assert len(page.encode()) < 6_000_000


def test_what_stands_behind_a_pair_is_smaller_and_not_lost(page: str, results: Results) -> None:
    reading = summarize(results, declaration()).readings[0]
    plain = unescape(re.sub(r"<svg.*?</svg>|</?b\b[^>]*>", "", page))
    for pair, detail in zip(reading.pairs, reading.details, strict=True):
        assert f'<div><p>{pair}</p><p class="how">{detail}</p></div>' in plain


def test_curves_are_drawn_along_every_axis(page: str) -> None:
    for axis in ("generator_step", "images", "cost"):
        drawn = re.findall(rf'<div class="panels" data-axis="{axis}">(.*?)</div>', page)
        assert [panels.count("<svg") for panels in drawn] == [3, 3, 3, 3, 3, 4]


def test_without_a_step_time_there_is_no_cost_to_choose(tmp_path: Path) -> None:
    found = written(tmp_path, [result("gan", 0, samples=False)])
    untimed = replace(found, runs=found.runs.assign(solo_step_ms=None))
    with outlines():
        text = rendered(untimed, declaration(("gan",), seeds=(0,)))
    assert re.findall(r'type="radio" name="s0-axis" value="(\w+)"', text) == [
        "generator_step",
        "images",
    ]


def test_rendering_twice_gives_the_same_page(tmp_path: Path) -> None:
    found = written(tmp_path, [result("gan", seed, samples=False) for seed in (0, 1)])
    declared = declaration(("gan",), seeds=(0, 1))
    assert rendered(found, declared) == rendered(found, declared)


def test_one_lost_run_still_makes_a_page(tmp_path: Path) -> None:
    lost = RunResult.without_rows("mnist_compare", spec("gan", 0), "lost", "killed")
    text = rendered(written(tmp_path, [lost]), declaration(("gan",), seeds=(0,)))
    assert "No verdict: no run was evaluated by FID." in text
    assert "killed" in text


def test_no_runs_at_all_still_make_a_page(tmp_path: Path) -> None:
    assert "No verdict: there are no runs yet." in rendered(written(tmp_path, []), declaration())


def test_diverged_runs_alone_still_make_a_page(tmp_path: Path) -> None:
    runs = [result(name, s, status="diverged") for name in ("gan", "wgan") for s in SEEDS[:2]]
    text = rendered(written(tmp_path, runs), declaration(("gan", "wgan"), seeds=(0, 1)))
    assert "No verdict: no completed run has a value of FID (digits)." in text
    assert "<small>all diverged</small>" in text


def test_dollars_and_ampersands_in_a_name_stay_what_they_are(tmp_path: Path) -> None:
    found = written(tmp_path, [result("gan", 0, samples=False)])
    named = replace(found, runs=found.runs.assign(variant="a$b$ & <i>"))
    text = rendered(named, declaration(("a$b$ & <i>",), seeds=(0,)))
    assert "a$b$ &amp; &lt;i&gt;" in text
    assert "<i>" not in text


def test_two_suites_share_one_page(tmp_path: Path) -> None:
    found = whole(tmp_path, gan="gan")
    both = [
        (summarize(found, declaration(("gan",), name=name, title=name)), found)
        for name in ("first", "second")
    ]
    with outlines():  # whose ids are the keys of what is drawn
        text = render_side_by_side(both)
    ids = Page(text).ids
    assert len(ids) == len(set(ids))
    assert "2 suites side by side" in text
    other = summarize(found, declaration(("gan",), metric="modes"))
    with pytest.raises(NotComparable, match="primary metrics"):
        render_side_by_side([*both, (other, found)])


def luminance(color: str) -> float:
    """WCAG 2's relative luminance."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", [LIGHT, DARK])
@pytest.mark.parametrize("color", COLORS)
def test_every_variant_stands_out_on_both_grounds(color: str, ground: str) -> None:
    a, b = sorted((luminance(color), luminance(ground)))
    assert (b + 0.05) / (a + 0.05) >= 3


def test_a_variant_has_one_colour_everywhere(page: str) -> None:
    drawn = {c.lower() for c in re.findall(r"(?:fill|stroke)[=:]\s?\"?(#[0-9a-fA-F]{6})\b", page)}
    assert drawn <= set(COLORS[:3])


def test_variants_of_two_suites_never_share_a_colour(tmp_path: Path) -> None:
    first = written(tmp_path / "a", [result("gan", 0, samples=False)])
    second = written(tmp_path / "b", [result("wgan", 0, samples=False)])
    pages = [
        (summarize(found, declaration((name,), name=name, seeds=(0,))), found)
        for name, found in (("gan", first), ("wgan", second))
    ]
    with outlines():
        text = render_side_by_side(pages)
    marks = re.findall(r'aria-hidden="true" fill="(#\w+)">(?:(?!</svg>).)*</svg>(w?gan)<', text)
    assert {(name, hue) for hue, name in marks} == {("gan", COLORS[0]), ("wgan", COLORS[1])}
