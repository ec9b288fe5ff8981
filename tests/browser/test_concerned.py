"""In Chromium: a changed file reloads the pages that are made of it, and leaves the others alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tests.browser.driving import loads, ready, shows, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser


def test_only_pages_that_load_a_script_reload_for_it(
    make_site: Callable[..., Site], context: BrowserContext, tmp_path: Path
) -> None:
    """The other page takes the new id over, and is reloaded for what concerns it."""
    site = make_site(roots=(tmp_path,))
    for name in ("a b.js", "b.js"):
        (tmp_path / name).write_text("1")

    def static(name: str) -> Callable[[Request], Response]:
        return lambda request: FileResponse(tmp_path / name)

    site.pages = {
        "/": lambda request: document("<script src='/a%20b.js'></script>"),
        "/other": lambda request: document("<script src=/b.js></script>"),
        "/a b.js": static("a b.js"),
        "/b.js": static("b.js"),
    }
    first, second = visit(context.new_page(), site.url()), visit(context.new_page(), site.url("/other"))
    site.assets(tmp_path / "a b.js")
    shows(first, f"{site.generation}.1")
    ready(second)
    site.assets(tmp_path / "b.js")
    shows(second, f"{site.generation}.2")
    ready(first)
    assert (loads(first), loads(second)) == (2, 2)
    target = site.save()
    for page in (first, second):
        shows(page, target)
    assert (loads(first), loads(second)) == (3, 3)


def test_a_stylesheet_that_is_written_into_a_page_reloads_it(
    make_site: Callable[..., Site], context: BrowserContext, tmp_path: Path
) -> None:
    """There is no link to swap: the page itself was made of it."""
    site = make_site(roots=(tmp_path,))
    (tmp_path / "a.css").write_text("p { margin: 1px }")
    site.pages["/"] = lambda request: document("<p>x</p>", f"<style>{(tmp_path / 'a.css').read_text()}</style>")
    page = visit(context.new_page(), site.url())
    (tmp_path / "a.css").write_text("p { margin: 7px }")
    site.assets(tmp_path / "a.css")
    shows(page, f"{site.generation}.1")
    assert page.evaluate("getComputedStyle(document.querySelector('p')).marginTop") == "7px"
