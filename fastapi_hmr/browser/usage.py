"""Which files went into which answers, so that a changed file reloads only the pages that are made of it."""

import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from fastapi_hmr.browser.headers import RawHeaders, first
from fastapi_hmr.tracebacks import here

MAX_URLS = 50
"""A file that goes into more answers than this is taken for one that any page may use."""

type Message = Any
type Send = Callable[[Message], Awaitable[None]]
type Change = Callable[[RawHeaders], RawHeaders]
type Listener = Callable[[tuple[Any, ...]], None]


class Audit(Protocol):
    """The process's audit hook, handed in: this package imports nothing that the engine uses."""

    def listen(self, event: str, listener: Listener, /) -> None:
        """Call `listener` with the arguments of each such event."""

    def unlisten(self, event: str, listener: Listener, /) -> None:
        """Stop calling it."""


_current: ContextVar["Answer | None"] = ContextVar("fastapi_hmr_answer", default=None)


class Answer:
    """One answer being made: what is opened for it, by its own task or by a worker thread on its behalf."""

    __slots__ = ("_change", "_path", "_send", "_usage", "files")

    def __init__(self, usage: "Usage", path: str, send: Send, change: Change | None = None) -> None:
        """From now on, watch what this context opens for the answer to this path. `change` is for its headers."""
        self._usage, self._path, self._send, self._change = usage, path, send, change
        self.files: set[str] | None = None
        _current.set(self)

    def open(self, file: str) -> None:
        """Note a file."""
        if self.files is None:
            self.files = set()
        self.files.add(file)

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message on; the answer's head tells what its files are: of a page, or loaded by pages."""
        if message["type"] == "http.response.start":
            headers = message.get("headers", ())
            if not isinstance(headers, list):  # it may be one that can be gone through only once
                headers = list(headers)
                message = {**message, "headers": headers}
            if self.files:
                self.settle(page=first(headers, b"content-type").startswith(b"text/html"))
            if self._change is not None and (changed := self._change(headers)) is not headers:
                message = {**message, "headers": changed}
        return self._send(message)

    def settle(self, *, page: bool) -> None:
        """Say what the answer is: a page, which renders templates, or something that pages load by its URL."""
        files, self.files = self.files, None
        for file in files or ():
            self._usage.note(file, None if page else self._path)


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
