"""While the app keeps everybody waiting, the terminal says what for, and in which line."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_hmr.lifespan import Lifespan
from fastapi_hmr.waiting import Line, Waiting, running, suspended
from tests.conftest import Serve
from tests.utils import Project, wait_until

pytestmark = pytest.mark.anyio

SLOW = """
import asyncio
import os
from contextlib import asynccontextmanager
from fastapi import FastAPI
from helper import VALUE

async def until(name):
    while not os.path.exists(name):
        await asyncio.sleep(0.02)

@asynccontextmanager
async def lifespan(app):
    if VALUE == 2:
        await until("started")
    yield
    if VALUE == 2:
        await until("stopped")

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return VALUE
"""


def test_terminal_says_what_is_waited_for(project: Project, serve: Serve) -> None:
    """An import, a startup, a shutdown that take long: one line each, with the place."""
    project["main.py"], project["helper.py"] = SLOW, "VALUE = 1\n"
    server = serve("main:app")
    server.wait_for("/", 1)
    project["helper.py"] = "import os, time\nwhile not os.path.exists('imported'):\n    time.sleep(0.02)\nVALUE = 2\n"
    server.wait_for_line(r"note +still importing helper\.py:[23]")
    project["imported"] = ""
    server.wait_for_line(r"note +waiting for the lifespan's startup \(main\.py:10\)")
    project["started"] = ""
    server.wait_for("/", 2)
    project["helper.py"] = "VALUE = 3\n"
    server.wait_for_line(r"note +waiting for the lifespan's shutdown \(main\.py:10\)")
    project["stopped"] = ""
    server.wait_for("/", 3)


def owns(filename: str) -> bool:
    """Only this file is ours."""
    return filename == __file__


async def test_place_is_found_through_all_that_is_awaited() -> None:
    """Context managers made of generators, and coroutines within: the innermost line of ours."""
    forever = asyncio.Event()

    async def inner() -> None:
        await forever.wait()

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await inner()
        yield

    said: list[tuple[str, Line | None]] = []
    patience = Waiting(lambda what, line: said.append((what, line)), owns, late_s=0.01)
    app: Any = FastAPI(lifespan=lifespan)
    driver = Lifespan(app, "auto", asyncio.current_task().get_context(), patience=patience)  # type: ignore[union-attr]  # we run in one
    starting = asyncio.create_task(driver.startup())
    await asyncio.to_thread(wait_until, lambda: said, "the line")
    first = inner.__code__.co_firstlineno
    assert said == [("startup", (__file__, first + 1))]
    forever.set()
    await starting
    await driver.shutdown()


async def test_nothing_is_said_of_what_is_quick() -> None:
    """Who has not waited long need not be told anything, and no thread stays for it."""
    said: list[Any] = []
    task = asyncio.create_task(asyncio.sleep(0))
    with Waiting(lambda *what: said.append(what), owns, late_s=60)("startup", task):
        await task
    await asyncio.to_thread(
        wait_until,
        lambda: all(thread.name != "fastapi-hmr waiting" for thread in threading.enumerate()),
        "the end of the thread",
    )
    assert said == []


def test_place_of_a_thread_that_blocks() -> None:
    """The loop itself may be what waits: then it is the line that its thread is at."""
    line = running(threading.get_ident(), owns)
    assert line is not None
    assert line[0] == __file__
    assert suspended(None, owns) is None
