"""docs/check.md promises what there is: its calls, its keys, its numbers, its example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from math import exp, log1p
from pathlib import Path

import pytest
import yaml
from test_workflows import commands, require_known

from bench.stats import Plan
from bench.suite.tables import Check

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "check.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLE = {
    found[1]: text for _, text in BLOCKS if (found := re.match(r"# ([\w./-]+\.\w+)\n", text))
}
"""Of the repository of the page's reader: path → text."""


def test_calls_of_bench_have_options_that_there_are():
    scripts = [text for kind, text in BLOCKS if kind in {"sh", "yaml"}]
    found = [words for script in scripts for words in commands(script)]
    assert {words[0] for words in found} == {"check", "report"}
    for words in found:
        require_known(words)


def test_every_option_and_key_named_in_the_text_is_there():
    (text,) = [text for kind, text in BLOCKS if kind == "toml" and text.startswith("[check]")]
    written = tomllib.loads(text)["check"]
    names = {field.name for field in fields(Check)}
    assert set(written) == names
    assert {name for name in names if f"| `{name}` |" in PAGE} == names


def test_table_check_shows_the_defaults():
    (text,) = [text for kind, text in BLOCKS if kind == "toml" and text.startswith("[check]")]
    written, default = tomllib.loads(text)["check"], Check()
    for name in ("looks", "blocks", "block_seconds"):
        assert written[name] == pytest.approx(getattr(default, name))
    for name in ("step_time", "peak_memory", "compile_time"):
        own = getattr(default, name)
        assert written[name]["margin"] == default.margin(name)
        assert written[name].get("variants") == (None if own.variants is None else [*own.variants])


def test_detectable_growth_is_that_of_the_plan():
    header, _, *lines = re.search(r"\| looks \|.*?\n\n", PAGE, re.DOTALL)[0].strip().splitlines()
    spreads = [float(number) / 100 for number in re.findall(r"s = ([\d.]+) %", header)]
    assert len(lines) == 4
    for line in lines:
        looks, *cells = (cell.strip(" `") for cell in line.strip("|").split("|"))
        reach = Plan(tuple(int(number) for number in re.findall(r"\d+", looks))).detectable
        expected = [f"{100 * (exp(log1p(0.05) + reach * s) - 1):.1f} %" for s in spreads]
        assert cells == expected


def test_links_lead_somewhere():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert link[1:] in anchors if link.startswith("#") else (ROOT / "docs" / link).exists()


def test_workflows_named_in_the_text_are_there():
    named = set(re.findall(r"^\| `([\w-]+\.yml)`", PAGE, re.MULTILINE))
    assert named == {file.name for file in (ROOT / ".github" / "workflows").glob("*.yml")}


def test_workflow_to_copy_is_as_safe_as_ours():
    found = yaml.safe_load(EXAMPLE[".github/workflows/step-time.yml"])
    assert found["permissions"] == {"contents": "read"}
    assert found[True].keys() == {"pull_request"}
    (job,) = found["jobs"].values()
    assert job["steps"][0]["with"]["persist-credentials"] is False
    assert not any("${{" in step.get("run", "") for step in job["steps"])


TRIED = """
from pathlib import Path
from bench import plan
from bench.gate import subjects
from bench.suite import load_suite
from bench.training.subject import open_subject

eager = {"overrides": ["training.engine=eager"], "devices": ["cpu"]}
(subject,) = subjects(load_suite(Path("suites/step_time.toml"), **eager))
opened = open_subject([spec.to_json() for spec in subject.specs], "cpu", cold=False)
opened.advance(2)
print(subject.name, *subject.guarded, opened.engine)
"""


def test_example_repository_trains_with_its_own_objective(tmp_path):
    for name, text in EXAMPLE.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")
    project = tomllib.loads(EXAMPLE["pyproject.toml"])["project"]
    (group, points), *more = project["entry-points"].items()
    assert not more
    installed = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    lines = [f"{name} = {target}" for name, target in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]), "utf-8")
    (installed / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1\n", "utf-8")
    path = os.pathsep.join(map(str, (tmp_path / "src", tmp_path, ROOT)))
    done = subprocess.run(
        [sys.executable, "-P", "-c", TRIED], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": path}, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout == "drift_wgan step_time peak_memory eager\n", done.stderr
