"""What libraries keep for the whole process and a new generation must not inherit. None is imported for it."""

import asyncio
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def reset_globals() -> None:
    """Process-wide leftovers of the last generation that would spoil this one.

    sse-starlette before 3.6 remembers that the server is shutting down; FastAPI caches endpoints for its errors.
    """
    status = getattr(sys.modules.get("sse_starlette.sse"), "AppStatus", None)
    if status is not None:
        status.should_exit = False
    cache = getattr(sys.modules.get("fastapi.routing"), "_endpoint_context_cache", None)
    if isinstance(cache, dict):
        cache.clear()


def signal_fastapi_reloader() -> None:
    """An app that uses fastapi-reloader: its open pages learn of the reload, as under uvicorn-hmr."""
    send = getattr(sys.modules.get("fastapi_reloader"), "send_reload_signal", None)
    if send is not None:
        with contextlib.suppress(Exception):
            send()


def rebuild_middleware(app: Any) -> None:
    """An app that starts a second time builds its middleware again, as it does in a new process."""
    if is_starlette(app):
        app.middleware_stack = None


def is_starlette(app: Any) -> bool:
    """Whether an app is Starlette's or FastAPI's, or of a class made from those."""
    return any(cls.__module__ == "starlette.applications" for cls in type(app).__mro__)


class Threads:
    """Threads for `def` endpoints and `asyncio.to_thread()`: handlers of old generations may sit in all of them."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._lent = 0.0
        self._total = 0.0

    def renew(self) -> None:
        """Give a new generation as many as a new process has."""
        old, self._executor = self._executor, ThreadPoolExecutor(thread_name_prefix="asyncio")
        asyncio.get_running_loop().set_default_executor(self._executor)
        if old is not None:
            old.shutdown(wait=False)
        limiter = _limiter()
        if limiter is not None:
            own = limiter.total_tokens - (self._lent if limiter.total_tokens == self._total else 0)
            self._lent = limiter.borrowed_tokens
            self._total = limiter.total_tokens = own + self._lent


def _limiter() -> Any:
    """How many threads AnyIO, and so Starlette, may use at once in this loop; None where none was used so far."""
    if "anyio._backends._asyncio" not in sys.modules:  # to load it takes a thirtieth of a start
        return None
    return sys.modules["anyio.to_thread"].current_default_thread_limiter()
