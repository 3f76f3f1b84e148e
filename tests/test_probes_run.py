"""`bench run` and `bench report` with probes, from end to end."""

import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from probe_fixture import STEPS, SUITE, line  # noqa: F401 - a fixture

from bench import api, store
from bench.cli import main
from bench.suite import load_suite

ROOT = Path(__file__).parents[1]
LINE = '[[probe]]\nname = "line"\nvariants = ["wgan", "gan"]\n'
FOLDER = Path("results/probed/probes")


@pytest.fixture
def suite(tmp_path, monkeypatch, line):  # noqa: F811 - the fixture
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "probed.toml"
    path.write_text(SUITE.replace("[0, 1, 2, 3]", "[0, 1]") + LINE)
    return path


def run(capsys, *options):
    code = main(["run", "probed.toml", "--executor", "serial", *options])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_probes_are_measured_after_the_runs_and_once(suite, capsys):
    code, out, _ = run(capsys)
    assert code == 0
    assert "probed: 2 of 2 seeds of probes to do\n" in out
    assert out.index("wgan/1: completed") < out.index("probe line/0: started")
    assert "probe line/1: completed, 0 s\n" in out
    results = store.load_results("results/probed")
    assert len(results.runs) == 4
    assert list(results.probes.columns)[:4] == ["probe", "seed", "quantity", "series"]
    assert len(results.probes) == 16
    assert results.probes["value"].isna().sum() == 4
    assert store.suites(Path("results")) == ["probed"]
    code, out, _ = run(capsys)
    assert "probed: 0 of 2 seeds of probes to do\n" in out
    assert STEPS["line"] == 2
    run(capsys, "--fresh")
    assert STEPS["line"] == 4


def test_table_knows_its_spec_and_version(suite, capsys):
    run(capsys, "--seeds", "0")
    (path,) = FOLDER.glob("*")
    notes = pq.read_schema(path).metadata
    assert notes[b"schema_version"].isdigit()
    assert json.loads(notes[b"spec"])["probe"]["slope"] == 1.0
    assert json.loads(notes[b"notes"])["title"] == "A <line>"


def test_only_what_is_declared_is_read(suite, capsys):
    run(capsys)
    run(capsys, "--set", "probe.line.slope=2.0")
    assert len(list(FOLDER.glob("*"))) == 4
    probes = store.load_results("results/probed").probes
    heights = probes[(probes["quantity"] == "height") & (probes["x"] == 10)]
    assert set(heights["exact"]) == {20.0}
    run(capsys, "--seeds", "0", "--set", "probe.line.slope=2.0")  # narrows, forgets nothing
    assert len(store.load_results("results/probed").probes) == 16


def test_failed_seed_is_one_line_and_the_others_go_on(suite, capsys):
    code, out, err = run(capsys, "--set", "probe.line.fails=[0]")
    assert code == 3
    assert "probe line/0: failed, line: nothing to draw\n" in out
    assert "probe line/1: completed" in out
    assert err == "probe line/0 failed: line: nothing to draw\n"
    assert len(list(FOLDER.glob("*"))) == 1
    _, text = api.compare("results/probed"), api.report("results/probed", format="md")
    assert "Measured over 1 seed." in text
    assert "Not measured: 1 seed more." in text


def test_interrupt_keeps_what_is_finished(suite, capsys):
    code, _, err = run(capsys, "--set", "probe.line.interrupts=[1]")
    assert code == 130
    assert "4 of 4 runs and 1 of 2 seeds of probes are finished and kept" in err
    assert len(list(FOLDER.glob("*"))) == 1


def test_interrupt_ends_every_worker(suite):
    probe = '[[probe]]\nname = "distances"\nshifts = [1.0]\nsteps = 5\nseeds = [0, 1, 2]\n'
    suite.write_text(SUITE + probe)
    asked = load_suite(suite, variants=["gan"], seeds=[0])

    def interrupt(result):
        assert result.status == "completed"
        raise KeyboardInterrupt

    api.run(asked, executor="serial")
    assert len(list(FOLDER.glob("*"))) == 3
    for path in FOLDER.glob("*"):
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        api.run(asked, executor="processes", workers=2, on_probe=interrupt)
    assert 1 <= len(list(FOLDER.glob("*.parquet"))) <= 2
    assert multiprocessing.active_children() == []


def test_dry_run_lists_them(suite, capsys):
    run(capsys, "--seeds", "0")
    _, out, _ = run(capsys, "--dry-run")
    rows = [words.split() for words in out.splitlines() if words.startswith("probe ")]
    assert [(row[1], row[3]) for row in rows] == [("line/0", "done"), ("line/1", "to")]
    assert "1 of 2 seeds of probes to do\n" in out
    _, out, _ = run(capsys, "--dry-run", "--json")
    assert [each["done"] for each in json.loads(out)["probes"]] == [True, False]


def test_report_tells_every_quantity(suite, capsys):
    assert run(capsys)[0] == 0
    text = api.report("results/probed", format="md")
    table = text[text.index("## Probe: ") : text.index("## Comparison")].rstrip()
    assert table == TABLE
    (probe,) = json.loads(api.report("results/probed", format="json"))["suites"][0]["probes"]
    (wgan, _) = probe["panels"][0]["series"]
    assert wgan["points"][0]["values"] == [[0, 1.0], [1, 2.0]]
    assert (wgan["points"][0]["median"], probe["panels"][0]["aim"]) == (1.5, 2.0)
    html = Path(api.report("results/probed")).read_text()
    assert "<h3>A &lt;line&gt;</h3>" in html
    assert html.count('id="s0-probes"') == 1


TABLE = r"""## Probe: A &lt;line&gt;

What is drawn.

Measured over 2 seeds. About gan and wgan. Options: fails (), interrupts () and slope 1.

### height \| cm

| Place | wgan | gan | Exact |
| --- | --- | --- | --- |
| 1 | 1.50 (1 to 2) | 1.50 (1 to 2) | 1 |
| 10 | 10.5 (10 to 11) | 10.5 (10 to 11) | 10 |

It rises.

### its root

| Place | wgan | gan |
| --- | --- | --- |
| 1 | – | – |
| 10 | 3.16 (3.16 to 3.16) | 3.16 (3.16 to 3.16) |"""


def test_report_imports_no_probe(suite, capsys):
    run(capsys, "--seeds", "0")
    code = "import sys; from bench.cli import main; main(['report', 'probed']); "
    code += "print({'torch', 'bench.probes', 'probe_fixture'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
