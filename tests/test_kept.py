"""`hot.keep`: made once, carried over, made anew when its factory changed."""

import asyncio
import sys
import threading

import pytest

from fastapi_hmr import hot
from tests.reloads import LOADER, Reloads


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


async def test_keep_value_is_disposed_by_the_latest_dispose_that_served(reloads: Reloads) -> None:
    """An edit of `dispose` alone makes no new value, and counts once the reload has worked."""
    reloads.project["loader.py"] = LOADER
    await reloads.start("loader")
    reloads.project.edit("loader.py", 'log.append("dispose")', 'log.append("failed")')
    await reloads.fail("loader")
    reloads.project.edit("loader.py", 'log.append("failed")', 'log.append("second")')
    await reloads.reload("loader")
    reloads.project.edit("loader.py", 'log.append("second")', 'log.append("third")')
    await reloads.fail("loader")
    await hot.host.close()
    assert reloads.log == ["load", "second"]


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
