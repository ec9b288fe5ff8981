"""Drives the ASGI lifespan of one app: bounded, cancellable, and never able to end the server."""

import asyncio
import contextlib
import contextvars
import logging
from typing import Any

from fastapi_hmr.exceptions import StartupFailed

SHUTDOWN_S = 10.0
"""How long an app may take to shut down before it is left behind."""
ABANDON_S = 0.5
"""How long a cancelled startup may take to give up before it is left behind."""

logger = logging.getLogger("uvicorn.error")


class Lifespan:
    """The lifespan of one generation.

    `mode` is uvicorn's `--lifespan`: in "auto" an app that raises before it answers has no lifespan, "on" makes that
    an error, "off" never asks. `context` is what the app's code runs in.
    """

    def __init__(self, app: Any, mode: str, context: contextvars.Context) -> None:
        self.state: dict[str, Any] = {}
        self._app, self._mode, self._context = app, mode, context
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: str | None = None
        self._error: BaseException | None = None
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
            await self._started.wait()
        except asyncio.CancelledError:
            await self._abandon()
            raise
        if self._failure is not None:
            await asyncio.wait({self._task}, timeout=ABANDON_S)  # it raises what it has just reported
            raise StartupFailed(self._failure or "the app's lifespan failed to start") from self._error
        if self._error is not None and (self._mode == "on" or isinstance(self._error, (SystemExit, KeyboardInterrupt))):
            raise StartupFailed("the app's lifespan failed to start") from self._error

    async def shutdown(self, timeout_s: float = SHUTDOWN_S) -> None:
        """Shut the app down, within `timeout_s`; what goes wrong is logged, since nobody can act on it."""
        if not self.running or self._task is None:
            return
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), timeout_s)
        if not self._stopped.is_set():
            logger.error("The app's lifespan did not shut down within %.0f s: it is left behind.", timeout_s)
            self._task.cancel()
            return
        done, _ = await asyncio.wait({self._task}, timeout=ABANDON_S)
        if not done:
            self._task.cancel()
        if self._failure is not None:
            logger.error("The app's lifespan failed to shut down. %s", self._failure)

    async def _abandon(self) -> None:
        assert self._task is not None
        self._task.cancel()
        done, _ = await asyncio.wait({self._task}, timeout=ABANDON_S)
        if not done:
            logger.error("The app's startup ignores its cancellation: it is left behind.")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._inbox.get, self._send)
        except BaseException as error:  # noqa: BLE001 - a SystemExit in a task would end the event loop
            self._error = error
        finally:
            self._started.set()
            self._stopped.set()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind.endswith(".failed"):
            self._failure = str(message.get("message", ""))
        if kind.startswith("lifespan.startup."):
            self._started.set()
        else:
            self._stopped.set()
