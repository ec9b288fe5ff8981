"""One request or WebSocket in flight: passes its messages on, and can end it from the server's side."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

type Scope = dict[str, Any]
type Message = dict[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
type MakeExchange = Callable[[Scope, Receive, Send], "Exchange"]

RESTART = 1012
"""The WebSocket close code for "the service restarts": clients that reconnect do so on it."""
TURN = 100
"""How many messages a handler may send before the event loop gets a turn.

A generator that never waits for anything would keep the loop to itself, with all its saves and signals, for as long
as its client takes what it sends, or once nobody takes it any more. Not after each message: a generator that is
cancelled while it hands one over ends only when it is collected.
"""

_ENDLESS = (b"text/event-stream", b"application/x-ndjson", b"application/ndjson", b"multipart/x-mixed-replace")


class Kind(Enum):
    """What an exchange is, as far as its end is concerned."""

    ORDINARY = "ordinary"  # a response of known length, none yet, or one that is complete
    OPEN_ENDED = "open-ended"  # a response without a length: a download, or endless
    STREAM = "stream"  # events that the client will ask for again
    SOCKET = "socket"


class Exchange:
    """What the app sees as `receive` and `send`, until the server ends the exchange."""

    # What hardly any exchange changes stands on the class: to set it for each takes longer than the rest of ours.
    complete = False
    """The client has got all that there is."""
    cut = False
    """The server ended it: what the handler says or raises from then on is nobody's concern."""
    done = False
    """The handler is over."""
    retired = False
    _started = False
    _start: Message | None = None
    """The head of a response that is under way."""
    _sent = 0
    _waiting: frozenset[asyncio.Task[Any]] = frozenset()
    _interrupted: frozenset[asyncio.Task[Any]] = frozenset()
    _ended: asyncio.Future[None] | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._socket = scope["type"] == "websocket"
        self.task = asyncio.current_task()
        self._scope, self._receive, self._send = scope, receive, send

    @property
    def kind(self) -> Kind:
        """What it is by now. Only asked where it is to be ended."""
        if self._socket:
            return Kind.SOCKET
        return Kind.ORDINARY if self._start is None else _kind_of(self._start)

    @property
    def endless(self) -> bool:
        """Whether waiting for its end is pointless, and the client knows how to come back."""
        return not self.complete if self._socket else self.kind is Kind.STREAM

    async def receive(self) -> Message:
        """The next message from the client, or the disconnect that the end makes of it.

        A task that waits here is woken by a cancellation that never gets out, as `asyncio.timeout()` does it: no
        message is lost, and no task is made for each.
        """
        if self.cut:
            return self._disconnect()
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        self._waiting |= {task}
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if task not in self._interrupted or task.uncancel() > before:
                raise
            return self._disconnect()
        finally:
            self._waiting -= {task}

    def _disconnect(self) -> Message:
        if self._socket:
            return {"type": "websocket.disconnect", "code": RESTART, "reason": "reloaded"}
        return {"type": "http.disconnect"}

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the client, noting what kind of response it is."""
        if not (self.cut or self.retired):
            kind = message["type"]
            if kind == "http.response.start":
                self._started, self._start = True, message
                return self._send(self._head(message))
            if kind == "http.response.body" and not message.get("more_body", False):
                self.complete, self._start = True, None  # what may still run is a background task
                return self._send(message)
        return self._send_in_turn(message)

    def _head(self, message: Message) -> Message:
        """The head of a response, as the client is to get it."""
        return message

    async def _send_in_turn(self, message: Message) -> None:
        """All that is not the head or the end of an ordinary answer."""
        self._sent += 1
        if self._sent % TURN == 0:
            await asyncio.sleep(0)
        if self.cut:
            if self._socket:  # ASGI: sending to a closed connection raises an OSError
                raise ConnectionResetError("the connection was closed by a reload")
            return
        self._note(message)
        await self._send(self._head(message) if message["type"] == "http.response.start" else message)
        if self.retired and self.endless:  # it began after all others of its generation were ended
            await self.end()
            asyncio.get_running_loop().call_soon(self.cancel)

    def _note(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body" or kind == "websocket.http.response.body":
            if not message.get("more_body", False):
                self.complete, self._start = True, None
        elif kind == "http.response.start":
            self._started = True
            self._start = message
        elif kind == "websocket.accept":
            self._started = True
        elif kind in {"websocket.close", "websocket.http.response.start", "http.response.pathsend"}:
            self._started = self.complete = True
            self._start = None

    async def end(self) -> None:
        """End the client's side: cleanly for a stream, with code 1012 for a socket, by hanging up for the rest.

        Takes as long as the client takes to read what was sent before: never wait for it without a bound.
        """
        if self.cut or self.done:
            return
        self.cut = True
        self._interrupted = self._waiting
        for task in self._interrupted:
            task.cancel()
        if self.complete:
            return
        self.complete = True
        with contextlib.suppress(Exception):  # the client may be gone
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        if self.kind is Kind.STREAM:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self._socket:
            if not self._started:  # 1012 can't be said before; a refusal would tell the client not to come back
                offered = self._scope.get("subprotocols") or [None]
                await self._send({"type": "websocket.accept", "subprotocol": offered[0]})
            await self._send({"type": "websocket.close", "code": RESTART, "reason": "reloaded"})
        elif self._started:
            self.hang_up()
        else:
            body = b"The server is going down."
            headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain"), (b"retry-after", b"1")]
            await self._send({"type": "http.response.start", "status": 503, "headers": headers})
            await self._send({"type": "http.response.body", "body": body})

    def hang_up(self) -> None:
        """Close the connection in the middle of a body, so that the client does not take it for complete.

        uvicorn does that too where a handler returns early, but calls it the app's error and needs the handler to
        return. `receive` is a method of uvicorn's request, which knows its transport.
        """
        transport = getattr(getattr(self._receive, "__self__", None), "transport", None)
        if isinstance(transport, asyncio.BaseTransport) or hasattr(transport, "abort"):
            transport.abort()  # type: ignore[union-attr]  # every transport of a connection has it

    def cancel(self) -> None:
        """Cancel the handler, where it still runs."""
        if self.task is not None and not self.done:
            self.task.cancel()

    def ended(self) -> asyncio.Future[None]:
        """Done when the handler is."""
        if self._ended is None:
            self._ended = asyncio.get_running_loop().create_future()
            if self.done:
                self._ended.set_result(None)
        return self._ended

    def failed(self, error: BaseException) -> None:
        """The handler has raised, and not because of its end."""

    def finish(self) -> None:
        """The handler is over."""
        self.done, self.task = True, None  # the task's context may hold this: no work for the garbage collector
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def _kind_of(start: Message) -> Kind:
    kind = Kind.OPEN_ENDED
    for name, value in start.get("headers", ()):
        lower = name.lower()
        if lower == b"content-type" and value.partition(b";")[0].strip().lower() in _ENDLESS:
            return Kind.STREAM
        if lower == b"content-length":
            kind = Kind.ORDINARY
    return kind
