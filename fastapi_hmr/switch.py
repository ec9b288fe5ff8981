"""The ASGI app that uvicorn serves: a gate, and behind it the current generation."""

import asyncio
import contextlib
import contextvars
import inspect
import secrets
import sys
from collections.abc import Callable
from typing import Any

from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.generation import ASGIApp, Generation, Receive, Scope, Send, Start
from fastapi_hmr.lifespan import Lifespan
from fastapi_hmr.tracebacks import ErrorReport

GATE_S = 60.0
"""How long a request waits for a reload before it is answered with 503."""

type Rendered = tuple[int, list[tuple[bytes, bytes]], bytes]
type Render = Callable[[Scope, ErrorReport, int], Rendered]

_STARTING = ErrorReport("Starting", "the app has not started yet: this page comes back by itself when it has")
_ENDING = ErrorReport("Ending", "the server is shutting down")


class Switch:
    """Serves one generation at a time; requests that arrive while it is being replaced wait for the next.

    `lifespan` and `interface` are uvicorn's options of that name; `render` makes the answer while nothing good runs.
    """

    def __init__(
        self, *, lifespan: str = "auto", interface: str = "auto", render: Render, gate_timeout: float = GATE_S
    ) -> None:
        self._mode, self._interface, self._render, self._gate_timeout = lifespan, interface, render, gate_timeout
        self._boot = secrets.token_hex(4)
        self._number = 0
        self._current: Generation | None = None
        self._previous: Generation | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._gate: asyncio.Future[None] | None = None
        self._report = _STARTING
        self._base = contextvars.copy_context()
        self.generation = f"{self._boot}.0"

    @property
    def serving(self) -> bool:
        """Whether there is a good generation to answer requests."""
        return self._current is not None

    def close_gate(self) -> None:
        """From now on requests wait."""
        if self._gate is None:
            self._gate = asyncio.get_running_loop().create_future()

    def open_gate(self) -> None:
        """Let the waiting requests go on."""
        gate, self._gate = self._gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)

    async def replace(self, app: Any, *, reason: str) -> str:
        """Retire the current generation, start `app` as the next and serve it; returns its id.

        Raises StartupFailed; then, as after a cancellation, no generation runs and the gate stays closed until
        `restore()`, `fail()` or another `replace()`.
        """
        self.close_gate()
        _signal_fastapi_reloader()
        if self._current is not None:
            self._previous, self._current = self._current, None
            self._stopping = asyncio.ensure_future(self._previous.stop())
        await self._old_stopped()
        self._number += 1
        start = Start(f"{self._boot}.{self._number}", self._number, self._number > 1, reason)
        generation = await self._start(adapt(app, self._interface), app, start)
        self._current, self._previous, self.generation = generation, None, start.generation
        self.open_gate()
        return start.generation

    async def restore(self) -> None:
        """Start the lifespan of the last good generation again and let it serve on.

        Raises StartupFailed if that fails too, or if nothing was ever good; the gate stays closed.
        """
        if self._current is None:
            await self._old_stopped()
            if self._previous is None:
                raise StartupFailed("no version of the app has started yet")
            old = self._previous
            self._current = await self._start(old.app, old.app, old.start)
            self._previous = None
        self.open_gate()

    def renew(self) -> str:
        """The running generation serves new code without having been replaced: give it a new id."""
        self._number += 1
        self.generation = f"{self._boot}.{self._number}"
        return self.generation

    def fail(self, report: ErrorReport) -> None:
        """There is nothing good to serve: answer every request with the report."""
        self._report = report
        self.open_gate()

    async def _old_stopped(self) -> None:
        """Wait until the old generation is down. It goes down to the end even where we are cancelled."""
        if self._stopping is not None:
            await asyncio.shield(self._stopping)
            self._stopping = None

    async def _start(self, app: ASGIApp, target: Any, start: Start) -> Generation:
        now = contextvars.copy_context()
        context = self._base.copy()
        imported = contextvars.Context()
        for variable, value in now.items():
            if self._base.get(variable, imported) is not value:
                context.run(variable.set, value)
                imported.run(variable.set, value)
        state = getattr(target, "state", None)
        if state is not None:
            with contextlib.suppress(Exception):  # an object of the user's: it may refuse attributes
                state.hmr = start
        lifespan = Lifespan(app, self._mode, context)
        await lifespan.startup()
        _reset_globals_of_libraries()
        return Generation(app, lifespan, start, imported)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer by the current generation, after the gate."""
        exchange = scope.pop("fastapi_hmr", None)
        if self._gate is not None and not await self._through_gate():
            return await self._unavailable(scope, send)
        current = self._current
        if current is None:
            return await self._unavailable(scope, send)
        if exchange is not None:
            exchange["generation"] = self.generation
        return await current(scope, receive, send)

    async def _through_gate(self) -> bool:
        """Whether the gate opened in time. A gate that closes again meanwhile is waited for too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._gate_timeout):
                while self._gate is not None:
                    await asyncio.shield(self._gate)
                return True
        return False

    async def _unavailable(self, scope: Scope, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1013, "reason": "no version of the app is running"})
            return
        status, headers, body = self._render(scope, self._report, 503)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def end_streams(self) -> None:
        """First step of an exit: streams and sockets end, nobody waits at the gate any more."""
        if self._current is not None:
            await self._current.retire(0.0)
        if self._gate is not None:
            self._report = _ENDING
            self.open_gate()

    async def close(self) -> None:
        """Last step of an exit: whatever still runs is cancelled, the lifespan shut down."""
        self.close_gate()
        await self._old_stopped()
        if self._current is not None:
            self._current.abort()
            old, self._current = self._current, None
            await old.lifespan.shutdown()
        self._report = _ENDING
        self.open_gate()


def adapt(app: Any, interface: str) -> ASGIApp:
    """An app of any interface as ASGI 3, by uvicorn's rules for `--interface`."""
    from uvicorn.middleware.asgi2 import ASGI2Middleware
    from uvicorn.middleware.wsgi import WSGIMiddleware

    if interface == "auto":
        call = app if inspect.isfunction(app) else getattr(app, "__call__", None)  # noqa: B004 - the function is wanted
        asgi3 = hasattr(app, "__await__") if inspect.isclass(app) else inspect.iscoroutinefunction(call)
        interface = "asgi3" if asgi3 else "asgi2"
    adapted: Any = app
    if interface == "wsgi":
        adapted = WSGIMiddleware(app)
    elif interface == "asgi2":
        adapted = ASGI2Middleware(app)
    return adapted  # type: ignore[no-any-return]  # the user's object


def _reset_globals_of_libraries() -> None:
    """Process-wide leftovers of the last generation that would spoil this one.

    sse-starlette before 3.6 remembers that the server is shutting down; FastAPI caches endpoints for its errors.
    """
    sse = sys.modules.get("sse_starlette.sse")
    status = getattr(sse, "AppStatus", None)
    if status is not None:
        status.should_exit = False
    cache = getattr(sys.modules.get("fastapi.routing"), "_endpoint_context_cache", None)
    if isinstance(cache, dict):
        cache.clear()


def _signal_fastapi_reloader() -> None:
    """An app that uses fastapi-reloader: its open pages learn of the reload, as under uvicorn-hmr."""
    reloader = sys.modules.get("fastapi_reloader")
    if reloader is not None:
        with contextlib.suppress(Exception):
            reloader.send_reload_signal()
