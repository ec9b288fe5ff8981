"""Tabs that are behind others, in minimised windows, or frozen, for real: nothing meanwhile, one refresh when shown."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.site import Site, document
from tests.browser.windows import Tab, Windows
from tests.utils import wait_until

pytestmark = pytest.mark.browser


@pytest.fixture
def windows(chromium: Browser) -> Iterator[Windows]:
    """Windows of a fresh profile."""
    windows = Windows(chromium)
    yield windows
    windows.close()


@pytest.fixture
def plain(site: Site) -> Site:
    """A site with one page."""
    site.pages["/"] = lambda request: document(f"<p>{site.generation}</p>")
    return site


def minimized(windows: Windows, site: Site) -> Tab:
    """A tab that has connected, in a window that has been minimised since."""
    tab = windows.open(site.url())
    tab.state("ready")
    tab.window("minimized")
    tab.visible("hidden")
    return tab


def test_a_tab_behind_another_reloads_when_it_is_shown(plain: Site, windows: Windows) -> None:
    """Once, however many saves there were; the one in front followed each."""
    behind = windows.open(plain.url())
    behind.state("ready")
    front = windows.open(plain.url())
    front.state("ready")
    behind.visible("hidden")
    for _ in range(3):
        target = plain.save()
        front.shows(target)
    behind.state("stale")
    assert (behind.loads, front.loads) == (1, 4)
    assert plain.streams == 1
    behind.activate()
    behind.shows(target)
    assert behind.loads == 2
    front.visible("hidden")
    target = plain.save()
    behind.shows(target)
    front.activate()
    front.shows(target)
    assert (behind.loads, front.loads) == (3, 5)


def test_a_tab_opened_in_the_background_connects_when_it_is_shown(plain: Site, windows: Windows) -> None:
    """It holds no connection until then, and misses nothing."""
    windows.open("about:blank")
    tab = windows.open(plain.url(), background=True)
    tab.state("hidden")
    assert plain.streams == 0
    target = plain.save()
    tab.activate()
    tab.shows(target)
    assert tab.loads == 2


def test_a_minimised_window_reloads_when_it_is_shown(plain: Site, windows: Windows) -> None:
    """Nobody took over, so it keeps its connection and hears of each save."""
    tab = minimized(windows, plain)
    targets = [plain.save() for _ in range(3)]
    tab.state("stale")
    assert tab.loads == 1
    assert plain.streams == 1
    tab.window("normal")
    tab.shows(targets[-1])
    assert tab.loads == 2


def test_a_hidden_tab_shown_while_the_server_is_away_stays_as_it_is(plain: Site, windows: Windows) -> None:
    """It reloads from a server that is there, never into the browser's own error page."""
    tab = minimized(windows, plain)
    plain.save()
    tab.state("stale")
    plain.stop()
    tab.window("normal")
    tab.state("lost")
    assert tab.loads == 1
    plain.start()
    tab.shows(f"{plain.generation}.0")
    assert tab.loads == 2


def test_a_frozen_tab_gives_its_connection_up(plain: Site, windows: Windows) -> None:
    """As browsers freeze tabs that are hidden for long; thawed and shown, it catches up."""
    tab = minimized(windows, plain)
    tab.freeze()
    wait_until(lambda: plain.streams == 0, "the end of the stream")
    target = plain.save()
    tab.thaw()
    tab.window("normal")
    tab.shows(target)
    assert tab.loads == 2
