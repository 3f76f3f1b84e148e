"""The tables `[[probe]]`: what they come to, and what is wrong with them in one line."""

import pytest
from probe_fixture import SUITE, line  # noqa: F401 - a fixture

from bench import probing
from bench.errors import SuiteError
from bench.suite import load_suite

pytestmark = pytest.mark.usefixtures("line")
LINE = '[[probe]]\nname = "line"\n'


def read(folder, text, **options):
    path = folder / "probed.toml"
    path.write_text(SUITE + text)
    return load_suite(path, **options)


def test_probe_has_defaults_filled_in(tmp_path):
    (found,) = read(tmp_path, LINE).probes
    assert found.probe == {"name": "line", "slope": 1.0, "fails": (), "interrupts": ()}
    assert found.variants == ("gan", "wgan")
    assert found.seeds == (0, 1, 2)


def test_options_variants_and_seeds_stand_flat_in_the_table(tmp_path):
    text = LINE + 'slope = 2.0\nvariants = ["wgan"]\nseeds = [7]\n'
    options = ["probe.line.slope=3.0", "probe.line.seeds=[8, 9]"]
    (found,) = read(tmp_path, text, overrides=options).probes
    assert (found.probe["slope"], found.variants, found.seeds) == (3.0, ("wgan",), (8, 9))


def test_one_item_a_seed_in_rounds(tmp_path):
    text = LINE + '[[probe]]\nname = "distances"\nseeds = [0, 5]\n'
    specs = probing.expand(read(tmp_path, text))
    assert [spec.label for spec in specs] == [
        "probe line/0", "probe distances/0", "probe line/1", "probe distances/5", "probe line/2",
    ]  # fmt: skip
    assert len({spec.probe_id for spec in specs}) == 5
    assert [recipe.group for recipe in specs[2].recipes.values()] == [(1,), (1,)]
    assert specs[1].recipes == {}


def test_swept_variant_stands_for_all_its_values(tmp_path):
    text = SUITE.replace(
        "seeds = [0, 1, 2, 3], ", 'seeds = [0], "variant.wgan.clip" = [0.1, 0.2], '
    )
    path = tmp_path / "probed.toml"
    path.write_text(text + LINE + 'variants = ["wgan"]\n')
    assert load_suite(path).probes[0].variants == ("wgan-clip-0_1", "wgan-clip-0_2")


def test_probe_goes_with_a_variant_that_is_left_out(tmp_path):
    text = LINE + 'variants = ["wgan"]\n[[probe]]\nname = "distances"\n'
    asked = read(tmp_path, text, variants=["gan"])
    assert [each.probe["name"] for each in asked.probes] == ["distances"]
    assert len(asked.declared.probes) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("probe = 3", "probed.toml:2: probe: expected [[probe]] tables, found 3"),
        ("[[probe]]\n", "18: probe[0].name: is missing; expected one of: "),
        (
            '[[probe]]\nname = "lin"',
            "19: probe[0].name: 'lin' is not a probe; did you mean 'line'?",
        ),
        (LINE + LINE, "21: probe[1].name: there is already a probe 'line'; expected one table"),
        (LINE + "slop = 2", "20: probe.line.slop: unknown key; did you mean 'slope'?"),
        (LINE + "slope = -1.0", "20: probe.line.slope: -1.0 is out of range; expected at least 0"),
        (LINE + "seed = [1]", "20: probe.line.seed: unknown key; did you mean 'seeds'?"),
        (LINE + "seeds = [1, 1]", "20: probe.line.seeds: 1 stands there twice"),
        (LINE + "seeds = []", "20: probe.line.seeds: expected at least 1 of them, found []"),
        (
            LINE + 'variants = ["wgn"]',
            "20: probe.line.variants[0]: 'wgn' is not a variant; did you mean 'wgan'?",
        ),
        (
            '[[probe]]\nname = "distances"\nvariants = ["gan"]',
            "20: probe.distances.variants: 'distances' is about no variants; leave the key out",
        ),
        (
            '[[probe]]\nname = "vanishing_gradient"\nobjectives = ["wgn"]',
            "probe.vanishing_gradient: 'wgn' is not an objective; did you mean 'wgan'?",
        ),
    ],
)
def test_wrong_table_is_told_in_one_line(tmp_path, text, told):
    if text.startswith("probe ="):
        (tmp_path / "probed.toml").write_text(f"schema = 1\n{text}\n{SUITE.split('1', 1)[1]}")
        with pytest.raises(SuiteError) as raised:
            load_suite(tmp_path / "probed.toml")
    else:
        with pytest.raises(SuiteError) as raised:
            read(tmp_path, text)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("probe.lin.slope=1.0", "'lin' is not a probe of this suite; did you mean 'line'?"),
        ("probe.line=1", "expected probe.NAME.KEY=VALUE"),
        ("probe.line.name=x", "a probe's name cannot be set; edit the suite"),
        ("probe.line.slope=x", "--set probe.line.slope=x: expected a number, found 'x'"),
    ],
)
def test_wrong_set_is_told_in_one_line(tmp_path, option, told):
    with pytest.raises(SuiteError) as raised:
        read(tmp_path, LINE, overrides=[option])
    assert told in str(raised.value)
