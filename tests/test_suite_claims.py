# ruff: noqa: E501 - a mistake a line reads best as a table
"""The tables [[claim]]: read, and refused in one line for whatever could never be judged."""

import pytest
from suite_text import GAN, HEAD, WGAN, suite_of

from bench.errors import SuiteError
from bench.hypotheses import Claim

EVERY = '[evaluation]\nmetrics = ["fid", "modes"]\nfinal_metrics = ["kid"]\n'
TEXT = HEAD + EVERY + GAN + WGAN  # evaluated five times, two of them in the last fifth
FORMS = "better, higher or lower (with `than`), or a bound: above or below"

GOOD = [
    ('better = "wgan"\nthan = "gan"\nmetric = "fid"', {"better": "wgan", "than": "gan"}),
    ('metric = "step_ms"\nbetter = "gan"\nthan = "wgan"\nmargin = 0.5', {"margin": 0.5}),
    ('metric = "lipschitz_p50"\nlower = "wgan"\nthan = "gan"', {"lower": "wgan"}),
    ('metric = "kid"\nbelow = 0.1', {"variant": None, "below": 0.1}),
    ('metric = "class_share_3"\nabove = 0.05\nbelow = 0.2', {"above": 0.05}),
    ('metric = "fid"\nof = "time_to_target"\ntarget = 50.0\nbetter = "gan"\nthan = "wgan"', {"consecutive": 2, "axis": "images"}),
    ('metric = "fid"\nof = "collapse"\ntarget = 50\nbelow = 0.5\nvariant = "gan"', {"target": 50}),
    ('metric = "score_gap_per_slope"\nof = "correlation"\nagainst = "fid"\nabove = 0', {"against": "fid"}),
    ('metric = "fid"\nof = "correlation"\nagainst = "objective.clip"\nacross = true\nabove = 0', {"across": True}),
    ('metric = "critic_loss"\nof = "late_variance"\nlower = "wgan"\nthan = "gan"', {"of": "late_variance"}),
]  # fmt: skip

BAD = [
    ('metric = "fid"', 0, f"claims nothing; expected one of {FORMS}"),
    ('metric = "fid"\nthan = "gan"', 3, "than: is missing who is better, higher or lower than this"),
    ('metric = "fid"\nbetter = "gan"', 3, "better: is missing `than`, the other variant"),
    ('metric = "fid"\nbetter = "gan"\nlower = "wgan"\nthan = "gan"', 4, "lower: found both better and lower; expected one form of claim"),
    ('metric = "fid"\nbetter = "gan"\nthan = "wgan"\nbelow = 3', 5, "below: found both better and below; expected one form of claim"),
    ('metric = "fid"\nbelow = 3\nthan = "gan"', 4, "than: belongs to better, higher or lower; a bound has `variant`"),
    ('metric = "fid"\nbetter = "gan"\nthan = "gan"', 4, "than: 'gan' is compared with itself; expected two variants"),
    ('metric = "fid"\nbetter = "gan"\nthan = "wgan"\nvariant = "gan"', 5, "variant: belongs to a bound; 'better' names the variant"),
    ('metric = "fid"\nbetter = "gn"\nthan = "wgan"', 3, "better: 'gn' is not a variant; did you mean 'gan'?"),
    ('metric = "fid"\nbelow = 3\nvariant = "wgn"', 4, "variant: 'wgn' is not a variant; did you mean 'wgan'?"),
    ('metric = "fdi"\nbelow = 3', 2, "metric: 'fdi' is neither a metric nor a column of curves; did you mean 'fid'?"),
    ('metric = "critic_los"\nbelow = 3', 2, "metric: 'critic_los' is neither a metric nor a column of curves; did you mean 'critic_loss'?"),
    ('metric = "recall"\nbelow = 3\nvariant = "gan"', 2, "metric: 'recall' is not among the evaluation metrics of 'gan'; expected one of: fid, kid, modes"),
    ('metric = "kid"\nof = "time_to_target"\ntarget = 1\nbelow = 3\nvariant = "gan"', 2, "metric: 'kid' of 'gan' is measured at the end alone; move it to evaluation.metrics"),
    ('metric = "fid"\nof = "time_to_target"\ntarget = 1\nconsecutive = 6\nbelow = 3\nvariant = "gan"', 2, "metric: 'gan' is evaluated 5 times; of = 'time_to_target' needs 6; lower evaluation.every"),
    ('metric = "fid"\nof = "late_spread"\nbetter = "gan"\nthan = "wgan"', 2, "metric: 'gan' is evaluated 2 times in the last fifth of training; of = 'late_spread' needs 3; lower evaluation.every"),
    ('metric = "fid"\nof = "time_to_target"\nbelow = 3', 0, "target: is missing; of = 'time_to_target' needs one"),
    ('metric = "fid"\ntarget = 3\nbelow = 3', 3, "target: has no meaning for of = 'final'; expected of = 'time_to_target' or of = 'collapse'"),
    ('metric = "fid"\naxis = "cost"\nbelow = 3', 3, "axis: has no meaning for of = 'final'; expected of = 'time_to_target'"),
    ('metric = "fid"\naxis = "epochs"\nbelow = 3', 3, "axis: 'epochs' is not one of the choices; expected one of: cost, critic_steps, generator_steps, images"),
    ('metric = "fid"\nof = "finale"\nbelow = 3', 3, "of: 'finale' is not one of the choices; did you mean 'final'?"),
    ('metric = "fid"\nof = "correlation"\nbelow = 0.3', 0, "against: is missing; expected what `metric` is correlated with"),
    ('metric = "fid"\nof = "correlation"\nagainst = "objective.clip"\nbelow = 0.3', 4, "against: 'objective.clip' is one number a run; set across = true, or name a metric"),
    ('metric = "fid"\nof = "correlation"\nagainst = "fid"\nbelow = 0.3', 4, "against: 'fid' is correlated with itself; expected another"),
    ('metric = "fid"\nof = "correlation"\nagainst = "los"\nbelow = 0.3', 4, "against: 'los' is neither a metric nor a column of curves; expected one of: "),
    ('metric = "fid"\nof = "correlation"\nagainst = "critic_loss"\nbetter = "gan"\nthan = "wgan"', 5, "better: of = 'correlation' has no better end; say higher or lower"),
    ('metric = "fid"\nof = "trend"\nbelow = 3', 4, "below: 3 is no correlation; expected -1 to 1"),
    ('metric = "fid"\nof = "collapse"\ntarget = 3\nabove = 20', 5, "above: 20 is no rate; expected 0 to 1"),
    ('metric = "fid"\nof = "collapse"\ntarget = 3\nbetter = "gan"\nthan = "wgan"\nmargin = 1', 7, "margin: 1 is out of range; two rates differ by less"),
    ('metric = "fid"\nabove = 3\nbelow = 3', 3, "above: nothing lies above 3 and below 3"),
    ('metric = "fid"\nbelow = 3\nmargin = 0.1', 4, "margin: belongs to a comparison; put it into the bound"),
    ('metric = "fid"\nbetter = "gan"\nthan = "wgan"\nmargin = -1', 5, "margin: -1 is out of range; expected at least 0"),
    ('metric = "score_gap"\nbetter = "gan"\nthan = "wgan"', 3, "better: 'score_gap' has no better end; say higher or lower"),
    ('metric = "score_gap"\nof = "best"\nhigher = "gan"\nthan = "wgan"', 3, "of: 'score_gap' has no better end; expected another reading, or a metric"),
    ('metric = "class_share_0"\nof = "collapse"\ntarget = 0.1\nbelow = 0.2', 2, "metric: 'class_share_0' should be near what real data gets; no target tells better"),
    ('metric = "step_ms"\nof = "trend"\nbelow = 0', 2, "metric: 'step_ms' is one number a run; expected of = 'final'"),
    ('metric = "fid"\nbelow = 3\nat = 2', 4, "at: is a place along a probe's axis; expected `probe` too"),
    ('metric = "fid"\nbelow = 3\nprobe = "distances"', 4, "probe: 'distances' is not a probe of this suite; it has no [[probe]]"),
    ('metrik = "fid"\nbelow = 3', 2, "metrik: unknown key; did you mean 'metric'?"),
]  # fmt: skip


def claimed(folder, claim, more="", **options):
    return suite_of(folder, f'{TEXT}{more}[[claim]]\ntext = "So it is."\n{claim}\n', **options)


@pytest.mark.parametrize(("written", "fields"), GOOD)
def test_claim_is_read(tmp_path, written, fields):
    (claim,) = claimed(tmp_path, written).claims
    assert {name: getattr(claim, name) for name in fields} == fields
    assert isinstance(claim, Claim)


@pytest.mark.parametrize(("written", "line", "told"), BAD)
def test_mistake_gets_one_line_with_its_place(tmp_path, written, line, told):
    with pytest.raises(SuiteError) as caught:
        claimed(tmp_path, written)
    where = f"{tmp_path / 'mine.toml'}:{TEXT.count(chr(10)) + 1 + line}: claim[0]"
    said = str(caught.value)
    assert said.startswith(where)
    assert said.removeprefix(where).lstrip(".: ").startswith(told)
    assert "\n" not in said


def test_claim_about_a_variant_left_out_of_the_call_stays(tmp_path):
    written = 'metric = "fid"\nbetter = "wgan"\nthan = "gan"'
    suite = claimed(tmp_path, written, variants=["gan"])
    assert suite.claims == suite.declared.claims != ()


def test_claim_names_what_a_sweep_makes(tmp_path):
    sweep = '[matrix]\n"variant.wgan.clip" = [0.01, 0.1]\n'
    made = claimed(tmp_path, 'metric = "fid"\nbelow = 3\nvariant = "wgan-clip-0_1"', sweep)
    assert made.claims[0].variant == "wgan-clip-0_1"
    with pytest.raises(SuiteError, match="'wgan' is swept; expected one of: wgan-clip-0_01, wgan-"):
        claimed(tmp_path, 'metric = "fid"\nbelow = 3\nvariant = "wgan"', sweep)


def test_same_claim_twice_is_refused(tmp_path):
    one = 'metric = "fid"\nbelow = 3'
    with pytest.raises(SuiteError, match=r"claim\[1\]: this is claimed already"):
        claimed(tmp_path, f'{one}\n[[claim]]\ntext = "So it is."\n{one}')


def test_claims_are_tables(tmp_path):
    with pytest.raises(SuiteError, match=r"claim: expected \[\[claim\]\] tables, found a table"):
        suite_of(tmp_path, f"{TEXT}[claim]\nmetric = 'fid'\n")


PROBES = """
[[probe]]
name = "lipschitz"
variants = ["wgan"]
[[probe]]
name = "distances"
"""


@pytest.mark.parametrize(
    ("probe", "metric", "name", "mend"),
    [
        ("lipschitz", "p50", "wgan · rael", "; did you mean 'wgan · real'?"),
        ("lipschitz", "p50", "gan · real", "; did you mean 'wgan · real'?"),
        ("distances", "score_gap", "hinge", "; expected one of: wgan, wgan_gp"),
    ],
)
def test_series_that_a_probe_does_not_have_is_refused(tmp_path, probe, metric, name, mend):
    bound = f'probe = "{probe}"\nmetric = "{metric}"\nabove = 0.5\n'
    told = f"variant: '{name}' is not a series of '{metric}' of probe '{probe}'{mend}"
    with pytest.raises(SuiteError) as caught:
        claimed(tmp_path, f'{bound}variant = "{name}"', PROBES)
    assert str(caught.value).endswith(told)
    there = "wgan · real" if probe == "lipschitz" else "wgan"
    assert claimed(tmp_path, f'{bound}variant = "{there}"', PROBES).claims[0].variant == there


def test_claim_about_a_left_out_probes_series_stays(tmp_path):
    bound = 'probe = "lipschitz"\nmetric = "p50"\nabove = 0.5\nvariant = "wgan · real"'
    assert claimed(tmp_path, bound, PROBES, variants=["gan"]).claims


def test_number_of_no_variants_declaration_is_refused(tmp_path):
    terms = 'metric = "fid"\nof = "correlation"\nacross = true\nabove = 0\nagainst = '
    with pytest.raises(SuiteError, match=r"'objective\.clp' is no number of any variant; did"):
        claimed(tmp_path, f'{terms}"objective.clp"')
    assert claimed(tmp_path, f'{terms}"evaluation.samples"').claims
    # without the variant that has it, nobody can say
    assert claimed(tmp_path, f'{terms}"objective.clip"', variants=["gan"]).claims


def test_metric_that_can_have_no_value_is_refused(tmp_path):
    text = TEXT.replace("[evaluation]\n", "[evaluation]\nsamples = 3\n")
    few = f'{text}[[claim]]\ntext = "So it is."\nmetric = "kid"\nbelow = 1\n'
    with pytest.raises(SuiteError, match=r"metric: 'kid' needs at least [\d,]+ samples, and 'gan'"):
        suite_of(tmp_path, few)
