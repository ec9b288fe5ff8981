"""Endpoints that are analysed at their first request: what FastAPI refuses is refused at once, the rest is the same."""

import asyncio
import functools
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import fastapi
import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi import routing as fastapi_routing
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, RootModel

from fastapi_hmr.engine.analyses import ANALYSED, INSTEAD, LATER
from fastapi_hmr.engine.routes import Routes
from fastapi_hmr.engine.shapes import Shapes
from tests.engine.test_routes import Thing, ask, build, contexts

routing: Any = fastapi_routing


class Choice(RootModel[int]):
    """A model that is a number."""


class Alien:
    """A class of which pydantic knows nothing."""


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]


class Called:
    """Its objects are endpoints."""

    def __call__(self, one: int) -> int:
        """Answers."""
        return one


class Custom(BaseModel):
    """A model that makes its own schema."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """The usual one."""
        return handler(source)


def limit(limit: int = Query(3, ge=0)) -> int:
    """A dependency."""
    return limit


async def lasting(limit: Annotated[int, Depends(limit)]) -> AsyncIterator[int]:
    """A dependency with an end and a dependency of its own."""
    yield limit


WHEN = datetime
bearer = OAuth2PasswordBearer("token", auto_error=False)


def endpoint(parameters: str, returns: str = "dict[str, int]", *, kind: str = "async def") -> Callable[..., Any]:
    """A new function with this signature."""
    body = "yield {}" if "Iterator" in returns else "return {}"
    namespace: dict[str, Any] = {**vars(fastapi), **globals(), "OAuth2PasswordRequestForm": OAuth2PasswordRequestForm}
    exec(f"{kind} handler({parameters}) -> {returns}:\n    '''Doc.'''\n    {body}\n", namespace)
    handler: Callable[..., Any] = namespace["handler"]
    return handler


def made(path: str, function: Callable[..., Any], **options: Any) -> APIRoute:
    """The route that a router makes of a function."""
    router = APIRouter()
    router.api_route(path, **options)(function)
    route = router.routes[-1]
    assert isinstance(route, APIRoute)
    return route


def facts(route: APIRoute) -> dict[str, Any]:
    """What a route has, in a form that can be compared."""
    for name in ANALYSED:
        getattr(route, name)
    state = {name: value for name, value in vars(route).items() if name not in {"endpoint", "path_regex", "app"}}
    kept = {name: repr(value) for name, value in state.items() if " at 0x" not in repr(value)}
    return {"openapi": documented(route), "names": sorted(state), **kept}


def documented(route: APIRoute) -> Any:
    """What the OpenAPI document says of a route, or why it can't."""
    app = FastAPI()
    app.router.routes.append(route)
    try:
        return app.openapi()["paths"]
    except Exception as error:
        return type(error), str(error)


GOOD: list[tuple[str, str, str, dict[str, Any]]] = [
    ("/", "", "dict[str, int]", {}),
    ("/{one}", "one: int, two: str = 'x', *, three: float | None = None", "Thing", {"status_code": 201}),
    (
        "/{one}",
        "one: Annotated[int, Path(ge=1)], two: Annotated[list[str], Query(max_length=5)] = []",
        "list[Thing]",
        {},
    ),
    ("/", "thing: Thing, user: str = Depends(limit)", "Thing | None", {"methods": ["POST"]}),
    ("/", "thing: Thing, other: Annotated[Thing, Body(embed=True)]", "None", {"methods": ["PUT"]}),
    (
        "/",
        "token: Annotated[str, Security(bearer, scopes=['a'])], form: OAuth2PasswordRequestForm = Depends()",
        "Any",
        {"methods": ["POST"]},
    ),
    ("/", "a: Annotated[str, Form()], b: Annotated[bytes, File()]", "Response", {"methods": ["POST"]}),
    ("/", "request: Request, when: WHEN, how: Literal['a', 'b'] = 'a'", "Any", {"response_model": list[Thing]}),
    ("/", "x_a: Annotated[str | None, Header()] = None, c: str = Cookie('n')", "Any", {"response_model": None}),
    ("/", "one: Annotated[int, Depends(lasting)]", "AsyncIterator[Thing]", {"dependencies": [Depends(limit)]}),
    ("/", "thing: Annotated[Thing, Query()]", "dict[str, Any]", {"responses": {404: {"model": Thing}, 409: {}}}),
]


@pytest.mark.parametrize(("path", "parameters", "returns", "options"), GOOD)
def test_second_of_a_shape_waits_and_is_the_same(
    routes: Routes, path: str, parameters: str, returns: str, options: dict[str, Any]
) -> None:
    """The first is analysed at once, the next when it is asked for; what is found is the same."""
    with routes.sharing():
        first = made(path, endpoint(parameters, returns), **options)
        second = made(path, endpoint(parameters, returns), **options)
    assert LATER not in vars(first)
    assert LATER in vars(second)
    assert not vars(second).keys() & {*ANALYSED}
    routes.uninstall()
    plain = made(path, endpoint(parameters, returns), **options)
    assert facts(second) == facts(first) == facts(plain)
    assert LATER not in vars(second)
    assert second.dependant.call is second.endpoint


BAD: list[tuple[str, str, str, str, dict[str, Any]]] = [
    ("/{one}", "one: int", "one: Annotated[int, Path()] = 3", "Any", {}),
    ("/{one}", "one: int", "one: Annotated[int, Query()]", "Any", {}),
    ("/{one}", "one: int", "one: Thing", "Any", {}),
    ("/", "one: Thing", "one: Alien", "Any", {}),
    ("/", "one: int", "one: Annotated[int, Query(default=3)]", "Any", {}),
    ("/", "one: str = Query(max_length=3)", "one: list[Thing] = Query(max_length=3)", "Any", {}),
    ("/", "one: int = Depends(limit)", "one: Annotated[int, Depends(limit)] = Depends(limit)", "Any", {}),
    ("/", "one: int = Depends(limit)", "one: int = Depends(Alien())", "Any", {}),
    ("/", "", "", "Alien", {}),
    ("/", "", "", "Thing", {"status_code": 204}),
    ("/", "", "", "Any", {"responses": {204: {"model": Thing}}}),
    ("/", "", "", "Any", {"response_model": Alien}),
    ("/", "one: Annotated[Thing, Body()]", "one: Annotated[Request, Body()]", "Any", {}),
]


@pytest.mark.parametrize(("path", "good", "bad", "returns", "options"), BAD)
def test_refused_endpoint_is_refused_when_it_is_defined(
    routes: Routes, path: str, good: str, bad: str, returns: str, options: dict[str, Any]
) -> None:
    """An endpoint like one that was accepted, but for what FastAPI refuses, raises where the module runs."""
    with routes.sharing():
        made(path, endpoint(good, "Any"))
        made(path, endpoint(good, "Any"))
        with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever FastAPI raises
            made(path, endpoint(bad, returns), **options)
    routes.uninstall()
    with pytest.raises(type(raised.value)) as plain:
        made(path, endpoint(bad, returns), **options)
    assert str(raised.value).partition(" at 0x")[0] == str(plain.value).partition(" at 0x")[0]


def wrapped() -> Any:
    """An endpoint under a decorator."""

    @functools.wraps(limit)
    async def inner(*args: Any, **kwargs: Any) -> Any:
        return limit(*args, **kwargs)

    return inner


@pytest.mark.parametrize(
    "function",
    [
        lambda: endpoint("one: 'Thing'"),
        lambda: endpoint("one: Choice"),
        lambda: endpoint("one: Custom"),
        lambda: endpoint("**rest: str"),
        lambda: endpoint("one: Annotated[Cat | Dog, Body(discriminator='kind')]"),
        lambda: endpoint("one: Annotated[list[Thing], Body(max_length=3)]"),
        lambda: endpoint("one: int = Depends(functools.partial(limit, 3))"),
        lambda: functools.partial(limit, 3),
        wrapped,
    ],
)
def test_what_may_hide_more_is_analysed_at_once(routes: Routes, function: Callable[[], Any]) -> None:
    """Where code of the app's own has a say, FastAPI's analysis runs each time."""
    with routes.sharing():
        both = [made("/", function(), methods=["POST"], response_model=None) for _ in range(2)]
    assert not [route for route in both if LATER in vars(route)]


def test_route_class_of_the_apps_own_is_left_alone(routes: Routes) -> None:
    """A subclass may look at what it is made of."""

    class Own(APIRoute):
        """Nothing else."""

    with routes.sharing():
        both = [Own("/", endpoint("")) for _ in range(2)]
    assert not [route for route in both if LATER in vars(route)]


def test_tool_that_looks_at_the_analysis_gets_it_at_once(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracers wrap what makes a handler, and set things on what they are given."""
    original, calls = routing.get_request_handler, []

    def tracing(**given: Any) -> Any:
        given["dependant"].call = functools.partial(given["dependant"].call)
        calls.append(given["dependant"].path)
        return original(**given)

    monkeypatch.setattr(routing, "get_request_handler", tracing)
    with routes.sharing():
        both = [made("/traced", endpoint("")) for _ in range(2)]
    assert calls == ["/traced"] * 2
    assert not [route for route in both if LATER in vars(route)]


def test_only_while_modules_run(routes: Routes) -> None:
    """A route that is added later is made as always."""
    with routes.sharing():
        made("/", endpoint(""))
    assert LATER not in vars(made("/", endpoint("")))


def test_fastapi_that_is_loaded_meanwhile(routes: Routes) -> None:
    """A first start loads FastAPI in the midst of the app's modules: those that follow count already."""
    with routes.sharing():
        routes.uninstall()
        routes.install()
        made("/", endpoint(""))
        assert LATER in vars(made("/", endpoint("")))


def test_signature_changed_afterwards_does_not_count(routes: Routes) -> None:
    """A decorator above the route's may change the signature: FastAPI has read it by then."""
    with routes.sharing():
        made("/", endpoint("one: int = 3"))
        function: Any = endpoint("one: int = 3")
        route = made("/", function)
    assert LATER in vars(route)
    function.__defaults__ = (4,)
    function.__annotations__ = {"one": str}
    field = route.dependant.query_params[0]
    assert (field.field_info.annotation, field.default) == (int, 3)
    assert function.__defaults__ == (4,)
    assert function.__annotations__ == {"one": str}


def test_attribute_set_before_the_analysis_stays(routes: Routes) -> None:
    """Tools that go through an app's routes and set something find it there."""
    with routes.sharing():
        made("/", endpoint(""))
        route = made("/", endpoint(""))
    route.response_model = Thing
    assert route.dependant.call is route.endpoint
    assert route.response_model is Thing


def test_missing_attribute_is_missing(routes: Routes) -> None:
    """A route that is made bare has no more than before."""
    bare = APIRoute.__new__(APIRoute)
    assert not hasattr(bare, "dependant")
    assert not hasattr(APIRoute, "dependant")


def test_object_as_endpoint_is_analysed_at_once(routes: Routes) -> None:
    """An object that is called, of a class that stays: each route with such a one is as without us."""
    with routes.sharing():
        made_of = [made("/", Called(), response_model=int) for _ in range(2)]
    assert [facts(each)["openapi"] for each in made_of] == [
        facts(made("/", Called(), response_model=int))["openapi"]
    ] * 2


def test_endpoints_without_types_put_nothing_off(routes: Routes) -> None:
    """To try whether analyses can wait loads all of pydantic.v1: an app that has no types does not pay for it."""
    analyses: Any = routes._analyses
    with routes.sharing():
        for _ in range(2):
            made("/", lambda: 1)
        assert analyses._works is None
        for _ in range(2):
            made("/", endpoint(""))
        assert analyses._works is True
        assert LATER in vars(made("/", lambda: 1))


def test_requests_call_fastapis_own_functions(routes: Routes) -> None:
    """Some of them are called in each request: ours stand in their places only while modules run."""
    own = [getattr(fastapi_routing, name) for name in INSTEAD]
    with routes.sharing():
        assert not any(getattr(fastapi_routing, name) is function for name, function in zip(INSTEAD, own, strict=True))
        with pytest.MonkeyPatch.context() as tool:
            traced: Any = lambda **_: None  # noqa: E731 - a tool's own
            tool.setattr(fastapi_routing, "get_request_handler", traced)
            routes._running(False)
            assert fastapi_routing.get_request_handler is traced  # a tool that came after us keeps its place
            routes._running(True)
    assert [getattr(fastapi_routing, name) for name in INSTEAD] == own


def test_version_that_makes_routes_otherwise_analyses_at_once(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the analysis finds more than is known, no route goes without it."""
    monkeypatch.setattr("fastapi_hmr.engine.analyses.ANALYSED", tuple(name for name in ANALYSED if name != "dependant"))
    with routes.sharing():
        waiting = [LATER in vars(made("/", endpoint(""))) for _ in range(3)]
    assert waiting == [False, False, False]


def test_waiting_route_works_after_uninstall(routes: Routes) -> None:
    """What was put off is done even when nothing more is."""
    app = FastAPI()
    with routes.sharing():
        app.get("/first")(endpoint(""))
        app.get("/second")(endpoint(""))
    routes.uninstall()
    assert LATER in vars(app.routes[-1])
    assert [each.status_code for each in asyncio.run(ask(app, [("GET", "/second", {}), ("GET", "/first", {})]))] == [
        200,
        200,
    ]


def test_shapes_hold_nothing_alive(routes: Routes) -> None:
    """What is remembered are values: no class, no function of a generation that is gone."""
    with routes.sharing():
        app = build()
    assert [one for one in contexts(app) if LATER in vars(one.original_route)] == []
    analyses: Any = routes._analyses
    todo: list[Any] = list(analyses._accepted)
    assert todo
    while todo:
        one = todo.pop()
        if isinstance(one, tuple):
            todo += one
        else:
            assert isinstance(one, (str, int, float, bytes, type(None), type(...))) or one.__module__ in {
                "builtins",
                "typing",
                "inspect",
                "types",
            }
    assert analyses._shapes._calls == {}


@pytest.mark.parametrize("name", INSTEAD)
def test_other_version_analyses_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FastAPI that analyses in another way does it when it always does."""
    monkeypatch.delattr(routing, name)
    routes = Routes()
    routes.install()
    try:
        assert routes._analyses is None
    finally:
        routes.uninstall()


def test_shapes_keep_no_model_alive() -> None:
    """What was looked at while modules ran is forgotten with them."""

    class Bowl(BaseModel):
        """Of one generation."""

    def endpoint(bowl: Bowl) -> Bowl:
        return bowl

    shapes, dead = Shapes(), weakref.ref(Bowl)
    assert shapes.of("/", endpoint, {"response_model": Bowl}) is not None
    shapes.forget()
    del Bowl, endpoint
    gc.collect()
    assert dead() is None
