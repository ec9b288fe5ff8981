"""Fixtures for tests that edit real files under a real server."""

import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastapi_hmr import hot
from tests.generations import generations
from tests.reloads import Reloads
from tests.serving import Serving, write_app
from tests.utils import Project, Server, free_port, hmr_argv

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

type Serve = Callable[..., Server]


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _uvicorn_logs_as_imported() -> None:
    """A uvicorn.Config made by another test has set up its loggers for the whole process: undo that."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled = [], True, False
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project folder."""
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)


@pytest.fixture
def serve(project: Project) -> Iterator[Serve]:
    """Start the product on the project with these arguments, or another command given as `argv`."""
    running: list[Server] = []

    def start(*arguments: str, argv: list[str] | None = None, ready: bool = True, **env: str) -> Server:
        port = free_port()
        command = [part.format(port=port) for part in argv] if argv else hmr_argv(*arguments, "--port", str(port))
        server = Server(command, project.root, port=port, env=env)
        running.append(server)
        if ready:
            server.wait_ready()
        return server

    yield start
    for server in running:
        server.stop()


@pytest.fixture
async def serving(project: Project) -> AsyncIterator[Serving]:
    """The app of `write_app`, not started yet."""
    write_app(project)
    with generations(project) as modules:
        serving = Serving(modules)
        try:
            yield serving
        finally:
            await serving.close()


@pytest.fixture
async def reloads(project: Project) -> AsyncIterator[Reloads]:
    """An open host over the project's modules."""
    project["log.py"] = "log = []\n"
    with generations(project) as modules:
        try:
            yield Reloads(modules)
        finally:
            await hot.host.close()


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One Chromium for a module's tests."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import FLAGS, find_chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: "Browser") -> Iterator["BrowserContext"]:
    """A fresh profile, patient on a busy machine."""
    from playwright.sync_api import expect

    context = browser.new_context()
    context.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield context
    context.close()
