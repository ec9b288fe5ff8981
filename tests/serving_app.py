"""An app whose handlers and lifespans do everything that makes a server's life hard."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse
from starlette.middleware.base import BaseHTTPMiddleware

EVENTS: list[str] = []
"""What happened in the process, in order; the test reads it."""
LEFT: set[asyncio.Task[Any]] = set()
_released = asyncio.Event()


def release() -> None:
    """Let all that is held, or deaf, come to its end."""
    global _released
    _released, event = asyncio.Event(), _released
    event.set()


async def _deaf(what: str) -> None:
    """Go on whatever happens, until it is released.

    anyio repeats a cancellation in each turn of the loop: such a handler keeps the process busy as long as it is there.
    """
    event, told = _released, False
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            if not told:
                EVENTS.append(f"{what} is deaf")
            told = True


async def _exit() -> None:
    sys.exit(7)


async def _start(how: str, version: int) -> None:
    match how:
        case "raises":
            raise ValueError(f"no database for version {version}")
        case "exits":
            sys.exit(7)
        case "interrupts":
            raise KeyboardInterrupt
        case "exits in a task":
            LEFT.add(asyncio.create_task(_exit()))
            await asyncio.sleep(0.1)
        case "base":
            raise BaseException("neither an Exception nor an exit")  # noqa: TRY002 - the case
        case "hangs":
            await asyncio.sleep(300)
        case "deaf":
            await _deaf(f"startup {version}")
        case "slow":
            await asyncio.sleep(1)


async def _stop(how: str, version: int) -> None:
    match how:
        case "stop raises":
            raise ValueError("the shutdown of version 1 went wrong")
        case "stop exits":
            sys.exit(7)
        case "stop hangs":
            await asyncio.sleep(300)
        case "stop is deaf":
            await _deaf(f"shutdown {version}")
        case "cancels all":
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        case "stops loop":
            asyncio.get_running_loop().stop()


def make(version: int, *, lifespan: str = "plain", wrapped: bool = False, **_: Any) -> FastAPI:
    """Version `version` of the app. `lifespan`: what its startup or shutdown does; "none": it has none."""

    @contextlib.asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        EVENTS.append(f"start {version}")
        await _start(lifespan, version)
        app.state.pool = {"open": True}
        yield {"pool": app.state.pool, "version": version}
        EVENTS.append(f"stop {version}")
        app.state.pool["open"] = False
        await _stop(lifespan, version)

    app = FastAPI(lifespan=None if lifespan == "none" else run)
    if wrapped:
        app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, call_next: call_next(request))
    _plain(app, version)
    _streams(app, version)
    _sockets(app, version)
    _faults(app, version)
    return app


def _plain(app: FastAPI, version: int) -> None:
    @app.get("/")
    async def root() -> int:
        return version

    @app.get("/state")
    async def state(request: Request) -> dict[str, Any]:
        start = request.app.state.hmr
        seen = {name: getattr(start, name) for name in ("generation", "number", "reloaded", "reason")}
        return {"hmr": seen, "state": getattr(request.state, "version", None), "scope": sorted(request.scope)}

    @app.get("/scope")
    async def scope(request: Request) -> list[Any]:
        return [request.scope["root_path"], request.scope["scheme"], (request.scope["client"] or [None])[0]]

    @app.get("/held")
    async def held(request: Request) -> list[Any]:
        EVENTS.append(f"held {version}")
        await _released.wait()
        return [version, getattr(request.state, "pool", {}).get("open")]

    @app.get("/events")
    async def events() -> list[str]:
        return EVENTS

    @app.post("/release")
    async def let_go() -> None:
        release()

    @app.get("/thread")
    def thread(seconds: float) -> int:
        time.sleep(seconds)
        return version

    @app.post("/upload")
    async def upload(request: Request) -> list[int]:
        EVENTS.append(f"upload {version}")
        return [version, len(await request.body())]

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> int:
        async def work() -> None:
            try:
                await _released.wait()
            finally:
                EVENTS.append(f"background {version} {'cancelled' if sys.exc_info()[0] else 'done'}")

        tasks.add_task(work)
        return version


async def _ticks(version: int, name: str, separator: str = "\n\n") -> AsyncIterator[str]:
    EVENTS.append(f"{name} {version}")
    try:
        while True:
            yield f"data: {version}{separator}"
            await asyncio.sleep(0.02)
    finally:
        EVENTS.append(f"{name} {version} ended")


async def _deaf_ticks(version: int) -> AsyncIterator[str]:
    yield f"data: {version}\n\n"
    await _deaf(f"stream {version}")


async def _restless() -> AsyncIterator[str]:
    while True:
        yield "data: x\n\n"


async def _parts(version: int, name: str, part: str, count: int) -> AsyncIterator[str]:
    EVENTS.append(f"{name} {version}")
    for number in range(count):
        yield part.format(number=number)
        await asyncio.sleep(0.05)


def _streams(app: FastAPI, version: int) -> None:
    def stream(
        path: str, make: Callable[[], AsyncIterator[str]], kind: str, headers: dict[str, str] | None = None
    ) -> None:
        @app.get(path)
        async def respond() -> StreamingResponse:
            return StreamingResponse(make(), media_type=kind, headers=headers)

    events = "text/event-stream"
    stream("/sse", lambda: _ticks(version, "sse"), events)
    stream("/ndjson", lambda: _ticks(version, "ndjson", "\n"), "application/x-ndjson")
    stream("/mixed", lambda: _ticks(version, "mixed"), "multipart/x-mixed-replace; boundary=x")
    stream("/tokens", lambda: _ticks(version, "tokens", " "), "text/plain")
    stream("/restless", _restless, events)
    stream("/deaf-sse", lambda: _deaf_ticks(version), events)
    stream("/deaf-tokens", lambda: _deaf_ticks(version), "text/plain")
    stream("/short", lambda: _parts(version, "short", "{number}", 4), "text/plain")
    stream("/download", lambda: _parts(version, "download", "x" * 1000, 10), "text/plain", {"content-length": "10000"})

    @app.get("/sse-starlette")
    async def sse_starlette() -> EventSourceResponse:
        return EventSourceResponse({"data": tick} async for tick in _ticks(version, "sse-starlette"))

    @app.get("/late-sse")
    async def late_sse() -> StreamingResponse:
        EVENTS.append(f"late-sse {version}")
        await asyncio.sleep(0.5)
        return StreamingResponse(_ticks(version, "sse"), media_type=events)


def _sockets(app: FastAPI, version: int) -> None:
    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        await socket.accept(subprotocol=(socket.scope["subprotocols"] or [None])[0])
        EVENTS.append(f"ws {version}")
        try:
            while True:
                await socket.send_text(f"{version} {await socket.receive_text()}")
        except WebSocketDisconnect as gone:
            EVENTS.append(f"ws {version} disconnect {gone.code}")

    @app.websocket("/ws-push")
    async def push(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(f"{version}")
                await asyncio.sleep(0.02)
        except WebSocketDisconnect as gone:
            EVENTS.append(f"push {version} disconnect {gone.code}")

    @app.websocket("/ws-late")
    async def late(socket: WebSocket) -> None:
        EVENTS.append(f"ws-late {version}")
        await asyncio.sleep(300)
        await socket.accept()

    @app.websocket("/ws-deaf")
    async def deaf(socket: WebSocket) -> None:
        await socket.accept()
        EVENTS.append(f"ws-deaf {version}")
        await _deaf(f"socket {version}")


def _faults(app: FastAPI, version: int) -> None:
    @app.get("/exit")
    async def leave() -> None:
        sys.exit(7)

    @app.get("/interrupt")
    async def interrupt() -> None:
        raise KeyboardInterrupt

    @app.get("/exit-in-task")
    async def exit_in_task() -> int:
        LEFT.add(asyncio.create_task(_exit()))
        await asyncio.sleep(0.05)
        return version

    @app.get("/never")
    async def never() -> None:
        EVENTS.append(f"never {version}")
        await _deaf(f"handler {version}")

    @app.get("/blocked")
    async def blocked() -> None:
        print("blocked", flush=True)
        time.sleep(300)

    @app.get("/to-thread")
    async def to_thread() -> int:
        return await asyncio.to_thread(lambda: version)

    @app.get("/executor")
    async def executor() -> int:
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 300)
        return version
