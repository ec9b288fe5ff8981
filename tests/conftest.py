"""Fixtures for tests that edit real files under a real server."""

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.utils import Project, Server, free_port, hmr_argv

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
