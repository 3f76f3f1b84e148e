"""README promises what the tree holds: its numbers, its commands, its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bench
from bench import store
from bench.api import declaration
from bench.reporting.summary import summarize

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = ROOT / "results" / "reference" / "mnist_compare"
BLOCKS = dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end -->", README, re.DOTALL))
"""What is quoted of each reference run, by its suite."""


def quoted(block: str) -> list[str]:
    return [line for line in block.splitlines() if line.strip() and set(line) - set("|- ")]


@pytest.mark.parametrize("suite", BLOCKS)
def test_every_number_quoted_is_of_the_reference_run(suite):
    rendered = bench.report(ROOT / "results" / "reference" / suite, format="md").splitlines()
    lines = quoted(BLOCKS[suite])
    assert lines
    for line in lines:
        assert line in rendered


@pytest.mark.parametrize("suite", ["ladder", "claims_quick", "mnist_tuned"])
def test_reference_runs_are_whole_and_of_the_shipped_claims(suite):
    results = store.load_results(ROOT / "results" / "reference" / suite)
    assert results.suite_text == (ROOT / "suites" / f"{suite}.toml").read_text("utf-8")
    assert set(results.runs["status"]) <= {"completed", "diverged"}
    assert {*results.declaration["run_ids"]} <= {*results.runs["run_id"]}
    assert not any(claim["declared_after"] for claim in results.declaration.get("claims", ()))


def test_reference_run_is_the_shipped_suite_as_it_stands():
    results = store.load_results(REFERENCE)
    assert results.suite_text == (ROOT / "suites" / "mnist_compare.toml").read_text("utf-8")
    assert set(results.runs["status"]) == {"completed"}
    assert len(results.runs) == 15


def test_files_that_readme_links_to_exist():
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_ci_runs_readmes_test_command():
    commands = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    script = (ROOT / ".ci" / "run").read_text("utf-8").replace("pip install -q", "pip install")
    tests = next(command for command in commands if "nox -s tests" in command)
    assert tests.strip() in script


@pytest.mark.parametrize(("a", "b"), [("gan", "wgan_gp"), ("wgan", "wgan_gp")])
def test_swapping_two_variants_rows_swaps_the_verdict(a, b):
    results = store.load_results(REFERENCE)
    swap = {a: b, b: a}
    swapped = results.runs.assign(variant=results.runs["variant"].map(lambda v: swap.get(v, v)))
    before = verdicts(results)
    after = verdicts(replaced(results, swapped))
    assert after == {
        (swap.get(x, x), swap.get(y, y)): verdict for (x, y), verdict in before.items()
    }


def verdicts(results) -> dict[tuple[str, str], str]:
    """(a, b) → the verdict of a against b, both ways round."""
    found = {}
    for contrast in summarize(results, declaration(results)).readings[0].contrasts:
        for each in (contrast, contrast.mirrored()):
            found[each.a, each.b] = each.verdict
    return found


def replaced(results, runs):
    from dataclasses import replace

    return replace(results, runs=runs)
