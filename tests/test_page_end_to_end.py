"""The whole product in a real browser: the example app is edited, the open page shows it without a hand on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import find_chromium
from tests.utils import ROOT, Project, Server, free_port, hmr_argv

pytestmark = pytest.mark.browser
OVERLAY = "fastapi-hmr-overlay"
SAVES = int(os.environ.get("FASTAPI_HMR_TEST_SAVES", "30"))
"""In a row; more by hand."""
LOG = "addEventListener('DOMContentLoaded', () => { window.name += '|' + document.querySelector('h1').textContent; })"
"""Each page of a tab adds what it shows to what the tab remembers."""


@pytest.fixture
def example(tmp_path: Path) -> Project:
    """A copy of the example app."""
    shutil.copytree(ROOT / "example_app", tmp_path / "example", ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path / "example")


@pytest.fixture
def server(example: Project, tmp_path: Path) -> Iterator[Server]:
    """`fastapi-hmr main:app --reload` in it, with a quick start."""
    port = free_port()
    env = {"DAYBOOK_DATABASE": str(tmp_path / "daybook.db"), "DAYBOOK_STARTUP_SECONDS": "0.05"}
    server = Server(hmr_argv("main:app", "--reload", "--port", str(port)), example.root, port=port, env=env)
    server.wait_ready()
    yield server
    server.stop()


class Loads:
    """How often the page was loaded: counted where a reload can't hide it."""

    def __init__(self, page: Page) -> None:
        self.count = 0
        page.on("load", self._loaded)

    def _loaded(self, _page: Page) -> None:
        self.count += 1


def opened(context: BrowserContext, url: str) -> tuple[Page, Loads]:
    """The page, loaded once and listening for news."""
    page = context.new_page()
    loads = Loads(page)
    page.goto(url)
    listening(page)
    assert loads.count == 1
    return page, loads


def listening(page: Page) -> None:
    """Wait until the page says that it is ready to hear of saves."""
    page.wait_for_function("document.documentElement.dataset.fastapiHmr === 'ready'")


def settled(page: Page, loads: Loads, count: int) -> None:
    """Wait until the page has been loaded so often and listens; it must not be loaded once more."""
    listening(page)
    page.wait_for_timeout(300)  # a second reload for the same save would come now; also lets `load` events through
    listening(page)
    assert loads.count == count


def test_handler_template_and_stylesheet_reach_the_open_page_once(
    example: Project, server: Server, context: BrowserContext
) -> None:
    """Each edit is shown once: a handler and a template by one reload, a stylesheet without any."""
    page, loads = opened(context, server.url)
    example.edit("routers/pages.py", "hour < 5:", "hour < 25:")
    expect(page.locator("body")).to_contain_text("Up late")
    settled(page, loads, 2)

    example.edit("templates/base.html", "Save a file of this app and watch.", "Saved, and watched.")
    expect(page.locator("footer")).to_contain_text("Saved, and watched.")
    settled(page, loads, 3)

    example["static/site.css"] = example["static/site.css"] + "\nbody { background: rgb(1, 2, 3) !important; }\n"
    expect(page.locator("body")).to_have_css("background-color", "rgb(1, 2, 3)")
    settled(page, loads, 3)


def test_each_of_many_saves_is_one_refresh(example: Project, server: Server, context: BrowserContext) -> None:
    """A handler and a template in turn: as many pages as saves, in order, none lost and none doubled."""
    handler, template = example["routers/pages.py"], example["templates/day.html"]
    context.add_init_script(LOG)
    page, loads = opened(context, server.url)
    expected = []
    for number in range(1, SAVES + 1):
        if number % 2:
            example["routers/pages.py"] = handler.replace("hour < 5:", "hour < 25:").replace("Up late", f"Up {number}")
        else:
            example["templates/day.html"] = template.replace("{{ greeting }}.", f"{{{{ greeting }}}}, {number}")
        expected.append(f"Up {number if number % 2 else number - 1}" + (f", {number // 2 * 2}" if number > 1 else "."))
        expect(page.locator("h1")).to_have_text(expected[-1])
    settled(page, loads, SAVES + 1)
    assert page.evaluate("window.name").split("|")[2:] == expected


def test_a_syntax_error_shows_the_overlay_and_the_fix_removes_it(
    example: Project, server: Server, context: BrowserContext
) -> None:
    """The page stays what it was below the report, and goes on with the fix."""
    page, loads = opened(context, server.url)
    good = example["routers/pages.py"]
    example["routers/pages.py"] = good + "\ndef broken(:\n"
    overlay = page.locator(OVERLAY)
    expect(overlay).to_contain_text("SyntaxError")
    expect(overlay).to_contain_text("routers/pages.py")
    assert loads.count == 1
    example["routers/pages.py"] = good.replace("hour < 5:", "hour < 25:").replace("Up late", "Mended")
    expect(page.locator("body")).to_contain_text("Mended")
    expect(overlay).to_have_count(0)
    settled(page, loads, 2)


def test_a_page_opened_before_the_first_good_start_heals(
    example: Project, tmp_path: Path, context: BrowserContext
) -> None:
    """The 503 page of an app that never worked becomes the app when it does."""
    good = example["main.py"]
    example["main.py"] = good + "\nraise RuntimeError('not yet')\n"
    port = free_port()
    env = {"DAYBOOK_DATABASE": str(tmp_path / "daybook.db"), "DAYBOOK_STARTUP_SECONDS": "0.05"}
    server = Server(hmr_argv("main:app", "--reload", "--port", str(port)), example.root, port=port, env=env)
    try:
        server.wait_ready()
        page = context.new_page()
        response = page.goto(server.url)
        assert response is not None
        assert response.status == 503
        expect(page.locator("body")).to_contain_text("not yet")
        example["main.py"] = good
        expect(page.locator("footer")).to_contain_text("Save a file")
    finally:
        server.stop()


def test_every_open_page_refreshes(example: Project, server: Server, context: BrowserContext) -> None:
    """A page in a second tab learns of the same save."""
    first, _ = opened(context, server.url)
    second, _ = opened(context, f"{server.url}/week")
    example.edit("settings.py", 'TITLE = "Daybook"', 'TITLE = "Nightbook"')
    expect(first.locator(".brand")).to_have_text("Nightbook")
    second.bring_to_front()
    expect(second.locator(".brand")).to_have_text("Nightbook")


@pytest.mark.timeout(180)
def test_the_measurement_of_refreshes_runs() -> None:
    """Each kind of save is measured, and none is lost or doubled."""
    argv = [sys.executable, "-m", "benchmarks.refresh", "--saves", "2"]
    env = os.environ | {"CHROMIUM": find_chromium()}
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(" | ")[0] for line in done.stdout.splitlines()[2:-1]] == [
        "| (reload by hand)", "| handler", "| module", "| template", "| stylesheet"
    ]  # fmt: skip
    assert done.stdout.splitlines()[-1] == "fastapi-hmr: 6 saves, 6 refreshes, 0 lost, 0 doubled"
