"""Whose doing it is: what runs in other tasks and threads meanwhile, and who gets hold of a watched object."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from fastapi_hmr.touched import Touched
from tests.generations import Generations, generations
from tests.utils import Project


@pytest.fixture
def modules(project: Project) -> Iterator[Generations]:
    """The project's modules."""
    with generations(project) as driver:
        yield driver


async def test_touched_belongs_to_its_context(modules: Generations) -> None:
    """Of concurrent tasks only the recorded one counts, with its threads and the tasks that it starts."""
    modules.project["start.py"] = """
        import asyncio

        def table(): return globals()

        def in_thread(): return 1
        def in_task(): return 1
        def elsewhere(): return 1

        async def child():
            await asyncio.sleep(0)
            return table()["in_" + "task"]()

        async def begin():
            await asyncio.to_thread(table()["in_" + "thread"])
            await asyncio.create_task(child())

        async def other(stop):
            while not stop.is_set():
                table()["else" + "where"]()
                await asyncio.sleep(0)
        """
    start = modules.load("start")
    stop = asyncio.Event()
    other = asyncio.create_task(start.other(stop))
    await asyncio.sleep(0)
    with Touched(modules.owns).about(start.begin, "begin") as touched:
        await start.begin()
    stop.set()
    await other
    modules.project.edit("start.py", "def elsewhere(): return 1", "def elsewhere(): return 2")
    modules.again("start")
    assert touched.changed() is None
    for name in ("in_thread", "in_task"):
        modules.project.edit("start.py", f"def {name}(): return 1", f"def {name}(): return 2")
        modules.again("start")
        assert touched.changed() == f"{name}() in start.py changed"
        modules.project.edit("start.py", f"def {name}(): return 2", f"def {name}(): return 1")


def test_touched_thread_without_context_counts(modules: Generations) -> None:
    """What a plain thread runs meanwhile may be the call's doing, so it counts."""
    modules.project["start.py"] = """
        import threading

        def worker(): return 1

        def begin():
            thread = threading.Thread(target=globals()["wor" + "ker"])
            thread.start()
            thread.join()
        """
    modules.load("start")
    with Touched(modules.owns) as touched:
        sys.modules["start"].begin()
    modules.project.edit("start.py", "return 1", "return 2")
    modules.again("start")
    assert touched.changed() == "worker() in start.py changed"


def test_touched_knows_who_got_the_watched_object(modules: Generations) -> None:
    """First-party readers are known by the attributes they name, others by their own name."""
    modules.project["start.py"] = """
        import functools
        import types

        other = types.SimpleNamespace(elsewhere=1)

        def begin(app):
            app.state.ready = other.elsewhere
            functools.update_wrapper(app, begin)
        """
    start = modules.load("start")

    class App:
        state = threading.local()

    app = App()
    with Touched(modules.owns, watched=app) as touched:
        start.begin(app)
    assert touched.handed == {"state"}
    assert ("functools", "update_wrapper") in touched.strangers


def test_touched_functions_of_many_modules_imported_meanwhile_are_all_recorded(modules: Generations) -> None:
    """A module's own code is freed once it has run, and a function of the next may come to lie in its place."""
    for number in range(20):
        modules.project[f"many{number}.py"] = "def one(): return 1\ndef load(): return one()\n"
    modules.project["start.py"] = """
        import importlib

        def begin():
            return [importlib.import_module(f"many{number}").load() for number in range(20)]
        """
    modules.load("start")
    with Touched(modules.owns) as touched:
        sys.modules["start"].begin()
    modules.load("start")
    for number in range(20):
        modules.project.edit(f"many{number}.py", "return 1", "return 2")
        modules.again(f"many{number}")
        assert touched.changed() == f"one() in many{number}.py changed"
        modules.back()
