"""What tests that drive a page share: waiting for its state, and counting its loads."""

import time
from collections.abc import Callable

from playwright.sync_api import Frame, Page

from tests.utils import DEADLINE_S

LOADS = "window.name = String(Number(window.name || 0) + 1)"
"""Counts a tab's loads; run by the page before anything else."""


def ready(page: Page | Frame) -> None:
    """Wait until the page knows that it is what the server serves."""
    state(page, "ready")


def visit(page: Page, url: str) -> Page:
    """Open a page, counting loads from here, and wait until it listens."""
    page.add_init_script(LOADS)
    page.goto(url)
    ready(page)
    return page


def loads(page: Page) -> int:
    """How often the tab has loaded a page since `visit`."""
    return int(page.evaluate("Number(window.name)"))


def page_id(page: Page | Frame) -> str:
    """The id of what the server made the page with."""
    return str(page.evaluate("document.querySelector('script[src*=__fastapi_hmr__]').dataset.id"))


def shows(page: Page | Frame, target: str) -> None:
    """Wait until the page is the one with this id, and knows it."""
    script = f'script[src*=__fastapi_hmr__][data-id="{target}"]'
    page.wait_for_selector(f'html[data-fastapi-hmr="ready"] {script}', state="attached")


HIDING = """
let hidden = false;
Object.defineProperty(Document.prototype, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
window.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
"""
"""Playwright's pages always count as visible: one with this can be told that it is not (real ones: windows.py)."""


def state(page: Page | Frame, expected: str) -> None:
    """Wait until the page says that it is in this state. By a selector: pages may forbid what `eval`s."""
    page.wait_for_selector(f'html[data-fastapi-hmr="{expected}"]', state="attached")


def until(page: Page, probe: Callable[[], object], what: str) -> None:
    """Wait for something that handlers of the page's events bring about."""
    deadline = time.monotonic() + DEADLINE_S
    while not probe():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S} s"
        page.wait_for_timeout(5)  # lets Playwright run the handlers
