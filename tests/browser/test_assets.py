"""Stylesheets and images are swapped in the open page; other files of a page reload it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tests.browser.driving import HIDING, loads, shows, state, until, visit
from tests.browser.site import Site, document
from tests.utils import wait_until

pytestmark = pytest.mark.browser

GREEN, BLUE = "rgb(0, 128, 0)", "rgb(0, 0, 255)"


def svg(width: int) -> str:
    """An image as wide as said."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="10"/>'


@pytest.fixture
def files(site: Site, tmp_path: Path) -> Path:
    """A folder served as static files are; a page can ask for any of them."""

    def serve(name: str) -> Callable[[Request], Response]:
        return lambda request: FileResponse(tmp_path / name) if (tmp_path / name).exists() else Response("gone", 404)

    for name in ("a.css", "b.css", "pic.svg", "pic2.svg"):
        site.pages[f"/static/{name}"] = serve(name)
    (tmp_path / "a.css").write_text("p { color: green }")
    (tmp_path / "b.css").write_text("p { margin: 3px }")
    (tmp_path / "pic.svg").write_text(svg(20))
    (tmp_path / "pic2.svg").write_text(svg(20))
    return tmp_path


def colored(page: Page, color: str) -> None:
    """Wait until the paragraph is painted in this color."""
    page.wait_for_function("color => getComputedStyle(document.querySelector('p')).color === color", arg=color)


STYLED = document(
    "<p>x</p>", '<link rel="stylesheet" href="/static/a.css" media="all"><link rel="stylesheet" href="/static/b.css">'
)


def test_a_stylesheet_is_swapped_in_place(site: Site, files: Path, page: Page) -> None:
    """Painted anew without a navigation; the one link stays one, where it was and as it was."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    colored(page, GREEN)
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css")
    colored(page, BLUE)
    page.wait_for_function("document.querySelectorAll('link').length === 2")
    links = page.evaluate(
        "[...document.querySelectorAll('link')].map((link) => [new URL(link.href).pathname, link.media])"
    )
    assert links == [["/static/a.css", "all"], ["/static/b.css", ""]]
    assert loads(page) == 1
    assert site.count("/static/b.css") == 1, "only the changed one was asked for"


def test_each_save_of_a_stylesheet_is_swapped(site: Site, files: Path, page: Page) -> None:
    """Again and again, without growing the page or the URL."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    for width in (1, 2, 3, 4, 5):
        (files / "a.css").write_text(f"p {{ border-left: {width}px solid }}")
        site.assets(files / "a.css")
        page.wait_for_function(
            "width => getComputedStyle(document.querySelector('p')).borderLeftWidth === width", arg=f"{width}px"
        )
    page.wait_for_function("document.querySelectorAll('link').length === 2")
    assert re.fullmatch(r".*/static/a\.css\?fastapi-hmr=5", page.evaluate("document.querySelector('link').href"))
    assert loads(page) == 1


def test_the_old_stylesheet_stays_until_the_new_one_is_there(site: Site, files: Path, page: Page) -> None:
    """No moment without style, and none lost to a file that is gone."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    (files / "a.css").write_text("p { color: blue }")
    held: list[Callable[[], None]] = []
    page.route("**/a.css?*", lambda route: held.append(route.continue_))
    site.assets(files / "a.css")
    page.wait_for_function("document.querySelectorAll('link').length === 3")
    colored(page, GREEN)
    until(page, lambda: held, "the request for the new stylesheet")
    held[0]()
    colored(page, BLUE)


def test_a_stylesheet_that_can_t_be_had_leaves_the_old_one(site: Site, files: Path, page: Page) -> None:
    """Deleted or failing: the page keeps its looks."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    page.route("**/a.css?*", lambda route: route.fulfill(status=500, body="no"))
    site.assets(files / "a.css")
    with page.expect_response("**/a.css?*"):
        pass
    page.wait_for_function("document.querySelectorAll('link').length === 2")
    colored(page, GREEN)
    assert loads(page) == 1


def test_an_element_can_be_left_alone(site: Site, files: Path, page: Page) -> None:
    """`data-fastapi-hmr=off` on a link or an image: it keeps what it has loaded, and the page is not reloaded for it."""
    site.pages["/"] = lambda request: document(
        "<p>x</p><img src=/static/pic.svg data-fastapi-hmr=off><img src=/static/pic.svg>",
        "<link rel=stylesheet href=/static/a.css data-fastapi-hmr=off>",
    )
    visit(page, site.url())
    (files / "a.css").write_text("p { color: blue }")
    (files / "pic.svg").write_text(svg(30))
    site.assets(files / "a.css", files / "pic.svg")
    page.wait_for_function("document.images[1].naturalWidth === 30")
    assert page.evaluate("document.images[0].naturalWidth") == 20
    colored(page, GREEN)
    assert loads(page) == 1


def test_an_empty_stylesheet_is_waited_for(site: Site, files: Path, page: Page) -> None:
    """A builder truncates before it writes: the empty moment is not shown."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    (files / "a.css").write_text("")
    site.assets(files / "a.css")
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css")
    colored(page, BLUE)
    assert site.count("/static/a.css") == 2


def test_an_imported_stylesheet_reloads_the_page(site: Site, files: Path, page: Page) -> None:
    """Nothing in the page names it: unsure means reload."""
    (files / "b.css").write_text("@import url(a.css);")
    site.pages["/"] = lambda request: document("<p>x</p>", '<link rel="stylesheet" href="/static/b.css">')
    visit(page, site.url())
    colored(page, GREEN)
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css")
    colored(page, BLUE)
    assert loads(page) == 2


def test_another_origin_s_stylesheet_is_left_alone(
    site: Site, files: Path, page: Page, make_site: Callable[..., Site]
) -> None:
    """The same file name elsewhere is another file."""
    other = make_site()
    other.pages["/static/a.css"] = lambda request: Response("p { color: green }", media_type="text/css")
    site.pages["/"] = lambda request: document(
        "<p>x</p>",
        f'<link rel="stylesheet" href="{other.url("/static/a.css")}"><link rel="stylesheet" href="/static/a.css">',
    )
    visit(page, site.url())
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css")
    colored(page, BLUE)
    assert other.count("/static/a.css") == 1


def test_an_image_is_swapped_in_place(site: Site, files: Path, page: Page) -> None:
    """In `src`, `srcset` and a style attribute, without a navigation."""
    site.pages["/"] = lambda request: document(
        '<img id=a src="/static/pic.svg"><img id=b srcset="/static/pic.svg 1x, /static/pic2.svg 2x">'
        '<div style="background: url(/static/pic.svg)"></div>'
    )
    visit(page, site.url())
    (files / "pic.svg").write_text(svg(44))
    site.assets(files / "pic.svg")
    page.wait_for_function(
        "document.querySelector('#a').naturalWidth === 44 && document.querySelector('#b').naturalWidth === 44"
    )
    assert "pic.svg?fastapi-hmr=1" in page.evaluate("document.querySelector('div').style.backgroundImage")
    assert page.get_attribute("#b", "srcset") == f"{site.url('/static/pic.svg?fastapi-hmr=1')} 1x, /static/pic2.svg 2x"
    assert loads(page) == 1


def test_an_image_of_a_stylesheet_is_swapped_in_place(site: Site, files: Path, page: Page) -> None:
    """Its rule names it relative to the stylesheet."""
    (files / "b.css").write_text("@media all { p { background: url(pic.svg) } }")
    site.pages["/"] = lambda request: document("<p>x</p>", '<link rel="stylesheet" href="/static/b.css">')
    visit(page, site.url())
    site.assets(files / "pic.svg")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('p')).backgroundImage.includes('/static/pic.svg?fastapi-hmr=1')"
    )
    assert loads(page) == 1


def test_an_icon_is_swapped_in_place(site: Site, files: Path, page: Page) -> None:
    """The tab's own image."""
    site.pages["/"] = lambda request: document("x", '<link rel="icon" href="/static/pic.svg">')
    visit(page, site.url())
    site.assets(files / "pic.svg")
    page.wait_for_selector("link[href$='pic.svg?fastapi-hmr=1']", state="attached")
    assert loads(page) == 1


@pytest.mark.parametrize("name", ["page.html", "app.js", "font.woff2", "data.json"])
def test_other_files_reload_the_page(site: Site, page: Page, name: str) -> None:
    """Templates, scripts, fonts, data: once, as a new id."""
    site.pages["/"] = lambda request: document()
    visit(page, site.url())
    site.assets(name)
    shows(page, f"{site.generation}.1")
    assert loads(page) == 2


def test_a_stylesheet_and_a_template_in_one_save_are_one_reload(site: Site, files: Path, page: Page) -> None:
    """The reload takes the stylesheet along."""
    site.pages["/"] = lambda request: STYLED
    visit(page, site.url())
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css", "page.html")
    shows(page, f"{site.generation}.1")
    colored(page, BLUE)
    assert loads(page) == 2


def test_a_stylesheet_that_changed_meanwhile_is_caught_up_with(site: Site, files: Path, page: Page) -> None:
    """A hidden tab without a connection swaps when it is shown."""
    site.pages["/"] = lambda request: STYLED
    page.add_init_script(HIDING)
    visit(page, site.url())
    page.evaluate("hide(true); document.dispatchEvent(new Event('freeze'))")
    wait_until(lambda: site.streams == 0, "the end of the stream")
    (files / "a.css").write_text("p { color: blue }")
    site.assets(files / "a.css")
    page.evaluate("hide(false); document.dispatchEvent(new Event('resume'))")
    colored(page, BLUE)
    state(page, "ready")
    assert loads(page) == 1


def test_an_old_stylesheet_without_cache_rules_is_asked_for_again(site: Site, files: Path, page: Page) -> None:
    """Browsers guess that a file which is old stays so: with us they ask each time."""
    site.pages["/"] = lambda request: STYLED

    def years_old(request: Request) -> Response:
        text = (files / "a.css").read_text()
        return Response(text, media_type="text/css", headers={"last-modified": "Mon, 01 Jan 2018 00:00:00 GMT"})

    site.pages["/static/a.css"] = years_old
    visit(page, site.url())
    (files / "a.css").write_text("p { color: blue }")
    page.goto("about:blank")
    page.goto(site.url())
    colored(page, BLUE)
