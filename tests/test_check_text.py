"""A regression check in words: whole texts, from rows made by hand."""

import json
from dataclasses import asdict, replace
from math import inf
from typing import Any
from xml.etree import ElementTree

import pytest
from check_fixture import failed, readings, rows

from bench import gate
from bench.records import Baseline, CheckResult, Fingerprint, Reading
from bench.reporting import checks
from bench.reporting.check_accounts import calibration
from bench.reporting.check_words import told
from bench.reporting.numbers import growth, measured, ratio

SAME = replace(
    rows()[0],
    verdict="fine",
    rounds=8,
    ratio=1.004,
    low=0.9812,
    high=1.0273,
    detectable=0.0641,
    spread=0.0174,
    base_value=4.094,
    head_value=4.11,
    base_commit="1f0e2d3c4b5a",
    head_commit="9a8b7c6d5e4f",
)
SLOWER = replace(
    SAME, subject="mlp_wgan_gp", verdict="regressed", ratio=1.31, low=1.29, high=1.33,
    base_value=16.9, head_value=22.1,
)  # fmt: skip
UNCLEAR = replace(
    SAME, subject="dcgan_wgan", quantity="peak_memory", verdict="inconclusive", rounds=16,
    ratio=1.051, low=0.99, high=1.11, detectable=0.123, base_value=412e6, head_value=1.433e9,
)  # fmt: skip
LOST = failed(replace(SAME, subject="lost"), "missing", error="no objective 'x|<b>y</b>'")
CRASHED = failed(replace(SAME, subject="bad"), side="base", error="Boom: \x1b[31mred\x00 & <tag>")
WHOLE = CheckResult((SAME, SLOWER, UNCLEAR), (), ("a note",))
TROUBLED = CheckResult((SAME, SLOWER, UNCLEAR, LOST, CRASHED), ())


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ((), "No case was checked"),
        (("fine",), "The one case is fine: none grew by more than its margin"),
        (("fine",) * 6, "All 6 cases are fine: none grew by more than its margin"),
        (
            ("fine", "regressed", "fine"),
            "1 of 3 cases regressed: c1 step time (1.004×); 2 are fine",
        ),
        (
            ("inconclusive",) * 5,
            "5 of 5 cases are inconclusive: c0 step time, c1 step time, c2 step time and 2 more",
        ),
        (("inconclusive", "fine"), "1 of 2 cases is inconclusive: c0 step time; 1 is fine"),
        (("not_comparable",), "1 of 1 case is not comparable: c0 step time"),
    ],
)
def test_headline_counts_and_names_what_is_not_fine(verdicts, text):
    found = [replace(SAME, subject=f"c{i}", verdict=each) for i, each in enumerate(verdicts)]
    assert checks.headline(found) == text


def test_headline_leads_with_what_decides_the_exit_code():
    assert checks.headline(TROUBLED.rows) == (
        "1 of 5 cases is missing at head: lost step time; 1 regressed: mlp_wgan_gp step time "
        "(1.310×); 1 crashed at base: bad step time; 1 is inconclusive: dcgan_wgan peak memory; "
        "1 is fine"
    )


def test_markdown_whole():
    assert checks.render_check_markdown(WHOLE) == MARKDOWN


MARKDOWN = r"""### 1 of 3 cases regressed: mlp\_wgan\_gp step time (1.310×); 1 is inconclusive: dcgan\_wgan peak memory; 1 is fine

step\_time: HEAD (9a8b7c6d5) “Fuse the two passes of the critic” against main (1f0e2d3c4)  
On Imaginary CPU @ 3 GHz, 2 cores, Linux x86\_64, Python 3.11.9, torch 2.15.0

| case | quantity | verdict | base | head | head / base | margin | detectable | rounds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
| mlp\_gan | step time | fine | 4.09 ms | 4.11 ms | 1.004× \[0.981, 1.027\] | 5 % | 6.41 % | 8 of 16 |
| mlp\_wgan\_gp | step time | regressed | 16.9 ms | 22.1 ms | 1.310× \[1.290, 1.330\] | 5 % | 6.41 % | 8 of 16 |
| dcgan\_wgan | peak memory | inconclusive | 412 MB | 1.43 GB | 1.051× \[0.990, 1.110\] | 5 % | 12.3 % | 16 of 16 |

- a note

A case has regressed where the whole interval of head / base lies above 1 plus the margin, and is fine where all of it lies below; anything else is inconclusive.

Detectable: a growth of so much is found by 80 % of such checks.

Each verdict alone is wrong with a probability of at most 2.5 %: so often where the true growth of its case is the margin, less often the further it is from that. With 3 cases, at least one is wrong with a probability of at most 7.5 %.

Inconclusive: the rounds differ too much among themselves to tell. A quieter machine, more or longer blocks or more rounds (the suite's \[check\] table) tell more; --calibrate says what this machine can tell.
"""  # noqa: E501, W291 - as it is written


def test_markdown_of_faults_cannot_break_its_table():
    text = checks.render_check_markdown(TROUBLED)
    assert "- lost (step time) missing at head: no objective 'x\\|&lt;b&gt;y&lt;/b&gt;'\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 2 + len(TROUBLED.rows)
    assert "| lost | step time | missing at head | – | – | – | 5 % | – | 0 of 16 |" in table


def test_markdown_of_one_case_speaks_of_no_others():
    text = checks.render_check_markdown(CheckResult((SAME,), ()))
    assert "the margin, less often the further it is from that.\n" in text
    assert "Inconclusive" not in text


def test_baseline_and_calibration_say_what_head_was_held_against():
    stored = replace(SAME, mode="baseline", base="1f0e2d3c4", gpu="Imaginary GPU", driver="1.2")
    text = checks.render_check_markdown(CheckResult((stored,), ()))
    assert "of the critic” against the stored baseline of 1f0e2d3c4  \n" in text
    assert (
        "\nOn Imaginary GPU, 2 cores, Linux x86\\_64, Python 3.11.9, torch 2.15.0, driver 1.2\n"
        in text
    )


def test_rounds_whose_clocks_moved_are_told_once_each():
    result = CheckResult((SAME,), readings(cases={"mlp_gan": 0.0}, moved=(3, 5)))
    assert (
        "- mlp\\_gan: the clocks moved in 2 rounds, measured once more each: "
        "round 3, SM clock 1980 → 1650 MHz; round 5, SM clock 1980 → 1650 MHz\n"
    ) in checks.render_check_markdown(result)


def test_junit_whole():
    assert checks.render_junit(CheckResult((SLOWER,), ())) == JUNIT


JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="bench check step_time" tests="1" failures="1" errors="0" skipped="0" timestamp="2026-03-01T10:00:00+00:00">
    <testcase classname="step_time" name="mlp_wgan_gp step time">
      <properties>
        <property name="verdict" value="regressed" />
        <property name="ratio" value="1.31" />
        <property name="low" value="1.29" />
        <property name="high" value="1.33" />
        <property name="detectable" value="0.0641" />
        <property name="margin" value="0.05" />
        <property name="alpha" value="0.025" />
        <property name="rounds" value="8" />
        <property name="looks" value="8, 16" />
        <property name="base_value" value="16.9" />
        <property name="head_value" value="22.1" />
        <property name="unit" value="ms" />
        <property name="device" value="cpu" />
        <property name="base_commit" value="1f0e2d3c4b5a" />
        <property name="head_commit" value="9a8b7c6d5e4f" />
      </properties>
      <failure message="mlp_wgan_gp step time: regressed; head / base is 1.310× [1.290, 1.330], 16.9 ms → 22.1 ms; margin 5 %, detectable 6.41 %, 8 of 16 rounds, α = 2.5 %" type="regressed" />
      <system-out>mlp_wgan_gp step time: regressed; head / base is 1.310× [1.290, 1.330], 16.9 ms → 22.1 ms; margin 5 %, detectable 6.41 %, 8 of 16 rounds, α = 2.5 %</system-out>
    </testcase>
    <system-out>1 of 1 case regressed: mlp_wgan_gp step time (1.310×)
step_time: HEAD (9a8b7c6d5) “Fuse the two passes of the critic” against main (1f0e2d3c4)
On Imaginary CPU @ 3 GHz, 2 cores, Linux x86_64, Python 3.11.9, torch 2.15.0
A case has regressed where the whole interval of head / base lies above 1 plus the margin, and is fine where all of it lies below; anything else is inconclusive.
Detectable: a growth of so much is found by 80 % of such checks.
Each verdict alone is wrong with a probability of at most 2.5 %: so often where the true growth of its case is the margin, less often the further it is from that.</system-out>
  </testsuite>
</testsuites>
"""  # noqa: E501 - as it is written


def outcomes(text: str) -> list[list[str]]:
    """What each test case holds beside its properties and its output."""
    cases = ElementTree.fromstring(text).iter("testcase")
    return [[e.tag for e in case if e.tag not in {"properties", "system-out"}] for case in cases]


@pytest.mark.parametrize(("inconclusive", "kind"), [("fail", "failure"), ("pass", "skipped")])
def test_junit_has_an_outcome_for_every_verdict(inconclusive, kind):
    text = checks.render_junit(TROUBLED, inconclusive)
    assert outcomes(text) == [[], ["failure"], [kind], ["error"], ["error"]]
    suite = ElementTree.fromstring(text)[0]
    failures = 2 if kind == "failure" else 1
    counted = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counted == ["5", str(failures), "2", str(2 - failures)]


def test_junit_holds_what_xml_cannot():
    [crashed] = ElementTree.fromstring(checks.render_junit(TROUBLED)).findall(".//error")[1:]
    assert crashed.get("message") == (
        "bad step time: crashed at base: Boom: \ufffd[31mred\ufffd & <tag>"
    )


def test_json_has_every_field_of_every_row():
    found = json.loads(checks.render_check_json(TROUBLED))
    assert {key: value for key, value in found.items() if key != "rows"} == {
        "format_version": 1,
        "mode": "against",
        "verdict": "missing",
        "headline": checks.headline(TROUBLED.rows),
        "exit_code": 3,
        "inconclusive": "fail",
        "notes": [],
    }
    units = ["ms", "ms", "bytes", "ms", "ms"]
    whole = [{**asdict(r), "unit": u} for r, u in zip(TROUBLED.rows, units, strict=True)]
    assert found["rows"] == json.loads(json.dumps(whole))


@pytest.mark.parametrize(
    ("verdicts", "inconclusive", "code", "verdict"),
    [
        (("fine", "inconclusive"), "fail", 5, "inconclusive"),
        (("fine", "inconclusive"), "pass", 0, "inconclusive"),
        (("not_comparable", "inconclusive"), "fail", 4, "not_comparable"),
        (("regressed", "not_comparable"), "pass", 1, "regressed"),
    ],
)
def test_json_has_the_exit_code(verdicts, inconclusive, code, verdict):
    result = CheckResult(tuple(replace(SAME, verdict=each) for each in verdicts), ())
    found = json.loads(checks.render_check_json(result, inconclusive))
    assert (found["exit_code"], found["verdict"]) == (code, verdict)


def test_calibration_never_fails_for_what_it_finds():
    noisy = replace(UNCLEAR, mode="calibrate")
    assert gate.exit_code([noisy, replace(noisy, verdict="regressed")]) == 0
    assert gate.exit_code([noisy, replace(CRASHED, mode="calibrate", side="head")]) == 3


MACHINE = Fingerprint(
    "Imaginary CPU", 2, "Linux x86_64", "3.11.9", "2.15.0", None, None, None, None, None,
    "governor performance",
)  # fmt: skip


def stored(found: tuple[Reading, ...], machine: Fingerprint = MACHINE) -> Baseline:
    specs = {each.subject: "ab" * 8 for each in found}
    return Baseline("step_time", "9a8b7c6d5e4f", "2026-03-01", machine, 1, specs, found)


def test_recorded_baseline_is_told_with_what_the_file_holds():
    found = readings(mode="record", rounds=8, spread=0, cases={"mlp_gan": 0.0})
    whole = CheckResult((LOST,), found)
    other = stored(found, replace(MACHINE, cores=64))
    said = checks.recorded(whole, stored(found), [stored(found), other], "main.parquet")
    assert said.headline == (
        "1 variant of 9a8b7c6d5 stored for this machine; main.parquet now holds 2 machines"
    )
    assert said.about == [
        "step_time: on Imaginary CPU, 2 cores, Linux x86_64, Python 3.11.9, torch 2.15.0, "
        "governor performance"
    ]
    assert [row[:2] + row[3:] for row in said.rows] == [
        ["mlp_gan", "step time", "8"],
        ["mlp_gan", "peak memory", "8"],
    ]
    assert said.points == ["lost (step time) missing at head: no objective 'x|<b>y</b>'"]


def test_nothing_recorded_says_so():
    said = checks.recorded(CheckResult((LOST,), ()), None, [], "main.parquet")
    assert said.headline == (
        "Nothing was stored: no case could be timed; main.parquet now holds 0 machines"
    )
    found: dict[str, Any] = checks.recorded_as_json(CheckResult((LOST,), ()), None, [], "m.parquet")
    assert (found["exit_code"], found["stored"], found["machines"]) == (3, [], 0)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (4.094, "ms", "4.09 ms"),
        (0.5, "s", "0.500 s"),
        (412e6, "bytes", "412 MB"),
        (None, "ms", "–"),
        (None, "s", "–"),
        (None, "bytes", "–"),
    ],
)
def test_quantities_have_units(value, unit, text):
    assert measured(value, unit) == text


def test_ratios_are_told_in_thousandths_about_one():
    assert ratio(0.99961, 0.9, 1.2004) == "1.000× [0.900, 1.200]"
    assert [ratio(value) for value in (None, 0.01234, 9.99, 23.456)] == [
        "–", "0.0123×", "9.990×", "23.5×",
    ]  # fmt: skip
    assert [growth(value) for value in (None, 0.0591, 1.5)] == ["–", "5.91 %", "150 %"]


def test_row_with_an_error_says_it_whatever_else_it_has():
    row = replace(SAME, verdict="not_comparable", side="base", error="recorded eager")
    assert told(row) == "mlp_gan step time: not comparable: recorded eager"


def test_row_that_is_fine_is_a_sentence():
    assert told(SAME) == (
        "mlp_gan step time: fine; head / base is 1.004× [0.981, 1.027], 4.09 ms → 4.11 ms; "
        "margin 5 %, detectable 6.41 %, 8 of 16 rounds, α = 2.5 %"
    )


CALM = gate.Noise(
    subject="mlp_gan", quantity="step_time", margin=0.05, rounds=32, spread=0.019,
    offset=0.001, offset_low=-0.002, offset_high=0.004, alarm_rate=0.0212, alarm_low=0.011,
    alarm_high=0.034, smallest_margin=0.0139, smallest_low=0.0103, smallest_high=0.0175,
    checks=20_000,
)  # fmt: skip
RESTLESS = replace(
    CALM, subject="dcgan_wgan", quantity="peak_memory", offset=-0.03, offset_low=-0.04,
    offset_high=-0.02, smallest_margin=0.062, smallest_high=inf,
)  # fmt: skip


def test_calibration_whole():
    result = CheckResult(tuple(replace(row, mode="calibrate") for row in (SAME, UNCLEAR)), ())
    assert calibration(result, [CALM, RESTLESS]).markdown() == CALIBRATION


CALIBRATION = r"""### 1 of 2 cases can be held to the margin on this machine

step\_time: HEAD (9a8b7c6d5) “Fuse the two passes of the critic” against itself  
On Imaginary CPU @ 3 GHz, 2 cores, Linux x86\_64, Python 3.11.9, torch 2.15.0

| case | quantity | spread | margin | false alarms at the margin | smallest margin | rounds |
| --- | --- | --- | --- | --- | --- | --- |
| mlp\_gan | step time | 1.90 % | 5 % | 2.1 % \[1.1, 3.4\] | 1.39 % \[1.03, 1.75\] | 32 |
| dcgan\_wgan | peak memory | 1.90 % | 5 % | 2.1 % \[1.1, 3.4\] | 6.20 % \[1.03, –\] | 32 |

- dcgan\_wgan peak memory: head differs from base by −2.96 % \[−3.92, −1.98\], though its code is the same

Spread: the standard deviation of a round's head / base, of a revision against itself.

False alarms at the margin: how often a check would find regressed what grew by just the margin, with its 95 % interval; the plan allows for 2.5 %.

Smallest margin: the one at which a revision that changes nothing is found fine by 80 % of checks of up to 16 rounds, with its 95 % interval. A case held to less than that will often be inconclusive.
"""  # noqa: E501, W291 - as it is written


def test_calibration_without_a_smallest_margin_is_strict_json():
    rounds = readings(cases={"mlp_gan": 0.0}, guarded=("step_time",))
    row = replace(rows(rounds, guarded=("step_time",))[0], mode="calibrate")
    found = json.loads(checks.render_check_json(CheckResult((row,), rounds)))
    assert found["noise"][0]["subject"] == "mlp_gan"
    assert found["headline"] == "1 of 1 case can be held to the margin on this machine"
    assert checks.noise_as_json(replace(CALM, smallest_margin=inf))["smallest_margin"] is None
