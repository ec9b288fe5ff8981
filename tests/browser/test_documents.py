"""Documents of all kinds over a real server: streams, compression, validators, fragments, service workers."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from tests.browser.driving import LOADS, loads, page_id, ready, shows, state, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser


def test_an_endless_page_refreshes_while_it_streams(site: Site, page: Page) -> None:
    """Its first chunk is shown and listens; the rest comes as it is made."""

    async def stream() -> AsyncIterator[str]:
        yield "<!doctype html><html><head><title>t</title></head><body>"
        for number in range(10_000):
            yield f"<p>{site.generation} {number}</p>"
            await asyncio.sleep(0.05)

    site.pages["/"] = lambda request: StreamingResponse(stream(), media_type="text/html")
    page.add_init_script(LOADS)
    page.goto(site.url(), wait_until="commit")
    ready(page)
    page.wait_for_selector("p >> nth=3", state="attached")
    shows(page, site.save())
    page.wait_for_selector(f"text={site.generation} 2", state="attached")
    assert loads(page) == 2


def test_a_compressing_app_is_injected_and_still_compresses_the_rest(site: Site, page: Page) -> None:
    """The page comes plain, since a script can't be put into gzip; what a script fetches comes as ever."""
    find = site._find
    site.pages["/"] = lambda request: document("<p>x</p>" * 1000)
    site.pages["/data"] = lambda request: Response("x" * 5000, media_type="text/plain")
    compressing = GZipMiddleware(lambda scope, receive, send: find(Request(scope, receive))(scope, receive, send))
    site.app = None
    site._find = lambda request: compressing  # type: ignore[method-assign]  # one app around all
    find = Site._find.__get__(site)
    visit(page, site.url())
    with page.expect_response("**/data") as fetched:
        page.evaluate("fetch('/data')")
    assert fetched.value.header_value("content-encoding") == "gzip"
    shows(page, site.save())


def test_a_page_with_validators_shows_the_new_version(site: Site, page: Page) -> None:
    """An ETag that does not change with the code must not bring back the old page."""

    def tagged(request: Request) -> Response:
        if request.headers.get("if-none-match"):
            return Response(status_code=304)
        headers = {"etag": '"same"', "last-modified": "Mon, 01 Jan 2018 00:00:00 GMT", "cache-control": "max-age=3600"}
        return HTMLResponse(document(f"<p>{site.generation}</p>"), headers=headers)

    site.pages["/"] = tagged
    visit(page, site.url())
    for _ in range(2):
        shows(page, site.save())
        assert page.inner_text("p") == site.generation


@pytest.mark.parametrize("header", ["HX-Request", "Turbo-Frame", "X-Requested-With", "X-Up-Target"])
def test_a_fragment_is_left_as_it_is(site: Site, page: Page, header: str) -> None:
    """What htmx, Turbo and their like put into the page holds no second script."""
    site.pages["/"] = lambda request: document("<div id=target></div>")
    site.pages["/part"] = lambda request: "<html><head></head><body><p>part</p></body></html>"
    visit(page, site.url())
    text = page.evaluate(
        "async (header) => (await fetch('/part', { headers: { accept: 'text/html', [header]: 'true' } })).text()",
        header,
    )
    assert text == site.pages["/part"](site.requests[-1])


def test_a_swapped_in_page_still_refreshes(site: Site, page: Page) -> None:
    """Turbo and hx-boost replace the body and the URL: the client lives on, and reloads what is shown now."""
    site.pages["/"] = lambda request: document("<p>one</p>")
    site.pages["/two"] = lambda request: document("<p>two</p>")
    visit(page, site.url())
    page.evaluate(
        "async () => { const text = await (await fetch('/two')).text();"
        "document.body = new DOMParser().parseFromString(text, 'text/html').body; history.pushState({}, '', '/two'); }"
    )
    shows(page, site.save())
    assert page.url == site.url("/two")
    assert page.inner_text("p") == "two"


def test_a_page_of_text_that_claims_to_be_html_refreshes(site: Site, page: Page) -> None:
    """`return "<h1>Hello</h1>"` is a page when a person navigates to it."""
    site.pages["/"] = lambda request: f"<h1>{site.generation}</h1>"
    visit(page, site.url())
    shows(page, site.save())
    assert page.inner_text("h1") == site.generation


def test_a_base_element_does_not_lead_us_away(site: Site, page: Page) -> None:
    """Our script comes before it."""
    site.pages["/"] = lambda request: document("x", "<base href='https://cdn.example/'>")
    visit(page, site.url())
    shows(page, site.save())


def test_a_page_that_opts_out_has_no_client(site: Site, page: Page) -> None:
    """By attribute or by header."""
    site.pages["/"] = lambda request: document("x").replace("<html", "<html data-fastapi-hmr=off")
    site.pages["/header"] = lambda request: HTMLResponse(document("x"), headers={"x-fastapi-hmr": "off"})
    for path in ("/", "/header"):
        response = page.goto(site.url(path))
        assert response is not None
        assert "__fastapi_hmr__" not in response.text()
        assert "x-fastapi-hmr" not in response.headers


CACHE_FIRST = """
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => event.respondWith((async () => {
  const cache = await caches.open("all");
  const known = await cache.match(event.request);
  if (known) return known;
  const fresh = await fetch(event.request);
  if (fresh.ok) cache.put(event.request, fresh.clone());
  return fresh;
})()));
"""
NETWORK_FIRST = CACHE_FIRST.replace("if (known) return known;", "")


def controlled(site: Site, page: Page, worker: str) -> None:
    """Open a page that a service worker controls and has cached."""
    register = "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready)"
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p><script>{register}</script>")
    site.pages["/worker.js"] = lambda request: Response(worker, media_type="text/javascript")
    visit(page, site.url())
    page.wait_for_function("navigator.serviceWorker.controller")
    page.reload()
    ready(page)
    page.wait_for_function("async () => (await caches.match(location.href)) !== undefined")


def test_a_cache_first_service_worker_is_one_reload_for_each_save(site: Site, page: Page) -> None:
    """It answers with the old page for ever: no loop, and the console says why."""
    controlled(site, page, CACHE_FIRST)
    before = loads(page)
    for number in (1, 2, 3):
        with page.expect_console_message(lambda message: "service worker" in message.text):
            site.save()
        assert loads(page) == before + number


def test_a_network_first_service_worker_changes_nothing(site: Site, page: Page) -> None:
    """What it fetches again is still a navigation to us."""
    controlled(site, page, NETWORK_FIRST)
    before = loads(page)
    shows(page, site.save())
    assert page.inner_text("p") == site.generation
    assert loads(page) == before + 1


def test_a_cache_first_service_worker_and_a_restarted_server(site: Site, page: Page) -> None:
    """The cached page has the old token too: still one reload, still no loop."""
    controlled(site, page, CACHE_FIRST)
    before = loads(page)
    site.stop()
    state(page, "lost")
    site.start()
    with page.expect_console_message(lambda message: "service worker" in message.text):
        pass
    assert loads(page) == before + 1


def test_downloads_and_json_are_shown_as_ever(site: Site, context: BrowserContext, page: Page) -> None:
    """A navigation to something that is no page."""
    site.pages["/json"] = lambda request: Response('{"a": 1}', media_type="application/json")
    site.pages["/file"] = lambda request: HTMLResponse(
        document("x"), headers={"content-disposition": "attachment; filename=a.html"}
    )
    response = page.goto(site.url("/json"))
    assert response is not None
    assert response.json() == {"a": 1}
    page.goto(site.url("/json"))
    with page.expect_download() as download:
        page.evaluate("location.href = '/file'")
    assert b"__fastapi_hmr__" not in download.value.path().read_bytes()


def test_a_page_without_javascript_is_a_page(site: Site, chromium: Any) -> None:
    """The tag is all that is added."""
    site.pages["/"] = lambda request: document("<p>x</p>")
    context = chromium.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(site.url())
        assert page.inner_text("p") == "x"
    finally:
        context.close()


def test_the_page_s_id_is_in_the_page(site: Site, page: Page) -> None:
    """And the response says that it was injected."""
    site.pages["/"] = lambda request: document()
    response = page.goto(site.url())
    assert response is not None
    assert response.headers["x-fastapi-hmr"] == "injected"
    assert page_id(page) == f"{site.generation}.0"
