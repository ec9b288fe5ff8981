"""Ctrl-C, once, with everything connected that a working day leaves open."""

import contextlib
import re
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import websockets.sync.client
from playwright.sync_api import BrowserContext, sync_playwright
from websockets.exceptions import ConnectionClosed

from tests.browser.conftest import FLAGS, find_chromium
from tests.conftest import Serve
from tests.test_page_end_to_end import listening
from tests.utils import Project, Server

pytestmark = pytest.mark.browser
APP = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse, StreamingResponse

@asynccontextmanager
async def lifespan(app):
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def page():
    return HTMLResponse("<!doctype html><html><head></head><body>page</body></html>")

@app.get("/events")
async def events():
    async def ticks():
        while True:
            yield "data: tick\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(ticks(), media_type="text/event-stream")

@app.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())
"""
TRIES = 5


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    """A browser."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield chromium.new_context()
        chromium.close()


def ended(server: Server, context: BrowserContext) -> tuple[int, float]:
    """Exit code and seconds of a Ctrl-C with a tab, an event stream, a WebSocket and a kept connection open."""
    page = context.new_page()
    page.goto(server.url)
    listening(page)
    with (
        httpx.Client(base_url=server.url, timeout=30) as client,
        httpx.stream("GET", f"{server.url}/events", timeout=30) as stream,
        websockets.sync.client.connect(f"{server.url.replace('http', 'ws')}/ws") as socket,
    ):
        client.get("/")
        chunks = stream.iter_text()
        assert "tick" in next(chunks)
        socket.send("hello")
        assert socket.recv() == "hello"
        began = time.monotonic()
        code = server.interrupt()
        seconds = time.monotonic() - began
        for _ in chunks:  # it ends as a stream does, not in the middle
            pass
        with contextlib.suppress(ConnectionClosed):
            socket.recv()
        assert socket.close_code == 1012
    page.close()
    return code, seconds


def last_words(server: Server) -> list[str]:
    """What is printed from the shutdown on, without the number of the process and what is said of WebSockets."""
    lines = [re.sub(r"\d+", "N", line) for line in server.lines]
    return [line for line in lines[lines.index("INFO:     Shutting down") :] if "connection closed" not in line]


def test_ctrl_c_ends_it_at_once_with_everything_connected(
    project: Project, serve: Serve, context: BrowserContext
) -> None:
    """In less than a second, if the machine lets it one time in five; with the code and the words of uvicorn."""
    project["main.py"] = APP
    plain = serve(argv=[sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"])
    expected = plain.interrupt()
    for _ in range(TRIES):
        server = serve("main:app", "--reload")
        code, seconds = ended(server, context)
        assert code == expected
        assert last_words(server) == last_words(plain)
        if seconds < 1:
            break
    else:
        pytest.fail(f"{TRIES} times it took longer than a second, the last time {seconds:.1f} s")
