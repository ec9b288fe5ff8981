"""A running lifespan goes on for the next version of the app, or restarts and says why."""

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fastapi_hmr import hot
from fastapi_hmr.carry import Carry
from fastapi_hmr.lifespan import Lifespan
from fastapi_hmr.touched import Touched
from tests.generations import Generations, generations
from tests.utils import Project


class Serving:
    """Plays the switch: starts the app of module `main`, and replaces it by what an edit makes of it."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.app: Any = None
        self.carry: Carry
        self.lifespan: Lifespan
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: pytest.fail(f"{text}: {error!r}"),
        )

    async def start(self) -> None:
        """The first version."""
        hot.host.begin()
        main = self.modules.load("log", "main")
        await hot.host.built()
        await self._start(main.app)
        await hot.host.commit(())

    async def edit(self, module: str, old: str, new: str, *again: str) -> str | None:
        """Edit a file and run modules again; returns why the lifespan restarted, None where it went on."""
        self.project.edit(module, old, new)
        hot.host.begin()
        app = self.modules.again(*again).app
        await hot.host.built()
        reason = self.carry.refusal(app)
        if reason is None:
            self.carry.hand_over(app)
            self.app = app
        else:
            await self.lifespan.shutdown()
            await self._start(app)
        await hot.host.commit(again, carried=reason is None)
        return reason

    async def _start(self, app: Any) -> None:
        self.app, self.carry = app, Carry(app, self.modules.owns)
        self.lifespan = Lifespan(self.carry.watch(app), "on", contextvars.copy_context())
        await self.lifespan.startup()

    async def get(self, path: str = "/") -> Any:
        """The JSON answer of the app, with the lifespan's state as the switch gives it."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            await self.app({**scope, "state": self.lifespan.state.copy()}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(serve), base_url="http://app") as client:
            response = await client.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    @property
    def log(self) -> list[str]:
        """What the app noted, in a module that never runs again."""
        return sys.modules["log"].log  # type: ignore[no-any-return]  # made below


@pytest.fixture
async def serving(project: Project) -> AsyncIterator[Serving]:
    """A small app with a costly load in its lifespan, each of its files its own module."""
    project["log.py"] = "log = []\n"
    project["settings.py"] = "SIZE = 3\nTITLE = 'one'\n"
    project["loader.py"] = """
        from log import log
        from settings import SIZE

        class Model:
            def __init__(self, size):
                self.size = size
            def predict(self):
                return self.size

        async def load_model():
            log.append("load")
            return Model(SIZE)

        def unrelated():
            return 1
        """
    project["router.py"] = """
        from fastapi import APIRouter, Request
        router = APIRouter()

        @router.get("/")
        def root(request: Request):
            return ["a", request.app.state.model.predict(), request.state.extra]
        """
    project["main.py"] = """
        from contextlib import asynccontextmanager
        from fastapi import FastAPI
        from loader import load_model
        from log import log
        from router import router

        @asynccontextmanager
        async def lifespan(app):
            app.state.model = await load_model()
            yield {"extra": "state"}
            log.append("stop")

        app = FastAPI(title="one", lifespan=lifespan)
        app.include_router(router)
        """
    with generations(project) as modules:
        serving = Serving(modules)
        try:
            yield serving
        finally:
            if serving.app is not None:
                await serving.lifespan.shutdown()
            await hot.host.close()


ALL = ("settings", "loader", "router", "main")


async def test_lifespan_goes_on_after_an_edit_of_a_router(serving: Serving) -> None:
    """The new route answers with the model and the state of the old start, and nothing was loaded again."""
    await serving.start()
    assert await serving.get() == ["a", 3, "state"]
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    assert await serving.get() == ["b", 3, "state"]
    assert serving.log == ["load"]


@pytest.mark.parametrize(
    ("module", "old", "new", "again", "reason"),
    [
        ("loader.py", "Model(SIZE)", "Model(SIZE + 1)", ("loader", "main"), "load_model() in loader.py changed"),
        ("loader.py", "self.size = size", "self.size = 1", ("loader", "main"), "Model.__init__() in loader.py changed"),
        ("loader.py", "return self.size", "return 0", ("loader", "main"), "Model.predict() in loader.py changed"),
        ("settings.py", "SIZE = 3", "SIZE = 4", ALL, "SIZE in settings.py changed"),
        ("main.py", 'log.append("stop")', 'log.append("bye")', ("main",), "lifespan() in main.py changed"),
    ],
)
async def test_lifespan_restarts_when_what_it_ran_or_read_changed(
    serving: Serving, module: str, old: str, new: str, again: tuple[str, ...], reason: str
) -> None:
    """The edit of the loader pays the load, and the reason names the change."""
    await serving.start()
    assert await serving.edit(module, old, new, *again) == reason
    assert serving.log == ["load", "stop", "load"]


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("loader.py", "return 1", "return 2"),
        ("settings.py", "'one'", "'two'"),
        ("main.py", 'title="one"', 'title="two"'),
        ("main.py", "@asynccontextmanager", "\n\n# a comment\n@asynccontextmanager"),
    ],
)
async def test_lifespan_goes_on_although_its_modules_ran_again(
    serving: Serving, module: str, old: str, new: str
) -> None:
    """What counts is what the startup touched, not which modules ran."""
    await serving.start()
    assert await serving.edit(module, old, new, *ALL) is None
    assert serving.log == ["load"]


async def test_lifespan_goes_on_many_times_and_still_stops(serving: Serving) -> None:
    """After several carried reloads an edit of the loader is found, and the first lifespan shuts down."""
    await serving.start()
    for old, new in (("a", "b"), ("b", "c"), ("c", "d")):
        assert await serving.edit("router.py", f'"{old}"', f'"{new}"', *ALL) is None
    reason = await serving.edit("loader.py", "Model(SIZE)", "Model(7)", "loader", "main")
    assert reason == "load_model() in loader.py changed"
    assert serving.log == ["load", "stop", "load"]
    assert await serving.get() == ["d", 7, "state"]


async def test_lifespan_of_another_name_restarts(serving: Serving) -> None:
    """Another function given to FastAPI is another lifespan, though both stand unchanged in the file."""
    serving.project.edit("main.py", "app = ", "other = asynccontextmanager(lifespan.__wrapped__)\napp = ")
    serving.project["main.py"] += "\n"
    serving.project.edit(
        "main.py",
        "app = FastAPI",
        "@asynccontextmanager\nasync def second(app):\n    app.state.model = None\n    yield {}\n\napp = FastAPI",
    )
    await serving.start()
    reason = await serving.edit("main.py", "lifespan=lifespan", "lifespan=second", "main")
    assert reason == "the choice of lifespans changed"


async def test_app_state_moves_with_the_lifespan(serving: Serving) -> None:
    """What the startup and requests set is there; what the module itself sets is new."""
    serving.project.edit("main.py", "app.include", "app.state.version = 1\napp.state.old = 1\napp.include")
    serving.project.edit("main.py", "yield {", "app.state.port = 2\n    yield {")
    await serving.start()
    serving.app.state.hits = 5
    serving.app.state.port = 3
    assert await serving.edit("main.py", "version = 1\napp.state.old = 1", "version = 2", "main") is None
    state = serving.app.state
    assert (state.version, state.port, state.hits, state.model.size) == (2, 3, 5, 3)
    assert not hasattr(state, "old")


async def test_app_that_the_startup_gave_away_becomes_the_new_one(serving: Serving) -> None:
    """A client that calls the app in-process, made while starting, gets the new routes and the new state."""
    serving.project.edit(
        "main.py",
        "    yield {",
        "    app.state.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url='http://self')\n    yield {",
    )
    serving.project.edit("main.py", "from log", "import httpx\nfrom log")
    await serving.start()
    assert "httpx" in str(await serving.edit("router.py", '"a"', '"b"', "router", "main"))


@pytest.mark.parametrize("module", ["main", "worker"])
async def test_task_of_the_lifespan_goes_on_and_writes_to_the_new_app(serving: Serving, module: str) -> None:
    """A background task sees its app become the new one; an edit of what the task runs restarts it."""
    serving.project["worker.py"] = """
        async def tick(app, queue):
            while True:
                app.state.seen = await queue.get()
        """
    serving.project.edit("main.py", "from log", "import asyncio\nfrom worker import tick\nfrom log")
    serving.project.edit(
        "main.py",
        '    yield {"extra": "state"}',
        """\
    app.state.queue = asyncio.Queue()
    task = asyncio.create_task(tick(app, app.state.queue))
    yield {"extra": "state"}
    task.cancel()
""",
    )
    await serving.start()
    for text in ("b", "c"):
        assert await serving.edit("router.py", "return [", f'return ["{text}", ', "router", module, "main") is None
        serving.app.state.queue.put_nowait(text)
        while getattr(serving.app.state, "seen", None) != text:
            await asyncio.sleep(0)
    reason = await serving.edit("worker.py", "app.state.seen = ", "app.state.last = ", "worker", "main")
    assert reason == "tick() in worker.py changed"
    assert serving.log == ["load", "stop", "load"]


async def test_registry_that_a_task_reads_must_be_the_handlers_own(serving: Serving) -> None:
    """A set that handlers of the new module fill is another than the running task reads: it restarts."""
    serving.project.edit("main.py", "@async", "clients = set()\n\n@async")
    serving.project.edit("main.py", "    yield {", "    app.state.count = lambda: len(clients)\n    yield {")
    await serving.start()
    reason = await serving.edit("router.py", '"a"', '"b"', "router", "main")
    assert reason == "clients in main.py holds state, and that module ran again"


MERGED = """
    from contextlib import asynccontextmanager
    from fastapi import APIRouter
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
    """


async def test_merged_lifespans_go_on_together(serving: Serving) -> None:
    """A router's own lifespan is carried with the app's, and restarts both when it is edited."""
    serving.project["extra.py"] = MERGED
    serving.project["main.py"] += "from extra import extra\napp.include_router(extra)\n"
    await serving.start()
    assert await serving.edit("extra.py", "return 1", "return 2", "extra", "main") is None
    assert await serving.get("/extra") == 2
    assert serving.lifespan.state == {"extra": "state", "inner": 1}
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
