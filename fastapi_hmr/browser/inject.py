"""Puts the client's script tag into the HTML documents that a person navigates to, and into nothing else."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from fastapi_hmr.browser import csp, place
from fastapi_hmr.browser.headers import RawHeaders, first, values, without

type Scope = MutableMapping[str, Any]
type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Render = Callable[[int, str, BaseException | None], bytes]
"""Status, the text that the app answered, what it raised → the body of a page that says so."""


class MakeTag(Protocol):
    """Makes the script tag with this nonce; `now`: what follows may forbid to connect later."""

    def __call__(self, nonce: str, *, now: bool) -> bytes:
        """The tag."""


SWITCH = b"x-fastapi-hmr"
"""`X-FastAPI-HMR: off` from the app leaves a response alone; `injected` from us says that it was not."""

_CONDITIONAL = frozenset({b"accept-encoding", b"if-none-match", b"if-modified-since"})
_VALIDATORS = frozenset(
    {b"etag", b"last-modified", b"digest", b"content-digest", b"repr-digest", b"content-md5", b"accept-ranges"}
)
_FRAGMENT_REQUESTS = (b"hx-request", b"x-requested-with", b"turbo-frame", b"x-up-target")
_SENDFILE = ("http.response.pathsend", "http.response.zerocopysend")
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


_CONCERNED = frozenset((b"etag", b"last-modified", SWITCH))
"""What makes `revalidate` change anything."""
_LENGTHS = frozenset(map(len, _CONCERNED))


def request_refusal(scope: Scope) -> str | None:
    """Why the answer to this request is not touched; None for a navigation."""
    headers = dict(reversed(scope["headers"]))  # the first of each: ASGI has the names in lower case
    mode = headers.get(b"sec-fetch-mode")
    if mode and (mode := mode.strip()):
        if mode != b"navigate":
            return "fetched by a script"
    else:
        accept = headers.get(b"accept")
        if not accept or accept == b"*/*" or not accept.lstrip().lower().startswith(b"text/html"):
            return "no page was asked for"
    if scope["method"] != "GET" and not (scope["method"] == "POST" and mode):
        return "neither a GET nor a form"
    if headers.get(b"range"):
        return "a part of a file"
    if mode:
        return None
    if any(headers.get(name) for name in _FRAGMENT_REQUESTS):
        return "a fragment was asked for"
    return None


def response_refusal(status: int, headers: RawHeaders) -> str | None:
    """Why this answer to a navigation is not touched; None for a whole HTML document."""
    if status < 200 or status in (204, 205, 206) or 300 <= status < 400:
        return "a status without a document"
    if first(headers, SWITCH).lower() == b"off":
        return "switched off by the app"
    media_type = first(headers, b"content-type")
    if media_type.split(b";")[0].strip().lower() != b"text/html":
        return "not text/html"
    if first(headers, b"content-disposition").lower().startswith(b"attachment"):
        return "a download"
    if first(headers, b"content-encoding").lower() not in (b"", b"identity"):
        return "encoded"
    charset = _CHARSET.search(media_type)
    if charset and charset[1].lower().startswith((b"utf-16", b"utf16", b"utf-32", b"utf32", b"utf-7")):
        return "a charset that is not a superset of ASCII"
    return None


def is_plain_error(status: int, headers: RawHeaders) -> bool:
    """Whether a browser would show this server error as bare text."""
    return (
        status >= 500
        and first(headers, b"content-type").split(b";")[0].strip().lower() in (b"text/plain", b"")
        and first(headers, b"content-encoding").lower() in (b"", b"identity")
        and first(headers, SWITCH).lower() != b"off"
    )


def prepare(scope: Scope) -> Scope:
    """The scope for the app: no compression, no conditional answer, no file sent behind our back."""
    extensions = {name: value for name, value in (scope.get("extensions") or {}).items() if name not in _SENDFILE}
    return {**scope, "headers": without(scope["headers"], _CONDITIONAL), "extensions": extensions}


def revalidate(headers: RawHeaders) -> RawHeaders:
    """Headers of an answer that we leave alone: what may be guessed to be fresh is asked for again each time."""
    for name, _ in headers:
        if len(name) in _LENGTHS and name.lower() in _CONCERNED:
            break
    else:
        return headers
    headers = list(headers)
    validators = first(headers, b"etag") or first(headers, b"last-modified")
    if validators and not first(headers, b"cache-control") and not first(headers, b"expires"):
        headers.append((b"cache-control", b"no-cache"))
    return without(headers, {SWITCH})


class Responder:
    """One answer to a navigation: held until its kind and the script's place are known, then passed on as it comes."""

    def __init__(self, send: Send, *, tag: MakeTag, render: Render, notice: Callable[[str], None], sure: bool) -> None:
        """`sure`: the browser said that it navigates."""
        self._send, self._tag, self._render, self._notice, self._sure = send, tag, render, notice, sure
        self._start: Message | None = None
        self._kind = "unknown"  # → html | error | through
        self._buffer = bytearray()
        self._append = b""
        self._sent = False

    async def send(self, message: Message) -> None:
        """Take one message of the app's."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._on_start(message)
        elif kind == "http.response.body" and self._kind == "html":
            await self._on_html(message)
        elif kind == "http.response.body" and self._kind == "error":
            self._buffer += message.get("body", b"")
        else:
            await self._release()
            await self._send(message)

    async def finish(self, error: BaseException | None = None) -> None:
        """The app has returned, or raised `error`: answer what is still open."""
        if self._kind == "error" or (error is not None and not self._sent):
            broken = error is not None and self._kind == "html"
            await self._send_error(500 if broken or not self._start else self._start["status"], error)
        else:
            await self._release()

    async def _on_start(self, message: Message) -> None:
        headers = list(message.get("headers", ()))
        if response_refusal(message["status"], headers) is None:
            self._kind, self._start = "html", message
        elif is_plain_error(message["status"], headers):
            self._kind, self._start = "error", message
        else:
            self._kind = "through"
            self._sent = True
            await self._send({**message, "headers": revalidate(headers)})

    async def _on_html(self, message: Message) -> None:
        if self._start is None:
            await self._send_rest(message)
            return
        self._buffer += message.get("body", b"")
        last = not message.get("more_body", False)
        body = bytes(self._buffer)
        at = place.place(body)
        if at is None and not last and len(body) < place.LIMIT:
            return
        self._buffer.clear()
        tag = self._make_tag(body)
        await self._send_start(tag)
        if at is None and not last:  # beyond the limit: at the end
            self._append, tag = tag, b""
        at = len(body) if at is None else at
        await self._send_rest({**message, "body": body[:at] + tag + body[at:]})

    def _make_tag(self, body: bytes) -> bytes:
        """The script tag; empty where the page must stay as it is. Decides the policy headers with it."""
        assert self._start is not None
        if place.is_utf16(body) or place.opts_out(body) or not (self._sure or place.is_document(body)):
            return b""
        headers = list(self._start.get("headers", ()))
        policies = [(key, value) for key, value in headers if key.lower() in csp.HEADERS]
        admission = csp.admit(policies)
        if admission is None:
            return b""
        if admission.added:
            headers = [*without(headers, csp.HEADERS), *admission.headers]
            self._notice(
                f"the page's Content-Security-Policy was extended for the refresh: {', '.join(admission.added)}"
            )
        self._start = {**self._start, "headers": headers}
        return self._tag(admission.nonce, now=place.has_policy(body))

    async def _send_start(self, tag: bytes) -> None:
        assert self._start is not None
        headers = list(self._start.get("headers", ()))
        changed = injected_headers(headers, len(tag)) if tag else revalidate(headers)
        start, self._start = {**self._start, "headers": changed}, None
        self._sent = True
        await self._send(start)

    async def _send_rest(self, message: Message) -> None:
        if self._append and not message.get("more_body", False):
            message = {**message, "body": message.get("body", b"") + self._append}
            self._append = b""
        await self._send(message)

    async def _send_error(self, status: int, error: BaseException | None) -> None:
        """A bare text turned into a page that heals itself."""
        body = self._render(status, self._buffer.decode("utf-8", "replace"), error)
        headers = list(self._start.get("headers", ())) if self._start and self._kind == "error" else []
        headers = without(headers, {b"content-type", b"content-length", *_VALIDATORS})
        headers += [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        self._buffer.clear()
        self._kind, self._start = "html", {"type": "http.response.start", "status": status, "headers": headers}
        await self._on_html({"type": "http.response.body", "body": body})

    async def _release(self) -> None:
        """Something that we don't know: stop holding back."""
        if self._start is not None:
            start, self._start = self._start, None
            self._kind, self._sent = "through", True
            await self._send(start)
            if self._buffer:
                await self._send({"type": "http.response.body", "body": bytes(self._buffer), "more_body": True})
                self._buffer.clear()


def injected_headers(headers: list[tuple[bytes, bytes]], added: int) -> list[tuple[bytes, bytes]]:
    """Headers of a document that grew by `added` bytes and is another one at each reload."""
    kept = without(headers, {*_VALIDATORS, SWITCH, b"content-length", b"cache-control", b"expires"})
    length = first(headers, b"content-length")
    if length.isdigit():
        kept.append((b"content-length", b"%d" % (int(length) + added)))
    no_store = any(b"no-store" in value.lower() for value in values(headers, b"cache-control"))
    kept.append((b"cache-control", b"no-store" if no_store else b"no-cache"))
    kept.append((SWITCH, b"injected"))
    return kept
