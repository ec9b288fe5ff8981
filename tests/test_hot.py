"""`hot.data` and the callbacks in modules that run again, and all of `hot` alone, as in production."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastapi_hmr import hot
from tests.generations import generations
from tests.reloads import LOADER, Reloads
from tests.utils import Project


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
