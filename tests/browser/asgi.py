"""Drives the middleware as ASGI, without a server: one request, every message of the answer."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from fastapi_hmr.browser import BrowserMiddleware
from fastapi_hmr.browser.routes import version
from fastapi_hmr.exchange import Exchange, MakeExchange

NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-site": "none", "accept": "text/html"}
TAG = f'<script src="/__fastapi_hmr__/client.js?v={version()}" data-id="boot.1.0" data-token="'.encode()


@dataclass
class Answer:
    """What came back, and what the app saw."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """Headers by lower-case name; repeated ones joined."""
        joined: dict[str, str] = {}
        for name, value in self.messages[0]["headers"]:
            key = name.decode().lower()
            joined[key] = f"{joined[key]}, {value.decode('latin-1')}" if key in joined else value.decode("latin-1")
        return joined

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def injected(self) -> bool:
        """Whether the script tag is in the body."""
        return TAG in self.body


def scope_of(
    path: str = "/", method: str = "GET", headers: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """An ASGI scope."""
    pairs = {"host": "localhost:8000", **(NAVIGATION if headers is None else headers)}
    return {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs.items()],
        "extensions": {}, **more,
    }  # fmt: skip


class Served:
    """Has the place of the server's switch: gives each request its exchange."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.exchange: MakeExchange = Exchange

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        exchange = self.exchange(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.failed(error)
            raise
        finally:
            exchange.finish()


def around(app: Any, *, generation: Callable[[], str] = lambda: "boot.1", **options: Any) -> BrowserMiddleware:
    """The middleware around an app, as the server has it."""
    served = Served(app)
    middleware = BrowserMiddleware(served, generation=generation, **options)
    served.exchange = middleware.exchange
    return middleware


def ask(
    chunks: Iterable[bytes] = (b"<!doctype html><html><head></head></html>",),
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    scope: dict[str, Any] | None = None,
    raises: BaseException | None = None,
    started: bool = True,
    bind_host: str = "127.0.0.1",
) -> Answer:
    """Let an app answer with these chunks, through the middleware."""
    answer = Answer()
    pieces = list(chunks)
    sent = {"content-type": "text/html; charset=utf-8", **(headers or {})}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        answer.seen.update(scope)
        if started:
            pairs = [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value]
            await send({"type": "http.response.start", "status": status, "headers": pairs})
        for number, piece in enumerate(pieces if started else ()):
            more = number < len(pieces) - 1 or raises is not None
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        if raises is not None:
            raise raises

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answer.messages.append(message)

    middleware = around(app, bind_host=bind_host, notice=answer.notices.append)
    try:
        asyncio.run(middleware(scope or scope_of(), receive, send))  # type: ignore[arg-type]  # a plain dict will do
    except Exception as error:
        answer.error = error
    return answer
