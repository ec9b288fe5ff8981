"""What libraries keep for the whole process and a new generation must not inherit. Nothing is imported for it."""

import contextlib
import sys


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
