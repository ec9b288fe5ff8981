"""Routes that are built at their first use: the same answers as FastAPI's own, without the wait."""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from annotated_types import Ge
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Response, WebSocket
from fastapi import routing as fastapi_routing
from fastapi._compat import v2
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette import convertors
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from fastapi_hmr.engine import routes as door
from fastapi_hmr.engine.routes import Routes

type Build = Callable[[], FastAPI]
routing: Any = fastapi_routing
compat: Any = v2


class Part(BaseModel):
    """A nested model."""

    name: str


class Thing(BaseModel):
    """A model of a body and of a response."""

    id: int
    parts: list[Part] = []


class Shouting(APIRoute):
    """A route class of the app's own."""

    def get_route_handler(self) -> Any:
        """Adds a header."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response: Response = await inner(request)
            response.headers["x-shout"] = self.path
            return response

        return handle


def who(x_user: Annotated[str, Header()] = "nobody") -> str:
    """A dependency."""
    return x_user


def refuse_bad(limit: int = Query(3, ge=0, le=50)) -> int:
    """A dependency with constraints."""
    return limit


def answer() -> dict[str, int]:
    """A handler."""
    return {}


def build() -> FastAPI:
    """An app with routers in every arrangement that FastAPI has."""
    app = FastAPI()
    inner = APIRouter(prefix="/inner", tags=["inner"])
    outer = APIRouter(prefix="/outer/{tenant}", dependencies=[Depends(who)])
    plain = APIRouter()
    loud = APIRouter(route_class=Shouting)

    @inner.get("/things/{thing_id}", name="thing")
    async def read_thing(tenant: str, thing_id: int, limit: Annotated[int, Depends(refuse_bad)]) -> Thing:
        return Thing(id=thing_id, parts=[Part(name=tenant)] * limit)

    @inner.post("/things", status_code=201, responses={409: {"model": Part}})
    async def make_thing(thing: Thing, user: Annotated[str, Depends(who)]) -> Thing:
        return Thing(id=thing.id, parts=[*thing.parts, Part(name=user)])

    @plain.get("/sync", response_model=list[Part])
    def sync() -> Any:
        return [{"name": "a", "extra": 1}]

    @plain.get("/broken")
    async def broken() -> Thing:
        return Thing.model_construct(id="no number")

    @plain.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    @loud.get("/loud")
    async def shout(request: Request) -> dict[str, str]:
        return {"url": str(request.url_for("thing", tenant="t", thing_id="1"))}

    plain.mount("/mounted", PlainTextResponse("mounted"))
    outer.include_router(inner)
    app.include_router(outer, prefix="/api", responses={418: {"description": "teapot"}})
    app.include_router(plain, tags=["plain"])
    app.include_router(plain, prefix="/again", deprecated=True)
    app.include_router(loud)
    return app


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/outer/acme/inner/things/7", {}),
    ("GET", "/api/outer/acme/inner/things/7?limit=51", {}),
    ("GET", "/api/outer/acme/inner/things/seven", {}),
    ("POST", "/api/outer/acme/inner/things", {"json": {"id": 1}, "headers": {"x-user": "me"}}),
    ("POST", "/api/outer/acme/inner/things", {"json": {"id": "x", "parts": 3}}),
    ("DELETE", "/api/outer/acme/inner/things", {}),
    ("GET", "/sync", {}),
    ("GET", "/sync/", {"follow_redirects": False}),
    ("POST", "/sync", {}),
    ("GET", "/again/sync", {}),
    ("GET", "/broken", {}),
    ("GET", "/mounted", {}),
    ("GET", "/loud", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/openapi.json", {}),
]


async def ask(app: FastAPI, requests: list[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
    """What an app answers to each request."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return [await client.request(method, path, **extra) for method, path, extra in requests]


def status(app: FastAPI, path: str) -> int:
    """The status of one GET."""
    return asyncio.run(ask(app, [("GET", path, {})]))[0].status_code


async def greeting(app: FastAPI, path: str) -> list[Any]:
    """What an app sends on a WebSocket."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": []}
    await app(scope, receive, send)
    return sent


def answers(app: FastAPI, requests: list[tuple[str, str, dict[str, Any]]] = REQUESTS) -> list[Any]:
    """What an app answers to each request, and on a WebSocket."""
    got: list[Any] = []
    for response in asyncio.run(ask(app, requests)):
        kept = {name: value for name, value in response.headers.items() if name in {"location", "allow", "x-shout"}}
        got.append((str(response.url), response.status_code, kept, response.content))
    got.append(asyncio.run(greeting(app, "/again/socket")))
    return got


def contexts(app: FastAPI) -> list[Any]:
    """The contexts of every included route, as FastAPI's own matching gets them."""
    found = []
    for route in app.router.routes:
        if isinstance(route, routing._IncludedRouter):
            todo = list(route.effective_candidates())
            while todo:
                one = todo.pop()
                if isinstance(one, routing._IncludedRouter):
                    todo += one.effective_candidates()
                else:
                    found.append(one)
    return found


def waiting(app: FastAPI) -> set[str]:
    """The paths of the routes that are not built yet."""
    return {context.path for context in contexts(app) if door.INCLUDED in vars(context)}


def test_answers_are_the_same(routes: Routes) -> None:
    """Every kind of request, valid or not, in any order, gets what FastAPI alone answers."""
    with routes.sharing():
        deferred, backward = build(), build()
    routes.uninstall()
    plain = answers(build())
    routes.install()
    assert answers(deferred) == plain
    assert answers(backward, REQUESTS[::-1])[-2::-1] == plain[:-1]


def test_only_the_asked_route_is_built(routes: Routes) -> None:
    """One request builds one route; the rest of a large app waits, and openapi builds them all."""
    app = FastAPI()
    router = APIRouter(prefix="/r")
    for number in range(20):
        router.get(f"/{number}")(answer)
    app.include_router(router)
    assert len(waiting(app)) == 20
    assert status(app, "/r/19") == 200
    assert len(waiting(app)) == 19
    assert len(app.openapi()["paths"]) == 20
    assert waiting(app) == set()
    assert {type(context) for context in contexts(app)} == {routing._EffectiveRouteContext}


def test_built_context_equals_fastapis(routes: Routes) -> None:
    """Field for field, a context that was put off is what FastAPI would have built at once."""
    deferred = contexts(build())
    assert deferred
    put_off = [context for context in deferred if door.INCLUDED in vars(context)]
    assert len(put_off) >= 5
    for context in deferred:
        for field in dataclasses.fields(context):
            getattr(context, field.name)
    routes.uninstall()
    for context, plain in zip(deferred, contexts(build()), strict=True):
        assert vars(context).keys() == vars(plain).keys()
        assert (context.path, context.unique_id, context.tags, context.status_code, context.deprecated) == (
            *(plain.path, plain.unique_id, plain.tags, plain.status_code, plain.deprecated),
        )
        assert context.path_regex == plain.path_regex
        assert context.methods == plain.methods


def test_wrong_dependency_of_an_inclusion_shows_at_once(routes: Routes) -> None:
    """What an inclusion adds is checked at the app's first request, whatever that asks for, as FastAPI does."""

    def wrong(value: Annotated[Routes, Query()]) -> None:
        """No type that a query could have."""

    app = FastAPI()
    router = APIRouter()
    router.get("/one")(answer)
    router.get("/two")(answer)
    app.include_router(router, dependencies=[Depends(wrong)])
    app.get("/other")(answer)
    statuses = [status(app, "/other") for _ in range(2)]
    routes.uninstall()
    plain = FastAPI()
    plain.include_router(router, dependencies=[Depends(wrong)])
    plain.get("/other")(answer)
    assert statuses == [500, 500]
    assert statuses == [status(plain, "/other") for _ in range(2)]


def test_value_set_on_a_waiting_context_stays(routes: Routes) -> None:
    """A tool that writes to a context before its first use finds its value there afterwards."""
    context = next(context for context in contexts(build()) if door.INCLUDED in vars(context))
    context.operation_id = "mine"
    assert context.response_description == "Successful Response"  # builds it
    assert context.operation_id == "mine"


def test_fields_of_one_type_share_an_adapter(routes: Routes) -> None:
    """While modules run, equal fields of a model or a plain type have one TypeAdapter; others have their own."""

    def adapter(annotation: Any, *metadata: Any, **given: Any) -> Any:
        info = v2.FieldInfo(annotation=annotation, **given)
        info.metadata.extend(metadata)
        return v2.ModelField(field_info=info, name="x")._type_adapter

    with routes.sharing():
        assert adapter(Thing) is adapter(Thing)
        assert adapter(int) is adapter(int)
        assert adapter(int, Ge(1)) is adapter(int, Ge(1))
        assert adapter(int, Ge(1)) is not adapter(int, Ge(2))
        assert adapter(int, default=1) is not adapter(int, default=True)
        assert adapter(int, alias="a") is adapter(int, alias="b")
        assert adapter(int, title="a") is not adapter(int, title="b")
        assert adapter(list[Thing]) is not adapter(list[Thing])
        assert adapter(Annotated[int, "x"]) is not adapter(Annotated[int, "x"])
        before = adapter(Thing)
        Thing.model_rebuild(force=True)
        assert adapter(Thing) is not before
        assert adapter(int, default=[]) is not adapter(int, default=[])
    assert adapter(Thing) is not adapter(Thing)


def test_path_is_compiled_once_while_convertors_stay(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remembered path is compiled anew when the app registers another convertor."""
    first, second = routing.compile_path("/a/{x}"), routing.compile_path("/a/{x}")
    assert first[0] is second[0]
    assert first[2] == second[2]
    assert first[2] is not second[2]

    class Digits(convertors.StringConvertor):
        regex = "[0-9]+"

    monkeypatch.setitem(convertors.CONVERTOR_TYPES, "str", Digits())
    assert "0-9" in routing.compile_path("/a/{x}")[0].pattern


def test_uninstall_gives_everything_back(routes: Routes) -> None:
    """Closing leaves FastAPI as it was."""
    changed = (routing.compile_path, routing._IncludedRouter._build_effective_context, v2.ModelField.__post_init__)
    routes.uninstall()
    now = (routing.compile_path, routing._IncludedRouter._build_effective_context, v2.ModelField.__post_init__)
    assert all(function.__module__.startswith("fastapi_hmr") for function in changed)
    assert not any(function.__module__.startswith("fastapi_hmr") for function in now)


@pytest.mark.parametrize("missing", ["_IncludedRouter", "_EffectiveRouteContext", "compile_path", "ModelField"])
def test_other_version_works_as_it_always_does(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FastAPI that lacks what we use is left alone."""
    wanted = answers(build())
    with monkeypatch.context() as patch:
        patch.delattr(routing if hasattr(routing, missing) else compat, missing)
        routes = Routes()
        routes.install()
    try:
        assert answers(build()) == wanted
    finally:
        routes.uninstall()
