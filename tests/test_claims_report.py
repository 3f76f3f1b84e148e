"""Claims as a reader meets them: sentences, Markdown, JSON, the page; declared when; `--strict`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from claims_fixture import tables
from report_fixture import declaration, outlines, troubled, whole
from suite_text import GAN, HEAD, WGAN, suite_of

from bench import plan
from bench.cli import main
from bench.declaration import declare
from bench.hypotheses import Claim
from bench.reporting.claims import headline, judged, lines
from bench.reporting.frames import select
from bench.reporting.page import render_html
from bench.reporting.readings import what
from bench.reporting.summary import summarize
from bench.reporting.text import render_json, render_markdown

MORE_MODES = Claim("It covers more modes", "modes", better="wgan_gp", than="gan", margin=0.5)
CLAIMS = (
    MORE_MODES,
    Claim("The GAN is ten times better", "fid", better="gan", than="wgan", margin=9.0),
    Claim("It follows", "critic_loss", of="correlation", against="fid", across=True, above=0.0),
    Claim("Slopes keep to one", "lipschitz_p50", variant="wgan_gp", above=0.8, below=1.2),
    Claim("It is there", "fid", of="time_to_target", target=200.0, variant="gan", below=2e6),
    Claim("The clipped one fails", "fid", of="collapse", target=200.0, higher="wgan", than="gan"),
)
HOSTILE = replace(MORE_MODES, text="<script>alert(1)</script> | **bold**")
SENTENCES = [
    "Supported: final Modes (digits) of wgan_gp is 2.60 above that of gan [1.92, 3.28], beyond the "
    "margin of 0.5 (5 against 5 seeds).",
    "Refuted: final FID (digits) of gan is 0.544 times that of wgan [0.491, 0.602], not beyond the "
    "margin of 900 % (0.100 times) (5 against 5 seeds).",
    "Not enough evidence: Spearman’s correlation of critic loss with FID (digits) across runs, at "
    "their ends, of gan, wgan and wgan_gp: no interval, since fewer than 4 recipes have both "
    "numbers (the means of 3 recipes, 15 runs).",
    "Supported: final median slope of the critic of wgan_gp is 0.940 [0.872, 1.01], between 0.8 "
    "and 1.2 (5 seeds).",
    "Not enough evidence: until FID (digits) is 200 or better at 2 evaluations in a row, gan takes "
    "600,000 [600,000, 600,000] images, below 2,000,000; but no seed differs from another, and an "
    "exact test needs more of them (5 seeds); about 6 seeds would probably decide; reached by 5 of "
    "5 runs of gan [57 %, 100 %]; restricted geometric means 600,000 images, each run counted up "
    "to the 1,200,000 that all have trained for; known to 200,000 images, between evaluations.",
    "Supported: runs that collapsed (FID (digits) worse than 200 at the end, or diverged): 5 of 5 "
    "[57 %, 100 %] of wgan against 0 of 5 [0 %, 43 %] of gan, a share 1 above [0.386, 1], clear of "
    "no difference (5 against 5 runs); Fisher’s exact p = 0.0079.",
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def summary(results):
    return summarize(results, declaration(claims=CLAIMS, claimed_after=(0, 3, 0, 0, 0, 0)))


def test_sentences_say_what_was_done(summary):
    assert [each.sentence for each in summary.claims] == SENTENCES
    assert headline(summary.claims) == "6 claims: 3 supported, 1 refuted, 2 not decided"


def test_terminal_has_a_line_a_claim(summary):
    first, *others = lines(summary.claims)
    assert first == f"{headline(summary.claims)}."
    assert others[1] == f"- {CLAIMS[1].text}. {SENTENCES[1]} Declared after 3 runs had finished."
    assert list(lines(())) == []


def test_markdown_begins_with_the_claims(summary):
    text = render_markdown(summary)
    title, heading, table = text.split("\n\n")[:3]
    assert (title[:2], heading) == ("# ", f"## {headline(summary.claims)}")
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    verdicts = ["Supported", "Refuted", "Not enough evidence"]
    assert [row[1] for row in rows] == [verdicts[i] for i in (0, 1, 2, 0, 2, 0)]
    assert "Declared after 3 runs had finished." in rows[1][2]


def test_json_has_every_number(summary):
    claims = json.loads(render_json(summary))["suites"][0]["claims"]
    first = claims[0]["judgement"]
    (found,), (wgan_gp, gan) = first["findings"], first["sides"]
    assert (claims[0]["verdict"], claims[1]["declared_after"]) == ("supported", 3)
    assert (found["scale"], found["level"], first["edge"]) == ("raw", 0.95, 0.5)
    assert found["low"] < found["effect"] < found["high"]
    assert [seed for seed, _ in wgan_gp["values"]] == [0, 1, 2, 3, 4]
    assert gan["diverged"] == 0


@pytest.fixture(scope="module")
def page(results):
    with outlines():
        return render_html(summarize(results, declaration(claims=(*CLAIMS, HOSTILE))), results)


def test_page_has_a_badge_in_words_and_a_point_a_seed(page):
    section = page.split('class="claims"')[1].split("</section>")[0]
    assert section.count('class="badge"') == len(CLAIMS) + 1
    assert section.index("It covers more modes") < section.index("The GAN is ten times better")
    first = section.split("<li")[1]
    assert first.count("<circle") >= 10
    assert 'class="badge">Supported<' in first


def test_hostile_text_stays_text(results, page):
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | **bold**" in page
    assert "<script>alert" not in page
    found = summarize(results, declaration(claims=(HOSTILE,)))
    assert "<script>" not in render_markdown(found)


def test_suite_without_claims_has_no_such_section(results):
    assert "laims" not in render_markdown(summarize(results, declaration()))


def test_diverged_and_lost_runs_are_told(tmp_path):
    found = summarize(troubled(tmp_path), declaration(claims=(MORE_MODES,)))
    assert found.claims[0].sentence.endswith("(4 against 3 seeds; diverged: 1 of gan).")


def test_claim_about_nothing_that_ran_is_not_decided(results):
    for claim in (
        replace(MORE_MODES, metric="recall"),
        replace(MORE_MODES, than="nobody"),
        Claim("t", "estimate", probe="distances", above=0.0),
        Claim("t", "fid", of="collapse", target=1.0, below=0.5, variant="nobody"),
        Claim("t", "recall", of="time_to_target", target=1.0, better="gan", than="wgan"),
        Claim("t", "recall", of="correlation", against="fid", across=True, above=0.0),
        Claim("t", "score_gap_per_slope", of="correlation", against="fid", above=0.0),
    ):
        (found,) = summarize(results, declaration(claims=(claim,))).claims
        assert found.verdict == "not_enough_evidence"
        assert found.sentence.startswith("Not enough evidence: ")


def test_correlation_with_what_never_varies_says_so(results):
    terms = {"of": "correlation", "across": True, "above": 0.0}
    claim = Claim("t", "fid", against="evaluation.samples", variant="gan", **terms)
    (found,) = summarize(results, declaration(claims=(claim,))).claims
    assert "no correlation, since one of the two numbers is the same in every run" in found.sentence
    few = Claim("t", "fid", against="recall", variant="gan", **terms)
    (found,) = summarize(results, declaration(claims=(few,))).claims
    assert "fewer than 4 runs with both numbers" in found.sentence


def test_time_of_every_variant_says_how_many_got_there(results):
    terms = {"of": "time_to_target", "target": 1e-9, "below": 100.0}
    (found,) = summarize(results, declaration(claims=(Claim("t", "fid", **terms),))).claims
    for name in ("gan", "wgan", "wgan_gp"):
        assert f"reached by 0 of 5 runs of {name} [0 %, 43 %]" in found.sentence


def test_trend_of_a_probe_is_along_its_axis():
    empty = tables({})
    trend = Claim("t", "noise", of="trend", probe="gradient_noise", below=0.0)
    told = "Spearman’s correlation of noise (probe gradient_noise) with its place along the axis"
    assert what(trend, empty) == told


def test_claim_that_is_a_sentence_gets_no_second_stop(results):
    said = replace(MORE_MODES, text="It covers more modes.")
    *_, line = lines(summarize(results, declaration(claims=(said,))).claims)
    assert line.startswith("- It covers more modes. Supported: ")


def test_claim_is_judged_on_each_device(results):
    runs = results.runs.copy()
    runs.loc[runs["seed"] > 2, "device"] = "cuda"
    split = replace(results, runs=runs)
    declared = declaration(claims=(MORE_MODES, Claim("All have some", "modes", above=1.0)))
    found = judged(split, select(split, declared), declared)
    assert [each.text for each in found] == [
        "It covers more modes (cpu)", "It covers more modes (cuda)",
        "All have some (cpu)", "All have some (cuda)",
    ]  # fmt: skip
    assert [side.name for side in found[0].judgement.sides] == ["wgan_gp (cpu)", "gan (cpu)"]
    assert len(found[3].judgement.sides) == 3
    assert len(found[0].judgement.sides[0].values) == 3


def test_behaviour_has_a_row_a_variant(summary):
    assert [each.variant for each in summary.behaviour] == ["gan", "wgan", "wgan_gp"]
    collapsed = [round(each.collapsed.centre, 3) for each in summary.behaviour]
    assert collapsed == [0.0, 1.0, 0.0]
    block = render_markdown(summary).split("## Training behaviour\n\n")[1].split("\n\n")[0]
    assert block.splitlines()[2] == "| gan | – | – | – | 0 of 5 \\[0 %, 43 %\\] |"


CLAIM = '[[claim]]\ntext = "It is better."\nmetric = "fid"\nbetter = "wgan"\nthan = "gan"\n'
EVERY = '[evaluation]\nmetrics = ["fid", "modes"]\n'
OTHER = '[[claim]]\ntext = "It has some."\nmetric = "modes"\nabove = 1.0\n'


def test_declaration_tells_when_a_claim_came_after_runs(tmp_path):
    suite = suite_of(tmp_path, HEAD + EVERY + GAN + WGAN + CLAIM)
    specs = plan.expand(suite)
    first = declare(suite, specs, tmp_path, ())
    (tmp_path / "declaration.json").write_text(json.dumps(first), encoding="utf-8")
    more = suite_of(tmp_path, HEAD + EVERY + GAN + WGAN + OTHER + CLAIM)
    done = [each.run_id for each in specs[:3]]
    claims = declare(more, specs, tmp_path, done)["claims"]
    assert [(one["text"], one["declared_after"]) for one in claims] == [
        ("It has some.", 3), ("It is better.", 0)
    ]  # fmt: skip
    assert claims[1] == {
        "text": "It is better.", "metric": "fid", "better": "wgan", "than": "gan",
        "declared_after": 0,
    }  # fmt: skip


def test_declaration_keeps_the_claims_of_the_file_whatever_the_call_narrows(tmp_path):
    suite = suite_of(tmp_path, HEAD + EVERY + GAN + WGAN + CLAIM, variants=["gan"])
    assert len(declare(suite, plan.expand(suite), tmp_path, ())["claims"]) == 1


RING = """
schema = 1
name = "mine"
dataset.name = "ring"
network = { name = "toy" }
training = { budget = { generator_steps = 2 }, batch_size = 16, engine = "eager" }
evaluation = { samples = 100, metrics = ["wasserstein_2"] }
primary.metric = "wasserstein_2"
matrix.seeds = [0, 1]
[[variant]]
name = "gan"
objective = "gan"
optimizer = { name = "adam" }
[[claim]]
text = "It is perfect."
metric = "wasserstein_2"
above = 1e-30
below = 1e-20
"""


def test_strict_exits_with_one_where_a_claim_is_refuted(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(RING, encoding="utf-8")
    options = ["--results", str(tmp_path / "results"), "--executor", "serial"]
    assert main(["run", str(path), *options]) == 0
    assert main(["run", str(path), *options, "--strict"]) == 1
    assert "1 claim: 0 supported, 1 refuted, 0 not decided." in capsys.readouterr().out
