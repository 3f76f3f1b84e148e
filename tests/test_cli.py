import io
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from executor_work import row, spec
from PIL import Image

from bench import __version__, registry, store
from bench.cli import main
from bench.records import MetricRow, RunResult, RunSpec

ROOT = Path(__file__).parents[1]
VALUES = {"gan": (40.0, 42.0, 41.0), "wgan_gp": (10.0, 11.0, 10.5)}


def said(capsys, *arguments: object) -> tuple[int, str, str]:
    """The exit code, what was printed, and what was complained about."""
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def evaluated(spec: RunSpec, value: float, samples: int = 100) -> RunResult:
    run = row(spec, "small", generator_steps=10, solo_step_ms=2.0, wall_seconds=3.0, threads=1)
    metrics = [
        MetricRow(
            spec.run_id, step, step, 64 * step, 1.0, "fid", value * 10 / step, "", "lower",
            samples, "digits", "mnist/test", 1.5, 0.1, "abc",
        )
        for step in (5, 10)
    ]  # fmt: skip
    return RunResult(run, metrics=metrics, files={"samples/10.png": picture()})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Six runs that are done, one lost, one of an earlier declaration, one not there yet."""
    root = tmp_path / "results"
    specs = {(v, s): spec(v, s) for v in VALUES for s in range(4)}
    declare(root, "small", specs.values())
    for (variant, seed), each in specs.items():
        if seed < 3:
            store.write(root, "small", evaluated(each, VALUES[variant][seed]))
    lost = specs["gan", 3]
    store.write(root, "small", RunResult.without_rows("small", lost, "lost", "the worker died"))
    longer = replace(lost, evaluation=replace(lost.evaluation, samples=999))
    store.write(root, "small", evaluated(longer, 1.0))
    return root


def declare(root: Path, name: str, specs: Iterable[RunSpec]) -> None:
    declared = {
        "name": name,
        "title": f"A {name} comparison",
        "primary": {"metric": "fid", "at": "final", "margin": 0.1},
        "variants": list(VALUES),
        "seeds": [0, 1, 2, 3],
        "run_ids": [each.run_id for each in specs],
    }
    store.prepare(root, name)
    store.keep_suite(root, name, f'name = "{name}"', declared)


def test_version(capsys):
    assert said(capsys, "--version") == (0, f"bench {__version__}\n", "")


@pytest.mark.parametrize("verb", ["run", "report", "show", "list"])
def test_every_verb_shows_an_example(capsys, verb):
    code, out, _ = said(capsys, verb, "--help")
    assert code == 0
    assert f"Example: bench {verb} " in out


@pytest.mark.parametrize("kind", registry.BUILT_IN)
def test_list_names_every_part(capsys, kind):
    code, out, _ = said(capsys, "list", kind)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(registry.entries(kind))


def test_list_as_json(capsys):
    _, out, _ = said(capsys, "list", "executors", "--json")
    assert [part["name"] for part in json.loads(out)] == ["serial", "processes"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lisst"], "No such command 'lisst'"),
        (["list", "objectivs"], "'objectivs' is not a kind of part; did you mean 'objectives'?"),
        (["run"], "Missing argument 'SUITE.toml'."),
        (["run", "nowhere.toml"], "nowhere.toml: no such file"),
        (["run", "x.toml", "--workers", "0"], "Invalid value for '--workers'"),
        (["run", "x.toml", "--seeds", "3-"], "Invalid value for '--seeds': '3-' is not a list"),
        (["run", "x.toml", "--seeds", "1,1"], "expected 1 to 1000 different seeds"),
        (["run", "x.toml", "--sedes", "1"], "No such option: --sedes"),
        (["run", ROOT / "suites/smoke.toml", "--device", "cuda:99"], "device 'cuda:99': this"),
        (["run", ROOT / "suites/smoke.toml", "--executor", "rya"], "'rya' is not an executor"),
        (["run", ROOT / "suites/smoke.toml", "--results", "/dev/null"], "/dev/null/smoke: cannot"),
        (["run", ROOT / "suites/smoke.toml", "--set", "dataset.root=gone"], "gone/MNIST/raw"),
        (["report", "nothing", "--results", "/nowhere"], "no results of a suite 'nothing'"),
        (["report", "--results", "/nowhere"], "name the suite to report on"),
        (["report", "x", "--format", "pdf"], "Invalid value for '--format'"),
        (["show", "gone.toml"], "gone.toml: No such file or directory"),
    ],
)
def test_mistake_gets_one_line_and_starts_nothing(
    capsys, tmp_path, monkeypatch, arguments, complaint
):
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert complaint in err
    assert err.count("\n") == 1
    assert "run_id" not in out
    assert list(tmp_path.rglob("*.parquet")) == []


def test_show_lists_the_runs_that_count(capsys, results):
    code, out, _ = said(capsys, "show", "small", "--results", results)
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == f"A small comparison ({results / 'small'})"
    assert [line.split()[:5] for line in lines[1:9]] == [
        ["run", "status", "steps", "FID", "(digits)"],
        ["gan/0", "completed", "10", "40", "1.50"],
        ["gan/1", "completed", "10", "42", "1.50"],
        ["gan/2", "completed", "10", "41", "1.50"],
        ["gan/3", "lost", "–", "–", "–"],
        ["wgan_gp/0", "completed", "10", "10", "1.50"],
        ["wgan_gp/1", "completed", "10", "11", "1.50"],
        ["wgan_gp/2", "completed", "10", "10.5", "1.50"],
    ]
    assert lines[9:] == [
        "gan/3 lost: the worker died",
        "1 declared and not run yet; `bench run` does just those",
        "1 of earlier declarations of this suite lie there too, and count nowhere",
    ]


def test_show_puts_no_values_of_different_extractors_into_one_column(capsys, results):
    done = evaluated(spec("wgan_gp", 2), 10.5)
    others = [replace(row, extractor="inception") for row in done.metrics]
    store.write(results, "small", replace(done, metrics=others), replace=True)
    code, out, _ = said(capsys, "show", "small", "--results", results)
    assert code == 0
    assert "FID is not shown: values from 2 extractors (digits, inception) must not be" in out
    assert "10.5" not in out


@pytest.mark.parametrize("name", ["wgan_gp/1", spec("wgan_gp", 1).run_id[:6]])
def test_show_tells_all_of_one_run(capsys, results, name):
    code, out, _ = said(capsys, "show", "small", name, "--results", results)
    assert code == 0
    assert f"run_id           {spec('wgan_gp', 1).run_id}" in out
    table = [line.split() for line in out.splitlines()]
    assert ["metric", "at", "step", "5", "10", "real", "data", "k", "samples", "against"] in table
    assert ["FID", "(digits)", "22", "11", "1.5", "–"] in [row[:6] for row in table]
    assert out.endswith("samples/10.png\n")


def test_show_as_json_has_nulls_and_whole_numbers(capsys, results):
    _, out, _ = said(capsys, "show", "small", "--json", "--results", results)
    runs = {run["variant"] + str(run["seed"]): run for run in json.loads(out)}
    assert (runs["gan0"]["fid"], runs["gan0"]["fid_floor"]) == (40.0, 1.5)
    assert runs["gan0"]["generator_steps"] == 10
    assert runs["gan3"]["generator_steps"] is None
    _, out, _ = said(capsys, "show", "small", "gan/0", "--json", "--results", results)
    assert json.loads(out)["run"]["spec"]["budget"] == {"count": 10, "unit": "generator_steps"}


@pytest.mark.parametrize("name", ["gan/9", "zzzz"])
def test_show_of_an_unknown_run_suggests_one(capsys, results, name):
    code, _, err = said(capsys, "show", "small", name, "--results", results)
    assert code == 2
    assert f"error: {name!r} is not a run of this suite" in err


def test_report_writes_one_page_and_prints_where(capsys, results, tmp_path):
    code, out, _ = said(
        capsys, "report", results / "small", "--reports", tmp_path / "reports", "--results", results
    )
    assert (code, out) == (0, f"{tmp_path / 'reports/small.html'}\n")
    assert "A small comparison" in (tmp_path / "reports/small.html").read_text()


def test_report_leaves_out_earlier_declarations(capsys, results):
    _, out, _ = said(capsys, "report", "--format", "json", "--results", results)
    (suite,) = json.loads(out)["suites"]
    assert {recipe["name"]: recipe["seeds"] for recipe in suite["recipes"]} == {
        "gan": [0, 1, 2, 3],
        "wgan_gp": [0, 1, 2],
    }
    assert "wgan_gp" in suite["verdict"]


@pytest.mark.parametrize(("samples", "expected"), [(100, 0), (5000, 4)])
def test_suites_stand_side_by_side_only_if_comparable(capsys, results, tmp_path, samples, expected):
    specs = [spec("gan", seed) for seed in range(3)]
    declare(results, "other", specs)
    for each in specs:
        store.write(results, "other", evaluated(each, 20.0, samples=samples))
    arguments = ["--results", results, "--reports", tmp_path / "reports"]
    code, out, err = said(capsys, "report", "small", "other", *arguments)
    assert code == expected
    assert out == (f"{tmp_path}/reports/small+other.html\n" if samples == 100 else "")
    assert ("different sample counts (100 and 5000)" in err) == (samples == 5000)


def test_several_suites_and_no_name_is_a_question(capsys, results):
    declare(results, "other", [])
    store.write(results, "other", evaluated(spec("gan"), 20.0))
    code, _, err = said(capsys, "report", "--results", results)
    assert code == 2
    assert err.endswith("name the suite to report on; with results there: other, small\n")


def test_show_says_why_a_completed_run_has_no_value(capsys, results):
    done = evaluated(spec("wgan_gp", 2), 10.5)
    why = "12 of 100 samples are not finite"
    last = replace(done.metrics[-1], value=None, floor=None, error=why)
    store.write(results, "small", replace(done, metrics=[done.metrics[0], last]), replace=True)
    _, out, _ = said(capsys, "show", "small", "--results", results)
    row = next(line for line in out.splitlines() if line.startswith("wgan_gp/2  "))
    assert row.split()[:5] == ["wgan_gp/2", "completed", "10", "–", "–"]
    assert f"wgan_gp/2 has no FID (digits): {why}\n" in out
    _, out, _ = said(capsys, "show", "small", "wgan_gp/2", "--results", results)
    assert f"no fid at step 10: {why}\n" in out


def test_show_gives_a_diverged_run_no_final_value(capsys, results):
    done = evaluated(spec("wgan_gp", 3), 99.0)
    store.write(results, "small", replace(done, run=replace(done.run, status="diverged")))
    _, out, _ = said(capsys, "show", "small", "--json", "--results", results)
    runs = {run["variant"] + str(run["seed"]): run for run in json.loads(out)}
    assert runs["wgan_gp3"]["status"] == "diverged"
    assert runs["wgan_gp3"]["fid"] is None
    assert runs["wgan_gp2"]["fid"] == 10.5


def test_fault_of_bench_itself_is_no_answer(capsys, monkeypatch):
    monkeypatch.setattr(registry, "entries", lambda kind: 1 / 0)
    code, _, err = said(capsys, "list", "metrics")
    assert code == 70
    assert err.startswith("Traceback")
    assert err.endswith("ZeroDivisionError: division by zero\n")


def test_reports_folder_that_cannot_be_written_is_said(capsys, results):
    code, _, err = said(capsys, "report", "small", "--results", results, "--reports", "/dev/null")
    assert code == 2
    assert "/dev/null/small.html: cannot be written" in err


@pytest.mark.parametrize(
    "verb", [["report", "small"], ["show", "small"], ["show", "small", "gan/0"]]
)
def test_reading_verbs_do_without_torch(results, tmp_path, verb):
    arguments = [*verb, "--results", str(results)]
    code = (
        "import sys; from bench.cli import main; "
        f"code = main({arguments}); print(code, 'torch' in sys.modules)"
    )
    path = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=path, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["0 False"], done.stderr


def test_output_cut_short_by_its_reader_is_no_error(results):
    command = f"{sys.executable} -m bench show small --results {results} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=ROOT, check=False)
    assert done.stderr == b""


def test_reader_that_goes_away_is_no_answer_of_ours():
    call = f"{sys.executable} -m bench list presets | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
