"""What a generation leaves behind is found, named and reported once; what lives on by right is not."""

import asyncio
import gc
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastapi_hmr import hot
from fastapi_hmr.generation import IN_REQUEST
from fastapi_hmr.leaks import Leaks
from fastapi_hmr.touched import Touched
from tests.generations import Generations, generations
from tests.utils import Project, wait_until


class Life:
    """Plays the dev server: imports and starts module `main`, whose `start()` and `stop()` are its lifespan."""

    def __init__(self, modules: Generations) -> None:
        self.modules, self.project = modules, modules.project
        self.leaks = Leaks(modules.owns, IN_REQUEST)
        hot.host.open(
            record=lambda factory, name: Touched(modules.owns).about(factory, name),
            report=lambda text, error: pytest.fail(f"{text}: {error!r}"),
        )
        self.leaks.open()

    async def start(self, *names: str) -> None:
        """The first generation."""
        hot.host.begin()
        self.modules.load("shared", *names, "main")
        await self._switch(())

    async def reload(self, *names: str, carried: bool = False) -> tuple[str, ...]:
        """The next generation, of these modules anew; returns what is reported then."""
        old = sys.modules["main"]
        hot.host.begin()
        self.modules.again(*names)
        if not carried:
            await old.stop()
        await self._switch(names, carried=carried)
        for _ in range(3):
            await asyncio.sleep(0)
        for thing in self.shared.things:
            if isinstance(thing, subprocess.Popen) and thing.poll() is None:  # it may not have become itself yet
                wait_until(lambda: b"sleep" in Path(f"/proc/{thing.pid}/cmdline").read_bytes(), "the process")  # noqa: B023 - called now
        return self.leaks.left_behind()

    async def _switch(self, names: tuple[str, ...], *, carried: bool = False) -> None:
        await hot.host.built()
        if not carried:
            await asyncio.create_task(sys.modules["main"].start())  # a task of its own, as the switch does it
        await hot.host.commit(names, carried=carried)

    @property
    def shared(self) -> Any:
        """A module that never runs again, where tests find what was made."""
        return sys.modules["shared"]


MAIN = """
    import asyncio, socket, subprocess, sys, threading
    from concurrent.futures import ThreadPoolExecutor
    import shared
    from fastapi_hmr import hot

    async def tick():
        await asyncio.Event().wait()

    def poll():
        shared.stop.wait()

    async def start():
        {start}

    async def stop():
        {stop}
    """


@pytest.fixture
async def life(project: Project) -> AsyncIterator[Life]:
    """A driver; whatever its modules started is ended afterwards."""
    project["shared.py"] = """
        import threading
        things = []
        tasks = []
        stop = threading.Event()
        """
    with generations(project) as modules:
        life = Life(modules)
        try:
            yield life
        finally:
            life.leaks.close()
            await hot.host.close()
            life.shared.stop.set()
            for thing in life.shared.things:
                end(thing)
            for task in life.shared.tasks:
                task.cancel()
            await asyncio.gather(*life.shared.tasks, return_exceptions=True)
            gc.collect()


def end(thing: object) -> None:
    """End a thread that may end, a pool, a socket or a process."""
    match thing:
        case threading.Thread():
            thing.join()
        case ThreadPoolExecutor():
            thing.shutdown()
        case socket.socket():
            thing.close()
        case subprocess.Popen():
            thing.kill()
            thing.wait()


THREAD = "thread = threading.Thread(target=poll, name='poller'); thread.start(); shared.things.append(thread)"
POOL = "pool = ThreadPoolExecutor(1); shared.things.append(pool); pool.submit(poll)"
LISTEN = "sock = socket.create_server(('127.0.0.1', 0)); shared.things.append(sock)"
CONNECT = "sock = socket.create_connection(shared.address); shared.things.append(sock)"
PROCESS = "shared.things.append(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']))"
TASK = "shared.tasks.append(asyncio.create_task(tick()))"


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (TASK, "left behind: a task, running tick() in main.py"),
        (TASK.replace("tick()", "tick(), name='ticker'"), "left behind: task 'ticker', running tick() in main.py"),
        (f"{TASK}; {TASK}", "left behind: a task, running tick() in main.py (2 of them)"),
        (THREAD, "left behind: thread 'poller', started by start() in main.py"),
        (POOL, "left behind: a thread pool, used by start() in main.py"),
        (LISTEN, "left behind: a socket on 127.0.0.1:0, opened by start() in main.py"),
        (CONNECT, "left behind: a socket to 127.0.0.1:{port}, opened by start() in main.py"),
        (PROCESS, "left behind: process {pid} ({python}), started by start() in main.py"),
    ],
)
async def test_leaks_what_a_startup_left_is_reported_once(life: Life, start: str, expected: str) -> None:
    """It is named with the function that made it, and the next reload says nothing more of it."""
    life.project["main.py"] = MAIN.format(start=start, stop="pass")
    life.modules.load("shared")
    with socket.create_server(("127.0.0.1", 0)) as server:
        life.shared.address = server.getsockname()
        await life.start()
        things = list(life.shared.things)
        facts = {
            "port": life.shared.address[1],
            "pid": getattr(things[0], "pid", 0) if things else 0,
            "python": sys.executable.rpartition("/")[2],
        }
        life.project["main.py"] = MAIN.format(start="pass", stop="pass")
        (line,) = await life.reload("main")
        text, _, remedy = line.rpartition(": ")
        assert text == expected.format(**facts)
        assert re.fullmatch(r"(cancel|let|shut|close|end) it .*lifespan.*", remedy)
        assert await life.reload("main") == ()


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (TASK, "shared.tasks[-1].cancel()"),
        (THREAD, "shared.stop.set(); shared.things[0].join()"),
        (POOL, "shared.stop.set(); shared.things[0].shutdown()"),
        (LISTEN, "shared.things[0].close()"),
        (PROCESS, "shared.things[0].kill(); shared.things[0].wait()"),
    ],
)
async def test_leaks_nothing_when_the_shutdown_cleans_up(life: Life, start: str, stop: str) -> None:
    """What the app ended itself is no leak."""
    life.project["main.py"] = MAIN.format(start=start, stop=stop)
    await life.start()
    life.project["main.py"] = MAIN.format(start="pass", stop="pass")
    assert await life.reload("main") == ()


@pytest.mark.parametrize("start", [TASK, THREAD, POOL, LISTEN, PROCESS])
async def test_leaks_nothing_of_a_carried_lifespan(life: Life, start: str) -> None:
    """A lifespan that goes on keeps what it started."""
    life.project["main.py"] = MAIN.format(start=start, stop="pass")
    await life.start()
    assert await life.reload("main", carried=True) == ()


@pytest.mark.parametrize("start", [TASK, THREAD, POOL, LISTEN, PROCESS])
async def test_leaks_nothing_of_a_kept_value(life: Life, start: str) -> None:
    """What a factory of `hot.keep` started lives as long as the value."""
    life.project["main.py"] = MAIN.format(
        start=f"await hot.keep('value', make)\n\n    async def make():\n        {start}", stop="pass"
    )
    await life.start()
    assert await life.reload("main") == ()


async def test_leaks_of_a_module_that_stays_are_none(life: Life) -> None:
    """A thread that a module started while it was imported ends with that module, and not before."""
    life.project["main.py"] = MAIN.format(start="pass", stop="pass")
    life.project["worker.py"] = """
        import threading
        import shared
        thread = threading.Thread(target=shared.stop.wait, name="worker")
        thread.start()
        shared.things.append(thread)
        """
    await life.start("worker")
    assert await life.reload("main") == ()
    life.project["worker.py"] = ""
    (line,) = await life.reload("worker", "main")
    assert line.startswith("left behind: thread 'worker', started by its module() in worker.py: let it end with")


async def test_leaks_of_a_failed_reload_are_reported(life: Life) -> None:
    """What the modules of a reload that came to nothing started is nobody's any more."""
    life.project["main.py"] = MAIN.format(start="pass", stop="pass")
    await life.start()
    life.project["main.py"] = (
        MAIN.format(start="pass", stop="pass").rstrip() + "\n\n    " + THREAD.replace("; ", "\n    ")
    )
    hot.host.begin()
    life.modules.again("main")
    life.modules.back()
    await hot.host.rollback()
    (line,) = life.leaks.left_behind()
    assert line.startswith("left behind: thread 'poller', started by its module() in main.py: ")


async def test_leaks_of_one_place_are_reported_once(life: Life) -> None:
    """Each reload leaves another thread behind, with another name: it has been said."""
    life.project["main.py"] = MAIN.format(start=THREAD.replace("'poller'", "None"), stop="pass")
    await life.start()
    (line,) = await life.reload("main")
    assert "started by start() in main.py" in line
    assert await life.reload("main") == ()


async def test_leaks_of_a_library_come_with_its_remedy(life: Life) -> None:
    """aiosqlite has a thread for each connection, and SQLAlchemy keeps connections."""
    life.project["aiosqlite/core.py"] = "import threading\nstop = threading.Event()\ndef work():\n    stop.wait(60)\n"
    life.project["aiosqlite/__init__.py"] = ""
    start = "from aiosqlite import core; thread = threading.Thread(target=core.work); thread.start()"
    life.project["main.py"] = MAIN.format(start=start, stop="pass")
    await life.start()
    (line,) = await life.reload("main")
    assert line.endswith("dispose of the engine, or close the connection, when the lifespan ends")
    sys.modules["aiosqlite.core"].stop.set()


async def test_leaks_does_not_hold_what_has_ended(life: Life) -> None:
    """A thread that ends is forgotten, a socket that closes too, though its number is used again."""
    life.project["main.py"] = MAIN.format(start=f"{THREAD}; {LISTEN}", stop="pass")
    await life.start()
    life.shared.stop.set()
    wait_until(lambda: not life.shared.things[0].is_alive(), "the end of the thread")
    life.shared.things[1].close()
    with socket.socket():
        assert await life.reload("main") == ()
