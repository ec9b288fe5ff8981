"""The overlay and the error pages, as a person meets them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from fastapi_hmr.browser.pages import error_response
from fastapi_hmr.tracebacks import ErrorReport, place
from tests.browser.driving import loads, ready, shows, state, visit
from tests.browser.site import REPORT, Site, document

pytestmark = pytest.mark.browser

OVERLAY = "fastapi-hmr-overlay"


@pytest.fixture
def plain(site: Site) -> Site:
    """A site with one page that has a button."""
    site.pages["/"] = lambda request: document("<button id=own>own</button><input id=field>")
    return site


@pytest.fixture
def failed(plain: Site, page: Page) -> Page:
    """A page with the overlay open."""
    visit(page, plain.url())
    page.focus("#field")
    plain.fail()
    page.wait_for_selector(f"{OVERLAY} >> text=ZeroDivisionError")
    return page


def test_overlay_comes_without_a_reload_and_goes_with_the_fix(plain: Site, failed: Page) -> None:
    """The page below stays as it is."""
    assert loads(failed) == 1
    plain.fix()
    failed.wait_for_selector(OVERLAY, state="detached")
    assert loads(failed) == 1


def test_overlay_says_whether_anything_is_served(plain: Site, failed: Page) -> None:
    """The last good version, or none; a note of the report's own comes first."""
    assert failed.inner_text(f"{OVERLAY} p") == "The last good version goes on serving. This closes with the fix."
    plain.fail(serving=False)
    failed.wait_for_selector(f"{OVERLAY} p >> text=No version of the app is running.")
    plain.fail(ErrorReport("ImportError", "x", (), "caused by y"))
    failed.wait_for_selector(f"{OVERLAY} p >> text=caused by y")


def test_overlay_shows_text_as_text(failed: Page) -> None:
    """Messages hold markup that others chose: it is read, not run."""
    assert failed.inner_text(f"{OVERLAY} h1") == "ZeroDivisionError: division by zero <b>&"
    assert failed.locator(f"{OVERLAY} h1 b").count() == 1, "the title's own"


def test_overlay_marks_the_failing_columns(failed: Page) -> None:
    """In the line that failed."""
    assert failed.inner_text(f"{OVERLAY} code.hit mark") == "1 / 0"
    shown = failed.locator(f"{OVERLAY} section").first.inner_text()
    assert shown.startswith(f"{place(REPORT.frames[1], Path.cwd())} in total")


def test_overlay_counts_columns_in_characters(plain: Site, page: Page) -> None:
    """An emoji is one character of Python's, and two halves of JavaScript's."""
    frame = REPORT.frames[1]
    line = type(frame.source[0])(3, "x = '🎉🎉' + 1")
    report = ErrorReport("TypeError", "no", (type(frame)(frame.file, 3, "f", 4, 12, (line,), False),))
    visit(page, plain.url())
    plain.fail(report)
    assert page.inner_text(f"{OVERLAY} mark") == "'🎉🎉' + 1"


def test_overlay_folds_library_frames(failed: Page) -> None:
    """They are one click away."""
    library = failed.locator(f"{OVERLAY} details section")
    assert not library.is_visible()
    failed.click(f"{OVERLAY} summary >> text=1 library frame")
    library.wait_for()


def test_overlay_links_to_the_editor(
    page: Page, make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the editor's own URL scheme."""
    monkeypatch.setenv("FASTAPI_HMR_EDITOR", "cursor")
    site = make_site()
    site.pages["/"] = lambda request: document()
    visit(page, site.url())
    site.fail()
    assert page.get_attribute(f"{OVERLAY} section >> nth=0 >> a", "href") == "cursor://file/app/my%20code.py:3:12"


def test_overlay_copies_the_report_as_text(plain: Site, context: BrowserContext, page: Page) -> None:
    """For an issue, a chat, a search."""
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=plain.origin)
    visit(page, plain.url())
    plain.fail()
    page.click(f"{OVERLAY} >> text=Copy as text")
    page.wait_for_selector(f"{OVERLAY} >> text=Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "ZeroDivisionError: division by zero <b>&" in copied
    assert "return 1 / 0" in copied


def test_overlay_closes_by_escape_and_gives_the_focus_back(failed: Page) -> None:
    """And the page does not hear that key."""
    failed.evaluate("addEventListener('keydown', (event) => { window.heard = event.key; })")
    failed.keyboard.press("Escape")
    failed.wait_for_selector(OVERLAY, state="detached")
    assert failed.evaluate("window.heard") is None
    assert failed.evaluate("document.activeElement.id") == "field"
    failed.keyboard.press("Escape")
    assert failed.evaluate("window.heard") == "Escape"


def test_overlay_closes_by_its_button_and_beside_it(plain: Site, failed: Page) -> None:
    """By mouse too; a click in it keeps it."""
    failed.click(f"{OVERLAY} h1")
    failed.click(f"{OVERLAY} >> text=Close")
    failed.wait_for_selector(OVERLAY, state="detached")
    plain.fail()
    failed.wait_for_selector(OVERLAY)
    failed.mouse.click(3, 300)
    failed.wait_for_selector(OVERLAY, state="detached")


def test_overlay_is_usable_by_keyboard(failed: Page) -> None:
    """Focus begins in it; each control can be reached and used; it says what it is."""
    reached = set()
    for _ in range(4):
        reached.add(failed.evaluate(f"document.querySelector('{OVERLAY}').shadowRoot.activeElement?.textContent"))
        failed.keyboard.press("Shift+Tab")
    assert {"Close", "Copy as text"} <= reached
    dialog = failed.locator(f"{OVERLAY} [role=alertdialog]")
    assert dialog.get_attribute("aria-labelledby") == "title"
    failed.focus(f"{OVERLAY} summary")
    failed.keyboard.press("Enter")
    failed.locator(f"{OVERLAY} details section").wait_for()


def test_closed_overlay_stays_closed_until_the_next_error(plain: Site, failed: Page) -> None:
    """A new connection says the same error again: it is known. Another one is shown."""
    failed.keyboard.press("Escape")
    failed.wait_for_selector(OVERLAY, state="detached")
    plain.cut_streams()
    state(failed, "lost")
    ready(failed)
    assert failed.locator(OVERLAY).count() == 0
    plain.fail(ErrorReport("SyntaxError", "another"))
    failed.wait_for_selector(f"{OVERLAY} >> text=SyntaxError: another")


def test_another_error_takes_the_first_one_s_place(plain: Site, failed: Page) -> None:
    """One overlay, the newest error."""
    plain.fail(ErrorReport("SyntaxError", "another"))
    failed.wait_for_selector(f"{OVERLAY} >> text=SyntaxError: another")
    assert failed.locator(OVERLAY).count() == 1
    assert failed.locator(f"{OVERLAY} >> text=ZeroDivisionError").count() == 0


def test_page_opened_later_shows_the_error_too(plain: Site, page: Page) -> None:
    """The last error is kept until it is fixed."""
    plain.fail()
    page.goto(plain.url())
    page.wait_for_selector(f"{OVERLAY} >> text=ZeroDivisionError")
    shows(page, plain.save())
    assert page.locator(OVERLAY).count() == 0


def test_overlay_is_above_a_modal_dialog_and_out_of_the_page_s_style(plain: Site, page: Page) -> None:
    """Whatever the page does to its own elements."""
    style = (
        "<style>* { display: none !important; color: red !important } html, body { display: block !important }</style>"
    )
    plain.pages["/"] = lambda request: document(
        "<dialog>x</dialog><script>document.querySelector('dialog').showModal()</script>", style
    )
    visit(page, plain.url())
    plain.fail()
    page.click(f"{OVERLAY} >> text=Close")
    page.wait_for_selector(OVERLAY, state="detached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_overlay_is_readable_in_light_and_dark(plain: Site, chromium: Browser, scheme: Any) -> None:
    """Text against its ground: a contrast of 7 to 1 or better."""
    context = chromium.new_context(color_scheme=scheme)
    try:
        page = visit(context.new_page(), plain.url())
        plain.fail()
        page.wait_for_selector(OVERLAY)
        colors = page.locator(f"{OVERLAY} .frame").evaluate(
            "(element) => { const style = getComputedStyle(element);"
            "return [style.color, style.backgroundColor].map((color) => color.match(/[\\d.]+/g).slice(0, 3).map(Number)); }"
        )
    finally:
        context.close()
    dark, light = sorted(map(luminance, colors))
    assert (light + 0.05) / (dark + 0.05) >= 7
    assert (luminance(colors[1]) > 0.5) == (scheme == "light")


def luminance(rgb: list[float]) -> float:
    """As WCAG defines it."""
    linear = [value / 255 / 12.92 if value <= 10 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_exception_of_a_fetch_is_told_in_the_corner(plain: Site, page: Page) -> None:
    """The overlay opens on request; the next save takes the notice away."""

    def boom(request: Request) -> PlainTextResponse:
        raise LookupError("no such thing")

    plain.pages["/api"] = boom
    visit(page, plain.url())
    page.evaluate("fetch('/api')")
    page.click("fastapi-hmr-hint >> text=LookupError while answering GET /api")
    page.wait_for_selector(f"{OVERLAY} >> text=LookupError: no such thing")
    page.keyboard.press("Escape")
    shows(page, plain.save())
    assert page.locator("fastapi-hmr-hint").count() == 0


def test_page_whose_handler_raises_shows_it_and_heals(plain: Site, page: Page) -> None:
    """A 500 with the user's own frame, in place of bare text; the fix brings the page."""

    def boom(request: Request) -> PlainTextResponse:
        raise LookupError("no such thing")

    plain.pages["/broken"] = boom
    page.goto(plain.url("/broken"))
    page.wait_for_selector("h1 >> text=LookupError: no such thing")
    assert page.locator("code.hit >> text=raise LookupError").count() >= 1
    page.wait_for_selector("text=This page shows the fix by itself.")
    ready(page)
    plain.pages["/broken"] = lambda request: document("<p>fixed</p>")
    shows(page, plain.save())
    assert page.inner_text("p") == "fixed"


def test_page_of_an_app_that_does_not_run_heals(plain: Site, page: Page) -> None:
    """503 with the report; another error is shown in its place, without a second one over it; the fix brings the page."""
    report = REPORT

    async def unavailable(scope: Any, receive: Any, send: Any) -> None:
        status, headers, body = error_response(scope, report)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    plain.app = unavailable
    plain.fail(report)
    page.goto(plain.url())
    page.wait_for_selector("h1 >> text=ZeroDivisionError")
    ready(page)
    assert page.locator(OVERLAY).count() == 0
    report = ErrorReport("SyntaxError", "another")
    plain.fail(report)
    page.wait_for_selector("h1 >> text=SyntaxError: another")
    ready(page)
    assert page.locator(OVERLAY).count() == 0
    plain.app = None
    shows(page, plain.save())
    page.wait_for_selector("#own")
