"""Code that does not give the event loop back costs a bounded time: a save or an exit ends it."""

import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conftest import Serve
from tests.utils import Project

MAIN = """
from contextlib import asynccontextmanager
import helper
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    print("starting", helper.VALUE, flush=True)
    await helper.startup()
    yield
    await helper.shutdown()
    print("stopped", helper.VALUE, flush=True)

app = FastAPI(lifespan=lifespan)

@app.get("/")
async def root():
    return helper.VALUE

@app.get("/handler")
async def handler():
    return await helper.handler()
"""
HANGS = {"blocks": "time.sleep(100)", "waits": "await asyncio.sleep(100)"}


def helper(value: int, **bodies: str) -> str:
    """A module whose functions do nothing but these."""
    functions = (f"async def {name}(): {bodies.get(name, 'pass')}" for name in ("startup", "shutdown", "handler"))
    return "\n".join(("import asyncio, time", f"VALUE = {value}", *functions, ""))


@pytest.mark.parametrize("how", HANGS)
def test_first_startup_that_hangs_is_ended_by_the_fix(project: Project, serve: Serve, how: str) -> None:
    """Nothing else could be served: the fix must be seen while it is waited for."""
    project["main.py"], project["helper.py"] = MAIN, helper(1, startup=HANGS[how])
    server = serve("main:app", ready=False)
    server.wait_for_line("^starting 1$")
    project["helper.py"] = helper(2)
    server.wait_for("/", 2)
    assert "failed" not in server.output


def test_later_startup_that_blocks_is_ended_by_the_fix(project: Project, serve: Serve) -> None:
    """Who asked meanwhile gets the newest version; a save of something else lets it go on."""
    project["main.py"], project["helper.py"], project["other.py"] = MAIN, helper(1), ""
    server = serve("main:app")
    project["helper.py"] = helper(2, startup="time.sleep(1.5)")
    server.wait_for_line("^starting 2$")
    project["other.py"] = "X = 1\n"
    server.wait_for("/", 2)
    project["helper.py"] = helper(3, startup="time.sleep(100)")
    server.wait_for_line("^starting 3$")
    with ThreadPoolExecutor() as clients:
        answers = [clients.submit(server.json) for _ in range(5)]
        project["helper.py"] = helper(4)
        assert [answer.result() for answer in answers] == [4] * 5
    assert "failed" not in server.output


@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_one_ctrl_c_ends_a_startup_that_blocks(project: Project, serve: Serve, first: bool) -> None:
    """As one that waits, it is given up."""
    project["main.py"], project["helper.py"] = MAIN, helper(1, startup="time.sleep(100)" if first else "pass")
    server = serve("main:app", ready=not first)
    if not first:
        project["helper.py"] = helper(2, startup="time.sleep(100)")
    server.wait_for_line(f"^starting {1 if first else 2}$")
    assert server.interrupt() == 0
    server.wait_for_line("Finished server process")
    assert not [line for line in server.lines if "Ending the process" in line or "Traceback" in line], server.output


def test_one_ctrl_c_ends_a_handler_that_blocks(project: Project, serve: Serve) -> None:
    """When the time is over that any request in flight is given; then the lifespan is shut down."""
    project["main.py"], project["helper.py"] = MAIN, helper(1, handler="print('blocked', flush=True); time.sleep(100)")
    server = serve("main:app")
    with ThreadPoolExecutor() as clients:
        answer = clients.submit(server.get, "/handler")
        server.wait_for_line("^blocked$")
        assert server.interrupt() == 0
        assert answer.result().status_code == 500
    assert "stopped 1" in server.lines
    assert "Ending the process" not in server.output


def test_save_ends_a_handler_that_blocks(project: Project, serve: Serve) -> None:
    """After a while in which it may end by itself, for which the terminal says what is waited for."""
    project["main.py"], project["helper.py"] = MAIN, helper(1, handler="print('blocked', flush=True); time.sleep(100)")
    server = serve("main:app")
    with ThreadPoolExecutor() as clients:
        answer = clients.submit(httpx.get, f"{server.url}/handler", timeout=60)
        server.wait_for_line("^blocked$")
        project["helper.py"] = helper(2)
        server.wait_for_line(r"waiting for helper\.py:5, which blocks the event loop")
        server.wait_for_line("reload .*helper.py")
        server.wait_for("/", 2)
        assert answer.result().status_code == 500


def test_shutdown_that_blocks_has_its_limit_too(project: Project, serve: Serve) -> None:
    """The same as one that waits: then the next version starts."""
    project["main.py"], project["helper.py"] = MAIN, helper(1, shutdown="time.sleep(100)")
    server = serve("main:app")
    project["helper.py"] = helper(2)
    server.wait_for_line("reload .*helper.py")
    server.wait_for("/", 2)


def test_callback_that_blocks_has_its_limit(project: Project, serve: Serve) -> None:
    """The reload goes on without it, and the terminal says so."""
    hook = "import time\nfrom fastapi_hmr import hot\n@hot.before_reload\ndef block():\n    time.sleep(100)\n"
    project["main.py"], project["helper.py"] = f"{MAIN}\n{hook}", helper(1)
    server = serve("main:app")
    project["helper.py"] = helper(2)
    server.wait_for_line(r"hot\.before_reload: block\(\) of main failed: Interrupted")
    server.wait_for("/", 2)


def test_exit_has_its_limit_whatever_blocks_it(project: Project, serve: Serve) -> None:
    """Something that blocks the loop when nothing is under way that has a limit of its own: a callback of the app."""
    project["helper.py"] = helper(1)
    project["main.py"] = (
        f"{MAIN}\nimport time\nfrom fastapi_hmr import hot\n@hot.on_dispose\ndef block():\n    time.sleep(100)\n"
    )
    command = "from fastapi_hmr import __main__, watchdog; watchdog.EXIT_S = 1.0; __main__.main()"
    server = serve(argv=[sys.executable, "-c", command, "main:app", "--port", "{port}"])
    assert server.interrupt() == 0
    assert "stopped 1" in server.lines
    assert "Ending the process now: the shutdown does not come to its end" in server.output
