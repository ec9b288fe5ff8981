"""fastapi-hmr's own routes: the client, the overlay and the stream of events, behind the guard."""

import secrets
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from http import HTTPStatus

from fastapi_hmr.browser.channel import Channel, Payload
from fastapi_hmr.browser.guard import Hosts, Refusal, site_refusal, token_refusal
from fastapi_hmr.browser.inject import Receive, Scope, Send
from fastapi_hmr.browser.pages import asset

PREFIX = "/__fastapi_hmr__"
_SCRIPT = b"text/javascript; charset=utf-8"
ASSETS = {
    **dict.fromkeys(("client.js", "overlay.js", "swap.js", "docs.js", "state.js"), _SCRIPT),
    "overlay.css": b"text/css; charset=utf-8",
}
ID_HEADER = "x-fastapi-hmr-id"
SECURE_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""On every answer of ours. No CORS header among them, ever."""
_LASTING = {**SECURE_HEADERS, "cache-control": "max-age=31536000, immutable"}


@cache
def version() -> str:
    """What the scripts' URLs carry, so that a browser fetches them once and not at every reload."""
    return sha256(b"".join(asset(name) for name in sorted(ASSETS))).hexdigest()[:12]


class Routes:
    """Answers everything under the prefix, so that no route, mount or middleware of the app can."""

    def __init__(self, hosts: Hosts, *, greeting: Callable[[], Payload], current_id: Callable[[], str]) -> None:
        self.token = secrets.token_urlsafe(24)
        self.channel = Channel(greeting, SECURE_HEADERS)
        self._hosts, self._current_id = hosts, current_id

    def name(self, scope: Scope) -> str | None:
        """What is asked for under the prefix ("" for the prefix itself); None for the app's own paths."""
        path: str = scope["path"]
        root: str = scope.get("root_path", "").rstrip("/")
        for base in (root + PREFIX, PREFIX):
            if path == base or path.startswith(base + "/"):
                return path[len(base) + 1 :]
        return None

    async def answer(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request under the prefix."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self._refusal(name, scope):
            await _reply(send, refusal.status, f"{refusal.text}\n".encode(), extra=self._hint(refusal, scope))
        elif name == "events" and scope["method"] == "GET":
            await self.channel.answer(scope, receive, send)
        else:
            content, media_type = (b"", b"text/event-stream") if name == "events" else (asset(name), ASSETS[name])
            lasting = name != "events" and scope["query_string"] == f"v={version()}".encode()
            headers = _LASTING if lasting else SECURE_HEADERS
            await _reply(send, HTTPStatus.OK, content, media_type, headers=headers, head=scope["method"] == "HEAD")

    def _refusal(self, name: str, scope: Scope) -> Refusal | None:
        if refusal := self._hosts.refusal(scope) or site_refusal(scope):
            return refusal
        if name != "events" and name not in ASSETS:
            return Refusal(HTTPStatus.NOT_FOUND, f"there is nothing here, only {', '.join(ASSETS)} and events")
        if scope["method"] not in ("GET", "HEAD"):
            return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered here")
        return token_refusal(scope, self.token) if name == "events" else None

    def _hint(self, refusal: Refusal, scope: Scope) -> list[tuple[bytes, bytes]]:
        if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
            return [(b"allow", b"GET, HEAD")]
        if self._hosts.refusal(scope) is None and site_refusal(scope) is None:
            # A page of an earlier run has that run's token: the id tells it to reload, and tells others nothing.
            return [(ID_HEADER.encode(), self._current_id().encode())]
        return []


async def _reply(
    send: Send,
    status: HTTPStatus,
    content: bytes,
    media_type: bytes = b"text/plain; charset=utf-8",
    *,
    extra: list[tuple[bytes, bytes]] | None = None,
    headers: Mapping[str, str] = SECURE_HEADERS,
    head: bool = False,
) -> None:
    sent = [(b"content-type", media_type), (b"content-length", b"%d" % len(content)), *(extra or [])]
    sent += [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status.value, "headers": sent})
    await send({"type": "http.response.body", "body": b"" if head else content})
