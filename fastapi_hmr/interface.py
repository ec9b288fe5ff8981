"""Calls apps of any interface as ASGI 3, by uvicorn's rules."""

import asyncio
import inspect
import sys
from typing import Any

from fastapi_hmr.exchange import ASGIApp


def adapt(app: Any, interface: str) -> ASGIApp:
    """An app of any interface as ASGI 3, by uvicorn's rules for `--interface`."""
    from uvicorn.middleware.asgi2 import ASGI2Middleware
    from uvicorn.middleware.wsgi import WSGIMiddleware  # type: ignore[attr-defined]  # a2wsgi's, where installed

    if interface == "auto":
        call = app if inspect.isfunction(app) else getattr(app, "__call__", None)  # noqa: B004 - the function is wanted
        asgi3 = hasattr(app, "__await__") if inspect.isclass(app) else _is_async(call)
        interface = "asgi3" if asgi3 else "asgi2"
    adapted: Any = app
    if interface == "wsgi":
        adapted = WSGIMiddleware(app)
    elif interface == "asgi2":
        adapted = ASGI2Middleware(app)
    return adapted  # type: ignore[no-any-return]  # the user's object


def _is_async(function: object) -> bool:
    if sys.version_info >= (3, 14):
        return inspect.iscoroutinefunction(function)
    return asyncio.iscoroutinefunction(function)  # it also knows the mark that asgiref and others set
