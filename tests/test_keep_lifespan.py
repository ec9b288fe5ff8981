"""A running lifespan goes on for the next version of the app, or restarts and says why."""

import asyncio
import gc
import sys
import weakref
from typing import Any

import pytest

from fastapi_hmr import hot
from fastapi_hmr.exceptions import StartupFailed
from tests.serving import ALL, Serving


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


async def test_stream_of_the_old_app_ends_when_the_lifespan_goes_on(serving: Serving) -> None:
    """What is open is retired as at any reload, and the new app serves without waiting for it."""
    serving.project["main.py"] += """
from starlette.responses import StreamingResponse
started = asyncio.Event()

async def events():
    yield b"data: 1\\n\\n"
    started.set()
    await asyncio.Event().wait()

@app.get("/events")
def stream():
    return StreamingResponse(events(), media_type="text/event-stream")
"""
    serving.project.edit("main.py", "from log", "import asyncio\nfrom log")
    await serving.start()
    main = sys.modules["main"]
    stream = asyncio.create_task(serving.raw("/events"))
    await main.started.wait()
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    assert await serving.get() == ["b", 3, "state"]
    assert await stream == "data: 1\n\n"
    assert serving.log == ["load"]


async def test_generation_and_start_are_new_although_the_lifespan_is_old(serving: Serving) -> None:
    """The app finds in `app.state.hmr` that it was reloaded."""
    await serving.start()
    first = serving.app.state.hmr
    await serving.edit("router.py", '"a"', '"b"', "router", "main")
    second = serving.app.state.hmr
    assert (first.number, second.number) == (1, 2)
    assert second.generation == serving.switch.generation
    assert (first.reloaded, second.reloaded, second.reason) == (False, True, "edit")


async def test_lifespan_that_was_carried_is_restored_after_a_failure(serving: Serving) -> None:
    """A new version that cannot start leaves the last good one, whose lifespan is started again and carried on."""
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', "router", "main") is None
    with pytest.raises(StartupFailed):
        await serving.edit("loader.py", "return Model(SIZE)", "1 / 0", "loader", "main")
    serving.modules.back()
    await hot.host.rollback()
    await serving.switch.restore()
    assert await serving.get() == ["b", 3, "state"]
    assert serving.log == ["load", "stop", "load", "load"]
    serving.project.edit("loader.py", "1 / 0", "return Model(SIZE)")
    assert await serving.edit("router.py", '"b"', '"c"', "router", "main") is None
    assert await serving.get() == ["c", 3, "state"]


async def test_lifespan_that_has_ended_by_itself_is_not_carried(serving: Serving) -> None:
    """There is nothing to let go on: it starts anew."""
    await serving.start()
    lifespan = serving.switch._current.lifespan  # type: ignore[union-attr]  # it serves
    lifespan._task.cancel()  # type: ignore[union-attr]  # it runs
    await asyncio.wait({lifespan._task})  # type: ignore[type-var]  # as above
    serving.project.edit("router.py", '"a"', '"b"')
    app = serving.modules.again("router", "main").app
    await serving.switch.replace(app, reason="edit")
    assert not serving.switch.carried
    assert await serving.get() == ["b", 3, "state"]


async def test_patched_method_is_no_reason_to_restart_later(serving: Serving) -> None:
    """The model of the running lifespan has the patched code: a later run of its module is compared with that."""
    await serving.start()
    serving.project.edit("loader.py", "return self.size", "return -self.size")
    scratch: dict[str, Any] = {"__name__": "scratch"}
    exec(serving.project["loader.py"], scratch)
    sys.modules["loader"].Model.predict.__code__ = scratch["Model"].predict.__code__
    serving.switch.renew()
    assert await serving.edit("loader.py", "return 1", "return 2", "loader", "main") is None
    assert await serving.get() == ["a", -3, "state"]
    assert serving.log == ["load"]


async def test_versions_in_between_are_let_go(serving: Serving) -> None:
    """The first version lives in its lifespan, the last one serves; nothing holds those between them."""
    await serving.start()
    assert await serving.edit("router.py", '"a"', '"b"', *ALL) is None
    second = [weakref.ref(sys.modules[name]) for name in ALL] + [weakref.ref(serving.app)]
    await serving.get()
    for old, new in (("b", "c"), ("c", "d")):
        assert await serving.edit("router.py", f'"{old}"', f'"{new}"', *ALL) is None
        await serving.get()
    await asyncio.sleep(0)
    gc.collect()
    assert [reference() for reference in second] == [None] * len(second)
