"""What libraries keep for the whole process, cleared for each generation, and what is known of an app's lifespan."""

import sys
import types
from typing import Any

import fastapi.routing
import pytest
import sse_starlette.sse
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from fastapi_hmr.interop import reset_globals, signal_fastapi_reloader
from fastapi_hmr.lifespan import does_nothing


def test_leftovers_of_libraries_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What sse-starlette and FastAPI keep for the process is as new for each generation; absent, nothing happens."""
    monkeypatch.setattr(sse_starlette.sse.AppStatus, "should_exit", True)
    monkeypatch.setattr(fastapi.routing, "_endpoint_context_cache", {1: "old"}, raising=False)
    reset_globals()
    assert not sse_starlette.sse.AppStatus.should_exit
    assert fastapi.routing._endpoint_context_cache == {}
    monkeypatch.setitem(sys.modules, "sse_starlette.sse", None)  # how Python says "absent"
    reset_globals()


def test_fastapi_reloader_is_told_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pages learn of a reload; a version of it that can't be told is no reason to fail."""
    told = []
    module = types.ModuleType("fastapi_reloader")
    monkeypatch.setitem(sys.modules, "fastapi_reloader", module)
    signal_fastapi_reloader()
    module.send_reload_signal = lambda: told.append(True)  # type: ignore[attr-defined]  # a module of our own
    signal_fastapi_reloader()
    assert told == [True]


def _plain() -> FastAPI:
    app = FastAPI()
    app.include_router(APIRouter())
    app.add_middleware(GZipMiddleware)
    app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, call_next: call_next(request))
    return app


def _with_lifespan() -> FastAPI:
    return FastAPI(lifespan=lambda _app: None)  # type: ignore[arg-type]  # never entered


def _with_router_lifespan() -> FastAPI:
    app = FastAPI()
    app.include_router(APIRouter(lifespan=lambda _app: None))  # type: ignore[arg-type]  # never entered
    return app


def _with_middleware_of_its_own() -> FastAPI:
    app = FastAPI()
    app.add_middleware(_Own)
    return app


def _with_handler() -> FastAPI:
    app = FastAPI()
    app.router.on_shutdown.append(lambda: None)
    return app


class _Own:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize(
    ("make", "idle"),
    [
        (_plain, True),
        (Starlette, True),
        (_with_lifespan, False),
        (_with_router_lifespan, False),
        (_with_middleware_of_its_own, False),
        (_with_handler, False),
        (object, False),
    ],
)
def test_lifespan_that_does_nothing_is_recognized(make: Any, idle: bool) -> None:
    """Only where it is certain that no code of the user's runs may generations overlap."""
    assert does_nothing(make(), "auto") is idle
    assert does_nothing(make(), "off")
