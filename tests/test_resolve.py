"""Getting the app from its module: any ASGI app, factories, and what is said where there is none."""

import types
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from fastapi_hmr.config import AppSource
from fastapi_hmr.exceptions import AppNotFound
from fastapi_hmr.resolve import resolve


def module_of(**content: Any) -> types.ModuleType:
    """A module that has just run."""
    module = types.ModuleType("main")
    vars(module).update(content)
    return module


def resolved(attribute: str | None, *, factory: bool = False, **content: Any) -> object:
    """What `main:<attribute>` is in a module of this content."""
    return resolve(AppSource("main", attribute, Path(), factory), module_of(**content))


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """The smallest ASGI app."""


def test_resolve_takes_any_asgi_app() -> None:
    """FastAPI, Starlette, a plain function, an object with `__call__`, an attribute path."""

    class Wrapped:
        inner = asgi

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    for app in (FastAPI(), Starlette(), asgi, Wrapped()):
        assert resolved("app", app=app) is app
    assert resolved("app.inner", app=Wrapped()).__func__ is asgi  # type: ignore[attr-defined]  # a bound method


def test_resolve_without_an_attribute_finds_the_app() -> None:
    """`app`, `api`, else the only FastAPI under whatever name, else the only Starlette."""
    one, two, star = FastAPI(), FastAPI(), Starlette()
    assert resolved(None, api=one, app=two) is two
    assert resolved(None, api=one, other=two) is one
    assert resolved(None, service=one, same=one, star=star) is one
    assert resolved(None, star=star) is star
    assert resolved(None, app=asgi) is asgi
    assert resolved(None, app=types.ModuleType("app"), service=one) is one


def test_resolve_without_an_attribute_and_several_apps_asks_which() -> None:
    """Guessing would serve the wrong one."""
    with pytest.raises(AppNotFound, match=r"2 apps \(admin, public\).*`main:admin`"):
        resolved(None, public=FastAPI(), admin=FastAPI())
    with pytest.raises(AppNotFound, match="no app in module 'main'"):
        resolved(None, x=1)
    with pytest.raises(AppNotFound, match="`main:create_app --factory`"):
        resolved(None, create_app=FastAPI)


def test_resolve_calls_a_factory() -> None:
    """By name, or by the usual names with --factory."""
    app = FastAPI()
    assert resolved("make", factory=True, make=lambda: app) is app
    assert resolved(None, factory=True, create_app=lambda: app) is app
    assert resolved(None, factory=True, app=lambda: app) is app
    with pytest.raises(AppNotFound, match="no factory in module 'main'"):
        resolved(None, factory=True)


def test_resolve_tries_a_plain_callable_as_a_factory_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    """As uvicorn does, but not at every save."""
    app = FastAPI()
    for _ in range(2):
        assert resolved("unique_factory", unique_factory=lambda: app) is app
    assert len([record for record in caplog.records if "--factory" in record.getMessage()]) == 1


def test_resolve_lets_a_factorys_own_error_through() -> None:
    """It is the app's error, with the app's traceback: a TypeError too, which uvicorn takes for 'no factory'."""

    def broken() -> None:
        raise TypeError("mine")

    for factory in (True, False):
        with pytest.raises(TypeError, match="mine"):
            resolved("broken", factory=factory, broken=broken)


@pytest.mark.parametrize(
    ("attribute", "factory", "says"),
    [
        ("ap", False, "no 'ap' in module 'main'.*did you mean 'app'"),
        ("zzz", False, r"no 'zzz' in module 'main' \(there is app\)"),
        ("app.rooter", False, "no 'rooter' in 'app' of module 'main'.*did you mean 'router'"),
        ("number", False, "'main:number' is 'int', which is not an ASGI app"),
        ("number", True, "'main:number' is 'int', not a factory"),
        ("returns_none", True, "'main:returns_none' returned 'NoneType'"),
        ("needs", True, "'main:needs' needs arguments"),
        ("coroutine", True, "'main:coroutine' is async"),
    ],
)
def test_resolve_says_what_is_wrong(attribute: str, factory: bool, says: str) -> None:
    """The thing, the value, the remedy."""

    async def coroutine() -> None: ...

    content: dict[str, Any] = {
        "app": FastAPI(),
        "number": 3,
        "returns_none": lambda: None,
        "needs": lambda argument: argument,
        "coroutine": coroutine,
    }
    with pytest.raises(AppNotFound, match=says):
        resolved(attribute, factory=factory, **content)
