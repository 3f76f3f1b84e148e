"""Whatever is fed to the loader, it answers with a suite or with one line, never a traceback."""

from __future__ import annotations

import copy
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.errors import RequestError
from bench.suite import load_suite

SUITES = sorted((Path(__file__).parent.parent / "suites").glob("*.toml"))
TREES = [tomllib.loads(path.read_text(encoding="utf-8")) for path in SUITES]
TEXTS = [path.read_text(encoding="utf-8") for path in SUITES]
WORDS = ["name", "preset", "objective", "clip", "training", "budget", "images", "every", "matrix",
         "seeds", "exclude", "include", "variant", "wgan", "fid", "mlp_gan", "adam", "auto",
         "claim", "training.batch_size", "variant.wgan.clip", "variant.gan.optimizer", "",
         "."]  # fmt: skip

LEAVES = (
    st.sampled_from(WORDS)
    | st.text(max_size=6)
    | st.integers(-2, 70)
    | st.sampled_from([10**30, -(2**63), 2**63, 0, True, False, float("nan"), 1e308, -0.5, 1e-9])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
QUICK = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def toml(value):
    """TOML for a value: inline tables and lists, every key quoted."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return repr(value)


def document(tree):
    return "\n".join(f"{toml(key)} = {toml(value)}" for key, value in tree.items())


def answers(path, **options):
    """Load; a refusal must be one line of text."""
    try:
        suite = load_suite(path, **options)
    except RequestError as error:
        text = str(error)
        assert text, "an empty message"
        assert len(text.splitlines()) == 1, text
        text.encode()  # and can be printed
    else:
        assert {cell.variant for cell in suite.cells} == set(suite.variants)


def containers(tree):
    """Every table and list in a tree, itself first."""
    found = [tree]
    for one in found:
        items = one.values() if isinstance(one, dict) else one
        found += [item for item in items if isinstance(item, dict | list)]
    return found


@st.composite
def mutated(draw):
    """A shipped suite with a few values replaced, keys renamed, added or removed."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        table = draw(st.sampled_from(containers(tree)))
        if isinstance(table, list):
            table.insert(draw(st.integers(0, len(table))), draw(VALUES))
            continue
        known = sorted(table)
        key = draw(st.sampled_from(known) if known else st.sampled_from(WORDS))
        match draw(st.sampled_from(["replace", "remove", "rename", "add"])):
            case "replace":
                table[key] = draw(VALUES)
            case "remove":
                table.pop(key, None)
            case "rename":
                table[draw(st.sampled_from(WORDS))] = table.pop(key, 0)
            case _:
                table[draw(st.sampled_from(WORDS) | st.text(max_size=4))] = draw(VALUES)
    return tree


@QUICK
@given(tree=mutated())
def test_mutated_suite_is_read_or_refused_in_one_line(tmp_path, tree):
    path = tmp_path / "mutated.toml"
    path.write_text(document(tree), encoding="utf-8", errors="replace")
    answers(path)


@QUICK
@given(data=st.data())
def test_suite_text_cut_and_spliced_is_read_or_refused_in_one_line(tmp_path, data):
    text = data.draw(st.sampled_from(TEXTS))
    start = data.draw(st.integers(0, len(text)))
    stop = min(len(text), start + data.draw(st.integers(0, 30)))
    patch = data.draw(st.text(alphabet="[]{}=\"'.,#\n\\u0 a1", max_size=8))
    path = tmp_path / "spliced.toml"
    path.write_text(text[:start] + patch + text[stop:], encoding="utf-8")
    answers(path)


@QUICK
@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, content):
    path = tmp_path / "bytes.toml"
    path.write_bytes(content)
    answers(path)


@QUICK
@given(
    key=st.lists(st.sampled_from([*WORDS, "gan", "lr", "optimizer"]), min_size=1, max_size=4),
    value=VALUES.map(toml) | st.text(max_size=8),
)
def test_any_override_is_taken_or_refused_in_one_line(key, value):
    answers(SUITES[0], overrides=[f"{'.'.join(part or 'x' for part in key)}={value}"])


@QUICK
@given(text=st.text(max_size=12))
def test_any_text_after_set_is_taken_or_refused_in_one_line(text):
    answers(SUITES[0], overrides=[text])


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_documents_written_for_these_tests_mean_what_the_suite_means(path, tmp_path):
    copied = tmp_path / path.name
    copied.write_text(document(TREES[SUITES.index(path)]), encoding="utf-8")
    assert load_suite(copied).recipes == load_suite(path).recipes
