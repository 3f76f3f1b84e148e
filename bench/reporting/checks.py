"""A regression check as a terminal has it, as Markdown, as JUnit XML and as JSON.

Format history of the JSON (`CHECK_FORMAT`):

    1  the first
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from math import inf
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from bench.records import Baseline, CheckResult, CheckRow
from bench.reporting.check_accounts import account, bisected, calibration, noises, recorded, stored
from bench.reporting.check_words import (
    about,
    headline,
    moved,
    named,
    reading,
    table,
    told,
    verdict,
    words,
)

if TYPE_CHECKING:
    from bench.gate import Bisection, Noise

__all__ = [
    "CHECK_FORMAT",
    "account",
    "bisected",
    "bisection_as_json",
    "check_as_json",
    "headline",
    "named",
    "noise_as_json",
    "noises",
    "recorded",
    "recorded_as_json",
    "render_check_json",
    "render_check_markdown",
    "render_junit",
    "table",
]

CHECK_FORMAT = 1
_PROPERTIES = (
    "verdict",
    "ratio",
    "low",
    "high",
    "detectable",
    "margin",
    "alpha",
    "rounds",
    "looks",
    "base_value",
    "head_value",
    "unit",
    "device",
    "base_commit",
    "head_commit",
)
"""Of a row, for every test case."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_check_markdown(result: CheckResult) -> str:
    """Headline, what was compared, table, faults, notes and how to read it."""
    return account(result).markdown()


def check_as_json(result: CheckResult, inconclusive: str = "fail") -> dict[str, Any]:
    """Every field of every row, with the verdict and the exit code of the whole."""
    from bench import gate

    rows = result.rows
    found = noises(result) if rows and rows[0].mode == "calibrate" else None
    said = account(result) if found is None else calibration(result, found)
    noise = {} if found is None else {"noise": [noise_as_json(each) for each in found]}
    return {
        "format_version": CHECK_FORMAT,
        "mode": rows[0].mode if rows else None,
        "verdict": verdict(rows),
        "headline": said.headline,
        "exit_code": gate.exit_code(rows, inconclusive=inconclusive),
        "inconclusive": inconclusive,
        "rows": [_row(row) for row in rows],
        "notes": [*moved(result), *result.notes],
        **noise,
    }


def noise_as_json(noise: Noise) -> dict[str, Any]:
    """Its fields; null where there is no smallest margin."""
    fields = asdict(noise)
    return {name: None if value == inf else value for name, value in fields.items()}


def recorded_as_json(
    result: CheckResult, own: Baseline | None, kept: Sequence[Baseline], where: str
) -> dict[str, Any]:
    """What was stored, and the cases that could not be."""
    from bench import gate

    return {
        "format_version": CHECK_FORMAT,
        "mode": "record",
        "headline": recorded(result, own, kept, where).headline,
        "exit_code": gate.exit_code(result.rows),
        "baseline": where,
        "machines": len({each.fingerprint for each in kept}),
        "commit": own.commit if own else None,
        "stored": [asdict(each) for each in stored(own)] if own else [],
        "rows": [_row(row) for row in result.rows],
        "notes": [*moved(result), *result.notes],
    }


def bisection_as_json(found: Bisection, inconclusive: str = "fail") -> dict[str, Any]:
    """The first slow revision, or its candidates, and every step on the way."""
    return {
        "format_version": CHECK_FORMAT,
        "mode": "bisect",
        "headline": bisected(found).headline,
        "exit_code": found.exit_code(inconclusive),
        "good": found.good.commit,
        "bad": found.bad.commit,
        "first": found.first.commit if found.first else None,
        "candidates": [each.commit for each in found.candidates],
        "steps": [
            {
                "commit": step.revision.commit,
                "exit_code": step.exit_code,
                "found": step.found,
                "rows": [_row(row) for row in step.result.rows] if step.result else [],
            }
            for step in found.steps
        ],
        "ends": check_as_json(found.ends, inconclusive),
    }


def _row(row: CheckRow) -> dict[str, Any]:
    return {**asdict(row), "unit": row.unit}


def render_check_json(result: CheckResult, inconclusive: str = "fail") -> str:
    """`{"format_version": 1, "verdict": …, "rows": […]}`."""
    whole = check_as_json(result, inconclusive)
    return json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def render_junit(result: CheckResult, inconclusive: str = "fail") -> str:
    """A test suite with a test a case, of which there is one at least, as CI services read it.

    What regressed is a failure, as is what is inconclusive, unless that counts as passed: then it
    was skipped.  What could not be compared is an error.
    """
    rows = result.rows
    kinds = [_outcome(row, inconclusive) for row in rows]
    suite = ElementTree.Element("testsuite", name=_xml(f"bench check {rows[0].suite}"))
    suite.set("tests", str(len(rows)))
    for name, counted in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(kinds.count(counted)))
    suite.set("timestamp", _xml(rows[0].started_at))
    for row, kind in zip(rows, kinds, strict=True):
        suite.append(_testcase(row, kind))
    lines = [headline(rows), *about(rows), *moved(result), *result.notes, *reading(rows)]
    ElementTree.SubElement(suite, "system-out").text = _xml("\n".join(lines))
    whole = ElementTree.Element("testsuites")
    whole.append(suite)
    ElementTree.indent(whole)
    text = ElementTree.tostring(whole, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _outcome(row: CheckRow, inconclusive: str) -> str | None:
    """What a test case holds; None for one that passed."""
    if row.verdict == "inconclusive":
        return "failure" if inconclusive == "fail" else "skipped"
    return {"fine": None, "regressed": "failure"}.get(row.verdict, "error")


def _testcase(row: CheckRow, kind: str | None) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_xml(row.suite), name=_xml(named(row)))
    properties = ElementTree.SubElement(case, "properties")
    for field in _PROPERTIES:
        value = getattr(row, field)
        if value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            ElementTree.SubElement(properties, "property", name=field, value=_xml(text))
    if kind is not None:
        found = ElementTree.SubElement(case, kind, message=_xml(told(row)))
        if kind != "skipped":
            found.set("type", words(row))
    ElementTree.SubElement(case, "system-out").text = _xml(told(row))
    return case


def _xml(text: str) -> str:
    """The text without the characters that XML cannot hold, escaped or not."""
    return _NOT_XML.sub("\ufffd", text)
