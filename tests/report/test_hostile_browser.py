"""Pages of hostile names in a real browser: nothing is executed, and nothing leaves the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.support.wait import WebDriverWait

from harness.report.sweep_write import write_sweep
from harness.report.write import write_files
from tests.report import hostile
from tests.report.test_browser import SECONDS, browser, pytestmark, size

if TYPE_CHECKING:
    from pathlib import Path

    from selenium.webdriver import Chrome

__all__ = ["browser", "pytestmark"]

WATCH = """
window.executed = [];
window.boom = () => window.executed.push("boom");
for (const name of ["alert", "confirm", "prompt", "open"])
  window[name] = () => window.executed.push(name);
addEventListener("error", (event) => window.executed.push(event.message));
addEventListener("securitypolicyviolation", (event) =>
  window.executed.push(event.violatedDirective));
"""
"""Runs before anything of the page does."""
EVENTS = """
for (const element of document.querySelectorAll("main *"))
  for (const kind of ["mouseover", "focus", "error", "load", "toggle"])
    element.dispatchEvent(new Event(kind));
return window.executed;
"""
FOREIGN = """
const alien = "img, iframe, object, embed, link:not([rel=icon]), base, a[href], [onload], " +
  "[onerror], [onmouseover], [onfocus], [autofocus]:not(.window h2)";
const known = (each) => each.matches("a") && /^(#|https:)/.test(each.getAttribute("href"));
return [...document.querySelectorAll(alien)].filter((each) => !known(each))
  .map((each) => each.outerHTML.slice(0, 200));
"""
"""What no page of ours has."""
WIDE = """
const wide = (each) => each.getBoundingClientRect().right > arguments[0] + 1;
return [...document.querySelectorAll("main *")]
  .filter((each) => wide(each) && !each.closest(".scroll, dialog, pre"))
  .slice(0, 3).map((each) => each.outerHTML.slice(0, 150));
"""
"""Which elements are wider than the page: for whoever mends it."""
WINDOWS = """
return [...document.querySelectorAll("dialog")].slice(0, 3).map((each) => {
  each.showPopover();
  const wide = each.scrollWidth;
  each.hidePopover();
  return wide;
});
"""
"""Opens windows of tiles, and tells how wide each is."""


@pytest.fixture(scope="module", autouse=True)
def _watched(browser: Chrome) -> None:
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})


def check(browser: Chrome, page: Path) -> None:
    """Open a page at several sizes, and see that nothing but the page itself is there."""
    size(browser, 1280, 900)
    browser.get(page.as_uri())
    charts = browser.execute_script("return document.querySelectorAll('.chart').length")
    drawn = "return Number(document.body.dataset.drawn || 0)"
    WebDriverWait(browser, SECONDS).until(lambda driver: driver.execute_script(drawn) == charts)
    assert browser.execute_script(EVENTS) == []
    assert browser.execute_script(FOREIGN) == []
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert.text
    for width in (1280, 320):
        size(browser, width, 900)
        opened = "for (const each of document.querySelectorAll('details')) each.open = true;"
        wide = browser.execute_script(f"{opened} return document.documentElement.scrollWidth")
        assert wide <= width, browser.execute_script(WIDE, width)


@pytest.mark.parametrize("names", hostile.pages(), ids=range(len(hostile.pages())))
def test_page_of_a_matrix(browser: Chrome, tmp_path: Path, names: tuple[str, ...]) -> None:
    page = write_files(hostile.report(names), tmp_path / "report.html")
    check(browser, page)
    widths = browser.execute_script(WINDOWS)
    assert len(widths) == 3
    assert max(widths) <= 320
    assert browser.execute_script("return window.executed") == []


def test_page_of_a_diagnosis_or_bisection(browser: Chrome, tmp_path: Path) -> None:
    check(browser, write_files(hostile.findings_alone(), tmp_path / "report.html"))


def test_page_of_a_sweep(browser: Chrome, tmp_path: Path) -> None:
    check(browser, write_sweep(hostile.sweep(), tmp_path / "report.html"))
