"""The page in a real browser: what only shows when scripts, styles and focus really work."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from harness.domain.commits import FaultyCommit
from harness.domain.verdict import Tolerance
from harness.report.sweep_model import read_sweep
from harness.report.sweep_write import write_sweep
from tests.report.sweeps import write_sweep_run
from tests.report.synthetic import FLAGS, RUNS, VERSIONS, matrix, write_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SECONDS = 60

pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER),
    reason="no Chromium; on Debian or Ubuntu: apt-get install chromium chromium-driver",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    commit = FaultyCommit(commit="440bfdd2c" * 4, date="2022-06-23", subject="x86 f16c")
    page = write_page(
        tmp_path_factory.mktemp("report"),
        matrix(layers=40),
        title="识别",
        tolerance=Tolerance(),
        commits=[commit],
    )
    return page.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    # Containers run as root and have a small /dev/shm.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Chrome, address: str) -> Chrome:
    """Open the page at desktop size, and wait for its pictures."""
    size(browser, 1280, 900)
    browser.get(address)
    drawn = "return document.body.dataset.drawn"
    WebDriverWait(browser, SECONDS).until(lambda driver: driver.execute_script(drawn) == "5")
    return browser


@pytest.fixture
def sweep(browser: Chrome, tmp_path: Path) -> Chrome:
    """Open the page of a sweep at desktop size."""
    size(browser, 1280, 900)
    page = write_sweep(read_sweep(write_sweep_run(tmp_path / "sweep")), tmp_path / "report.html")
    browser.get(page.as_uri())
    return browser


def size(browser: Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def tile(page: Chrome, label: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, f'.tile[aria-label="{label}"]')


def visible_tiles(page: Chrome) -> list[WebElement]:
    script = "return [...document.querySelectorAll('.tile')].filter(tile => tile.checkVisibility())"
    found: list[WebElement] = page.execute_script(script)
    return found


def window(page: Chrome) -> WebElement | None:
    """Return the open window, if there is one."""
    found: WebElement | None = page.execute_script("return document.querySelector(':popover-open')")
    return found


def choose(page: Chrome, name: str, value: str) -> None:
    box = page.find_element(By.CSS_SELECTOR, f'input[name="{name}"][value="{value}"]')
    page.execute_script("arguments[0].click()", box)


def test_nothing_is_reported_on_the_console(page: Chrome) -> None:
    assert page.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_pictures_are_drawn_with_their_limits(page: Chrome) -> None:
    charts = page.find_elements(By.CSS_SELECTOR, ".chart svg")
    assert len(charts) == 5
    words = [str(chart.get_attribute("textContent")) for chart in charts]
    assert "limit 4e-5" in words[0]
    assert "440bfdd2c" in words[3]


def test_hover_names_layer_and_build(page: Chrome) -> None:
    points = ".chart[data-spec=chain] .mark-symbol path:not(.background)"
    point = page.find_elements(By.CSS_SELECTOR, points)[4]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    ActionChains(page).move_to_element(point).perform()
    tooltip = WebDriverWait(page, SECONDS).until(
        lambda driver: driver.find_element(By.CSS_SELECTOR, "#vg-tooltip-element.visible")
    )
    for words in ("线性层_4", "InnerProduct", "build 20", "error of the chain"):
        assert words in tooltip.text


def test_tile_opens_by_click(page: Chrome) -> None:
    tile(page, "20250503 avx2 default: drop 3.6e-4").click()
    shown = window(page)
    assert shown is not None
    for words in ("20250503-avx2 / default", "纯臻营养护发素", "innerproduct_x86.cpp", "线性层_"):
        assert words in shown.text
    shown.find_element(By.CSS_SELECTOR, "button[aria-label=Close]").click()
    assert window(page) is None


def test_tile_opens_and_closes_by_keyboard(page: Chrome) -> None:
    first = tile(page, "20220420 sse2 default: ok 5.9e-7")
    page.execute_script("arguments[0].focus()", first)
    ActionChains(page).send_keys(Keys.TAB).send_keys(Keys.ENTER).perform()
    shown = window(page)
    assert shown is not None
    assert "20220420-avx2-nof16c / default" in shown.text
    ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert window(page) is None
    assert page.switch_to.active_element == tile(page, "20220420 avx2-nof16c default: ok 5.9e-7")


def test_filters_hide_rows_columns_and_tables(page: Chrome) -> None:
    assert len(visible_tiles(page)) == len(VERSIONS) * len(FLAGS) * len(RUNS)
    choose(page, "version", "20220420")
    choose(page, "flags", "runtime")
    choose(page, "run", "bf16")
    expected = (len(VERSIONS) - 1) * (len(FLAGS) - 1) * (len(RUNS) - 1)
    assert len(visible_tiles(page)) == expected
    assert f"{expected} tiles" in page.find_element(By.ID, "shown").text
    page.find_element(By.CSS_SELECTOR, "#filters button[type=reset]").click()
    WebDriverWait(page, SECONDS).until(lambda driver: len(visible_tiles(page)) > expected)


def test_filter_of_verdicts_counts_what_is_left(page: Chrome) -> None:
    for verdict in ("drop", "broken", "build-failed", "unsupported", "skipped"):
        choose(page, "verdict", verdict)
    bright = [t for t in visible_tiles(page) if "dim" not in str(t.get_attribute("class"))]
    assert {item.get_attribute("data-verdict") for item in bright} == {"ok"}
    assert page.find_element(By.ID, "shown").text == f"{len(bright)} tiles shown"


def test_input_changes_the_numbers(page: Chrome) -> None:
    choose(page, "input", "short")
    assert tile(page, "20250503 avx2 default short: drop 2.8e-4").is_displayed()
    assert not tile(page, "20250503 avx2 default: drop 3.6e-4").is_displayed()


def test_choices_reach_the_pictures(page: Chrome) -> None:
    lines = ".chart[data-spec=chain] .mark-line path:not(.background)"

    def drawn(driver: Chrome) -> int:
        return len(driver.find_elements(By.CSS_SELECTOR, lines))

    before = drawn(page)
    choose(page, "flags", "sse2")
    WebDriverWait(page, SECONDS).until(lambda driver: drawn(driver) < before)
    assert drawn(page) == before - len(VERSIONS)


@pytest.mark.parametrize("width", [320, 375, 1280])
def test_page_is_never_wider_than_the_screen(page: Chrome, width: int) -> None:
    size(page, width, 800)
    script = "return document.documentElement.scrollWidth"
    WebDriverWait(page, SECONDS).until(lambda driver: driver.execute_script(script) <= width)


def test_dark_mode_follows_the_system(page: Chrome) -> None:
    def background(scheme: str) -> str:
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
        colour: str = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        return colour

    assert background("light") == "rgb(246, 247, 249)"
    assert background("dark") == "rgb(20, 23, 28)"


def test_page_prints(page: Chrome) -> None:
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.find_element(By.ID, "filters").is_displayed()
    assert page.find_element(By.CSS_SELECTOR, ".tile").is_displayed()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def layer_types(page: Chrome) -> list[str]:
    """Return the layer types that the table of a sweep shows, from top to bottom."""
    rows = page.find_elements(By.CSS_SELECTOR, ".heat tbody")
    return [str(row.get_attribute("data-layer")) for row in rows if row.is_displayed()]


def test_table_of_a_sweep_is_filtered(sweep: Chrome) -> None:
    assert layer_types(sweep) == ["ReLU", "Softmax", "ROIAlign"]
    choose(sweep, "all", "on")
    assert layer_types(sweep) == ["ReLU", "Softmax", "ROIAlign", "Slice", "SDPA"]
    sweep.find_element(By.NAME, "layer").send_keys("soft, roi")
    assert layer_types(sweep) == ["Softmax", "ROIAlign"]
    assert sweep.find_element(By.ID, "shown").text == "2 layer types shown"
    choose(sweep, "version", "20250916")
    choose(sweep, "state", "drop")
    bright = sweep.find_elements(By.CSS_SELECTOR, ".heat td[data-state]:not(.dim)")
    states = {cell.get_attribute("data-state") for cell in bright if cell.is_displayed()}
    assert states == {"broken", "ok"}
    sweep.find_element(By.CSS_SELECTOR, "#filters button[type=reset]").click()
    WebDriverWait(sweep, SECONDS).until(lambda driver: len(layer_types(driver)) == 3)
    assert sweep.get_log("browser") == []  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("width", [320, 1280])
def test_page_of_a_sweep_is_never_wider_than_the_screen(sweep: Chrome, width: int) -> None:
    size(sweep, width, 800)
    script = "return document.documentElement.scrollWidth"
    WebDriverWait(sweep, SECONDS).until(lambda driver: driver.execute_script(script) <= width)
