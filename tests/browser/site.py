"""A real server around the browser middleware, whose app, generation and life the test commands."""

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from fastapi_hmr import audit
from fastapi_hmr.events import AssetsChanged, Event, Reloaded, ReloadFailed, ReloadLevel
from fastapi_hmr.tracebacks import ErrorReport, Frame, SourceLine
from tests.browser.asgi import around
from tests.utils import free_port, wait_until

type Page = Callable[[Request], Response | str]

REPORT = ErrorReport(
    "ZeroDivisionError",
    "division by zero <b>&",
    (
        Frame("/app/lib/site.py", 7, "outer", None, None, (SourceLine(7, "    call()"),), library=True),
        Frame(
            "/app/my code.py",
            3,
            "total",
            11,
            16,
            (SourceLine(2, "def total():"), SourceLine(3, "    return 1 / 0")),
            False,
        ),
    ),
)

_boots = (f"boot{number}" for number in itertools.count(1))


class Site:
    """Pages by path; each server life is another boot, as another process would be."""

    def __init__(
        self,
        *,
        bind_host: str = "127.0.0.1",
        allowed_hosts: tuple[str, ...] = (),
        root_path: str = "",
        roots: tuple[Path, ...] = (),
        http: str = "auto",
    ) -> None:
        self.port = free_port()
        self.pages: dict[str, Page] = {}
        self.app: Callable[..., Any] | None = None
        self.requests: list[Request] = []
        self.notices: list[str] = []
        self.errors: list[BaseException] = []
        self._options: dict[str, Any] = {
            "bind_host": bind_host,
            "allowed_hosts": allowed_hosts,
            "roots": roots,
            "audit": audit,
        }
        self._root_path, self._http = root_path, http
        self.number = 1

    @property
    def origin(self) -> str:
        """The site's origin, under the name that a person types."""
        return f"http://localhost:{self.port}"

    def url(self, path: str = "/") -> str:
        """The URL of a page."""
        return self.origin + path

    @property
    def generation(self) -> str:
        """The id that is served now."""
        return f"{self.boot}.{self.number}"

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self.boot = next(_boots)
        self.middleware = around(
            self._answer, generation=lambda: self.generation, notice=self.notices.append, **self._options
        )
        config = uvicorn.Config(  # ws: what new versions of uvicorn take by themselves; the older one warns
            self.middleware, host="127.0.0.1", port=self.port, lifespan="off", log_level="critical",
            root_path=self._root_path, http=self._http, ws="websockets-sansio", timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, "the test server's start")

    def _run(self) -> None:
        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(serve())

    def stop(self) -> None:
        """End the server and every connection, as a killed process would."""
        self.call(self.middleware.close())
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive(), "the test server did not stop"

    def call[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def publish(self, event: Event) -> None:
        """Publish from the server's own loop."""

        async def publish() -> None:
            self.middleware.publish(event)

        self.call(publish())

    def save(self, level: ReloadLevel = ReloadLevel.UPDATE) -> str:
        """A save that worked: the next generation is served; returns its id."""
        self.number += 1
        self.publish(Reloaded(self.generation, level, "a test", (), (), 1.0))
        return f"{self.generation}.{self.serial}"

    @property
    def serial(self) -> int:
        """The serial number of assets, as pages see it."""
        return self.middleware._serial

    def fail(self, report: ErrorReport = REPORT, *, serving: bool = True) -> None:
        """A save that did not work."""
        self.publish(ReloadFailed(report, (), 1.0, serving=serving))

    def fix(self) -> None:
        """The last good text again: nothing runs, the error is over."""
        self.publish(Reloaded(self.generation, ReloadLevel.NOTHING, "as it was", (), (), 1.0))

    def assets(self, *paths: str | Path) -> None:
        """Files that pages use have changed."""
        self.publish(AssetsChanged(tuple(map(Path, paths))))

    def count(self, path: str = "/") -> int:
        """How often a path was asked for."""
        return sum(request.url.path == path for request in self.requests)

    @property
    def streams(self) -> int:
        """Open event streams."""
        return self.middleware._routes.channel.open_streams

    def cut_streams(self) -> None:
        """End every event stream, as a network does."""

        async def cut() -> None:
            for stream in self.middleware._routes.channel._streams:
                stream.put_nowait(None)

        self.call(cut())

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.requests.append(request)
        scope.get("fastapi_hmr", {})["generation"] = self.generation  # as the switch does it
        try:
            await self._find(request)(scope, receive, send)
        except BaseException as error:
            self.errors.append(error)
            raise

    def _find(self, request: Request) -> Callable[..., Any]:
        if self.app is not None:
            return self.app
        page = self.pages.get(request.url.path.removeprefix(self._root_path))
        if page is None:
            return PlainTextResponse("no such page", 404)
        answer = page(request)
        return HTMLResponse(answer) if isinstance(answer, str) else answer


def document(body: str = "", head: str = "") -> str:
    """A whole HTML page."""
    return f"<!doctype html>\n<html lang=en><head><title>t</title>{head}</head><body>{body}</body></html>"


def listening(port: int) -> bool:
    """Whether something accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
