"""Routers told by how their paths begin: the same answers as FastAPI's own, without asking every route."""

import functools
import gc
import random
import weakref
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request, WebSocket
from fastapi import routing as fastapi_routing
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from starlette.routing import Host, Mount, Route, WebSocketRoute

from fastapi_hmr.engine.routes import Routes
from tests.engine.test_routes import ask, greeting, status

routing: Any = fastapi_routing
SEGMENTS = ("a", "ab", "b", "{one}", "{two:int}", "c.d", "e+f", "{rest:path}", "é")


@pytest.fixture
def asked(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the routes that were asked."""
    seen: list[str] = []
    context_class = routing._EffectiveRouteContext
    matches = context_class.matches

    def noting(self: Any, scope: Any) -> Any:
        seen.append(self.path)
        return matches(self, scope)

    monkeypatch.setattr(context_class, "matches", noting)
    return seen


def router_of(*paths: str, **options: Any) -> APIRouter:
    """A router whose routes answer with their own path."""
    router = APIRouter(**options)
    for path in paths:
        router.get(path)(named(path))
    return router


def named(path: str) -> Callable[[], Awaitable[str]]:
    """A handler that answers with `path`."""

    async def answer() -> str:
        return path

    return answer


def app_of(*routers: APIRouter, **options: Any) -> FastAPI:
    """An app with these routers."""
    app = FastAPI()
    for router in routers:
        app.include_router(router, **options)
    return app


def test_only_routes_that_begin_alike_are_asked(asked: list[str]) -> None:
    """From the second request on, the routers of other paths are passed over."""
    app = app_of(*(router_of("", "/{x}", prefix=f"/r{n}") for n in range(5)))
    assert status(app, "/r3/7") == 200
    asked.clear()
    assert status(app, "/r3/7") == 200
    assert [*dict.fromkeys(asked)] == [
        "/r0",
        "/r0/{x}",
        "/r3",
        "/r3/{x}",
    ]  # the first router gives the scope FastAPI's key


def test_a_route_that_comes_later_is_found(asked: list[str]) -> None:
    """A router that gets another route, by FastAPI's ways or in its list, is looked at anew."""
    first, late = router_of("/first"), router_of("/late")
    app = app_of(first, late)
    assert status(app, "/new/1") == 404
    late.get("/new/{x}")(named("new"))
    assert status(app, "/new/1") == 200
    late.include_router(router_of("/inner"), prefix="/deep")
    assert status(app, "/deep/inner") == 200


def test_an_inclusion_seen_before_makes_no_routes(routes: Routes) -> None:
    """A module that runs again includes the routers that it keeps: what no request asks for is not made."""
    one, other = router_of("/one"), router_of("/other")
    assert status(app_of(one, other), "/one") == 200
    again = app_of(one, other)
    assert status(again, "/one") == 200
    included: list[Any] = again.router.routes[4:]
    made = [bool(each._effective_candidates) for each in included]
    assert made == [True, False]
    assert status(again, "/other") == 200


def test_what_an_inclusion_brings_is_checked(routes: Routes) -> None:
    """A dependency that FastAPI refuses shows at the first request, also where the router was included before."""

    def wrong(value: Annotated[Routes, Query()]) -> None:
        """No type that a query could have."""

    first, router = router_of("/first"), router_of("/one")
    assert status(app_of(first, router), "/one") == 200
    app = FastAPI()
    app.include_router(first)
    app.include_router(router, dependencies=[Depends(wrong)])
    assert [status(app, "/nowhere") for _ in range(2)] == [500, 500]


class Anywhere(APIRoute):
    """A route that answers to every path."""

    def matches(self, scope: Any) -> Any:
        """Always."""
        return routing.Match.FULL, {"endpoint": self.endpoint, "path_params": {}, "route": self}


noted: list[str] = []


def noting(router: APIRouter, scope: Any) -> Any:
    """Matches as FastAPI does, and notes the path."""
    noted.append(scope["path"])
    return APIRouter.matches(router, scope)


class Noting(APIRouter):
    """A router that matches in its own way."""

    matches = noting


def hooked() -> APIRouter:
    """A router with a route that some tool has made to match otherwise."""
    router = router_of("/x")
    (route,) = router.routes
    route.matches = functools.partial(Anywhere.matches, route)  # type: ignore[arg-type, method-assign]
    return router


@pytest.mark.parametrize(
    "make",
    [
        hooked,
        lambda: router_of("/x", route_class=Anywhere),
        lambda: APIRouter(routes=[Host("test", app=PlainTextResponse("by host"))]),
        lambda: APIRouter(routes=[Mount("/y", app=PlainTextResponse("anything"))]),
    ],
)
def test_routers_that_can_not_be_told_are_asked(routes: Routes, make: Callable[[], APIRouter]) -> None:
    """Where the path decides nothing, or too much, FastAPI asks as ever."""
    paths = ["/first", "/y", "/", "/y", "/y/z"]
    statuses = [status(app, path) for app in [app_of(router_of("/first"), make())] for path in paths]
    routes.uninstall()
    assert statuses == [status(app, path) for app in [app_of(router_of("/first"), make())] for path in paths]
    assert 200 in statuses[1:]


@pytest.mark.parametrize("of_the_object", [False, True])
def test_router_with_its_own_matching_is_asked(routes: Routes, of_the_object: bool) -> None:
    """A router may match as it likes, by its class or by itself."""
    own = APIRouter() if of_the_object else Noting()
    if of_the_object:
        own.matches = functools.partial(noting, own)  # type: ignore[method-assign]  # what some app does
    own.get("/x")(named("x"))
    app = app_of(router_of("/first"), own)
    for path in ("/first", "/y", "/y"):
        noted.clear()
        status(app, path)
    assert noted == ["/y", "/y/"]  # and whether a slash would help


def test_tool_that_patches_matching_is_asked(routes: Routes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a tool puts in the place of FastAPI's matching sees every request."""
    seen: list[str] = []
    matches = APIRoute.matches

    def tracing(self: APIRoute, scope: Any) -> Any:
        seen.append(self.path)
        return matches(self, scope)

    monkeypatch.setattr(APIRoute, "matches", tracing)
    app = app_of(router_of("/first"), router_of("/other"))
    for _ in range(2):
        seen.clear()
        assert status(app, "/nowhere") == 404
    assert seen.count("/other") == 2  # with a slash at the end too


def test_a_list_of_routes_that_changed_between_inclusions_is_read_anew(routes: Routes) -> None:
    """FastAPI does not notice what is put into the list of routes, but makes it for an inclusion that comes later."""
    first, router, spare = router_of("/first"), router_of("/one"), router_of("/two", "/three")
    assert status(app_of(first, router), "/one") == 200
    router.routes[0] = spare.routes[0]
    assert status(app_of(first, router), "/two") == 200
    router.routes.append(Route("/three", PlainTextResponse("three")))
    assert status(app_of(first, router), "/three") == 200


def test_nothing_of_a_router_is_kept(routes: Routes) -> None:
    """What is known of a router goes with it."""
    router = router_of("/one", route_class=Anywhere)
    alive = weakref.ref(router)
    status(app_of(router_of("/first"), router), "/one")
    del router
    gc.collect()
    assert alive() is None


def random_app(seed: int) -> FastAPI:
    """An app of random routers, of every kind of route, in random arrangement."""
    dice = random.Random(seed)
    app, routers = FastAPI(redirect_slashes=dice.random() < 0.8), [APIRouter() for _ in range(dice.randint(2, 6))]
    for number, router in enumerate(routers):
        for _ in range(dice.randint(0, 4)):
            path = random_path(dice)
            add(router, dice.choice(("get", "post", "api_route", "route", "mount", "socket")), path, f"{number} {path}")
        if number and dice.random() < 0.4:
            router.include_router(routers[number - 1], prefix=dice.choice(("", "/a", f"/{{tenant{number}}}")))
    for router in routers:
        app.include_router(router, prefix=dice.choice(("/", "")) and dice.choice(("/a", "/ab", "/b/{t}", "/é")))
    return app


def random_path(dice: random.Random) -> str:
    """A path of a route, with a parameter or without."""
    chosen = dice.sample(SEGMENTS, dice.randint(1, 3))
    return "/" + "/".join(chosen) + dice.choice(("", "", "/"))


def add(router: APIRouter, kind: str, path: str, text: str) -> None:
    """A route of some kind that answers with its name and what it got."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{text} {request.path_params} {request.scope.get('root_path')}")

    async def greet(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(f"{text} {websocket.path_params}")
        await websocket.close()

    if kind == "mount":
        router.mount(path.partition("{")[0].rstrip("/") or "/m", PlainTextResponse(text))
    elif kind == "socket":
        router.routes.append(WebSocketRoute(path, greet))
        router.websocket(path + "/ws")(greet)
    elif kind == "route":
        router.routes.append(Route(path, answer))
    elif kind == "api_route":
        router.api_route(path, methods=["PUT", "DELETE"])(answer)
    else:
        getattr(router, kind)(path)(answer)


async def all_answers(app: FastAPI, dice: random.Random) -> list[Any]:
    """What the app answers to random requests and on sockets."""
    found: list[Any] = []
    for _ in range(25):
        filled = [segment if "{" not in segment else dice.choice(("7", "x")) for segment in SEGMENTS]
        path = "/" + "/".join(dice.choices(filled, k=dice.randint(0, 4))) + dice.choice(("", "/"))
        (response,) = await ask(app, [(dice.choice(("GET", "POST", "PUT")), path, {})])
        found.append((path, response.status_code, response.content, response.headers.get("location")))
        found.append(await greeting(app, path))
    return found


@pytest.mark.parametrize("first", range(0, 100, 20))
async def test_random_apps_answer_as_fastapi_alone(routes: Routes, first: int) -> None:
    """Whatever the routers, each request gets what FastAPI alone answers, also in a second app of the same routers."""
    for seed in range(first, first + 20):
        got = await all_answers(random_app(seed), random.Random(seed))
        routes.uninstall()
        wanted = await all_answers(random_app(seed), random.Random(seed))
        routes.install()
        assert got == wanted, f"seed {seed}"
