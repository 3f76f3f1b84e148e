"""The page in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from metrics_fixture import suite
from report_fixture import declaration, outlines, result, troubled, written

from bench.reporting.page import render_html
from bench.reporting.summary import summarize

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
PANELS = ".along [data-axis]:visible"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    results = troubled(root / "results", samples=True)
    path = root / "report.html"
    path.write_text(render_html(summarize(results, declaration()), results), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu"]
        found = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield found
        found.close()


class Tab:
    """An open report, and what went wrong in it."""

    def __init__(self, browser: playwright.Browser, path: Path, **options: object) -> None:
        self.page = browser.new_page(**options)
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def shown(self) -> list[str]:
        """The training step of each picture in sight."""
        pictures = self.page.locator(".grid figure:visible img:visible")
        return [each.get_attribute("data-step") or "" for each in pictures.all()]


@pytest.fixture
def tab(browser: playwright.Browser, report: Path) -> Iterator[Tab]:
    opened = Tab(browser, report, viewport={"width": 1200, "height": 900})
    yield opened
    opened.page.close()


def test_page_loads_without_faults_or_requests(tab: Tab, report: Path) -> None:
    assert tab.faults == []
    assert {url for url in tab.requests if not url.startswith("data:")} == {report.as_uri()}


def test_slider_moves_the_pictures_of_every_variant(tab: Tab) -> None:
    assert tab.shown() == ["18,750", "3,750", "3,750"]
    slider = tab.page.locator(".gallery input[type=range]")
    slider.focus()
    tab.page.keyboard.press("Home")
    assert tab.shown() == ["3,125", "625", "625"]
    tab.page.keyboard.press("ArrowRight")
    assert tab.shown() == ["6,250", "1,250", "1,250"]
    assert slider.get_attribute("aria-valuetext") == "33 % of training"
    assert tab.faults == []


def test_seed_is_chosen_and_a_missing_one_is_said(tab: Tab) -> None:
    tab.page.locator(".gallery select").select_option("4")
    assert tab.shown() == ["3,750"]
    assert tab.page.locator(".grid .none:visible").count() == 2
    tab.page.locator(".gallery select").select_option("3")
    assert tab.page.locator(".grid figcaption:visible").first.inner_text() == (
        "seed 3 · step 6,250 · diverged"
    )


def test_play_runs_through_training_and_stops(tab: Tab) -> None:
    play = tab.page.locator(".gallery .play")
    play.click()
    assert play.get_attribute("aria-pressed") == "true"
    assert tab.shown()[0] == "3,125"
    tab.page.wait_for_function("document.querySelector('.gallery input').value === '2'")
    play.click()
    assert play.get_attribute("aria-pressed") == "false"


def test_axis_of_the_curves_is_chosen_by_keyboard(tab: Tab) -> None:
    def shown() -> set[str | None]:
        return {each.get_attribute("data-axis") for each in tab.page.locator(PANELS).all()}

    before = tab.page.locator(PANELS).count()
    assert shown() == {"generator_step"}
    tab.page.locator(".axes input:checked").focus()
    tab.page.keyboard.press("ArrowRight")
    assert shown() == {"images"}
    tab.page.keyboard.press("ArrowRight")
    assert shown() == {"cost"}
    assert tab.page.locator(PANELS).count() == before == 6


def test_pictures_are_pixelated_only_where_enlarged(
    browser: playwright.Browser, report: Path
) -> None:
    found = []
    for width in (390, 1400):
        opened = Tab(browser, report, viewport={"width": width, "height": 800})
        picture = opened.page.locator(".grid img:visible").first
        found.append(
            picture.evaluate(
                "e => [e.clientWidth > e.naturalWidth, getComputedStyle(e).imageRendering]"
            )
        )
        opened.page.close()
    assert found == [[False, "auto"], [True, "pixelated"]]


@pytest.mark.parametrize("width", [390, 1400])
def test_page_never_scrolls_sideways(browser: playwright.Browser, report: Path, width: int) -> None:
    opened = Tab(browser, report, viewport={"width": width, "height": 800})
    overflow = opened.page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    opened.page.close()
    assert overflow == 0


@pytest.fixture(scope="module", params=["images", "points"])
def every_metric(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a suite that is judged by all metrics of its kind."""
    root, points = tmp_path_factory.mktemp("every"), request.param == "points"
    results = suite(root / "results", points=points)
    summary = summarize(results, declaration(metric="wasserstein_2" if points else "fid"))
    with outlines():
        (root / "report.html").write_text(render_html(summary, results), encoding="utf-8")
    return root / "report.html"


CLIPPED = """() => [...document.querySelectorAll(".comparison .n")].filter(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    const [inner, outer] = [text.getBoundingClientRect(), cell.getBoundingClientRect()];
    return inner.left < outer.left - 1 || inner.right > outer.right + 1;
}).map(cell => cell.textContent)"""


@pytest.mark.parametrize("width", [390, 1280])
def test_page_of_every_metric_fits(
    browser: playwright.Browser, every_metric: Path, width: int
) -> None:
    opened = Tab(browser, every_metric, viewport={"width": width, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.page.evaluate(CLIPPED) == []
    opened.page.close()


def test_theme_follows_the_system_and_the_button(browser: playwright.Browser, report: Path) -> None:
    opened = Tab(browser, report, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = opened.page.evaluate(ground)
    opened.page.locator("#theme").click()
    light = opened.page.evaluate(ground)
    opened.page.locator("#theme").click()
    assert (dark, light) == ("rgb(21, 23, 26)", "rgb(253, 253, 251)")
    assert opened.page.evaluate(ground) == dark
    opened.page.close()


def test_without_script_the_final_grids_are_shown(
    browser: playwright.Browser, report: Path
) -> None:
    opened = Tab(browser, report, java_script_enabled=False)
    assert opened.shown() == ["18,750", "3,750", "3,750"]
    assert opened.page.locator(".controls:visible").count() == 0
    panels = opened.page.locator(PANELS).all()
    assert {each.get_attribute("data-axis") for each in panels} == {"generator_step"}
    opened.page.close()


def test_hostile_names_run_nothing(browser: playwright.Browser, tmp_path: Path) -> None:
    results = written(tmp_path, [result("gan", 0)])
    hostile = declaration(("gan",), seeds=(0,), title="</title><script>window.hit = 1</script>")
    path = tmp_path / "report.html"
    with outlines():
        path.write_text(render_html(summarize(results, hostile), results), encoding="utf-8")
    opened = Tab(browser, path)
    assert opened.page.evaluate("window.hit") is None
    assert opened.page.title() == "</title><script>window.hit = 1</script>"
    opened.page.close()
