"""One generation: an app, its lifespan and its requests in flight, and how those end when it is replaced."""

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fastapi_hmr.lifespan import Lifespan

DRAIN_S = 2.0
"""How long ordinary requests are waited for before they are left to finish on the old generation."""
STREAM_GRACE_S = 0.5
"""How long the handler of an event stream or WebSocket has to end by itself before it is cancelled."""
STREAM_WAIT_S = 0.1
"""How long a reload waits for those handlers; the client's side has ended already."""

type Scope = dict[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_ENDLESS = (b"text/event-stream", b"application/x-ndjson", b"application/ndjson", b"multipart/x-mixed-replace")


class _Kind(Enum):
    """What an exchange is, as far as its end is concerned."""

    ORDINARY = "ordinary"  # a response of known length, or none yet
    OPEN_ENDED = "open-ended"  # a response without a length: a download, or endless
    STREAM = "stream"  # events that the client will ask for again
    SOCKET = "socket"


@dataclass(frozen=True, slots=True)
class Start:
    """What an app finds in `app.state.hmr`: which start this is, and why it came."""

    generation: str
    number: int
    reloaded: bool
    reason: str


class Exchange:
    """One request or WebSocket in flight: passes messages on, and can end it from the server's side."""

    __slots__ = (
        "_cut",
        "_done",
        "_end",
        "_finished",
        "_pending",
        "_receive",
        "_send",
        "_started",
        "kind",
        "retired",
        "task",
    )  # fmt: skip

    def __init__(self, kind: _Kind, receive: Receive, send: Send) -> None:
        self.kind = kind
        self._receive, self._send = receive, send
        self.task = asyncio.current_task()
        self._end: asyncio.Future[None] | None = None  # made when somebody waits for it
        self._pending: asyncio.Task[Message] | None = None
        self._started = self._finished = self._cut = self._done = False
        self.retired = False

    async def receive(self) -> Message:
        """The next message from the client, or the disconnect that retiring makes of it."""
        if self._cut:
            return self._disconnect()
        loop = asyncio.get_running_loop()
        if self._pending is None:  # eager: a message that is there already costs no round through the loop
            self._pending = asyncio.Task(self._get(), loop=loop, eager_start=True)
        task = self._pending
        if not task.done():
            if self._end is None:
                self._end = loop.create_future()
            await asyncio.wait((task, self._end), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                return self._disconnect()
        self._pending = None
        return task.result()

    async def _get(self) -> Message:
        return await self._receive()

    def _disconnect(self) -> Message:
        if self.kind is _Kind.SOCKET:
            return {"type": "websocket.disconnect", "code": 1012, "reason": "reloaded"}
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Pass a message to the client, noting what kind of response it is."""
        if self._cut:
            if self.kind is _Kind.SOCKET:  # ASGI: sending to a closed connection raises an OSError
                raise ConnectionResetError("the connection was closed by a reload")
            return
        kind = message["type"]
        if kind == "http.response.start":
            self._started = True
            self.kind = _kind_of(message)
        elif kind == "http.response.body":
            self._finished = not message.get("more_body", False)
        elif kind == "websocket.accept":
            self._started = True
        elif kind == "websocket.close":
            self._finished = True
        await self._send(message)
        if self.retired and self.kind is _Kind.STREAM and self.task is not None:  # a stream that began too late
            await self.end()
            asyncio.get_running_loop().call_later(STREAM_GRACE_S, _cancel, {self.task})

    async def end(self) -> None:
        """End the client's side now: a clean end for streams, code 1012 for sockets, a cut for other bodies."""
        if self._cut or self._done:
            return
        finished, self._cut = self._finished, True
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        if finished:
            return
        with contextlib.suppress(Exception):  # the client may be gone
            if self.kind is _Kind.SOCKET:
                await self._send({"type": "websocket.close", "code": 1012, "reason": "reloaded"})
            elif self.kind is _Kind.STREAM:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        self._finished = True

    def finished(self) -> None:
        """The handler is done."""
        self._done = True
        if self._pending is not None:
            self._pending.cancel()

    @property
    def was_cut(self) -> bool:
        """Whether the server ended it, so that what the handler raises then is nobody's error."""
        return self._cut


def _kind_of(start: Message) -> _Kind:
    kind = _Kind.OPEN_ENDED
    for name, value in start.get("headers", ()):
        lower = name.lower()
        if lower == b"content-type" and value.partition(b";")[0].strip().lower() in _ENDLESS:
            return _Kind.STREAM
        if lower == b"content-length":
            kind = _Kind.ORDINARY
    return kind


class Generation:
    """An app being served: calls it, knows what is in flight, and can be retired."""

    def __init__(self, app: ASGIApp, lifespan: Lifespan, start: Start, variables: contextvars.Context | None) -> None:
        """`variables`: ContextVars that the app's modules set while being imported; requests see them too."""
        self.app, self.lifespan, self.start = app, lifespan, start
        self._variables = tuple(variables.items()) if variables else ()
        self._exchanges: set[Exchange] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or WebSocket."""
        kind = _Kind.SOCKET if scope["type"] == "websocket" else _Kind.ORDINARY
        exchange = Exchange(kind, receive, send)
        scope["state"] = self.lifespan.state.copy()
        for variable, value in self._variables:
            variable.set(value)
        self._exchanges.add(exchange)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except (KeyboardInterrupt, SystemExit) as error:  # user code asked to end the process: it ends the request
            raise RuntimeError(f"the handler raised {error!r}") from error
        except BaseException:
            if not exchange.was_cut:
                raise
        finally:
            exchange.finished()
            self._exchanges.discard(exchange)

    async def retire(self, drain_s: float = DRAIN_S) -> None:
        """End streams and sockets, wait a bounded time for the rest; what is left finishes by itself."""
        for exchange in self._exchanges:
            exchange.retired = True
        streams = [x for x in self._exchanges if x.kind in {_Kind.STREAM, _Kind.SOCKET}]
        rest = {x.task for x in self._exchanges if x.task is not None and x not in streams}
        await asyncio.gather(*(x.end() for x in streams))
        tasks = {x.task for x in streams if x.task is not None and not x.task.done()}
        if tasks:
            asyncio.get_running_loop().call_later(STREAM_GRACE_S, _cancel, tasks)
            await asyncio.wait(tasks, timeout=STREAM_WAIT_S)
        if rest:
            await asyncio.wait(rest, timeout=drain_s)
            await self._cut_open_ended()

    async def _cut_open_ended(self) -> None:
        """A body of unknown length that is still growing: cut it, so that it does not look complete."""
        for exchange in [x for x in self._exchanges if x.kind is _Kind.OPEN_ENDED]:
            await exchange.end()
            if exchange.task is not None:
                exchange.task.cancel()

    def abort(self) -> None:
        """Cancel whatever is still in flight: the process is about to end."""
        _cancel({x.task for x in self._exchanges if x.task is not None})

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Retire, then shut the lifespan down."""
        await self.retire(drain_s)
        await self.lifespan.shutdown()


def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if not task.done():
            task.cancel()
