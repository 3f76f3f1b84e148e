"""The one way: a module imports only what stands left of it, inside functions too."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = [
    {"bench"},
    {"errors"},
    {"records"},
    {"registry", "seeding", "environment", "capacity", "turnstile", "shelf", "pictures"},
    {"costs", "hypotheses", "optimizers", "schedules", "datasets", "networks", "objectives"},
    {"extractors"},
    {"metrics"},
    {"presets"},
    {"suite"},
    {"plan"},
    {"training"},
    {"probes"},
    {"recorder", "preflight", "step_time", "probing"},
    {"executors"},
    {"store"},
    {"stats"},
    {"reading"},
    {"search"},
    {"sources"},
    {"claims", "gate", "forecast", "declaration", "evaluation"},
    {"reporting"},
    {"running"},
    {"revisions"},
    {"api"},
    {"cli"},
    {"__main__", "assets"},  # assets: scripts that made what lies there; nothing imports them
]
RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts}
ALONE = {
    "executors": {"bench", "errors", "records", "turnstile", "executors"},
    "stats": {"bench", "errors", "stats"},
}
INDEPENDENT = {"datasets", "executors", "metrics", "networks", "objectives", "store"}
"""Folders whose modules import none of each other but `base`."""
FILES = sorted((ROOT / "bench").rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Every module of `bench` that the file imports, wherever in it, but for types alone."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    checks = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typing = [n for c in checks if ast.unparse(c.test) == "TYPE_CHECKING" for n in c.body]
    nodes = [node for node in ast.walk(tree) if node not in typing]
    names = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {_module(f"{node.module}.{alias.name}") for alias in node.names}
    return {name for name in names if name.split(".")[0] == "bench"}


def _module(name: str) -> str:
    """The module that `from package import name` reads: the submodule where there is one."""
    path = ROOT.joinpath(*name.split("."))
    return name if path.is_dir() or path.with_suffix(".py").is_file() else name.rpartition(".")[0]


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else "bench"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_one_way(file):
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    own = part(module)
    others = {name for name in imported(file) if part(name) != own}
    assert {name for name in others if RANK[part(name)] >= RANK[own]} == set()
    assert {part(name) for name in imported(file)} <= ALONE.get(own, set(RANK))
    siblings = {name for name in imported(file) - others if name.count(".") > 1}
    if own in INDEPENDENT and file.name != "__init__.py":
        assert siblings <= {f"bench.{own}.base"}


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda f: f.name)
def test_imports_within_a_folder_make_no_circle(folder):
    graph = {
        f"{'.'.join(file.relative_to(ROOT).with_suffix('').parts)}": imported(file)
        for file in folder.glob("*.py")
        if file.name != "__init__.py"
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize(
    "verb", [["list", "objectives"], ["report", "--help"], ["evaluate", "--help"], ["--help"]]
)
def test_quick_verbs_load_nothing_heavy(verb):
    heavy = {"torch", "torchvision", "pandas", "scipy", "seaborn", "matplotlib", "pyarrow"}
    code = (
        f"import sys; from bench.cli import main; main({verb}); print({heavy} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.splitlines()[-1] == "set()"
    assert done.stderr == ""
