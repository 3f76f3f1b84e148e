"""What a suite's samples are judged by: metrics and extractors that mean something on its data."""

import pytest

from bench import plan
from bench.errors import SuiteError
from bench.suite import load_suite

HEAD = 'schema = 1\nname = "mine"\n[training]\nbudget = { images = 6400 }\n'
POINTS = HEAD + (
    '[dataset]\nname = "ring"\n[network]\nname = "toy"\n[primary]\nmetric = "wasserstein_2"\n'
)
VARIANT = '[[variant]]\nname = "gan"\nobjective = "gan"\noptimizer = { name = "adam" }\n'
IMAGES = HEAD + '[network]\nname = "mlp"\n[dataset]\n'


@pytest.fixture
def suite(tmp_path):
    """The text of a suite → the suite."""

    def loaded(text):
        path = tmp_path / "mine.toml"
        path.write_text(text + VARIANT, encoding="utf-8")
        return load_suite(path)

    return loaded


def refusal(suite, text):
    with pytest.raises(SuiteError) as caught:
        suite(text)
    return str(caught.value).partition("mine.toml:")[2]


def test_points_are_judged_as_points_where_the_suite_says_nothing(suite):
    (spec, *_) = plan.expand(suite(POINTS))
    assert spec.evaluation.extractor == "points"
    assert spec.evaluation.metrics == ("modes_any", "high_quality", "reverse_kl", "wasserstein_2")


@pytest.mark.parametrize("dataset", ["mnist", "stacked_mnist"])
def test_digits_are_judged_by_the_shipped_classifier(suite, dataset):
    (spec, *_) = plan.expand(suite(f'{IMAGES}name = "{dataset}"\n'))
    assert spec.evaluation.extractor == "digits"
    assert spec.evaluation.metrics == ("fid", "inception_score", "modes", "class_kl")


def test_data_without_an_extractor_are_refused_with_the_mend(suite):
    told = refusal(suite, f'{IMAGES}name = "fashion_mnist"\n')
    assert told == (
        "8: dataset.name: no extractor is made for 'fashion_mnist'; train one with `bench evaluate "
        "--train-extractor fashion_mnist` and set evaluation.extractor to its file, or to "
        "'inception'"
    )


def test_nothing_to_judge_needs_no_extractor(suite):
    found = suite(f'{IMAGES}name = "fashion_mnist"\n[evaluation]\nmetrics = []\n')
    assert found.recipes["gan"].evaluation.metrics == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'{POINTS}[evaluation]\nmetrics = ["wasserstein_2", "inception_scor"]\n',
            "12: evaluation.metrics[1]: 'inception_scor' is not a metric; did you mean "
            "'inception_score'?",
        ),
        (
            f'{POINTS}[evaluation]\nfinal_metrics = ["confident_share"]\n',
            "12: evaluation.final_metrics[0]: metric 'confident_share' is not defined for points",
        ),
        (
            f'{IMAGES}name = "mnist"\n[evaluation]\nmetrics = ["fid", "wasserstein_2"]\n',
            "10: evaluation.metrics[1]: metric 'wasserstein_2' is not defined for images",
        ),
    ],
)
def test_metrics_that_mean_nothing_on_the_data_are_refused(suite, text, told):
    assert refusal(suite, text).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f'{IMAGES}name = "mnist"\n[evaluation]\nsamples = 60\nmetrics = ["kid"]\n'
            '[primary]\nmetric = "kid"\n',
            "13: primary.metric: 'kid' needs at least 1,000 samples, and 'gan' is judged by "
            "evaluation.samples = 60",
        ),
        (
            f'{IMAGES}name = "mnist"\n[evaluation]\nextractor = "inception"\n'
            '[primary]\nmetric = "modes"\n',
            "12: primary.metric: 'modes' counts classes, and extractor 'inception' does not know "
            "those of 'mnist'; name one that was trained on them",
        ),
        (
            f'{IMAGES}name = "mnist"\n[evaluation]\nextractor = "gone.safetensors"\n',
            "10: evaluation.extractor: gone.safetensors: No such file or directory",
        ),
    ],
)
def test_verdict_that_can_have_no_value_is_refused(suite, text, told):
    assert refusal(suite, text).startswith(told)
