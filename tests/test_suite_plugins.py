"""A third party's part, found through its entry point, is read and checked like a built-in one."""

from __future__ import annotations

import pytest
from suite_text import HEAD, suite_of

from bench.errors import SuiteError

CODE = """
from dataclasses import dataclass
from typing import Annotated
from annotated_types import Gt

@dataclass(frozen=True)
class Ramp:
    margin: Annotated[float, Gt(0)] = 1.0
    slopes: tuple[float, ...] = ()
    kind: str | None = None

    def __post_init__(self):
        if len(self.slopes) == 1:
            raise ValueError("one slope is none")

nothing = 5
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "ramp_parts.py").write_text(CODE)
    info = tmp_path / "ramp_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ramp-parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bench.objectives]\nramp = ramp_parts:Ramp\nfive = ramp_parts:nothing\n"
        "gone = ramp_parts:gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def variant(plugin, text):
    optimizer = 'optimizer = { name = "sgd" }'
    return suite_of(plugin, f'{HEAD}[[variant]]\nname = "a"\n{optimizer}\n{text}').recipes["a"]


def test_plugins_options_are_filled_in(plugin):
    objective = variant(plugin, 'objective = "ramp"\nslopes = [1, 2]').objective
    assert objective == {"name": "ramp", "margin": 1.0, "slopes": (1.0, 2.0), "kind": None}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("margin = 0", "11: variant.a.margin: 0 is out of range; expected more than 0"),
        ("kind = 5", "11: variant.a.kind: expected a string, found 5"),
        ("slopes = [1]", "10: variant.a.objective: one slope is none"),
        ("margn = 1", "11: variant.a.margn: unknown key with objective 'ramp'; did you mean "),
    ],
)
def test_plugins_options_are_checked(plugin, text, line):
    with pytest.raises(SuiteError) as caught:
        variant(plugin, f'objective = "ramp"\n{text}')
    assert f"mine.toml:{line}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [("five", "is not a dataclass of options"), ("gone", "cannot be loaded: ")],
)
def test_entry_point_that_is_no_part_is_refused(plugin, name, why):
    with pytest.raises(SuiteError, match=f"variant.a.objective: '{name}' {why}"):
        variant(plugin, f'objective = "{name}"')
