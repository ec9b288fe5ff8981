"""Which files went into which answers, so that a changed file reloads only the pages that are made of it."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from fastapi_hmr.browser.headers import first
from fastapi_hmr.browser.inject import Responder, revalidate
from fastapi_hmr.exchange import Exchange, Message, Receive, Scope, Send
from fastapi_hmr.tracebacks import here

MAX_URLS = 50
"""A file that goes into more answers than this is taken for one that any page may use."""

type OnError = Callable[[Exception, Scope], None]
type Listener = Callable[[tuple[Any, ...]], None]


class Audit(Protocol):
    """The process's audit hook, handed in: this package imports nothing that the engine uses."""

    def listen(self, event: str, listener: Listener, /) -> None:
        """Call `listener` with the arguments of each such event."""

    def unlisten(self, event: str, listener: Listener, /) -> None:
        """Stop calling it."""


_current: ContextVar["Answer | None"] = ContextVar("fastapi_hmr_answer", default=None)


class Answer(Exchange):
    """One answer being made: what is opened for it, by its own task or by a worker thread on its behalf.

    An exchange of the server itself, not a layer around it: with each request a layer takes as long as all the rest.
    """

    usage: "Usage"
    on_error: OnError
    """Hears what was raised in answer to no navigation."""
    files: set[str] | None = None
    _headers: list[tuple[bytes, bytes]] | None = None

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """From now on, watch what this context opens."""
        Exchange.__init__(self, scope, receive, send)
        if not self._socket:
            _current.set(self)

    def open(self, file: str) -> None:
        """Note a file."""
        if self.files is None:
            self.files = set()
        self.files.add(file)

    def _head(self, message: Message) -> Message:
        headers = message.get("headers", ())
        if not isinstance(headers, list):  # it may be one that can be gone through only once
            headers = list(headers)
            message = {**message, "headers": headers}
        self._headers = headers
        if self.files:
            self._settle()
        changed = revalidate(headers)
        return message if changed is headers or self._is_navigation() else {**message, "headers": changed}

    def failed(self, error: BaseException) -> None:
        """A page that asked for it may want to know; of a navigation it is the answer."""
        gone = type(error).__name__ == "ClientDisconnect"  # starlette's, when the browser goes: nobody's mistake
        if isinstance(error, Exception) and not (gone or self._socket or self._is_navigation()):
            type(self).on_error(error, self._scope)

    def finish(self) -> None:
        """What was opened after its head belongs to it too."""
        Exchange.finish(self)
        if self.files:
            self._settle()

    def _is_navigation(self) -> bool:
        """Whether the answer is about to become a page's document, by another hand."""
        return isinstance(getattr(self._send, "__self__", None), Responder)

    def _settle(self) -> None:
        """Say what it is: a page, which renders templates, or something that pages load by its URL."""
        files, self.files = self.files, None
        page = first(self._headers or (), b"content-type").startswith(b"text/html")
        for file in files or ():
            self.usage.note(file, None if page else self._scope["path"])


def answers(usage: "Usage", on_error: OnError) -> type[Answer]:
    """The kind that tells these two: to tell each of them takes longer than all that it does."""
    return type("Answer", (Answer,), {"usage": usage, "on_error": staticmethod(on_error)})


class Usage:
    """What was seen. A file that went into a page itself may be in any: engines keep templates and open them once."""

    def __init__(self, roots: Sequence[Path], audit: Audit | None) -> None:
        """Without a hook nothing is seen, and any page may use any file."""
        self._roots = tuple(str(root).rstrip(os.sep) + os.sep for root in roots)
        self._urls: defaultdict[str, set[str]] = defaultdict(set)
        self._in_pages: set[str] = set()
        self._audit = audit
        if audit is not None:
            audit.listen("open", self._on_open)

    def close(self) -> None:
        """Stop watching."""
        if self._audit is not None:
            self._audit.unlisten("open", self._on_open)

    def note(self, file: str, url: str | None) -> None:
        """A file went into the answer at this URL path; None: into a page."""
        if url is None:
            self._in_pages.add(file)
        elif len(self._urls[file]) <= MAX_URLS:
            self._urls[file].add(url)

    def in_page(self, file: Path) -> bool:
        """Whether a page was made of it, not only loaded it."""
        return str(file) in self._in_pages

    def urls(self, file: Path) -> list[str] | None:
        """The URL paths by which pages load it; None where any page may be made of it."""
        urls = self._urls.get(str(file), set())
        return None if self.in_page(file) or not 0 < len(urls) <= MAX_URLS else sorted(urls)

    def _on_open(self, arguments: tuple[Any, ...]) -> None:
        answer = _current.get()
        if answer is None:
            return
        name, _, flags = arguments  # as CPython documents them
        if isinstance(name, bytes | str | os.PathLike) and (flags or 0) & os.O_ACCMODE == os.O_RDONLY:
            path = str(here() / os.fsdecode(name))
            if path.startswith(self._roots):
                answer.open(path)
