"""Fixtures: a site served for real, and one Chromium for each module."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.site import Site

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # names that lead here and are not localhost
]  # fmt: skip
CHROMIUM = "FASTAPI_HMR_CHROMIUM"


def find_chromium() -> str:
    """The browser to drive; the test fails with what to install where there is none."""
    if chosen := os.environ.get(CHROMIUM):
        if shutil.which(chosen) is None:
            pytest.fail(f"{CHROMIUM}={chosen!r} is not a program: name a Chromium or unset it", pytrace=False)
        return chosen
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.fail(
        f"no Chromium: install the package `chromium` (Debian, Ubuntu), or set {CHROMIUM} to one", pytrace=False
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for a module's tests, each of which has a context of its own."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=FLAGS,
            ignore_default_args=["--disable-back-forward-cache"],  # as people's browsers have it
        )
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile."""
    context = chromium.new_context(viewport={"width": 800, "height": 600})
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A fresh tab."""
    return context.new_page()


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    """Start a site with these options."""
    sites: list[Site] = []

    def make(**options: object) -> Site:
        site = Site(**options)  # type: ignore[arg-type]  # passed through
        site.start()
        sites.append(site)
        return site

    yield make
    for site in sites:
        site.stop()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with usual options."""
    return make_site()
