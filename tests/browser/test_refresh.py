"""A page in Chromium keeps up with what is served: once for each save, and never in a loop."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.browser.driving import HIDING, LOADS, loads, page_id, ready, shows, state, visit
from tests.browser.site import Site, document
from tests.utils import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def plain(site: Site) -> Site:
    """A site with one page that says which generation made it."""
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p>")
    return site


def test_a_save_refreshes_the_page_once(plain: Site, page: Page) -> None:
    """The open page shows the new generation after one reload, without a hand on it."""
    visit(page, plain.url())
    shows(page, plain.save())
    assert page.inner_text("p") == plain.generation
    assert loads(page) == 2


def test_many_saves_are_as_many_refreshes(plain: Site, page: Page) -> None:
    """Twenty-five in a row: none lost, none doubled."""
    visit(page, plain.url())
    for _ in range(25):
        shows(page, plain.save())
    assert loads(page) == 26
    assert plain.count() == 26


def test_a_burst_of_saves_ends_at_the_newest(plain: Site, page: Page) -> None:
    """Saves that overtake the page are caught up with, and then it is quiet."""
    visit(page, plain.url())
    targets = [plain.save() for _ in range(20)]
    shows(page, targets[-1])
    assert loads(page) <= 21
    assert loads(page) == plain.count()


def test_a_save_that_ran_nothing_refreshes_nothing(plain: Site, page: Page) -> None:
    """The same id is no news."""
    visit(page, plain.url())
    plain.fix()
    plain.fix()
    shows(page, plain.save())
    assert loads(page) == 2


def test_a_page_made_by_an_older_generation_catches_up(plain: Site, page: Page) -> None:
    """Its request was under way while the switch happened: the id says who answered, so it reloads at once."""

    def old_first(request: object) -> str:
        if plain.count() == 1:
            plain.requests[-1].scope["fastapi_hmr"]["generation"] = "older.7"
        return document()

    plain.pages["/"] = old_first
    page.add_init_script(LOADS)
    page.goto(plain.url())
    shows(page, f"{plain.generation}.0")
    assert loads(page) == 2


def test_a_killed_and_restarted_server_is_one_reload(plain: Site, page: Page) -> None:
    """The page waits for the server, whose id is another, and whose token too."""
    visit(page, plain.url())
    before = page_id(page)
    plain.stop()
    state(page, "lost")
    assert loads(page) == 1
    plain.start()
    shows(page, f"{plain.generation}.0")
    assert page_id(page) != before
    assert loads(page) == 2
    shows(page, plain.save())
    assert loads(page) == 3


def test_a_lost_connection_reloads_nothing(plain: Site, page: Page) -> None:
    """Nothing changed: the page connects again, and that is all."""
    visit(page, plain.url())
    for _ in range(3):
        plain.cut_streams()
        state(page, "lost")
        ready(page)
    assert loads(page) == 1


def test_a_silent_connection_is_given_up(plain: Site, page: Page) -> None:
    """After 35 s without a ping, as after a sleep of the machine, the page connects again."""
    page.clock.install()
    visit(page, plain.url())
    with page.expect_request(lambda request: "/events?" in request.url):
        page.clock.fast_forward(36_000)
    shows(page, plain.save())
    assert loads(page) == 2


def test_a_page_that_stays_old_is_reloaded_once(plain: Site, page: Page) -> None:
    """Some cache answers with the same old page for ever: one try for each save, no loop."""
    visit(page, plain.url())
    stuck = page.content()
    page.route(plain.url(), lambda route: route.fulfill(body=stuck, content_type="text/html"))
    for number in range(1, 4):
        with page.expect_console_message(lambda message: "[fastapi-hmr]" in message.text):
            plain.save()
        assert loads(page) == 1 + number


def test_no_loop_without_session_storage(plain: Site, page: Page) -> None:
    """Where nothing can be remembered, a page that was reloaded just now is not reloaded again."""
    page.add_init_script("Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('blocked'); } })")
    visit(page, plain.url())
    stuck = page.content()
    page.route(plain.url(), lambda route: route.fulfill(body=stuck, content_type="text/html"))
    with page.expect_console_message(lambda message: "[fastapi-hmr]" in message.text):
        plain.save()
    assert loads(page) == 2
    page.unroute_all()
    page.reload()
    shows(page, f"{plain.generation}.0")


def test_no_storage_at_all_is_no_reason_to_miss_a_save(plain: Site, page: Page) -> None:
    """Where a person blocks cookies, Firefox refuses the tabs' channel too: each tab then listens for itself."""
    page.add_init_script("window.BroadcastChannel = class { constructor() { throw new Error('insecure'); } };" + HIDING)
    visit(page, plain.url())
    shows(page, plain.save())
    page.evaluate("hide(true)")
    target = plain.save()
    state(page, "stale")
    page.evaluate("hide(false)")
    shows(page, target)
    assert loads(page) == 3


def test_the_result_of_a_form_is_not_submitted_again(plain: Site, page: Page, tmp_path: Path) -> None:
    """It says that it is old, once and out of the way, takes stylesheets in, and shows what is broken."""
    link = "<link rel=stylesheet href=/site.css>"
    plain.pages["/site.css"] = lambda request: Response("p { color: red }", media_type="text/css")
    plain.pages["/"] = lambda request: (
        document("<p>posted", link)
        if request.method == "POST"
        else document("<form method=post><button>go</button></form>")
    )
    visit(page, plain.url())
    page.click("button")
    page.wait_for_selector("text=posted")
    ready(page)
    sheet = tmp_path / "site.css"
    sheet.write_text("p { color: green }")
    plain.assets(sheet)
    wait_until(lambda: plain.count("/site.css") == 2, "the new stylesheet")
    plain.save()
    page.wait_for_selector("fastapi-hmr-hint >> text=by hand")
    state(page, "stale")
    page.click("fastapi-hmr-hint button")
    plain.fail()
    page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    plain.save()
    page.wait_for_selector("fastapi-hmr-overlay", state="detached")
    assert page.locator("fastapi-hmr-hint").count() == 0
    assert [request.method for request in plain.requests if request.url.path == "/"] == ["GET", "POST"]
    page.goto(plain.url())
    shows(page, f"{plain.generation}.0")


def test_a_form_that_fails_shows_why_and_is_not_sent_again(plain: Site, page: Page) -> None:
    """The page with the exception does not promise to show the fix."""

    def answer(request: Request) -> str:
        if request.method == "POST":
            raise RuntimeError("no such thing")
        return document("<form method=post><button>go</button></form>")

    plain.pages["/"] = answer
    visit(page, plain.url())
    page.click("button")
    page.wait_for_selector("text=no such thing")
    ready(page)
    assert not page.is_visible("text=by itself")
    plain.save()
    page.wait_for_selector("fastapi-hmr-hint >> text=by hand")
    assert [request.method for request in plain.requests if request.url.path == "/"] == ["GET", "POST"]


def test_hash_and_query_survive(plain: Site, page: Page) -> None:
    """The page is reloaded where it is."""
    visit(page, plain.url("/?q=1#part"))
    shows(page, plain.save())
    assert page.url == plain.url("/?q=1#part")


def test_a_missing_page_heals(plain: Site, page: Page) -> None:
    """A 404 in HTML refreshes too, and finds its route after the save."""
    plain.pages["/new"] = lambda request: HTMLResponse(document("not yet"), 404)
    visit(page, plain.url("/new"))
    plain.pages["/new"] = lambda request: document("<p>here</p>")
    shows(page, plain.save())
    assert page.inner_text("p") == "here"


def test_fastapi_reloader_stands_back(plain: Site, page: Page) -> None:
    """Its client, injected at the end of the page, sees that it is loaded already: one of the two reloads."""
    reloader = (
        "if (!window.__fastapi_reloader_loaded) { window.__fastapi_reloader_loaded = true; document.title = 'both'; }"
    )
    plain.pages["/"] = lambda request: document("x") + f"\n<script>{reloader}</script>"
    visit(page, plain.url())
    assert page.title() == "t"


def test_two_scripts_in_one_page_are_one_client(plain: Site, page: Page) -> None:
    """A page that holds another page's markup does not get two clients."""
    visit(page, plain.url())
    page.evaluate(
        "() => new Promise((done) => { const old = document.querySelector('script[src*=__fastapi_hmr__]');"
        "const copy = document.createElement('script'); for (const a of old.attributes) copy.setAttribute(a.name, a.value);"
        "copy.onload = done; document.head.append(copy); })"
    )
    assert plain.streams == 1
    shows(page, plain.save())
    assert loads(page) == 2


def test_an_id_of_its_own_for_each_tab(plain: Site, context: BrowserContext) -> None:
    """Two tabs on two pages reload each their own."""
    plain.pages["/other"] = lambda request: document("other")
    first, second = (visit(context.new_page(), plain.url(path)) for path in ("/", "/other"))
    target = plain.save()
    for page in (first, second):
        shows(page, target)
        assert loads(page) == 2
    assert (first.url, second.url) == (plain.url(), plain.url("/other"))
