"""`hot` in modules that run again, as the dev server drives it, and alone, as in production."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_hmr import hot
from fastapi_hmr.touched import Touched
from tests.generations import Generations, generations
from tests.utils import Project

LOADER = """
    import threading
    from fastapi_hmr import hot
    from log import log

    class Model:
        def __init__(self, size):
            self.size = size

    def load():
        log.append("load")
        return Model(SIZE)

    def unrelated():
        return 1

    SIZE = 3
    model = hot.keep("model", load, dispose=lambda model: log.append("dispose"))
    """


class Reloads:
    """Plays the dev server: modules run again in the host's transactions, and what callbacks raise is collected."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.errors: list[str] = []
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: self.errors.append(f"{text}: {error!r}"),
        )

    async def start(self, *names: str) -> Any:
        """The first generation."""
        hot.host.begin()
        module = self.modules.load(*names)
        await hot.host.built()
        await hot.host.commit(())
        return module

    async def reload(self, *names: str) -> tuple[str, ...]:
        """A reload that works; returns its notes."""
        hot.host.begin()
        self.modules.again(*names)
        await hot.host.built()
        return await hot.host.commit(names)

    async def fail(self, *names: str, at: str = "startup") -> None:
        """A reload whose modules run, and which then fails while being built or while starting."""
        hot.host.begin()
        self.modules.again(*names)
        if at == "startup":
            await hot.host.built()
        self.modules.back()
        await hot.host.rollback()

    @property
    def log(self) -> list[str]:
        """What the modules noted, in a module that never runs again."""
        return sys.modules["log"].log  # type: ignore[no-any-return]  # made below


@pytest.fixture
async def reloads(project: Project) -> AsyncIterator[Reloads]:
    """An open host over the project's modules."""
    project["log.py"] = "log = []\n"
    with generations(project) as modules:
        try:
            yield Reloads(modules)
        finally:
            await hot.host.close()


async def test_keep_value_survives_an_unrelated_edit(reloads: Reloads) -> None:
    """The factory runs once, and the very same object is there after its module ran again."""
    reloads.project["loader.py"] = LOADER
    model = (await reloads.start("loader")).model
    reloads.project.edit("loader.py", "return 1", "return 2")
    assert await reloads.reload("loader") == ()
    assert sys.modules["loader"].model is model
    assert reloads.log == ["load"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("SIZE = 3", "SIZE = 4", "SIZE in loader.py changed"),
        ("Model(SIZE)", "Model(SIZE + 1)", "load() in loader.py changed"),
        ("self.size = size", "self.size = -size", "Model.__init__() in loader.py changed"),
    ],
)
async def test_keep_value_is_made_anew_when_its_factory_changed(
    reloads: Reloads, old: str, new: str, reason: str
) -> None:
    """The factory's code and all that it ran or read count; the old value goes after the new one is there."""
    reloads.project["loader.py"] = LOADER
    model = (await reloads.start("loader")).model
    reloads.project.edit("loader.py", old, new)
    assert await reloads.reload("loader") == (f"hot.keep: 'model' made anew: {reason}",)
    assert sys.modules["loader"].model is not model
    assert reloads.log == ["load", "load", "dispose"]


@pytest.mark.parametrize("at", ["startup", "building"])
async def test_keep_failed_reload_disposes_the_new_value(reloads: Reloads, at: str) -> None:
    """The old value stays with the old version, and is still carried over by the next good reload."""
    reloads.project["loader.py"] = LOADER
    model = (await reloads.start("loader")).model
    reloads.project.edit("loader.py", "SIZE = 3", "SIZE = 4")
    await reloads.fail("loader", at=at)
    assert reloads.log == ["load", "load", "dispose"]
    reloads.project.edit("loader.py", "SIZE = 4", "SIZE = 3")
    await reloads.reload("loader")
    assert sys.modules["loader"].model is model
    assert reloads.log == ["load", "load", "dispose"]


async def test_keep_second_attempt_takes_the_value_of_the_first(reloads: Reloads) -> None:
    """Where the same reload is tried again, what the first attempt made is not made twice."""
    reloads.project["loader.py"] = LOADER
    await reloads.start("loader")
    reloads.project.edit("loader.py", "SIZE = 3", "SIZE = 4")
    hot.host.begin()
    reloads.modules.again("loader")
    reloads.modules.back()
    hot.host.begin()
    reloads.modules.again("loader")
    await hot.host.built()
    await hot.host.commit(["loader"])
    assert reloads.log == ["load", "load", "dispose"]


async def test_keep_key_that_disappears_is_disposed_after_the_switch(reloads: Reloads) -> None:
    """Not before the new version serves, and not when the reload fails."""
    reloads.project["loader.py"] = LOADER
    await reloads.start("loader")
    reloads.project.edit("loader.py", "model = hot.keep", "model = (lambda *a, **k: 0)")
    await reloads.fail("loader")
    assert reloads.log == ["load"]
    assert await reloads.reload("loader") == ("hot.keep: 'model' let go: nothing asks for it any more",)
    assert reloads.log == ["load", "dispose"]


async def test_keep_value_of_a_module_that_did_not_run_again_stays(reloads: Reloads) -> None:
    """A reload that leaves a module alone leaves its values alone."""
    reloads.project["loader.py"] = LOADER
    reloads.project["main.py"] = "from loader import model\n"
    await reloads.start("main")
    assert await reloads.reload("main") == ()
    assert reloads.log == ["load"]


async def test_keep_value_asked_for_by_requests_stays_until_it_is_stale(reloads: Reloads) -> None:
    """Whether a request will ask again can't be known; a changed factory lets the value go at once."""
    reloads.project["loader.py"] = LOADER.replace("model = hot.keep", "model = lambda: hot.keep")
    await reloads.start("loader")
    model = sys.modules["loader"].model()
    assert sys.modules["loader"].model() is model
    reloads.project.edit("loader.py", "return 1", "return 2")
    assert await reloads.reload("loader") == ()
    assert sys.modules["loader"].model() is model
    reloads.project.edit("loader.py", "SIZE = 3", "SIZE = 4")
    assert await reloads.reload("loader") == ("hot.keep: 'model' let go: SIZE in loader.py changed",)
    assert reloads.log == ["load", "dispose"]
    assert sys.modules["loader"].model() is not model


@pytest.mark.parametrize("carried", [True, False])
async def test_keep_value_asked_for_at_startup_goes_with_the_startup(reloads: Reloads, carried: bool) -> None:
    """A lifespan that ran again without asking needs the value no more; one that was carried over still has it."""
    reloads.project["loader.py"] = LOADER.replace("model = hot.keep", "model = lambda: hot.keep")
    hot.host.begin()
    loader = reloads.modules.load("loader")
    await hot.host.built()
    loader.model()
    await hot.host.commit(())
    hot.host.begin()
    reloads.modules.again("loader")
    await hot.host.built()
    await hot.host.commit(["loader"], carried=carried)
    assert reloads.log == (["load"] if carried else ["load", "dispose"])


async def test_keep_async_factory_runs_once_for_all_who_wait(reloads: Reloads) -> None:
    """Concurrent callers get the same object, by an async function and by a lambda that returns a coroutine."""
    reloads.project["pool.py"] = """
        import asyncio
        from fastapi_hmr import hot
        from log import log

        async def connect():
            log.append("connect")
            await asyncio.sleep(0)
            return object()

        async def close(pool):
            await asyncio.sleep(0)
            log.append("close")

        def pool():
            return hot.keep("pool", connect, dispose=close)

        def other():
            return hot.keep("other", lambda: connect())
        """
    pool = await reloads.start("pool")
    first, second = await asyncio.gather(pool.pool(), pool.pool())
    assert first is second
    third, fourth = await asyncio.gather(pool.other(), pool.other())
    assert third is fourth
    await reloads.reload("pool")
    assert await sys.modules["pool"].pool() is first
    assert await sys.modules["pool"].other() is third
    assert reloads.log == ["connect", "connect"]
    await hot.host.close()
    assert reloads.log == ["connect", "connect", "close"]


async def test_keep_cancelled_async_factory_leaves_nothing(reloads: Reloads) -> None:
    """A startup that was cancelled while making a value does not keep the next from making it."""
    reloads.project["pool.py"] = """
        import asyncio
        from fastapi_hmr import hot

        gate = asyncio.Event()

        async def connect():
            await gate.wait()
            return "pool"

        def pool():
            return hot.keep("pool", connect)
        """
    module = await reloads.start("pool")
    task = asyncio.ensure_future(module.pool())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    module.gate.set()
    assert await module.pool() == "pool"


async def test_keep_failed_factory_is_tried_again(reloads: Reloads) -> None:
    """An exception reaches the caller, and nothing is kept."""
    reloads.project["loader.py"] = LOADER.replace("model = hot.keep", "model = lambda: hot.keep").replace(
        "return Model(SIZE)", "return Model(SIZE / log.count('load') // 2 and SIZE or 1 / 0)"
    )
    loader = await reloads.start("loader")
    reloads.log.append("load")
    with pytest.raises(ZeroDivisionError):
        loader.model()
    reloads.log.clear()
    assert loader.model().size == 3


async def test_keep_is_made_once_by_many_threads(reloads: Reloads) -> None:
    """Handlers in a thread pool that ask at once get one value."""
    reloads.project["loader.py"] = LOADER.replace("model = hot.keep", "model = lambda: hot.keep")
    loader = await reloads.start("loader")
    barrier = threading.Barrier(4)

    def ask() -> object:
        barrier.wait()
        return loader.model()

    assert len(set(await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(4))))) == 1
    assert reloads.log == ["load"]


async def test_keep_keys_belong_to_modules_unless_dotted(reloads: Reloads) -> None:
    """Two modules may use the same word; a dotted key is one for all."""
    for name in ("one", "two"):
        reloads.project[f"{name}.py"] = """
            from fastapi_hmr import hot
            own = hot.keep("thing", lambda: object())
            shared = hot.keep("app.thing", lambda: object())
            """
    await reloads.start("one", "two")
    one, two = sys.modules["one"], sys.modules["two"]
    assert one.own is not two.own
    assert one.shared is two.shared


async def test_keep_one_key_with_two_factories_is_refused(reloads: Reloads) -> None:
    """A copied line with a forgotten key says so instead of handing out the wrong value."""
    reloads.project["one.py"] = """
        from fastapi_hmr import hot
        a = hot.keep("thing", lambda: "a")
        b = hot.keep("thing", lambda: "b")
        """
    with pytest.raises(ValueError, match="the key 'thing' has two factories in one: give each a key of its own"):
        await reloads.start("one")


async def test_keep_factory_that_asks_for_itself_is_refused(reloads: Reloads) -> None:
    """Instead of recursing for ever it names the key."""
    reloads.project["one.py"] = """
        from fastapi_hmr import hot
        def make(): return hot.keep("thing", make)
        """
    module = await reloads.start("one")
    with pytest.raises(RuntimeError, match="the factory of 'thing' asks for 'thing' itself"):
        module.make()


async def test_data_survives_its_module(reloads: Reloads) -> None:
    """A module finds its dict again after it ran again; each module has its own."""
    for name in ("one", "two"):
        reloads.project[f"{name}.py"] = """
            from fastapi_hmr import hot
            hot.data["runs"] = hot.data.get("runs", 0) + 1
            runs = hot.data["runs"]
            """
    await reloads.start("one", "two")
    await reloads.reload("one")
    assert sys.modules["one"].runs == 2
    assert sys.modules["two"].runs == 1


@pytest.mark.parametrize("at", ["startup", "building"])
async def test_data_of_a_failed_reload_is_taken_back(reloads: Reloads, at: str) -> None:
    """What the failed modules wrote is undone; what the old version wrote meanwhile stays."""
    reloads.project["one.py"] = """
        from fastapi_hmr import hot
        hot.data["runs"] = hot.data.get("runs", 0) + 1
        hot.data.setdefault("first", True)
        def data(): return hot.data
        """
    one = await reloads.start("one")
    one.data()["seen"] = 1
    await reloads.fail("one", at=at)
    assert one.data() == {"runs": 1, "first": True, "seen": 1}


CALLBACKS = """
    from fastapi_hmr import hot
    from log import log

    VERSION = 1

    @hot.on_dispose
    def dispose():
        log.append(f"dispose {VERSION}")

    @hot.on_dispose
    async def dispose_async():
        log.append(f"dispose async {VERSION}")

    @hot.before_reload
    async def before():
        log.append(f"before {VERSION}")

    @hot.after_reload
    def after():
        log.append(f"after {VERSION}")
    """


async def test_callbacks_run_in_order(reloads: Reloads) -> None:
    """Before by the old module, then its disposal, last registered first, then after by the new one."""
    reloads.project["one.py"] = CALLBACKS
    await reloads.start("one")
    assert reloads.log == []
    reloads.project.edit("one.py", "VERSION = 1", "VERSION = 2")
    await reloads.reload("one")
    assert reloads.log == ["before 1", "dispose async 1", "dispose 1", "after 2"]
    await hot.host.close()
    assert reloads.log[4:] == ["dispose async 2", "dispose 2"]


async def test_callbacks_of_a_module_left_alone_stay(reloads: Reloads) -> None:
    """A reload of others announces itself, and disposes nothing."""
    reloads.project["one.py"] = CALLBACKS
    reloads.project["two.py"] = ""
    await reloads.start("one", "two")
    await reloads.reload("two")
    await reloads.reload("two")
    assert reloads.log == ["before 1", "after 1"] * 2


async def test_callbacks_after_a_failed_start(reloads: Reloads) -> None:
    """The failed modules dispose what they opened; the old ones hear that they go on."""
    reloads.project["one.py"] = CALLBACKS
    await reloads.start("one")
    reloads.project.edit("one.py", "VERSION = 1", "VERSION = 2")
    await reloads.fail("one")
    assert reloads.log == ["before 1", "dispose async 2", "dispose 2", "after 1"]
    reloads.log.clear()
    await reloads.fail("one", at="building")
    assert reloads.log == ["dispose async 2", "dispose 2"]
    reloads.log.clear()
    await reloads.reload("one")
    assert reloads.log == ["before 1", "dispose async 1", "dispose 1", "after 2"]


async def test_callbacks_of_a_module_that_is_gone_are_disposed(reloads: Reloads) -> None:
    """A deleted module was replaced by nothing."""
    reloads.project["one.py"] = CALLBACKS
    reloads.project["two.py"] = ""
    await reloads.start("one", "two")
    del sys.modules["one"]
    await reloads.reload("two")
    assert reloads.log == ["before 1", "dispose async 1", "dispose 1"]


@pytest.mark.parametrize("error", ["1 / 0", "raise SystemExit(2)", "raise asyncio.CancelledError"])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_callback_that_fails_is_reported_and_stops_nothing(reloads: Reloads, kind: str, error: str) -> None:
    """Whatever it raises, the others run and the reload is done."""
    reloads.project["one.py"] = f"""
        import asyncio
        from fastapi_hmr import hot
        from log import log

        @hot.on_dispose
        def last(): log.append("last")

        @hot.on_dispose
        {kind} first():
            {error}
        """
    await reloads.start("one")
    await reloads.reload("one")
    assert reloads.log == ["last"]
    assert len(reloads.errors) == 1
    assert reloads.errors[0].startswith("hot.on_dispose: first() of one failed: ")


async def test_callback_that_hangs_is_left_behind(reloads: Reloads, monkeypatch: pytest.MonkeyPatch) -> None:
    """An async callback has a bound."""
    monkeypatch.setattr(hot, "CALLBACK_S", 0.01)
    reloads.project["one.py"] = """
        import asyncio
        from fastapi_hmr import hot
        from log import log

        @hot.on_dispose
        async def hang():
            log.append("called")
            if len(log) == 1:
                await asyncio.Event().wait()
        """
    await reloads.start("one")
    await reloads.reload("one")
    assert reloads.errors == ["hot.on_dispose: hang() of one failed: TimeoutError()"]


async def test_host_tells_libraries_by_the_environment(reloads: Reloads) -> None:
    """`FASTAPI_HMR` is set while the dev server runs."""
    assert os.environ["FASTAPI_HMR"] == "1"
    await hot.host.close()
    assert "FASTAPI_HMR" not in os.environ


async def test_host_lets_go_what_was_made_before_it_opened(project: Project) -> None:
    """`python main.py` runs the modules once as a script: those values would be there twice."""
    project["log.py"] = "log = []\n"
    project["loader.py"] = LOADER
    with generations(project) as modules:
        modules.load("loader")
        reloads = Reloads(modules)
        hot.host.begin()
        modules.again("loader")
        await hot.host.built()
        await hot.host.commit(())
        assert reloads.log == ["load", "load", "dispose"]
        await hot.host.close()


def test_hot_is_inert_without_the_server(project: Project) -> None:
    """In production values are made once, callbacks are nobody's business, and nothing else is imported."""
    project["app.py"] = """
        import sys
        before = set(sys.modules)
        from fastapi_hmr import hot
        loaded = set(sys.modules) - before

        @hot.on_dispose
        @hot.before_reload
        @hot.after_reload
        def callback():
            raise AssertionError

        made = []
        def value():
            return hot.keep("value", lambda: made.append(1) or object())

        assert value() is value()
        assert made == [1]
        hot.data["key"] = 1
        assert hot.data == {"key": 1}
        assert not sys.monitoring.get_tool(3)
        print(*sorted(name for name in loaded if not name.startswith("fastapi_hmr")))
        print(*sorted(name for name in loaded if name.startswith("fastapi_hmr")))
        """
    clean = {key: value for key, value in os.environ.items() if not key.startswith("FASTAPI_HMR")}
    root = str(Path(str(hot.__file__)).parents[1])
    ran = subprocess.run(
        [sys.executable, "app.py"], cwd=project.root, env={**clean, "PYTHONPATH": root},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    others, ours = ran.stdout.splitlines()
    assert ours == "fastapi_hmr fastapi_hmr.hot fastapi_hmr.kept"
    assert {name.partition(".")[0] for name in others.split()} <= sys.stdlib_module_names
    assert "asyncio" not in others
