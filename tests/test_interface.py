"""Which interface an app has, and whether a lifespan, as uvicorn finds it out."""

from typing import Any

import pytest
import uvicorn.middleware.wsgi

from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.interface import adapt
from fastapi_hmr.switch import Switch
from fastapi_hmr.tracebacks import ErrorReport
from tests.serving_main import render
from tests.test_switch import Call, answering


def asgi2(_scope: Any) -> Any:
    """An app of ASGI 2: called twice."""

    async def instance(_receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"two"})

    return instance


def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    """An app of WSGI."""
    start_response("200 OK", [("content-type", "text/plain")])
    return [b"wsgi"]


class Callable3:
    """An app of ASGI 3 that is an object."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        await answering("three")(scope, receive, send)


@pytest.mark.parametrize(
    ("app", "interface", "expected"),
    [
        (answering("three"), "auto", b"three"),
        (Callable3(), "auto", b"three"),
        (asgi2, "auto", b"two"),
        (asgi2, "asgi2", b"two"),
        (answering("three"), "asgi3", b"three"),
    ],
    ids=["function", "object", "asgi2 found", "asgi2", "asgi3"],
)
async def test_interface_is_found_as_uvicorn_does(app: Any, interface: str, expected: bytes) -> None:
    """Apps of each interface are served, named or found."""
    switch = Switch(render=render, interface=interface)
    await switch.replace(app, reason="first")
    call = Call(switch)
    await call.task
    assert call.body == expected


@pytest.mark.filterwarnings("ignore:Uvicorn's native WSGI implementation:DeprecationWarning")
def test_wsgi_app_gets_what_uvicorn_gives_it() -> None:
    """`--interface wsgi` wraps the app in what this uvicorn has for it."""
    assert type(adapt(wsgi, "wsgi")) is uvicorn.middleware.wsgi.WSGIMiddleware  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["auto", "off"])
async def test_app_without_lifespan_support_is_served(mode: str) -> None:
    """An app that raises on the lifespan scope is one without, unless `--lifespan on` says that it has one."""
    switch = Switch(render=render, lifespan=mode)
    await switch.replace(answering("a"), reason="first")
    call = Call(switch)
    await call.task
    assert call.body == b"a"


async def test_app_without_lifespan_support_fails_where_it_must_have_it() -> None:
    """With `--lifespan on` it is an error, with what the app raised as the cause."""
    switch = Switch(render=render, lifespan="on")
    with pytest.raises(StartupFailed) as failed:
        await switch.replace(answering("a"), reason="first")
    assert isinstance(failed.value.__cause__, AssertionError)
    switch.fail(ErrorReport("AssertionError", "no lifespan"))
