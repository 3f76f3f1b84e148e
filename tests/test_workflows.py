"""The workflows: safe against strangers' code, and calling what there is."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import check_fixture
import pytest
import yaml
from typer.main import get_command

from bench.cli import app
from bench.reporting.checks import render_check_json

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
WORKFLOWS = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in FILES}
FOREIGN = {"ci", "step-time", "step-time-gpu"}
"""What runs a pull request's code; the fourth has the token that may write."""
JOBS = [(stem, job) for stem, found in WORKFLOWS.items() for job in found["jobs"].values()]
STEPS = [(stem, step) for stem, job in JOBS for step in job.get("steps", ())]
FREE_TEXT = ("head_ref", "head_branch", "head.ref", "title", "body", "message", "login", "label",
             "comment", "review", "email", "name", "description")  # fmt: skip


def triggers(stem):
    return WORKFLOWS[stem][True]  # YAML 1.1 takes the key `on` for a truth


def permissions(stem):
    """Of the file, and of each of its jobs."""
    found = WORKFLOWS[stem]
    return [found["permissions"], *(job.get("permissions", {}) for job in found["jobs"].values())]


def commands(script):
    """Every call of bench in a shell script, as words without the program."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(re.split(r"\s[>|#]", line)[0]) if "bench" in line else []
        at = [index for index, word in enumerate(words) if word.rpartition("/")[2] == "bench"]
        if at and "pip" not in line:
            yield words[at[0] + 1 :]


def require_known(words):
    verb = get_command(app).commands[words[0]]
    options = {name for parameter in verb.params for name in parameter.opts}
    asked = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert asked <= options, asked - options


def test_four_workflows_are_there():
    assert set(WORKFLOWS) == {"ci", "step-time", "step-time-gpu", "step-time-comment"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_runs_foreign_code_with_the_rights_of_the_base(file):
    assert "pull_request_target" not in file.read_text("utf-8")
    assert "secrets" not in file.read_text("utf-8")


@pytest.mark.parametrize("stem", sorted(FOREIGN))
def test_foreign_code_has_a_token_that_reads(stem):
    assert permissions(stem)[0] == {"contents": "read"}
    assert set(permissions(stem)[1].values()) <= {"read"}


def test_only_the_comment_may_write_and_runs_nothing_of_the_pull_request():
    assert triggers("step-time-comment") == {
        "workflow_run": {"workflows": [WORKFLOWS["step-time"]["name"]], "types": ["completed"]}
    }
    whole, job = permissions("step-time-comment")
    assert (whole, job) == ({}, {"actions": "read", "pull-requests": "write"})
    steps = [step for stem, step in STEPS if stem == "step-time-comment"]
    assert not any("uses" in step for step in steps)
    assert not any(re.search(r"\bgit\b|checkout", step["run"]) for step in steps)


def test_gpu_job_needs_the_label_twice_and_a_label_alone_starts_it():
    assert triggers("step-time") == {"pull_request": {"types": ["labeled"]}}
    assert triggers("step-time-gpu") == {"workflow_call": None}
    (caller,) = WORKFLOWS["step-time"]["jobs"].values()
    (job,) = WORKFLOWS["step-time-gpu"]["jobs"].values()
    assert caller["if"] == "github.event.label.name == 'step-time'"
    assert caller["if"] in job["if"]
    assert "github.event.action == 'labeled'" in job["if"]
    assert caller["uses"] == "./.github/workflows/step-time-gpu.yml"
    assert "self-hosted" in job["runs-on"]
    assert job["concurrency"] == {"group": "step-time-gpu", "cancel-in-progress": False}


def test_self_hosted_runner_is_asked_for_by_the_gpu_job_alone():
    assert [stem for stem, job in JOBS if "self-hosted" in job.get("runs-on", "")] == [
        "step-time-gpu"
    ]


@pytest.mark.parametrize(("stem", "job"), JOBS, ids=[stem for stem, _ in JOBS])
def test_every_job_ends_by_itself(stem, job):
    assert "uses" in job or job["timeout-minutes"] <= 120


def test_checkouts_keep_no_token_and_the_gpu_has_the_commit_of_the_label():
    found = {stem: step["with"] for stem, step in STEPS if "checkout" in step.get("uses", "")}
    assert set(found) == {"ci", "step-time-gpu"}
    assert all(options["persist-credentials"] is False for options in found.values())
    assert found["step-time-gpu"]["ref"] == "${{ github.event.pull_request.head.sha }}"
    assert found["step-time-gpu"]["fetch-depth"] == 0


def test_actions_are_githubs_own_at_a_major_version_or_a_commit():
    used = [step["uses"] for _, step in STEPS if "uses" in step]
    assert used
    for name in used:
        assert re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", name), name


def test_nothing_is_pasted_into_a_script():
    scripts = [step["run"] for _, step in STEPS if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)


def test_free_text_goes_nowhere_but_into_the_environment():
    for _, step in STEPS:
        plain = json.dumps({key: value for key, value in step.items() if key != "env"})
        for expression in re.findall(r"\$\{\{(.*?)\}\}", plain):
            assert not any(f".{name}" in expression for name in FREE_TEXT), expression


def test_ci_runs_what_readme_says_on_the_oldest_and_a_newer_python():
    (job,) = WORKFLOWS["ci"]["jobs"].values()
    assert set(triggers("ci")) == {"push", "pull_request"}
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert job["steps"][-1]["run"] == ".ci/run"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_calls_of_bench_have_options_that_there_are():
    found = [words for _, step in STEPS for words in commands(step.get("run", ""))]
    assert [words[0] for words in found] == ["check"]
    require_known(found[0])
    assert {"--against", "--markdown", "--junit", "--json"} <= {*found[0]}
    assert (ROOT / found[0][1]).is_file()


# The comment: its script, run with an imaginary `gh`.

GH = """#!{python}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
sent = sys.stdin.read() if "--input" in sys.argv else None
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv[1:], sent and json.loads(sent)]) + "\\n")
place = sys.argv[2].removeprefix("repos/o/r/")
file = folder / place.replace("/", "_")
if "--method" not in sys.argv or "GET" in sys.argv:
    sys.stdout.buffer.write(file.read_bytes())
"""
COMMIT = "9a8b7c6d5e4f30211203f4e5d6c7b8a99a8b7c6d"
CASE = {
    "subject": "mlp_gan", "quantity": "step_time", "verdict": "regressed", "base_value": 4.1,
    "head_value": 5.33, "ratio": 1.3, "low": 1.27, "high": 1.33, "margin": 0.05, "detectable": 0.08,
}  # fmt: skip


def zipped(text, name="check.json"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return packed.getvalue()


def pull(number=7, sha=COMMIT, labels=("step-time",)):
    return {"number": number, "head": {"sha": sha}, "labels": [{"name": name} for name in labels]}


def told(tmp_path, packed, *, pulls=None, size=None, before="", conclusion="failure"):
    """What the script asked GitHub to change: (method, path, what was sent)."""
    answers = {
        "pulls": json.dumps([pull()] if pulls is None else pulls),
        "actions_runs_33_artifacts": json.dumps(
            {"artifacts": [{"id": 5, "name": "step-time", "size_in_bytes": size or len(packed)}]}
        ),
        "issues_7_comments": before,
    }
    for name, text in answers.items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "actions_artifacts_5_zip").write_bytes(packed)
    gh = tmp_path / "gh"
    gh.write_text(GH.format(python=sys.executable), "utf-8")
    gh.chmod(0o755)
    (script,) = [step["run"] for stem, step in STEPS if stem == "step-time-comment"]
    given = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SERVER_URL": "https://github.example", "OWNER": "stranger", "BRANCH": "a b;$(id)",
        "COMMIT": COMMIT, "RUN": "33", "CONCLUSION": conclusion,
    }  # fmt: skip
    subprocess.run([sys.executable, "-I", "-c", script], env=given, check=True, timeout=30)
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text("utf-8").splitlines()]
    assert calls[0][0][-1] == "head=stranger:a b;$(id)"
    return [
        (words[words.index("--method") + 1], words[1].removeprefix("repos/o/r/"), sent)
        for words, sent in calls
        if "--method" in words and "GET" not in words
    ]


def commented(tmp_path, packed, **options):
    (method, path, sent), removed = told(tmp_path, packed, **options)
    assert (method, path) == ("POST", "issues/7/comments")
    assert removed == ("DELETE", "issues/7/labels/step-time", None)
    return sent["body"]


def test_comment_has_the_table_and_the_label_goes(tmp_path):
    fine = {**CASE, "subject": "mlp_wgan@cuda", "quantity": "peak_memory", "verdict": "fine",
            "base_value": 412e6, "head_value": 412.3e6, "ratio": 1.0007, "low": 1.0, "high": 1.001,
            "detectable": None}  # fmt: skip
    text = json.dumps({"rows": [CASE, fine]})
    assert commented(tmp_path, zipped(text)).splitlines() == [
        "<!-- bench check: step time -->",
        "### Step time of `9a8b7c6d5`: failure",
        "",
        "2 cases: 1 regressed, 1 fine.",
        "",
        "| case | quantity | verdict | base | head | head / base | margin | detectable |",
        "|---|---|---|---|---|---|---|---|",
        "| `mlp_gan` | step time | **regressed** | 4.1 ms | 5.33 ms | 1.300 (1.270 to 1.330) "
        "| 5.0 % | 8.0 % |",
        "| `mlp_wgan@cuda` | peak memory | fine | 412 MB | 412.3 MB | 1.001 (1.000 to 1.001) "
        "| 5.0 % | – |",
        "",
        "Measured and written by the pull request's own code, in [this run]"
        "(https://github.example/o/r/actions/runs/33). Once there is something new to check, set "
        "the label again.",
    ]


def test_comment_reads_what_a_check_writes(tmp_path):
    result = check_fixture.check()
    body = commented(tmp_path, zipped(render_check_json(result)))
    lines = [line for line in body.splitlines() if line.startswith("| `")]
    assert len(lines) == len(result.rows)
    for line, row in zip(lines, result.rows, strict=True):
        assert line.startswith(f"| `{row.subject}` | {row.quantity.replace('_', ' ')} | ")
        assert f"| {row.ratio:.3f} ({row.low:.3f} to {row.high:.3f}) |" in line
        assert row.verdict in line


def test_one_comment_is_kept_up_to_date(tmp_path):
    calls = told(tmp_path, zipped(json.dumps({"rows": [CASE]})), before="41\n77\n")
    assert [call[:2] for call in calls] == [
        ("PATCH", "issues/comments/41"),
        ("DELETE", "issues/7/labels/step-time"),
    ]


def test_entry_that_has_not_the_form_of_a_case_is_left_out(tmp_path):
    changes = [
        {"subject": "@everyone look"},
        {"subject": "`</code><img src=x onerror=alert(1)>"},
        {"subject": "a|b"},
        {"subject": "mlp_gan\n# title"},
        {"subject": ["mlp_gan"]},
        {"verdict": "regressed](https://example.org)"},
        {"verdict": None},
        {"quantity": "step_time @everyone"},
        {},
    ]
    text = json.dumps({"rows": [{**CASE, **change} for change in changes]})
    body = commented(tmp_path, zipped(text))
    assert "1 case: 1 regressed." in body
    assert body.count("`mlp_gan`") == 1
    assert "@" not in body


def test_value_that_is_no_number_is_a_dash(tmp_path):
    values = ["1.3 <b>", "@everyone", [1.3], {"a": 1}, True, 10**400, 1e300, float("nan")]
    text = json.dumps({"rows": [{**CASE, "head_value": v, "detectable": v} for v in values]})
    body = commented(tmp_path, zipped(text))
    assert body.count("| 4.1 ms | – | 1.300 (1.270 to 1.330) | 5.0 % | – |") == len(values)


@pytest.mark.parametrize(
    "packed",
    [
        b"no archive",
        zipped("no JSON"),
        zipped("{}"),
        zipped("[" * 100_000),
        zipped(json.dumps({"rows": [[1], 2]})),
        zipped(json.dumps({"rows": [{**CASE, "quantity": {}}]})),
        zipped(json.dumps({"rows": [CASE]}), name="../check.json"),
        zipped(json.dumps({"rows": [CASE], "more": " " * 3_000_000})),
        zipped("[" + "9" * 10_000 + "]"),
    ],
    ids=lambda packed: str(len(packed)),
)
def test_artifact_that_cannot_be_read_gives_no_table(tmp_path, packed):
    assert "left no table behind" in commented(tmp_path, packed)


def test_artifact_that_is_too_large_is_not_fetched(tmp_path):
    body = commented(tmp_path, zipped(json.dumps({"rows": [CASE]})), size=10**9)
    assert "left no table behind" in body
    assert "artifacts/5/zip" not in (tmp_path / "calls").read_text("utf-8")


def test_comment_of_many_cases_fits_into_one(tmp_path):
    long = {**CASE, "subject": "a" * 100}
    body = commented(tmp_path, zipped(json.dumps({"rows": [long] * 5000})))
    assert body.count("a" * 100) == 100
    assert len(body) < 65_536


@pytest.mark.parametrize(
    "pulls", [[], [pull(sha="0" * 40)], [pull(labels=["bug"])]], ids=["none", "moved on", "label"]
)
def test_pull_request_that_was_not_asked_about_is_told_nothing(tmp_path, pulls):
    assert told(tmp_path, zipped("{}"), pulls=pulls) == []
