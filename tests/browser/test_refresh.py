"""A page in Chromium keeps up with what is served: once for each save, and never in a loop."""

import pytest
from playwright.sync_api import Page

from tests.browser.driving import loads, shows, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser


def test_a_save_refreshes_the_page_once(site: Site, page: Page) -> None:
    """The open page shows the new generation after one reload, without a hand on it."""
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p>")
    visit(page, site.url())
    shows(page, site.save())
    assert page.inner_text("p") == site.generation
    assert loads(page) == 2


def test_an_error_shows_over_the_page_and_the_fix_closes_it(site: Site, page: Page) -> None:
    """The overlay comes without a reload, and goes with the fix."""
    site.pages["/"] = lambda request: document("<p>good</p>")
    visit(page, site.url())
    site.fail()
    page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    assert loads(page) == 1
    site.fix()
    page.wait_for_selector("fastapi-hmr-overlay", state="detached")
    assert loads(page) == 1
