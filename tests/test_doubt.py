"""A save that raises is told at once, before a cold start in a child process has confirmed it: real processes."""

from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.utils import Project, wait_until

MAIN = """
from fastapi import FastAPI
from helper import VALUE

app = FastAPI()

@app.get("/")
def root():
    return VALUE
"""
HELPER = """
import faulthandler
import os
import sys
import time

if sys.modules["__main__"].__spec__.name == "fastapi_hmr.coldstart":
    with open("asked", "w") as file:
        file.write(str(os.getpid()))
    until = time.monotonic() + 60
    while not os.path.exists("answer") and time.monotonic() < until:
        time.sleep(0.01)
elif faulthandler.is_enabled():
    raise RuntimeError("once per process")
faulthandler.enable()
VALUE = 1
"""
"""Runs once per process; a cold start of it waits until the test lets it answer."""


@pytest.fixture
def once(project: Project) -> Project:
    """An app that can't be updated, only started."""
    project["main.py"], project["helper.py"] = MAIN, HELPER
    return project


def test_failure_is_told_before_the_cold_start_has_answered_and_taken_back_after(once: Project, serve: Serve) -> None:
    """The terminal has the error while the child still runs; the old version answers; then a new process serves."""
    server = serve("main:app")
    server.wait_for("/", 1)
    once.edit("helper.py", "VALUE = 1", "VALUE = 2")
    server.wait_for_line("failed.*RuntimeError: once per process")
    wait_until((once.root / "asked").exists, "the question")
    assert server.json("/") == 1
    once["answer"] = "yes"
    server.wait_for("/", 2)
    server.wait_for_line("restart.*once per process, in a fresh import too; a cold start works")
    once.edit("helper.py", "VALUE = 2", "VALUE = 3")
    server.wait_for("/", 3)
    server.wait_for_line(r"restart.*only a new process can run this app \(RuntimeError: once per process\)")
    assert sum("failed" in line for line in server.lines) == 1  # it is known now, and no longer an error


def test_app_that_a_library_keeps_needs_a_new_process(project: Project, serve: Serve) -> None:
    """NiceGUI's app takes no middleware once it has started: that is nobody's mistake, and no error is shown."""
    (project.root / "site-packages").mkdir()
    project["site-packages/lasting.py"] = "from fastapi import FastAPI\n\napp = FastAPI()\n"
    project["main.py"] = """
        import sys
        sys.path.append("site-packages")
        from fastapi.middleware.gzip import GZipMiddleware
        from lasting import app

        VALUE = 1
        app.add_middleware(GZipMiddleware)

        @app.get(f"/{VALUE}")
        def root():
            return VALUE
        """
    server = serve("main:app")
    server.wait_for("/1", 1)
    project.edit("main.py", "VALUE = 1", "VALUE = 2")
    server.wait_for("/2", 2)
    server.wait_for_line("restart.*only a new process can run this app.*Cannot add middleware")
    assert "failed" not in server.output


def test_failure_that_is_confirmed_is_told_once(once: Project, serve: Serve) -> None:
    """The child fails as well: nothing is said a second time, and the next good save heals."""
    server = serve("main:app")
    server.wait_for("/", 1)
    once["answer"] = "yes"
    once["main.py"] = MAIN + "\n\ndef fail():\n    raise KeyError('colour')\n\nfail()\n"
    server.wait_for_line("failed.*KeyError")
    once["main.py"] = MAIN + "\n\nprint('healed')\n"
    server.wait_for_line("healed")
    assert sum("KeyError" in line and "failed" in line for line in server.lines) == 1


def test_newer_save_does_not_wait_for_the_answer(once: Project, serve: Serve) -> None:
    """The child is ended, and the fix served, though it never answered."""
    server = serve("main:app")
    server.wait_for("/", 1)
    once["main.py"] = MAIN + "\n\ndef fail():\n    raise KeyError('colour')\n\nfail()\n"
    server.wait_for_line("failed.*KeyError")
    child = wait_until(lambda: (once.root / "asked").exists() and (once.root / "asked").read_text(), "the question")
    once["main.py"] = MAIN.replace("return VALUE", "return -VALUE")
    server.wait_for("/", -1)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of the child")


def test_ctrl_c_ends_the_cold_start_too(once: Project, serve: Serve) -> None:
    """Nobody is told of it any more, and nobody would end it later."""
    server = serve("main:app")
    server.wait_for("/", 1)
    once.edit("helper.py", "VALUE = 1", "VALUE = 2")
    child = wait_until(lambda: (once.root / "asked").exists() and once["asked"], "the question")
    assert server.interrupt() == 0
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of the child", 5)
    assert "Traceback" not in server.output
    assert "Task was destroyed" not in server.output
