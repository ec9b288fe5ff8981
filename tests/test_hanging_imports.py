"""An import that does not end is ended: by the fix that is saved meanwhile, or by the first Ctrl-C."""

import concurrent.futures
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import Serve
from tests.helped import MAIN
from tests.utils import Project, Server, free_port, hmr_argv

HANGS = {
    "sleeps": "time.sleep(100)",
    "is busy": "while True: pass",
    "reads a socket": "socket.create_connection(listener.getsockname()).recv(1)",
    "waits for a lock": "threading.Event().wait()",
    "cleans up for long": "try: time.sleep(100)\nfinally: time.sleep(100)",
    "catches everything": "while True:\n    try: time.sleep(100)\n    except BaseException: pass",
    "catches everything twice": "while True:\n    try:\n        while True:\n            try: time.sleep(100)\n"
    "            except: pass\n    except: pass",
    "swallows it": "try: time.sleep(100)\nexcept BaseException: pass",
}
IMPORTS = "import socket, threading, time\nlistener = socket.create_server(('127.0.0.1', 0))\n"


def hanging(how: str) -> str:
    """A module that says so, and then hangs."""
    return f"{IMPORTS}VALUE = 'never'\nprint('hanging', flush=True)\n{HANGS[how]}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Server]]:
    """One server for the module."""
    project = Project(tmp_path_factory.mktemp("hangs"))
    project["main.py"], project["helper.py"] = MAIN, "VALUE = 'good'\n"
    port = free_port()
    server = Server(hmr_argv("main:app", "--port", str(port)), project.root, port=port)
    try:
        server.wait_for("/", "good")
        yield project, server
    finally:
        server.stop()


@pytest.mark.parametrize("how", HANGS)
def test_newer_save_ends_it(running: tuple[Project, Server], how: str) -> None:
    """At once, and long before its time is over: who asked meanwhile gets the new version."""
    project, server = running
    said = server.lines.count("hanging")
    project["helper.py"] = hanging(how)
    server.wait_for_line("^hanging$", count=said + 1)
    with concurrent.futures.ThreadPoolExecutor() as clients:
        answers = [clients.submit(server.json) for _ in range(5)]
        project["helper.py"] = f"VALUE = {how!r}\n"
        assert [answer.result() for answer in answers] == [how] * 5
    assert "did not end" not in server.output


def test_equal_bytes_do_not_end_it(project: Project, serve: Serve) -> None:
    """Saved once more, a touch, a file that it has nothing to do with: the import that takes long goes on."""
    project["main.py"], project["helper.py"], project["other.py"] = MAIN, "VALUE = 1\n", ""
    server = serve("main:app")
    slow = (
        "import os, time\nprint('hanging', flush=True)\nwhile not os.path.exists('../go'): time.sleep(0.1)\nVALUE = 2\n"
    )
    project["helper.py"] = slow
    server.wait_for_line("^hanging$")
    for _ in range(3):
        project["helper.py"], project["other.py"] = slow, "X = 1\n"
        (project.root / "main.py").touch()
        server.wait_for_line("^hanging$")
    server.wait_for_line("still importing helper.py:3")
    project["../go"] = ""
    server.wait_for("/", 2)
    assert server.lines.count("hanging") == 1


@pytest.mark.parametrize("how", ["sleeps", "catches everything twice"])
def test_first_start_is_ended_by_the_fix(project: Project, serve: Serve, how: str) -> None:
    """It has no limit that anybody would wait for: nothing else can be served meanwhile."""
    project["main.py"], project["helper.py"] = MAIN, hanging(how)
    server = serve("main:app", ready=False)
    server.wait_for_line("^hanging$")
    project["helper.py"] = "VALUE = 'fixed'\n"
    server.wait_for("/", "fixed")
    assert "failed" not in server.output


@pytest.mark.parametrize(
    ("how", "number"),
    [
        ("sleeps", signal.SIGINT),
        ("sleeps", signal.SIGTERM),
        ("sleeps", signal.SIGHUP),
        ("is busy", signal.SIGINT),
        ("catches everything twice", signal.SIGINT),
    ],
)
def test_one_signal_ends_the_server(project: Project, serve: Serve, how: str, number: int) -> None:
    """Cleanly: the lifespan of the version that serves is shut down, and the exit code is uvicorn's."""
    project["main.py"], project["helper.py"] = MAIN, "VALUE = 'good'\n"
    plain = serve(argv=[sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"])
    plain.process.send_signal(number)
    server = serve("main:app")
    project["helper.py"] = hanging(how)
    server.wait_for_line("^hanging$")
    server.process.send_signal(number)
    assert server.process.wait(30) == plain.process.wait(30)
    server.wait_for_line("Finished server process")
    assert server.lines.count("stopped good") == 1
    assert not [line for line in server.lines if "Ending the process" in line or "Traceback" in line], server.output


@pytest.mark.parametrize("how", ["sleeps", "catches everything"])
def test_one_signal_ends_a_first_start(project: Project, serve: Serve, how: str) -> None:
    """There is no lifespan to shut down yet."""
    project["main.py"], project["helper.py"] = MAIN, hanging(how)
    server = serve("main:app", ready=False)
    server.wait_for_line("^hanging$")
    assert server.interrupt() == 0
    server.wait_for_line("Finished server process")
    assert not [line for line in server.lines if "Ending the process" in line or "Traceback" in line], server.output


def test_one_signal_ends_the_import_of_a_library(project: Project, serve: Serve) -> None:
    """What is left of it does not matter any more."""
    project["main.py"], project["helper.py"] = MAIN, "import slowlib\nVALUE = 1\n"
    project["../libraries/slowlib.py"] = hanging("sleeps")
    server = serve("main:app", ready=False, PYTHONPATH=str(project.root.parent / "libraries"))
    server.wait_for_line("^hanging$")
    assert server.interrupt() == 0
    assert not [line for line in server.lines if "Ending the process" in line or "Traceback" in line], server.output


LAZY = (
    MAIN
    + """

@app.get("/lazy")
def lazy():
    import slow
    return slow.VALUE
"""
)


def test_import_that_hangs_in_a_thread_costs_a_new_process(project: Project, serve: Serve) -> None:
    """Whoever imports that module would wait for the thread for ever."""
    project["main.py"], project["helper.py"], project["slow.py"] = LAZY, "VALUE = 1\n", hanging("sleeps")
    server = serve("main:app")
    with concurrent.futures.ThreadPoolExecutor() as clients:
        clients.submit(server.get, "/lazy")
        server.wait_for_line("^hanging$")
        project["slow.py"] = "VALUE = 2\n"
        server.wait_for_line("restart .*slow is being imported by another thread")
    server.wait_for("/lazy", 2)


def test_wait_for_the_import_of_a_thread_is_ended_by_a_newer_save(project: Project, serve: Serve) -> None:
    """It is the import system that blocks then."""
    project["main.py"], project["helper.py"], project["slow.py"] = LAZY, "VALUE = 1\n", hanging("sleeps")
    server = serve("main:app")
    with concurrent.futures.ThreadPoolExecutor() as clients:
        clients.submit(server.get, "/lazy")
        server.wait_for_line("^hanging$")
        project["helper.py"] = "import slow\nVALUE = 2\n"
        server.wait_for_line("still importing helper.py:1")
        project["helper.py"] = "VALUE = 3\n"
        server.wait_for("/", 3)


def test_import_of_a_library_is_not_cut_for_a_newer_save(project: Project, serve: Serve) -> None:
    """Half of it would stay in the process, and may refuse to be imported again."""
    project["main.py"], project["helper.py"] = MAIN, "VALUE = 1\n"
    library = "import time\nprint('hanging', flush=True)\ntime.sleep(1.5)\nprint('loaded', flush=True)\n"
    project["../libraries/slowlib.py"] = library
    server = serve("main:app", PYTHONPATH=str(project.root.parent / "libraries"))
    project["helper.py"] = "import slowlib\nVALUE = 2\n"
    server.wait_for_line("^hanging$")
    project["helper.py"] = "import slowlib\nVALUE = 3\n"
    server.wait_for("/", 3)
    assert server.lines.count("loaded") == 1
