"""Checks in a suite's report, their history and the plot of a calibration."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from check_fixture import PLAN, check, failed, readings, rows
from report_fixture import result, spec, written
from test_report_page import HOSTILE, Page

from bench import api, gate, store
from bench.cli import main
from bench.errors import RequestError, StoreError
from bench.records import CheckResult
from bench.reporting import calibration_figures, checked, history, history_figures

GPU = {"gpu": "Imaginary GPU", "gpu_count": 1, "driver": "550.1", "device": "cuda:0"}


def kept(root: Path, *results: CheckResult) -> Path:
    """The folder of a suite that has these checks and no runs."""
    for each in results:
        store.append_check(root, "step_time", each)
    return root / "step_time"


def at(day: int, **changes: Any) -> CheckResult:
    """A check of the commit of that day, on the day after."""
    told: dict[str, Any] = {
        "check_id": f"check{day}",
        "head_commit": f"{day:07x}" + "0" * 33,
        "head_committed_at": f"2026-03-{day:02}T09:00:00+00:00",
        "started_at": f"2026-03-{day + 1:02}T10:00:00+00:00",
    }
    return check(**told | changes)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first check that crashed, ten good ones, a last one whose clocks moved; a calibration."""
    first = at(1)
    crashed = failed(first.rows[0], error=HOSTILE)
    latest = at(12, head_subject=HOSTILE, moved=(3,))
    return kept(
        tmp_path_factory.mktemp("results"),
        replace(first, rows=(crashed, *first.rows[1:])),
        *(at(day) for day in range(2, 12)),
        replace(latest, notes=(HOSTILE,)),
        check("calibrate", rounds=24, check_id="trial", cases={"mlp_gan": 0.0}),
    )


@pytest.fixture(scope="module")
def page(suite: Path) -> str:
    path = api.report(suite, reports=suite.parent / "reports")
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def course(suite: Path) -> str:
    path = api.report(suite, reports=suite.parent / "reports", history=True)
    assert Path(path).name == "step_time-history.html"
    return Path(path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["page", "course"])
def test_pages_are_whole_offline_and_escaped(name: str, request: pytest.FixtureRequest) -> None:
    text = request.getfixturevalue(name)
    found = Page(text)
    assert len(found.ids) == len(set(found.ids))
    assert [s for s in found.sources if not s.startswith(("#", "data:"))] == []
    assert found.scripts == 1
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(&#39;title&#39;)" in text


def test_suite_that_was_only_checked_has_a_page(page: str) -> None:
    assert "<title>step_time</title>" in page
    assert page.count("Regression checks</h2>") == 1
    assert "1 of 6 cases regressed: mlp_wgan_gp step time (1.305×)" in page
    assert page.count('<td class="judged regressed">regressed</td>') == 1
    assert page.count('<td class="judged inconclusive">inconclusive</td>') == 1


def test_latest_check_is_drawn_round_by_round(page: str) -> None:
    assert page.count("round by round</h3>") == 2
    titles = re.findall(r"<title>(round \d+: [^<]*)</title>", page)
    drawn = [title for title in titles if "timed first" in title]
    # five cases end at the first look, one at the last; round 3 is there twice
    assert len(drawn) == 5 * 9 + 17
    assert sum("repeated, and not counted" in title for title in drawn) == 6
    assert "a cross one that was repeated" in page


def test_earlier_checks_are_told_in_short(page: str) -> None:
    past = re.findall(r"<li><small>(2026-[^<]*)</small> ([^<]*)</li>", page)
    assert [day for day, _ in past] == [f"2026-03-{day:02} 10:00" for day in range(12, 4, -1)]
    assert past[0][1].startswith("HEAD (000000b00) “Fuse the two passes of the critic” against")
    assert "And 3 checks before these." in page


def test_calibration_is_drawn_with_what_a_check_would_find(page: str) -> None:
    assert "Calibration of 2026-03-01 10:00" in page
    assert page.count('aria-label="mlp_gan step time: probability of each verdict') == 1
    assert page.count("Rounds, the same code twice") == 2


def test_markdown_and_json_tell_the_same(suite: Path) -> None:
    text = api.report(suite, format="md")
    assert isinstance(text, str)
    assert "## Regression checks\n\n### 1 of 6 cases regressed" in text
    assert "| mlp\\_wgan\\_gp | step time | regressed |" in text
    assert "And 3 checks before these." in text
    (found,) = json.loads(str(api.report(suite, format="json")))["suites"]
    assert found["declaration"] == {"name": "step_time"}
    assert found["verdict"].startswith("1 of 6 cases regressed")
    cases = found["checks"]["cases"]
    assert [case["row"]["verdict"] for case in cases].count("regressed") == 1
    assert [len(case["dots"]) for case in cases] == [9, 9, 9, 9, 17, 9]


def test_runs_and_checks_share_a_page(tmp_path: Path) -> None:
    runs = written(tmp_path, [result("gan", 0, samples=False)])
    told = {"name": "mnist_compare", "title": "Both", "variants": ["gan"], "seeds": [0]}
    primary = {"metric": "fid", "at": "final", "margin": 0.1}
    declared = {**told, "primary": primary, "run_ids": [spec("gan", 0).run_id]}
    store.keep_suite(tmp_path, "mnist_compare", "", declared)
    store.append_check(tmp_path, "mnist_compare", check())
    path = api.report(runs, kept(tmp_path, check()), reports=tmp_path / "reports")
    assert Path(path).name == "mnist_compare+step_time.html"
    text = Path(path).read_text(encoding="utf-8")
    ids = Page(text).ids
    assert len(ids) == len(set(ids))
    assert {"s0-table", "s0-checks", "g0-checks"} <= set(ids)
    assert '<a href="#s0-checks">Regression checks</a>' in text


def test_dots_are_the_rounds_that_the_verdict_was_read_off() -> None:
    found = readings(moved=(2,), rounds=16)
    row = replace(rows(found)[0], rounds=8)
    (case,) = checked.cases(CheckResult((row,), found))
    counted = np.log([dot.ratio for dot in case.dots if dot.counts])
    assert counted == pytest.approx(gate.log_ratios(found, row.subject, "step_time")[:8])
    (gone,) = [dot for dot in case.dots if not dot.counts]
    assert (gone.round, gone.moved) == (2, "SM clock 1980 → 1650 MHz")


def test_dots_against_a_baseline_have_its_ratio_as_their_mean() -> None:
    found = check("baseline")
    for case in checked.cases(found):
        mean = np.exp(np.mean(np.log([dot.ratio for dot in case.dots])))
        assert mean == pytest.approx(case.row.ratio)
        assert len(case.dots) == case.row.rounds


def test_history_is_in_the_order_of_commits_in_any_time_zone() -> None:
    early = at(3, head_committed_at="2026-03-03T01:00:00+14:00", check_id="c")
    later = at(2, head_committed_at="2026-03-02T23:00:00-05:00", check_id="b")
    found = history.history("step_time", [*later.rows, *early.rows])
    assert [head.short for head in found.machines[0].revisions] == ["0000003", "0000002"]


def test_two_machines_are_never_joined() -> None:
    whole = [*at(1).rows, *at(2, **GPU).rows, *at(3).rows]
    found = history.history("step_time", whole)
    assert [machine.name for machine in found.machines] == [
        "Imaginary CPU @ 3 GHz",
        "Imaginary GPU",
    ]
    assert [len(machine.revisions) for machine in found.machines] == [2, 1]
    assert {len(line.rows) for line in found.machines[0].lines} == {2}


def test_checks_of_one_revision_stand_side_by_side() -> None:
    twice = [*at(1).rows, *at(2, check_id="a").rows, *at(2, check_id="b").rows]
    (machine,) = history.history("step_time", twice).machines
    found = history_figures.places(machine.lines[0], machine.revisions)
    assert [place.x for place in found] == pytest.approx([0, 1 - 0.15, 1 + 0.15])


def test_calibrations_and_records_are_no_history(tmp_path: Path) -> None:
    folder = kept(tmp_path, check("calibrate"), check("record", check_id="r"))
    with pytest.raises(StoreError, match=r"no check of a revision .* --against REV` makes one"):
        api.report(folder, history=True)
    with pytest.raises(RequestError, match="expected one suite, found 2"):
        api.report(folder, folder, history=True)


def test_every_point_of_the_history_says_who_it_is(course: str) -> None:
    titles = re.findall(r'<circle class="spot"[^>]*><title>([^<]*)</title>', course)
    assert len(titles) == 12 * 6
    assert "crashed at head" in titles[0]
    assert titles[1].splitlines() == [
        "0000002, 2026-03-02 09:00 Fuse the two passes of the critic",
        titles[1].splitlines()[1],
        "against main (1f0e2d3), checked 2026-03-03 10:00",
    ]


def test_history_as_text(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["report", "step_time", "--results", str(suite.parent), "--history", "--format"]
    assert main([*command, "md"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# step\\_time: its checks across revisions\n")
    assert text.count("\n### ") == 2
    assert text.count(" main (1f0e2d3) |") == 12 * 6
    assert main([*command, "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [len(line["rows"]) for line in found["machines"][0]["lines"]] == [12] * 6


def test_power_at_the_margin_is_the_error_and_at_the_detectable_effect_the_power() -> None:
    beyond = np.array([0.0, PLAN.detectable]) * 0.03
    found = calibration_figures.probability(PLAN, beyond, 0.03)
    assert found == pytest.approx([PLAN.alpha, 0.8], abs=0.01)
    assert calibration_figures.probability(PLAN, beyond, 0.0) == pytest.approx([0, 1])


def test_calibration_is_a_file_of_its_own() -> None:
    found = check("calibrate", cases={"mlp_gan": 0.0})
    text = calibration_figures.calibration_svg(found)
    root = ElementTree.fromstring(text)
    parts = root.findall("{http://www.w3.org/2000/svg}svg")
    assert len(parts) == 2 * len(found.rows)
    inside = re.findall(r'(?:href="|url\()(#?)', text)
    assert set(inside) <= {"#"}
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_pages_never_scroll_sideways(page: str, course: str, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = started.chromium.launch(executable_path=chromium, args=flags)
        for place, text in enumerate((page, course)):
            path = tmp_path / f"{place}.html"
            path.write_text(text, encoding="utf-8")
            for scheme in ("light", "dark"):
                narrow = {"width": 390, "height": 800}
                tab = browser.new_page(viewport=narrow, color_scheme=scheme)
                faults: list[str] = []
                tab.on("console", lambda message, faults=faults: faults.append(message.text))
                tab.goto(path.as_uri())
                assert (tab.evaluate(overflow), faults) == (0, [])
        browser.close()
