"""The browser's side of a reload: injects the client into pages and tells it what became of each save."""

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import escape
from inspect import markcoroutinefunction
from pathlib import Path
from typing import Any

from fastapi_hmr.browser.channel import Payload
from fastapi_hmr.browser.editor import editor_url
from fastapi_hmr.browser.guard import Hosts
from fastapi_hmr.browser.inject import Receive, Responder, Scope, Send, prepare, request_refusal
from fastapi_hmr.browser.pages import as_payload, exception_page
from fastapi_hmr.browser.routes import PREFIX, Routes, version
from fastapi_hmr.browser.usage import Audit, Usage, answers
from fastapi_hmr.events import AssetsChanged, Event, Reloaded, ReloadFailed
from fastapi_hmr.tracebacks import ErrorReport
from fastapi_hmr.tracebacks import report as describe

SWAPPED = frozenset(".css .png .jpg .jpeg .gif .webp .avif .svg .ico".split())
"""Suffixes of files that an open page can take in without a reload."""
_SERVING = "The last good version goes on serving. This closes with the fix."
_NOT_SERVING = "No version of the app is running. This closes with the fix."


class BrowserMiddleware:
    """The outermost ASGI layer, around the switch and so around every generation of the app."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        generation: Callable[[], str],
        bind_host: str,
        allowed_hosts: Sequence[str] = (),
        roots: Sequence[Path] = (),
        notice: Callable[[str], None],
        audit: Audit | None = None,
    ) -> None:
        """`generation` is the id served now; `notice` gets lines for the person at the terminal, each once.

        `audit` shows which files go into which answers; without it every page reloads for every file.
        """
        self._app, self._generation, self._roots, self._notice = app, generation, tuple(roots), notice
        self._hosts = Hosts(bind_host, allowed_hosts)
        self._routes = Routes(self._hosts, greeting=self._greeting, current_id=self._id)
        self._usage = Usage(self._roots, audit)
        self.exchange = answers(self._usage, self._on_raised)
        """Makes the exchange of each request that the app is to answer."""
        self._noticed: set[str] = set()
        self._serial = 0  # assets that need a reload of the page
        self._swap = 0  # assets that don't
        self._failures = 0
        self._failure: Payload | None = None
        self._raised: Payload | None = None  # the last exception of a handler, until the next save
        self._editor, complaint = editor_url(os.environ)
        if complaint:
            self._notice_once(complaint)

    @markcoroutinefunction
    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer our own routes; pass the rest to the app, and touch what it answers to a navigation."""
        if PREFIX in scope.get("path", "") and (name := self._routes.name(scope)) is not None:
            return self._routes.answer(name, scope, receive, send)
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if request_refusal(scope) is None and self._hosts.trusts(scope):
            return self._navigate(scope, receive, send)
        return self._app(scope, receive, send)

    async def _navigate(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: dict[str, Any] = {}
        scope = {**scope, "fastapi_hmr": exchange}

        def tag(nonce: str, *, now: bool) -> bytes:
            return self._tag(scope, exchange, nonce, now=now)

        sure = any(name.lower() == b"sec-fetch-mode" for name, _ in scope["headers"])
        responder = Responder(send, tag=tag, render=self._error_page, notice=self._notice_once, sure=sure)
        try:
            await self._app(prepare(scope), receive, responder.send)
        except Exception as error:
            await responder.finish(error)
            raise
        else:
            await responder.finish()

    def _on_raised(self, error: Exception, scope: Scope) -> None:
        """What is no page's answer is kept for the pages that may have asked."""
        where = f"while answering {scope['method']} {scope['path']}"
        raised = {**as_payload(describe(error, roots=self._roots), self._editor), "note": where}
        if raised != self._raised:  # a page that polls would hear of it again and again
            self._raised = raised
            self._routes.channel.publish({"type": "raised", "report": raised})

    def _tag(self, scope: Scope, exchange: Mapping[str, Any], nonce: str, *, now: bool) -> bytes:
        generation = exchange.get("generation") or self._generation()
        attributes = {
            "src": f"{scope.get('root_path', '').rstrip('/')}{PREFIX}/client.js?v={version()}",
            "data-id": f"{generation}.{self._serial}",
            "data-token": self._routes.token,
            "data-swap": str(self._swap),
            "data-failure": str(self._failure["number"]) if self._failure else "0",
            **({"data-posted": "yes"} if scope["method"] == "POST" else {}),  # a reload would send the form again
            **({"data-now": "yes"} if now else {}),  # connect before the page can forbid it
            **({"nonce": nonce} if nonce else {}),
        }
        return (
            f"<script {' '.join(f'{name}="{escape(value)}"' for name, value in attributes.items())}></script>".encode()
        )

    def _error_page(self, status: int, text: str, error: BaseException | None) -> bytes:
        shown = describe(error, roots=self._roots) if error else ErrorReport(str(status), text or "no text")
        return exception_page(shown, status)

    def publish(self, event: Event) -> bool:
        """Tell every open page about a save; whether there is one, and something to tell."""
        payload = self._payload(event)
        if payload is not None:
            self._routes.channel.publish(payload)
        return payload is not None and self._routes.channel.open_streams > 0

    def _payload(self, event: Event) -> Payload | None:
        match event:
            case Reloaded():
                self._failure = self._raised = None
                return {"type": "reloaded", "id": self._id(event.generation)}
            case ReloadFailed():
                self._failures += 1
                note = event.report.note or (_SERVING if event.serving else _NOT_SERVING)
                report = {**as_payload(event.report, self._editor), "note": note}
                self._failure = {"number": self._failures, "report": report}
                return {"type": "failed", "failure": self._failure}
            case AssetsChanged():
                return self._assets(event.changed)

    def _assets(self, changed: Sequence[Path]) -> Payload | None:
        # An empty stylesheet is one that its builder is about to write.
        files = [path for path in changed if path.suffix.lower() != ".css" or _size(path) > 0]
        if not files:
            return None
        described = [
            {
                "name": path.name,
                "swap": path.suffix.lower() in SWAPPED and not self._usage.in_page(path),
                "urls": self._usage.urls(path),
            }
            for path in files
        ]
        was = self._id()
        self._swap += any(file["swap"] for file in described)
        self._serial += not all(file["swap"] for file in described)
        return {"type": "assets", "was": was, "id": self._id(), "swap": self._swap, "files": described}

    def _id(self, generation: str | None = None) -> str:
        return f"{generation or self._generation()}.{self._serial}"

    def _greeting(self) -> Payload:
        current = {"id": self._id(), "swap": self._swap, "failure": self._failure, "raised": self._raised}
        return {"type": "hello", **current}

    def _notice_once(self, text: str) -> None:
        if text not in self._noticed:
            self._noticed.add(text)
            self._notice(text)

    async def close(self) -> None:
        """End all streams, so that nothing of ours holds up an exit."""
        self._routes.channel.close()
        self._usage.close()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
