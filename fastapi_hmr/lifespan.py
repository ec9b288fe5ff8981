"""Drives the ASGI lifespan of one app: bounded, cancellable, and never able to end the server."""

import asyncio
import contextlib
import contextvars
import inspect
import logging
from collections.abc import Callable, Collection
from typing import Any, Protocol

from fastapi_hmr.exceptions import StartupFailed

SHUTDOWN_S = 10.0
"""How long an app may take to shut down before it is left behind."""
ABANDON_S = 0.5
"""How long a cancelled startup or shutdown may take to give up before it is left behind."""

type Patience = Callable[[str, "asyncio.Task[None]"], contextlib.AbstractContextManager[None]]
"""Around a wait for the app: says after a while what is waited for ("startup"), and where that task is."""

logger = logging.getLogger("uvicorn.error")

_abandoned: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected while it runs


class Starts(Protocol):
    """Undoes what the start of one app did to libraries before the next starts; the engine has one."""

    def begin(self) -> None:
        """An app is about to start."""

    def succeeded(self) -> None:
        """It is up."""

    def failed(self) -> None:
        """It did not come up."""

    def ended(self) -> Collection[asyncio.Future[Any]]:
        """It has shut down; returns what it had left running and has been told to end."""

    @property
    def bound(self) -> str | None:
        """Why what the app started can't go on for another app."""


class Lifespan:
    """The lifespan of one generation.

    `mode` is uvicorn's `--lifespan`: in "auto" an app that raises before it answers has no lifespan, unless it
    `must_answer`, "on" makes that an error, "off" never asks. `context` is what the app's code runs in.
    """

    def __init__(
        self,
        app: Any,
        mode: str,
        context: contextvars.Context,
        *,
        idle: bool = False,
        must_answer: Callable[[], bool] = lambda: False,
        patience: Patience = lambda _what, _task: contextlib.nullcontext(),
    ) -> None:
        """`idle`: nothing of the user's runs in it, so that it may overlap with the next one."""
        self.idle = idle
        self.answered = False
        """Whether the app has said that it is up."""
        self._must_answer, self._patience = must_answer, patience
        self.state: dict[str, Any] = {}
        self._app, self._mode, self._context = app, mode, context
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: str | None = None
        self._error: BaseException | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether there is something to shut down."""
        return self._task is not None and not self._task.done() and self._error is None

    async def startup(self) -> None:
        """Start the app.

        Raises StartupFailed with what the app raised as its cause. Cancelled, it takes the app's startup down too.
        """
        if self._mode == "off":
            return
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), context=self._context, name="fastapi-hmr lifespan")
        self._inbox.put_nowait({"type": "lifespan.startup"})
        try:
            with self._patience("startup", self._task):
                await self._started.wait()
            if self._failure is not None:
                await asyncio.wait({self._task}, timeout=ABANDON_S)  # it raises what it has just reported
        except asyncio.CancelledError:
            await self._abandon("startup")
            raise
        if self._failure is not None:
            await self._abandon("startup")
            raise StartupFailed(self._failure or "the app's lifespan failed to start") from self._error
        if self._error is not None:
            self._judge(self._error)

    def _judge(self, error: BaseException) -> None:
        """What an app means that raises before it has answered."""
        fatal = isinstance(error, (SystemExit, KeyboardInterrupt, asyncio.CancelledError))
        if fatal or self._mode == "on" or self._must_answer():
            raise StartupFailed(f"the app's lifespan failed to start: {error!r}") from error
        logger.info("ASGI 'lifespan' protocol appears unsupported.")

    async def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Shut the app down, within `timeout_s`; what goes wrong is logged, since nobody can act on it."""
        if not self.running or self._task is None:
            return
        self._stopping = True
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        with contextlib.suppress(TimeoutError), self._patience("shutdown", self._task):
            await asyncio.wait_for(self._stopped.wait(), timeout_s)
        late = not self._stopped.is_set()
        if late:
            logger.error("The app's lifespan did not shut down within %g s: it is cancelled.", timeout_s)
        elif not self._task.done():
            await asyncio.wait({self._task}, timeout=ABANDON_S)
        await self._abandon("shutdown")
        if late and isinstance(self._error, asyncio.CancelledError):
            return  # Starlette reports it as a failure, with a traceback; but it is our doing, and has been said
        if self._failure is not None:
            logger.error("The app's lifespan failed to shut down. %s", self._failure)
        elif self._error is not None and not isinstance(self._error, asyncio.CancelledError):
            logger.error("The app's lifespan failed to shut down.", exc_info=self._error)

    async def _abandon(self, what: str) -> None:
        assert self._task is not None
        self._stopping = True
        if self._task.done():
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):  # a second cancellation must not leave it unwatched
            await asyncio.wait({self._task}, timeout=ABANDON_S)
        if not self._task.done():
            _abandoned.add(self._task)
            self._task.add_done_callback(_abandoned.discard)
            logger.error("The app's %s ignores its cancellation: it is left behind.", what)

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._send)
        except BaseException as error:  # a SystemExit in a task would end the event loop
            self._error = error
            if self._died(error):
                logger.exception("The app's lifespan ended while the app was being served.")
        finally:
            self._started.set()
            self._stopped.set()

    def _died(self, error: BaseException) -> bool:
        """Whether it ended under way. A cancellation is the end of the loop, or the app's own wish."""
        expected = self._stopping or self._failure is not None or isinstance(error, asyncio.CancelledError)
        return self._started.is_set() and not expected

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind.endswith(".failed"):
            self._failure = str(message.get("message", ""))
        if kind.startswith("lifespan.startup."):
            self.answered = self._failure is None
            self._started.set()
        else:
            self._stopped.set()


def does_nothing(app: object, mode: str) -> bool:
    """Whether starting and stopping `app` runs nothing of the user's: no lifespan, no handlers, no odd middleware.

    Where that can't be seen the answer is no, which only costs the overlap of old and new.
    """
    if mode == "off":
        return True
    if type(app).__module__ not in {"fastapi.applications", "starlette.applications"}:
        return False
    router = getattr(app, "router", None)
    if getattr(router, "on_startup", None) or getattr(router, "on_shutdown", None):
        return False
    middleware = getattr(app, "user_middleware", ())
    return _is_default(getattr(router, "lifespan_context", None)) and all(map(_passes_lifespans_on, middleware))


def _is_default(context: object) -> bool:
    """The lifespan that a router has where none was given; FastAPI merges those of included routers in a closure."""
    if type(context).__name__ == "_DefaultLifespan":
        return True
    parts = inspect.getclosurevars(inspect.unwrap(context)).nonlocals if inspect.isfunction(context) else {}
    return set(parts) == {"original_context", "nested_context"} and all(map(_is_default, parts.values()))


def _passes_lifespans_on(middleware: object) -> bool:
    cls = getattr(middleware, "cls", None)
    owner = next((base for base in getattr(cls, "__mro__", ()) if "__call__" in vars(base)), object)
    return owner.__module__.partition(".")[0] in {"starlette", "fastapi"}
