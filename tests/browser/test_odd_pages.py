"""Pages that make it hard: huge, old-fashioned, badly encoded, or with a will of their own about leaving."""

from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, Route
from starlette.responses import HTMLResponse, Response

from tests.browser.driving import loads, shows, state, until, visit
from tests.browser.site import Site, document
from tests.browser.test_requests import request_of, send_raw

pytestmark = pytest.mark.browser


def test_a_page_of_ten_megabytes_refreshes(site: Site, page: Page) -> None:
    """Twenty thousand rows that can be opened: what takes too long to keep is let go, not waited for."""
    row = f"<details><summary>row</summary>{'x' * 500}</details>\n"
    site.pages["/"] = lambda request: document(f"<h1>{site.generation}</h1>" + row * 20_000)
    visit(page, site.url())
    shows(page, site.save())
    assert page.inner_text("h1") == site.generation


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-1", "Größe"),
        ("windows-1251", "Привет"),
        ("shift_jis", "表示ソ"),
        ("euc-kr", "안녕"),
        ("gb18030", "你好"),
    ],
)
def test_a_page_in_an_old_charset_reads_as_ever(site: Site, page: Page, charset: str, text: str) -> None:
    """What is added is ASCII, which they all contain; whether the header or the page says which it is."""
    body = document(f"<p>{text}</p>").encode(charset)
    declared = document(f"<p>{text}</p>", f"<meta charset={charset}>").encode(charset)
    site.pages["/"] = lambda request: Response(body, headers={"content-type": f"text/html; charset={charset}"})
    site.pages["/meta"] = lambda request: Response(declared, headers={"content-type": "text/html"})
    visit(page, site.url())
    assert page.inner_text("p") == text
    page.goto(site.url("/meta"))
    shows(page, site.save())
    assert page.inner_text("p") == text


def test_a_charset_declared_late_is_still_found(site: Site, page: Page) -> None:
    """Browsers look for it in the first 1024 bytes: our script must not push it out."""
    filler = "<!--" + "x" * 880 + "-->"
    body = f"<!doctype html><html><head>{filler}<meta charset=windows-1251></head><body><p>Привет</p></body></html>"
    site.pages["/"] = lambda request: Response(body.encode("windows-1251"), headers={"content-type": "text/html"})
    visit(page, site.url())
    assert page.inner_text("p") == "Привет"


@pytest.mark.parametrize(
    "text",
    ["<p>no tags around</p>", "<body><p>no head</p>", "<title>t</title><p>no html", "<html><p>no head either</p></html>", "just text"],
)  # fmt: skip
def test_a_page_without_a_head_refreshes(site: Site, page: Page, text: str) -> None:
    """HTML lets all of it be left out."""
    site.pages["/"] = lambda request: text
    visit(page, site.url())
    shows(page, site.save())
    assert loads(page) == 2


def test_a_frameset_refreshes_with_its_frames(site: Site, page: Page) -> None:
    """As people wrote them thirty years ago: one reload, each frame loaded once more."""
    site.pages["/"] = lambda request: (
        "<html><head></head><frameset cols='*,*'><frame src=/a><frame src=/b></frameset></html>"
    )
    site.pages["/a"] = site.pages["/b"] = lambda request: document(site.generation)
    visit(page, site.url())
    until(page, lambda: site.count("/b") == 1, "the second frame")
    shows(page, site.save())
    until(page, lambda: (site.count("/a"), site.count("/b")) == (2, 2), "both frames again")
    assert loads(page) == 2


def test_an_xhtml_page_is_left_alone(site: Site, page: Page) -> None:
    """One tag that is not closed, and a browser would show an error in its place."""
    text = '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title></head><body><p>x</p></body></html>'
    site.pages["/"] = lambda request: Response(text, media_type="application/xhtml+xml")
    response = page.goto(site.url())
    assert response is not None
    assert response.text() == text
    assert page.inner_text("p") == "x"


def test_a_sandboxed_page_is_left_alone(site: Site, page: Page) -> None:
    """No script may run there, or none that may read our stream: no complaint in the console either."""
    complaints: list[str] = []
    site.pages["/favicon.ico"] = lambda request: Response(b"", media_type="image/x-icon")
    page.on("console", lambda message: complaints.append(message.text))
    site.pages["/"] = lambda request: HTMLResponse(
        document("<p>x</p>"), headers={"content-security-policy": "sandbox allow-scripts"}
    )
    page.goto(site.url())
    assert page.inner_text("p") == "x"
    assert page.locator("script[src*=__fastapi_hmr__]").count() == 0
    assert complaints == []


def test_a_page_that_asks_before_it_goes_is_asked_once(site: Site, page: Page) -> None:
    """Who stays on the page stays, until the next save; nothing asks again by itself."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    site.pages["/"] = lambda request: document(
        "<input id=a><script>addEventListener('beforeunload', (event) => event.preventDefault())</script>"
    )
    visit(page, site.url())
    page.click("#a")
    page.keyboard.type("unsaved")  # browsers ask only where a person has done something
    page.on("dialog", stay)
    site.save()
    until(page, lambda: asked == ["beforeunload"], "the question")
    state(page, "stale")
    site.cut_streams()
    state(page, "ready")
    assert page.input_value("#a") == "unsaved"
    assert (asked, loads(page)) == (["beforeunload"], 1)
    page.remove_listener("dialog", stay)
    page.on("dialog", lambda dialog: dialog.accept())
    shows(page, site.save())
    assert page.input_value("#a") == "unsaved"


def test_a_download_started_from_the_page_changes_nothing(site: Site, page: Page) -> None:
    """It begins like a navigation and is none: the page stays, and hears of the next save."""
    site.pages["/"] = lambda request: document("<a href=/file>get it</a>")
    site.pages["/file"] = lambda request: Response(
        b"x" * 100, headers={"content-disposition": "attachment; filename=a.bin"}
    )
    visit(page, site.url())
    with page.expect_download():
        page.click("a")
    shows(page, site.save())
    assert loads(page) == 2


def test_a_page_that_writes_itself_anew_still_refreshes(site: Site, page: Page) -> None:
    """`document.open()` takes every listener along; what is connected stays connected."""
    site.pages["/"] = lambda request: document("<p>x</p>")
    visit(page, site.url())
    page.evaluate("document.open(); document.write('<html><p>written</p></html>'); document.close()")
    site.save()
    page.wait_for_selector("text=x")
    assert site.count() == 2


def test_a_hundred_saves_within_a_moment_end_at_the_newest(site: Site, page: Page) -> None:
    """More than the tab remembers, and more than a stream holds for a page that does not read."""
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p>")
    visit(page, site.url())
    targets = [site.save() for _ in range(100)]
    shows(page, targets[-1])
    assert page.inner_text("p") == site.generation
    assert loads(page) <= 101


def test_a_server_that_answers_nonsense_is_waited_out(site: Site, page: Page) -> None:
    """A captive portal, a truncated stream, a proxy's page with status 200: no reload, no exception, and then on."""
    errors: list[str] = []
    left: list[dict[str, Any]] = [
        {"body": "<h1>Please log in</h1>", "content_type": "text/html"},
        {"body": "data: {broken\n\n", "content_type": "text/event-stream"},
        {"body": 'data: {"type":"unheard of"}\n\n', "content_type": "text/event-stream"},
        {"body": "", "status": 204},
    ]

    def answer(route: Route) -> None:
        if left:
            route.fulfill(**left.pop())
        else:
            route.continue_()

    page.on("pageerror", lambda error: errors.append(error.message))
    site.pages["/"] = lambda request: document()
    visit(page, site.url())
    page.route("**/events?*", answer)
    site.cut_streams()
    until(page, lambda: not left, "the end of the nonsense")
    shows(page, site.save())
    assert (loads(page), errors) == (2, [])


def test_http_1_0_gets_a_page_too(site: Site) -> None:
    """No chunks, a length or the end of the connection, and the script in it."""
    site.pages["/"] = lambda request: document("<p>x</p>")
    raw = request_of(site, "/", Sec_Fetch_Mode="navigate").replace(b"HTTP/1.1", b"HTTP/1.0")
    status, headers, body = send_raw(site.port, raw)
    assert status == 200
    assert b"__fastapi_hmr__" in body
    assert int(headers["content-length"]) == len(body)
