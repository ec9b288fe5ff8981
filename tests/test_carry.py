"""Carrying a lifespan over: merged, nested and mounted ones, apps that can't be replaced, other kinds of apps."""

import sys

import pytest

from tests.serving import ALL, Serving

MERGED = """
    from contextlib import asynccontextmanager
    from fastapi import APIRouter, Request
    from log import log

    @asynccontextmanager
    async def inner(app):
        log.append("inner")
        yield {"inner": 1}
        log.append("inner stop")

    extra = APIRouter(lifespan=inner)

    @extra.get("/extra")
    def route():
        return 1

    @extra.get("/state")
    def state(request: Request):
        return request.scope["state"]
    """


async def test_merged_lifespans_go_on_together(serving: Serving) -> None:
    """A router's own lifespan is carried with the app's, and restarts both when it is edited."""
    serving.project["extra.py"] = MERGED
    serving.project["main.py"] += "from extra import extra\napp.include_router(extra)\n"
    await serving.start()
    assert await serving.edit("extra.py", "return 1", "return 2", "extra", "main") is None
    assert await serving.get("/extra") == 2
    assert await serving.get("/state") == {"extra": "state", "inner": 1}
    reason = await serving.edit("extra.py", '"inner": 1', '"inner": 2', "extra", "main")
    assert reason == "inner() in extra.py changed"
    assert serving.log == ["load", "inner", "inner stop", "stop", "load", "inner"]


@pytest.mark.parametrize(("lifespan", "expected"), [(True, "the choice of lifespans changed"), (False, None)])
async def test_added_router_restarts_only_with_a_lifespan(
    serving: Serving, lifespan: bool, expected: str | None
) -> None:
    """A new router that has nothing to start is no reason; one with a lifespan has to be started."""
    serving.project["extra.py"] = MERGED if lifespan else MERGED.replace("lifespan=inner", "")
    await serving.start()
    serving.modules.load("extra")
    line = "app.include_router(router)"
    added = f"from extra import extra\n{line}\napp.include_router(extra)"
    assert await serving.edit("main.py", line, added, "main") == expected
    assert await serving.get("/extra") == 1


async def test_nested_lifespans_are_followed(serving: Serving) -> None:
    """A context manager that the lifespan enters counts with all that it calls."""
    serving.project["db.py"] = """
        from contextlib import asynccontextmanager
        from log import log

        def url():
            return "db"

        @asynccontextmanager
        async def database():
            log.append(url())
            yield
            log.append("db stop")
        """
    serving.project.edit("main.py", "from log", "from db import database\nfrom log")
    serving.project.edit("main.py", '    yield {"extra"', '    async with database():\n        yield {"extra"')
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', *ALL) is None
    assert await serving.edit("db.py", '"db"', '"database"', "db", "main") == "url() in db.py changed"
    assert serving.log == ["load", "db", "db stop", "stop", "load", "database"]


SUB = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from log import log

    @asynccontextmanager
    async def sub_lifespan(app):
        log.append("sub")
        app.state.ready = True
        yield

    sub = FastAPI(lifespan=sub_lifespan)
    """


async def test_mounted_app_that_stays_is_carried(serving: Serving) -> None:
    """The lifespan starts a mounted app by hand: it goes on while that app is the same, and not with a new one."""
    serving.project["sub.py"] = SUB
    serving.project.edit("main.py", "from log", "from sub import sub\nfrom log")
    serving.project.edit(
        "main.py", '    yield {"extra"', '    async with sub.router.lifespan_context(sub):\n        yield {"extra"'
    )
    serving.project["main.py"] += 'app.mount("/sub", sub)\n'
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    assert sys.modules["sub"].sub.state.ready
    reason = await serving.edit("router.py", '"b"', '"c"', "sub", "router", "main")
    assert reason == "sub in sub.py was made anew"
    assert serving.log == ["load", "sub", "stop", "load", "sub"]


async def test_mounted_app_filled_by_the_startup_restarts_when_made_anew(serving: Serving) -> None:
    """However the startup reached it: state that was put into a mounted app is not lost in silence."""
    serving.project.edit(
        "main.py", '    yield {"extra"', '    app.router.routes[-1].app.state.x = 1\n    yield {"extra"'
    )
    serving.project["main.py"] += 'app.mount("/sub", FastAPI())\n'
    await serving.start()
    reason = await serving.edit("router.py", '"a"', '"b"', "router", "main")
    assert reason in {
        "the startup reads app.router, which may have changed",
        "the startup set the state of a mounted app, which was made anew",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("app.add_api_route('/x', load_model)", "the startup changes app.router.routes"),
        ("app.dependency_overrides[load_model] = load_model", "the startup changes app.dependency_overrides"),
        ("app.state.paths = list(app.router.routes)", "the startup reads app.router, which may have changed"),
        ("app.state.paths = app.routes", "starlette.applications.Starlette.routes() got the app while starting"),
        ("app.openapi()", "the startup changes app.openapi_schema"),
        ("app.state.copy = getattr(app, 'router')", "the startup reads app.router, which may have changed"),
        ("app.state.copy = (lambda: app.router)()", "the startup reads app.router, which may have changed"),
        ("alias = app; alias.state.copy = alias.router", "the startup reads app.router, which may have changed"),
        ("app.state.copy = helper(app)", "helper_library.helper() got the app while starting"),
    ],
)
async def test_startup_that_uses_the_app_itself_restarts(serving: Serving, line: str, reason: str) -> None:
    """What it made of the old app can't be given to another, and the reason says what it was."""
    serving.project["site-packages/helper_library.py"] = "def helper(app): return app.title\n"
    sys.path.insert(0, f"{serving.modules.root}/site-packages")
    serving.project.edit("main.py", "from log", "from helper_library import helper\nfrom log")
    serving.project.edit("main.py", "    yield {", f"    {line}\n    yield {{")
    try:
        await serving.start()
        assert str(await serving.edit("router.py", '"a"', '"b"', "router", "main")).startswith(reason)
    finally:
        del sys.path[0]
        sys.modules.pop("helper_library", None)


async def test_startup_that_reads_the_title_restarts_with_it(serving: Serving) -> None:
    """A simple attribute of the app counts by its value."""
    serving.project.edit("main.py", "    yield {", "    app.state.name = app.title\n    yield {")
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    reason = await serving.edit("main.py", 'title="one"', 'title="two"', "main")
    assert reason == "the startup reads app.title, which may have changed"


async def test_middleware_that_speaks_lifespan_is_refused(serving: Serving) -> None:
    """A middleware that acts on the lifespan would never hear of it in the new app."""
    serving.project["main.py"] += """
class Middleware:
    def __init__(self, app):
        self.app = app
    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"]["middleware"] = 1
        await self.app(scope, receive, send)

app.add_middleware(Middleware)
"""
    await serving.start()
    reason = await serving.edit("router.py", '"a"', '"b"', "router", "main")
    assert reason == "the middleware Middleware takes part in the lifespan"


async def test_app_that_is_no_framework_app_is_refused(serving: Serving) -> None:
    """Of a plain ASGI app nothing is known that could be handed over."""
    serving.project["main.py"] += """
inner = app
class Wrapper:
    async def __call__(self, scope, receive, send):
        await inner(scope, receive, send)
app = Wrapper()
"""
    await serving.start()
    reason = await serving.edit("router.py", '"a"', '"b"', "router", "main")
    assert reason == "the app is a Wrapper, not a FastAPI or Starlette app"


async def test_starlette_app_is_carried(serving: Serving) -> None:
    """Starlette's own app works as FastAPI's does."""
    serving.project["main.py"] = """
        from contextlib import asynccontextmanager
        from loader import load_model
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route

        @asynccontextmanager
        async def lifespan(app):
            app.state.model = await load_model()
            yield

        async def root(request):
            return JSONResponse(["a", request.app.state.model.size])

        app = Starlette(routes=[Route("/", root)], lifespan=lifespan)
        """
    await serving.start()
    assert await serving.edit("main.py", '"a"', '"b"', "main") is None
    assert await serving.get() == ["b", 3]
    assert serving.log == ["load"]


async def test_app_without_a_lifespan_is_carried(serving: Serving) -> None:
    """There is nothing to restart, and `app.state` lives on all the same."""
    serving.project["main.py"] = (
        "from fastapi import FastAPI\nfrom router import router\napp = FastAPI()\napp.include_router(router)\n"
    )
    await serving.start()
    serving.app.state.hits = 1
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    assert serving.app.state.hits == 1


@pytest.mark.filterwarnings("ignore:The on_startup and on_shutdown parameters are deprecated:DeprecationWarning")
async def test_event_handlers_are_carried_and_compared(serving: Serving) -> None:
    """Startup handlers of the older kind count like a lifespan."""
    serving.project["main.py"] = """
        import loader
        from fastapi import FastAPI
        from log import log
        from router import router

        app = FastAPI(on_startup=[loader.load_model], on_shutdown=[lambda: log.append("stop")])
        app.include_router(router)
        """
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', *ALL) is None
    assert serving.log == ["load"]
    reason = await serving.edit("main.py", '"stop"', '"bye"', "main")
    assert reason == "the choice of lifespans changed"
    assert serving.log == ["load", "stop", "load"]


async def test_kept_value_of_a_carried_lifespan_stays(serving: Serving) -> None:
    """A lifespan that goes on does not ask for its values again, and they are not taken for unwanted."""
    serving.project.edit("main.py", "from log", "from fastapi_hmr import hot\nfrom log")
    serving.project.edit("main.py", "await load_model()", "await hot.keep('model', load_model)")
    await serving.start()
    model = serving.app.state.model
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    reason = await serving.edit("main.py", 'log.append("stop")', 'log.append("bye")', "main")
    assert reason == "lifespan() in main.py changed"
    assert serving.app.state.model is model
    assert serving.log == ["load", "stop"]
