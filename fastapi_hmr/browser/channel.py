"""Server-sent events to the open pages, through sse-starlette: the one door to it.

What we rely on in sse-starlette, beyond its documented constructor.  No private name is used; each entry has a test.

1. Importing `sse_starlette` replaces `uvicorn.Server.handle_exit` by a function that sets `AppStatus.should_exit` and
   calls the original.  Our Server subclass calls `super().handle_exit()`, so both happen.  Checked with 3.7.0.  Can go
   when sse-starlette stops patching.
2. `AppStatus.should_exit` stays set after an exit, and a stream opened then ends at once.  Whoever restarts a server in
   this process must reset it.  Checked with 3.7.0.
3. `ping_message_factory` sends a data message, which pages can see; the default comment they can't.  Checked with 3.7.0.
4. A stream whose generator returns ends with a complete body, so `close()` needs no cancellation.  Checked with 3.7.0.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping

from sse_starlette import EventSourceResponse, ServerSentEvent

from fastapi_hmr.browser.inject import Receive, Scope, Send

type Payload = Mapping[str, object]

PING_S = 15
"""Pages give a silent stream up after 35 s: two pings may be late."""
BACKLOG = 64
"""Messages kept for a page that does not read; beyond it the stream ends, and the page catches up by its id."""


class Channel:
    """All open streams. Each begins with a greeting that says what is current, so nothing is lost between two."""

    def __init__(self, greeting: Callable[[], Payload], headers: Mapping[str, str], *, ping_s: float = PING_S) -> None:
        self._greeting = greeting
        self._headers = dict(headers)
        self._ping_s = ping_s
        self._streams: set[asyncio.Queue[Payload | None]] = set()
        self._closed = False

    @property
    def open_streams(self) -> int:
        """How many pages are connected."""
        return len(self._streams)

    def publish(self, payload: Payload) -> None:
        """Send to every open stream, without waiting for any."""
        for stream in self._streams:
            if stream.qsize() < BACKLOG:
                stream.put_nowait(payload)
            elif stream.qsize() == BACKLOG:
                stream.put_nowait(None)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request with a stream that lasts until the page goes or `close()`."""
        stream: asyncio.Queue[Payload | None] = asyncio.Queue()
        response = EventSourceResponse(
            self._events(stream),
            headers=self._headers,
            ping=self._ping_s,
            ping_message_factory=lambda: _encode({"type": "ping"}),
            sep="\n",
        )
        try:
            await response(scope, receive, send)
        finally:
            self._streams.discard(stream)

    async def _events(self, stream: asyncio.Queue[Payload | None]) -> AsyncIterator[ServerSentEvent]:
        if self._closed:
            return
        self._streams.add(stream)  # before the greeting is made: what comes after it is in the queue
        yield _encode(self._greeting())
        while (payload := await stream.get()) is not None:
            yield _encode(payload)

    def close(self) -> None:
        """End every stream, and each that is opened later at once."""
        self._closed = True
        for stream in self._streams:
            stream.put_nowait(None)


def _encode(payload: Payload) -> ServerSentEvent:
    # The field is never named: an SSE event called `error` would look like a lost connection to an EventSource.
    return ServerSentEvent(data=json.dumps(payload, separators=(",", ":")), sep="\n")
