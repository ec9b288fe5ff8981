"""Other origins, other sites and rebound names in Chromium: they read nothing and trigger nothing."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.driving import loads, shows, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser

TRY_ALL = """
async ({ base, token }) => {
  const found = {};
  const events = `${base}/__fastapi_hmr__/events?token=${token}`;
  const client = `${base}/__fastapi_hmr__/client.js`;
  for (const [name, url, options] of [
    ["events", events, {}], ["events with cookies", events, { credentials: "include" }], ["events, opaque", events, { mode: "no-cors" }],
    ["client", client, {}], ["client, opaque", client, { mode: "no-cors" }], ["post", events, { method: "POST" }],
  ]) {
    try {
      const response = await fetch(url, options);
      found[name] = response.type === "opaque" ? "opaque" : `read ${response.status}`;
    } catch { found[name] = "blocked"; }
  }
  const load = (element, url) => new Promise((done) => {
    element.onload = () => done("loaded"); element.onerror = () => done("blocked");
    element.src = url; document.body.append(element);
  });
  found.script = await load(document.createElement("script"), client);
  found.image = await load(document.createElement("img"), client);
  found.source = await new Promise((done) => {
    const source = new EventSource(events);
    source.onopen = () => done("open"); source.onerror = () => { source.close(); done("blocked"); };
  });
  found.socket = await new Promise((done) => {
    const socket = new WebSocket(events.replace("http", "ws"));
    socket.onopen = () => done("open"); socket.onerror = () => done("blocked");
  });
  return found;
}
"""


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "evil.test"])
def test_a_page_of_another_origin_gets_nothing(
    site: Site, page: Page, make_site: Callable[..., Site], name: str
) -> None:
    """Another port, another address, another site: blocked each way, even with the token."""
    site.pages["/"] = lambda request: document()
    evil = make_site(allowed_hosts=("evil.test",))
    evil.pages["/"] = lambda request: document()
    page.goto(f"http://{name}:{evil.port}/")
    found = page.evaluate(TRY_ALL, {"base": site.origin, "token": site.middleware._routes.token})
    assert set(found.values()) == {"blocked"}, found
    assert site.streams == 0
    assert not site.requests, "the app was not asked either"
    assert not site.errors


def test_a_rebound_name_gets_nothing(site: Site, page: Page) -> None:
    """The browser takes it for the page's own origin; the Host header gives it away."""
    site.pages["/"] = lambda request: document("<p>the app's own business</p>")
    response = page.goto(f"http://rebound.test:{site.port}/")
    assert response is not None
    assert "__fastapi_hmr__" not in response.text()
    found = page.evaluate(TRY_ALL, {"base": f"http://rebound.test:{site.port}", "token": site.middleware._routes.token})
    reads = {name: what for name, what in found.items() if what != "blocked"}
    assert set(reads.values()) <= {"read 403"}, found
    assert site.streams == 0


def test_a_refused_name_is_told_how_to_be_allowed(site: Site, page: Page) -> None:
    """In words that a person can act on."""
    response = page.goto(f"http://dev.test:{site.port}/__fastapi_hmr__/client.js")
    assert response is not None
    assert response.status == 403
    assert "--allowed-host dev.test" in response.text()


def test_an_allowed_name_works_over_plain_http(page: Page, make_site: Callable[..., Site]) -> None:
    """Another machine's name: no secure context, no Sec-Fetch headers, and all the same a refresh."""
    site = make_site(allowed_hosts=("dev.test",))
    site.pages["/"] = lambda request: document("<p>x</p>")
    visit(page, f"http://dev.test:{site.port}/")
    assert page.evaluate("isSecureContext") is False
    assert "sec-fetch-mode" not in site.requests[0].headers
    shows(page, site.save())
    site.fail()
    page.wait_for_selector("fastapi-hmr-overlay >> text=ZeroDivisionError")
    page.click("fastapi-hmr-overlay >> text=Copy as text")
    page.wait_for_selector("fastapi-hmr-overlay >> text=Copied")
    assert loads(page) == 2
