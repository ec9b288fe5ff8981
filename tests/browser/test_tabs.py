"""Many tabs, tabs that come back, frames: one connection, and each page true to what is served."""

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from tests.browser.driving import loads, page_id, ready, shows, state, visit
from tests.browser.proxy import Proxy
from tests.browser.site import Site, document
from tests.utils import wait_until

pytestmark = pytest.mark.browser

SILENCE_S = 20
"""A tab that hears nothing for so long may take over by itself: 35 s less the time between two pings."""


@pytest.fixture
def plain(site: Site) -> Site:
    """A site with two pages that link to each other."""
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p><a href=/other>other</a>")
    site.pages["/other"] = lambda request: document("<a href=/>back</a>")
    return site


def test_twelve_tabs_share_one_connection_and_all_refresh(plain: Site, context: BrowserContext) -> None:
    """Browsers allow six connections to a host: the other tabs must neither hang nor miss anything."""
    pages = [context.new_page() for _ in range(12)]
    for page in pages:
        visit(page, plain.url())
    wait_until(lambda: plain.streams == 1, "one stream for all")
    target = plain.save()
    for page in pages:
        shows(page, target)
        assert loads(page) == 2
    wait_until(lambda: plain.streams == 1, "one stream for all again")


def test_the_next_tab_takes_over_when_the_connected_one_closes(plain: Site, context: BrowserContext) -> None:
    """No tab is left without news."""
    first, second = visit(context.new_page(), plain.url()), visit(context.new_page(), plain.url())
    wait_until(lambda: plain.streams == 1, "one stream")
    second.close()
    wait_until(lambda: plain.streams == 1, "the first tab's stream")
    shows(first, plain.save())
    assert loads(first) == 2


def test_the_next_tab_takes_over_when_the_connected_one_crashes(plain: Site, context: BrowserContext) -> None:
    """It says no goodbye: the browser takes its lock away, long before its silence is noticed."""
    first, second = visit(context.new_page(), plain.url()), visit(context.new_page(), plain.url())
    first.wait_for_function("navigator.locks.query().then(({ pending }) => pending.length === 1)")
    with pytest.raises(Error, match="crash"):
        second.goto("chrome://crash")
    began = time.monotonic()
    shows(first, plain.save())
    assert time.monotonic() - began < SILENCE_S / 2
    assert loads(first) == 2
    wait_until(lambda: plain.streams == 1, "the end of the other's stream")


def test_a_tab_whose_clock_was_set_back_still_learns_what_is_current(plain: Site, context: BrowserContext) -> None:
    """Who listens for all is settled by time: the tab with the earlier one must be greeted all the same."""
    first, second = visit(context.new_page(), plain.url()), context.new_page()
    second.add_init_script("{ const { now } = Date; Date.now = () => now() - 1e10; }")
    visit(second, plain.url())
    target = plain.save()
    for page in (first, second):
        shows(page, target)
        assert loads(page) == 2


def test_an_error_reaches_every_tab(plain: Site, context: BrowserContext) -> None:
    """Also those that hear of it from another tab only."""
    pages = [visit(context.new_page(), plain.url()) for _ in range(3)]
    plain.fail()
    for page in pages:
        page.wait_for_selector("fastapi-hmr-overlay")
    plain.fix()
    for page in pages:
        page.wait_for_selector("fastapi-hmr-overlay", state="detached")


def test_a_page_from_the_back_forward_cache_catches_up(plain: Site, page: Page) -> None:
    """Our stream does not keep it out of that cache; back in view it learns what is current."""
    visit(page, plain.url())
    page.evaluate("window.kept = true")
    page.click("a")
    page.wait_for_url(plain.url("/other"))
    shows(page, plain.save())
    page.evaluate("history.back()")
    page.wait_for_url(plain.url(), wait_until="commit")
    shows(page, f"{plain.generation}.0")
    assert page.inner_text("p") == plain.generation
    assert page.evaluate("window.kept") is None, "it was reloaded"


def away_and_back(page: Page, site: Site) -> None:
    """Follow the page's link, and come back out of the back-forward cache."""
    page.click("a")
    page.wait_for_url(site.url("/other"))
    ready(page)
    page.evaluate("history.back()")
    page.wait_for_url(site.url(), wait_until="commit")
    ready(page)


def test_a_page_from_the_back_forward_cache_that_is_current_stays(plain: Site, page: Page) -> None:
    """It connects again, and keeps what it held in memory."""
    visit(page, plain.url())
    page.evaluate("window.kept = true")
    away_and_back(page, plain)
    assert page.evaluate("window.kept") is True
    wait_until(lambda: plain.streams == 1, "its stream")
    shows(page, plain.save())


def test_a_tab_that_waits_for_the_lead_may_enter_the_back_forward_cache(plain: Site, context: BrowserContext) -> None:
    """Its request for the leader's lock ends with its view."""
    page = visit(context.new_page(), plain.url())
    page.evaluate("window.kept = true")
    leader = visit(context.new_page(), plain.url())
    leader.wait_for_function("navigator.locks.query().then(({ pending }) => pending.length === 1)")
    away_and_back(page, plain)
    assert page.evaluate("window.kept") is True
    target = plain.save()
    for each in (page, leader):
        shows(each, target)


def test_a_frame_leaves_the_stream_to_its_page(plain: Site, page: Page) -> None:
    """One connection; the frame reloads with the page, once."""
    plain.pages["/"] = lambda request: document("<iframe src=/other></iframe>")
    visit(page, plain.url())
    frame = page.frame(url=plain.url("/other"))
    assert frame is not None
    ready(frame)
    assert plain.streams == 1
    shows(page, plain.save())
    wait_until(lambda: plain.count("/other") == 2, "the frame's second load")
    assert loads(page) == 2
    plain.fail()
    page.wait_for_selector("fastapi-hmr-overlay")
    frame = page.frame(url=plain.url("/other"))
    assert frame is not None
    assert frame.locator("fastapi-hmr-overlay").count() == 0, "the page shows it for all its frames"


def test_a_stale_frame_is_reloaded_alone(plain: Site, page: Page) -> None:
    """The page is current; only what it frames is not."""
    plain.pages["/"] = lambda request: document("<iframe src=/other></iframe>")

    def old_first(request: object) -> str:
        if plain.count("/other") == 1:
            plain.requests[-1].scope["fastapi_hmr"]["generation"] = "older.7"
        return document()

    plain.pages["/other"] = old_first
    visit(page, plain.url())
    wait_until(lambda: plain.count("/other") == 2, "the frame's second load")
    frame = page.frame(url=plain.url("/other"))
    assert frame is not None
    shows(frame, f"{plain.generation}.0")
    assert loads(page) == 1
    assert plain.count("/other") == 2


def test_a_page_framed_by_another_origin_refreshes_by_itself(
    plain: Site, page: Page, make_site: Callable[..., Site]
) -> None:
    """An editor's preview pane, say."""
    outer = make_site()
    outer.pages["/"] = lambda request: document(f"<iframe src='{plain.url()}'></iframe>")
    visit(page, outer.url())
    frame = page.frame(url=plain.url())
    assert frame is not None
    ready(frame)
    shows(frame, plain.save())
    assert loads(page) == 1


def test_bad_gateways_are_waited_out(plain: Site, page: Page) -> None:
    """A proxy that answers 502 for a while: no reload for it, one for a save meanwhile."""
    proxy = Proxy(plain.port)
    try:
        visit(page, f"{proxy.url}/")
        proxy.take_down()
        state(page, "lost")
        proxy.bring_up()
        ready(page)
        assert loads(page) == 1
        proxy.take_down()
        state(page, "lost")
        target = plain.save()
        proxy.bring_up()
        shows(page, target)
        assert loads(page) == 2
    finally:
        proxy.close()


@pytest.fixture
def prefixed(make_site: Callable[..., Site]) -> Site:
    """A site that knows its proxy's prefix."""
    site = make_site(root_path="/api/v1")
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p>")
    return site


def test_a_prefix_that_a_proxy_strips_is_kept(prefixed: Site, page: Page) -> None:
    """Script, stream and overlay are found under `root_path`."""
    proxy = Proxy(prefixed.port, "/api/v1")
    try:
        visit(page, f"{proxy.url}/")
        shows(page, prefixed.save())
        prefixed.fail()
        page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    finally:
        proxy.close()


def test_ids_in_the_page_are_those_of_the_server(plain: Site, page: Page) -> None:
    """Generation and serial, as the interface says."""
    visit(page, plain.url())
    assert page_id(page) == f"{plain.generation}.0"
    plain.assets("page.html")
    shows(page, f"{plain.generation}.1")
