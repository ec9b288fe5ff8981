"""The lifespan driver: what an app's startup and shutdown may do, and what comes of it."""

import asyncio
import contextlib
import contextvars
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.lifespan import Lifespan
from fastapi_hmr.switch import Switch
from tests.serving_main import render
from tests.serving_process import Serving, serving
from tests.utils import free_port, wait_until


@pytest.fixture(scope="module")
def process() -> Iterator[Serving]:
    """One server for the module; each test begins with a version of its own."""
    with serving(switch={"drain_timeout": 0.5}) as running:
        yield running


def driver(app: Any, mode: str = "auto") -> Lifespan:
    """A lifespan in a context of its own."""
    return Lifespan(app, mode, contextvars.copy_context())


def app_with(startup: Any = None, shutdown: Any = None) -> FastAPI:
    """A FastAPI app that awaits these while starting and stopping."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        if startup is not None:
            await startup()
        yield {"key": "value"}
        if shutdown is not None:
            await shutdown()

    return FastAPI(lifespan=lifespan)


def raising(error: BaseException) -> Any:
    """A coroutine function that raises this."""

    async def run() -> None:
        raise error

    return run


async def test_state_is_what_the_lifespan_yields() -> None:
    """As under uvicorn the lifespan fills `scope["state"]`."""
    lifespan = driver(app_with())
    await lifespan.startup()
    assert lifespan.state == {"key": "value"}
    await lifespan.shutdown()


@pytest.mark.parametrize(
    "error",
    [ValueError("no database"), SystemExit(7), KeyboardInterrupt(), BaseException("neither"), asyncio.CancelledError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_startup_that_raises_fails_with_the_cause(error: BaseException, mode: str) -> None:
    """Whatever an app raises while it starts is reported with the exception itself, and ends nothing."""
    with pytest.raises(StartupFailed) as failed:
        await driver(app_with(startup=raising(error)), mode).startup()
    assert failed.value.__cause__ is error


async def test_startup_that_reports_its_failure_and_stays_is_cancelled() -> None:
    """`lifespan.startup.failed` is enough: the message is the error, and nothing is left running."""
    ended = asyncio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no queue"})
        try:
            await asyncio.sleep(300)
        finally:
            ended.set()

    with pytest.raises(StartupFailed, match="no queue"):
        await driver(app).startup()
    assert ended.is_set()


async def test_startup_that_hangs_can_be_cancelled() -> None:
    """The app's own startup is taken down with it."""
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.sleep(300)
        finally:
            ended.set()

    starting = asyncio.ensure_future(driver(app_with(startup=hang)).startup())
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended.is_set()


async def test_startup_deaf_to_cancellation_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """It is waited for within a bound, and said."""
    stop = False

    async def deaf() -> None:
        while not stop:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)

    starting = asyncio.ensure_future(driver(app_with(startup=deaf)).startup())
    await asyncio.sleep(0.05)
    starting.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert time.monotonic() - began < 10
    assert "ignores its cancellation" in caplog.text
    stop = True
    await asyncio.sleep(0.1)


async def test_shutdown_that_hangs_is_cancelled_after_its_time(caplog: pytest.LogCaptureFixture) -> None:
    """The next generation is not kept waiting for ever."""

    async def hang() -> None:
        await asyncio.sleep(300)

    lifespan = driver(app_with(shutdown=hang))
    await lifespan.startup()
    await lifespan.shutdown(timeout_s=0.1)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "The app's lifespan did not shut down within 0.1 s: it is cancelled."
    ]
    assert not lifespan.running


@pytest.mark.parametrize("error", [ValueError("went wrong"), SystemExit(7)], ids=lambda error: type(error).__name__)
async def test_shutdown_that_raises_is_reported(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, with what was raised; nobody is stopped by it."""
    lifespan = driver(app_with(shutdown=raising(error)))
    await lifespan.startup()
    await lifespan.shutdown()
    assert "failed to shut down" in caplog.text
    assert type(error).__name__ in caplog.text


async def test_lifespan_that_ends_while_serving_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """An app whose lifespan dies under way says nothing under uvicorn; here the log has it, and shutdown does not wait."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise ValueError("the pool is gone")

    lifespan = driver(app)
    await lifespan.startup()
    await asyncio.sleep(0)
    assert "ended while the app was being served" in caplog.text
    await lifespan.shutdown()


async def test_app_that_ignores_lifespans_is_served() -> None:
    """An app that returns at once, or raises, has none, and nothing to shut down."""

    async def returns(_scope: Any, _receive: Any, _send: Any) -> None:
        return None

    async def raises(scope: Any, _receive: Any, _send: Any) -> None:
        assert scope["type"] == "http"

    for app in (returns, raises):
        lifespan = driver(app)
        await lifespan.startup()
        assert not lifespan.running
        await lifespan.shutdown()


async def test_lifespan_off_is_never_asked() -> None:
    """As uvicorn's `--lifespan off`."""

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("asked")

    lifespan = driver(never, "off")
    await lifespan.startup()
    await lifespan.shutdown()


async def test_mounted_app_keeps_its_lifespan_to_itself() -> None:
    """As under uvicorn the lifespan of a mounted app is not run by the server."""
    ran: list[str] = []

    async def note() -> None:
        ran.append("inner")

    app = app_with()
    app.mount("/inner", app_with(startup=note))
    lifespan = driver(app)
    await lifespan.startup()
    await lifespan.shutdown()
    assert ran == []


def test_shutdown_comes_before_the_next_startup(process: Serving) -> None:
    """What the old generation holds, a port or a lock, is free when the next starts."""
    old = process.fresh()
    new = process.fresh()
    events = process.events()
    assert events.index(f"stop {old}") < events.index(f"start {new}")


CONTEXTS = """
import asyncio, contextvars
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request

AT_IMPORT = contextvars.ContextVar("AT_IMPORT", default="unset")
AT_IMPORT.set("import")
IN_LIFESPAN = contextvars.ContextVar("IN_LIFESPAN", default="unset")
IN_REQUEST = contextvars.ContextVar("IN_REQUEST", default="unset")
IN_TASK = []

@asynccontextmanager
async def lifespan(app):
    IN_LIFESPAN.set("lifespan")
    async def task():
        IN_TASK.extend([AT_IMPORT.get(), IN_LIFESPAN.get()])
    await asyncio.create_task(task())
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def read():
    found = [AT_IMPORT.get(), IN_LIFESPAN.get(), IN_REQUEST.get(), IN_TASK]
    IN_REQUEST.set("request")
    return found
"""
OURS = """
import asyncio, importlib, sys
import uvicorn
from fastapi_hmr.loop import run_loop
from fastapi_hmr.server import HmrServer, bind
from fastapi_hmr.switch import Switch

async def main():
    switch = Switch(render=None)
    config = uvicorn.Config(switch, interface="asgi3", lifespan="off", port=int(sys.argv[1]), http="h11")
    server = HmrServer(config, end_streams=switch.end_streams, close=switch.close)
    serving = asyncio.create_task(server.serve(sockets=list(bind(config, port_given=True).sockets)))
    await asyncio.sleep(0)
    await switch.replace(importlib.import_module("contexts").app, reason="first")
    await serving

run_loop(main())
"""


def test_context_variables_are_seen_as_under_uvicorn(tmp_path: Path) -> None:
    """What modules set while being imported is seen by the lifespan, its tasks and requests; the rest by nobody else."""
    (tmp_path / "contexts.py").write_text(CONTEXTS)
    (tmp_path / "ours.py").write_text(OURS)
    found = []
    for arguments in (["-m", "uvicorn", "contexts:app", "--http", "h11", "--port"], ["ours.py"]):
        port = free_port()
        server = subprocess.Popen(
            [sys.executable, *arguments, str(port)],
            cwd=tmp_path,
            env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[1]}", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            answers = [
                wait_until(lambda port=port: httpx.get(f"http://127.0.0.1:{port}/"), "the answer").json()  # type: ignore[misc]  # a lambda's default
                for _ in range(2)
            ]
            found.append(answers)
        finally:
            server.kill()
            server.wait()
    assert found[0] == found[1]
    assert found[0][0] == ["import", "unset", "unset", ["import", "lifespan"]]


async def test_variables_of_the_reload_do_not_reach_the_app() -> None:
    """What was set before the switch was made is no import's doing: neither lifespan nor requests see it change."""
    variable = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    async def note() -> None:
        seen.append(variable.get())

    variable.set("before")
    switch = Switch(render=render)
    await switch.replace(app_with(startup=note), reason="first")
    assert seen == ["before"]
    await switch.close()


async def test_log_says_of_an_unsupported_lifespan_what_uvicorn_says(caplog: pytest.LogCaptureFixture) -> None:
    """The same words, at the same level."""

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise TypeError("what is a lifespan?")

    with caplog.at_level(logging.INFO, "uvicorn.error"):
        await driver(app).startup()
    assert "ASGI 'lifespan' protocol appears unsupported." in caplog.text
