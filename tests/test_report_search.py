"""The report's chapter on a search: whole tables, sentences, and a page that holds its pictures."""
# ruff: noqa: E501 - a table as it is rendered

from __future__ import annotations

import json
import re

import pytest
from suite_text import suite_of
from test_search import TINY, imagined

from bench import api, plan, search, store
from bench.declaration import declare
from bench.errors import StoreError

VALUES = {"gan": [4.1, 2.1, 9.1], "wgan": [3.1, None, 2.6]}
SECTION = r"""## Search

- With 3 trials each, the expected best W₂ (points) is gan 2.10 and wgan 2.60.
- The order of the variants, best first, is wgan, gan with 1 trial; gan, wgan from 2 trials on.
- 1 of 3 trials of wgan diverged or has no value: it counts as the worst W₂ (points) of any trial, 9.10.

| Variant | k | Expected best of k | Median best of k, 95 % |
| --- | --- | --- | --- |
| gan | 1 | 4.28 | \[open, open\] |
| gan | 2 | 2.62 | \[open, open\] |
| gan | 3 | 2.10 | \[open, 9.10\] |
| wgan | 1 | 4.19 | \[open, open\] |
| wgan | 2 | 2.76 | \[open, open\] |
| wgan | 3 | 2.60 | \[open, open\] |
"""
TABLES = r"""### Settings that won

| Variant | Trial | Setting | Declared | Won by |
| --- | --- | --- | --- | --- |
| gan | 2 of 3 | optimizer.lr | 0.001 | GAN |
| wgan | 3 of 3 | optimizer.lr | 0.001 | WGAN |

### Every trial

| Variant | Trial | Drawn | W₂ (points) |
| --- | --- | --- | --- |
"""


@pytest.fixture
def suite(tmp_path):
    return suite_of(tmp_path, TINY, overrides=["search.trials=3"])


def told(tmp_path, suite, values, **options):
    """The folder of a suite whose trials came out as imagined, and no run after them."""
    results = imagined(tmp_path, suite, values, **options)
    tuned = search.tuned(suite, results)
    folder = tmp_path / suite.name
    declared = declare(tuned, plan.expand(tuned), folder, store.finished(tmp_path, suite.name))
    store.keep_suite(tmp_path, suite.name, suite.text, declared)
    return folder


def test_markdown_tells_the_whole_search(tmp_path, suite):
    folder = told(tmp_path, suite, VALUES)
    text = api.report(folder, format="md")
    assert SECTION in text
    won = {name: suite.search.trials[name][i].drawn["optimizer.lr"] for name, i in WON.items()}
    filled = TABLES.replace("| WGAN", f"| {won['wgan']:g}").replace("| GAN", f"| {won['gan']:g}")
    assert filled in text


WON = {"gan": 1, "wgan": 2}


def test_page_and_json_hold_the_same_search(tmp_path, suite):
    folder = told(tmp_path, suite, VALUES)
    found = json.loads(api.report(folder, format="json"))["suites"][0]["search"]
    assert [one["winner"]["number"] for one in found["tunings"]] == [2, 3]
    assert found["tunings"][1]["curve"][2]["expected"] == pytest.approx(2.6)
    html = api.report(folder, reports=tmp_path / "reports").read_text(encoding="utf-8")
    for label in ("Expected best W₂ (points) of k trials, by variant", "of k trials of wgan"):
        assert label in html
    assert "trial 3 of 3" in html
    assert html.count(">diverged<") == 1
    for sentence in found["sentences"]:
        assert sentence.split(" gan")[0] in re.sub(r"<[^>]+>", "", html)


def test_search_under_way_says_what_it_waits_for(tmp_path, suite):
    folder = told(tmp_path, suite, {"gan": [1.0] * 3, "wgan": [1.0] * 3}, status="failed")
    found = api.compare(folder).search
    assert found.sentences == ("6 trials have no result yet; the comparison waits for them.",)
    assert api.compare(folder).headline == "No verdict: there are no runs yet."
    page = api.report(folder, reports=tmp_path / "reports").read_text(encoding="utf-8")
    assert "no result yet" in page


def test_all_trials_diverged_have_no_curve(tmp_path, suite):
    found = api.compare(told(tmp_path, suite, {"gan": [None] * 3, "wgan": [None] * 3})).search
    assert found.sentences == ("No trial has a value: every one diverged or was not judged.",)
    assert all(one.curve == () and one.winner.number == 1 for one in found.tunings)


def test_variant_without_a_score_has_no_curve_of_anothers_worst(tmp_path, suite):
    folder = told(tmp_path, suite, {"gan": [4.0, 2.0, 9.0], "wgan": [None] * 3})
    found = api.compare(folder).search
    assert [len(one.curve) for one in found.tunings] == [3, 0]
    first, *_, last = found.sentences
    assert first == "With 3 trials each, the expected best W₂ (points) is gan 2."
    assert last == (
        "Every trial of wgan diverged or has no value: the first stands in for a winner."
    )
    assert api.report(folder, reports=tmp_path / "reports").is_file()


def test_declaration_that_holds_something_else_is_one_line(tmp_path, suite):
    folder = told(tmp_path, suite, VALUES)
    path = folder / "declaration.json"
    declared = json.loads(path.read_text()) | {"trials": [{"run_id": "x"}]}
    path.write_text(json.dumps(declared))
    with pytest.raises(StoreError, match=r"declaration\.json: the search is told wrongly"):
        api.compare(folder)
