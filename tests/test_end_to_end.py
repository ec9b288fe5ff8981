"""The product as a user runs it: real process, real socket, real edits of real files."""

import json
import re
import socket
import sys
import time

import httpx
import pytest

from tests.conftest import Serve
from tests.utils import Project, wait_until

APP = """
import os
from fastapi import FastAPI
from helper import VALUE

app = FastAPI()

@app.get("/")
def root():
    return {"value": VALUE, "greeting": "hello"}

@app.get("/pid")
def pid():
    return os.getpid()
"""


@pytest.fixture
def small(project: Project) -> Project:
    """A main module, a helper that it imports, and a file that nobody imports."""
    project["main.py"] = APP
    project["helper.py"] = "VALUE = 1\n"
    project["unrelated.py"] = "raise RuntimeError('never imported')\n"
    return project


def test_a_save_is_served_by_the_same_process(small: Project, serve: Serve) -> None:
    """Edit a handler's body, then a module that it reads: both are served, the process stays."""
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    pid = server.json("/pid")
    small.edit("main.py", "hello", "good evening")
    server.wait_for("/", {"value": 1, "greeting": "good evening"})
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "good evening"})
    assert server.json("/pid") == pid == server.process.pid


def test_the_terminal_says_what_ran_and_how_long(small: Project, serve: Serve) -> None:
    """One line for a reload: level, modules, milliseconds."""
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})
    line = server.wait_for_line(r"update.*helper\.py")
    assert "main" in line
    assert re.search(r"\d ms", line)


def test_a_file_that_was_never_imported_reloads_nothing(small: Project, serve: Serve) -> None:
    """An unrelated module may even be broken: nobody cares, and no module runs again."""
    small.edit("main.py", "app = FastAPI()", "import uuid\nBOOT = uuid.uuid4().hex\napp = FastAPI()")
    small.edit("main.py", "return os.getpid()", "return BOOT")
    server = serve("main:app")
    boot = server.json("/pid")
    small["unrelated.py"] = "def ("
    small["new.py"] = "x = 1"
    small["notes.txt"] = "x"
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})
    assert server.json("/pid") != boot
    reloads = [line for line in server.lines if re.search(r"\d ms", line) and "helper" not in line]
    assert not [line for line in reloads if "unrelated" in line or "new.py" in line or "notes" in line]


def test_a_broken_save_leaves_the_last_good_version_and_the_fix_heals(small: Project, serve: Serve) -> None:
    """A syntax error, then an error at import: the old code answers; the fix is served; each is reported."""
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["helper.py"] = "VALUE = (\n"
    server.wait_for_line("SyntaxError")
    assert server.json("/") == {"value": 1, "greeting": "hello"}
    small["helper.py"] = "VALUE = 3\nraise RuntimeError('half done')\n"
    server.wait_for_line("RuntimeError.*half done")
    assert server.json("/") == {"value": 1, "greeting": "hello"}
    small["helper.py"] = "VALUE = 4\n"
    server.wait_for("/", {"value": 4, "greeting": "hello"})
    assert not any("fastapi_hmr" in line and "File" in line for line in server.lines), server.output


def test_a_failing_lifespan_leaves_the_last_good_version(small: Project, serve: Serve) -> None:
    """The new generation's startup raises: the old one is started again and serves on."""
    small.edit(
        "main.py",
        "app = FastAPI()",
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    if VALUE == 13: raise RuntimeError('unlucky')\n"
        "    yield\n"
        "app = FastAPI(lifespan=lifespan)",
    )
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["helper.py"] = "VALUE = 13\n"
    server.wait_for_line("unlucky")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["helper.py"] = "VALUE = 14\n"
    server.wait_for("/", {"value": 14, "greeting": "hello"})


def test_a_broken_first_start_listens_and_heals(project: Project, serve: Serve) -> None:
    """A syntax error at the first start is answered with 503 and the report, until it is fixed."""
    project["main.py"] = "from fastapi import FastAPI\napp = FastAPI(\n"
    server = serve("main:app")
    wait_until(lambda: "SyntaxError" in server.get("/").text, "the report")
    assert server.get("/").status_code == 503
    assert "json" in server.get("/", headers={"accept": "application/json"}).headers["content-type"]
    project["main.py"] = APP
    server.wait_for_line("ModuleNotFoundError.*helper")
    project["helper.py"] = "VALUE = 1\n"
    server.wait_for("/", {"value": 1, "greeting": "hello"})


def test_a_data_file_read_at_import_counts(project: Project, serve: Serve) -> None:
    """A JSON file that a module read while it was imported is an edit like any other."""
    project["data.json"] = '{"n": 1}'
    project["main.py"] = (
        "import json, pathlib\n"
        "from fastapi import FastAPI\n"
        "DATA = json.loads(pathlib.Path('data.json').read_text())\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "def root(): return DATA\n"
    )
    server = serve("main:app")
    server.wait_for("/", {"n": 1})
    project["data.json"] = '{"n": 2}'
    server.wait_for("/", {"n": 2})


def test_an_included_file_counts_though_no_module_is_known_to_read_it(project: Project, serve: Serve) -> None:
    """`--reload-include`: what a request read and cached is read again."""
    project["prices.csv"] = "1"
    project["main.py"] = (
        "import functools, pathlib\n"
        "from fastapi import FastAPI\n"
        "app = FastAPI()\n"
        "@functools.cache\n"
        "def prices(): return int(pathlib.Path('prices.csv').read_text())\n"
        "@app.get('/')\n"
        "def root(): return prices()\n"
    )
    server = serve("main:app", "--reload-include", "*.csv")
    server.wait_for("/", 1)
    project["prices.csv"] = "2"
    server.wait_for("/", 2)
    server.wait_for_line(r"reimport.*prices\.csv")


def test_a_main_module_that_never_worked_heals(small: Project, serve: Serve) -> None:
    """It runs to its end and raises there, then lacks a module, then lacks the app: each fix is noticed."""
    good = small["main.py"]
    small["main.py"] = good + "\nraise RuntimeError('not yet')\n"
    server = serve("main:app")
    server.wait_for_line("RuntimeError.*not yet")
    small["main.py"] = "import nothere\n" + good
    server.wait_for_line("ModuleNotFoundError.*nothere")
    small["main.py"] = good.replace("app = FastAPI()", "app = application = FastAPI()") + "\ndel app\n"
    server.wait_for_line("AppNotFound.*'app'")
    small["main.py"] = good
    server.wait_for("/", {"value": 1, "greeting": "hello"})


def test_a_template_saved_along_with_a_body_does_not_cost_the_patch(small: Project, serve: Serve) -> None:
    """Save all: the function is patched in place, whatever else was saved that no module reads."""
    small["page.html"] = "<p>"
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["page.html"] = "<p>2"
    small["data.bin"] = "1"
    small.edit("main.py", "hello", "bonsoir")
    server.wait_for("/", {"value": 1, "greeting": "bonsoir"})
    assert not [line for line in server.lines if re.search(r"reload +update", line)], server.output


def test_a_missing_name_is_told_at_once(small: Project, serve: Serve) -> None:
    """A typo in an import of the saved file is reported, and the old version answers on."""
    small.edit("main.py", "import os", "import os\nprint('main runs', flush=True)")
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small.edit("main.py", "from helper import", "from helperr import")
    server.wait_for_line("ModuleNotFoundError.*helperr")
    assert server.json("/") == {"value": 1, "greeting": "hello"}


def test_what_the_app_writes_itself_reloads_nothing(project: Project, serve: Serve) -> None:
    """A state file that is read at import and written by a handler: no reload by the app's own hand, one by another's."""
    project["state.json"] = "1"
    project["main.py"] = (
        "import pathlib\n"
        "from fastapi import FastAPI\n"
        "STATE = pathlib.Path('state.json').read_text()\n"
        "app = FastAPI()\n"
        "@app.get('/')\n"
        "def root(): return STATE\n"
        "@app.get('/write')\n"
        "def write(): return pathlib.Path('state.json').write_text('2')\n"
    )
    project["other.txt"] = "x"
    server = serve("main:app", "--reload-include", "other.txt")
    server.wait_for("/", "1")
    assert server.json("/write") == 1
    time.sleep(0.5)  # the news of the write is through by now
    assert server.json("/") == "1"
    time.sleep(1.0)
    project["state.json"] = "3"
    server.wait_for("/", "3")


def test_third_party_modules_stay_loaded(small: Project, serve: Serve) -> None:
    """An update runs first-party modules only: a library keeps its identity."""
    small.edit("main.py", "return os.getpid()", "import pydantic\n    return id(pydantic)")
    server = serve("main:app")
    before = server.json("/pid")
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})
    assert server.json("/pid") == before


def test_the_app_knows_its_generation(small: Project, serve: Serve) -> None:
    """`app.state.hmr` says which start this is, whether it is a reload, and why."""
    small.edit(
        "main.py",
        "return os.getpid()",
        "h = app.state.hmr\n    return [h.number, h.reloaded, h.generation.endswith(str(h.number)), h.reason]",
    )
    server = serve("main:app")
    number, reloaded, same, _ = server.json("/pid")
    assert (number, reloaded, same) == (1, False, True)
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})
    number, reloaded, same, reason = server.json("/pid")
    assert (number, reloaded, same) == (2, True, True)
    assert "helper.py" in reason


def test_an_open_stream_does_not_hold_a_reload_up(small: Project, serve: Serve) -> None:
    """An endless SSE response ends, cleanly, and the new code answers at once."""
    small.edit(
        "main.py",
        '@app.get("/pid")',
        "from fastapi.responses import StreamingResponse\n"
        "import asyncio\n"
        "@app.get('/events')\n"
        "async def events():\n"
        "    async def ticks():\n"
        "        while True:\n"
        "            yield 'data: tick\\n\\n'\n"
        "            await asyncio.sleep(0.05)\n"
        "    return StreamingResponse(ticks(), media_type='text/event-stream')\n"
        '@app.get("/pid")',
    )
    server = serve("main:app")
    with httpx.stream("GET", f"{server.url}/events", timeout=30) as stream:
        chunks = stream.iter_text()
        assert "tick" in next(chunks)
        small["helper.py"] = "VALUE = 2\n"
        server.wait_for("/", {"value": 2, "greeting": "hello"}, deadline_s=5)
        for _ in chunks:  # the stream ends by itself, without an error
            pass


def test_what_needs_a_new_process_gets_one_on_the_same_socket(small: Project, serve: Serve) -> None:
    """A new file that shadows a loaded standard module that no library needs: the process is replaced, no request is refused."""
    small["helper.py"] = "import tabnanny\nVALUE = getattr(tabnanny, 'MINE', 1)\n"
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["tabnanny.py"] = "MINE = 7\n"

    def answered() -> bool:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:  # refused would raise
            sock.sendall(b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n")
            data = b"".join(iter(lambda: sock.recv(4096), b""))
        return b'"value":7' in data

    wait_until(answered, "the shadowing module being served")
    assert server.process.poll() is None
    assert server.json("/pid") == server.process.pid
    server.wait_for_line("restart.*tabnanny")
    small["helper.py"] = "VALUE = 8\n"
    server.wait_for("/", {"value": 8, "greeting": "hello"})


def test_ctrl_c_once_is_clean(small: Project, serve: Serve) -> None:
    """Exit code 0 and no traceback, with a client connected."""
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    with httpx.Client(base_url=server.url) as client:
        client.get("/")
        assert server.interrupt() == 0
    assert "Traceback" not in server.output


def test_a_save_during_a_slow_start_wins(small: Project, serve: Serve) -> None:
    """Three saves while the lifespan is starting: the newest is served, the others never."""
    small.edit(
        "main.py",
        "app = FastAPI()",
        "from contextlib import asynccontextmanager\n"
        "import asyncio\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    print('starting', VALUE, flush=True)\n"
        "    await asyncio.sleep(0 if VALUE in (1, 5) else 20)\n"
        "    yield\n"
        "app = FastAPI(lifespan=lifespan)",
    )
    server = serve("main:app")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    for value in (2, 3, 4):
        small["helper.py"] = f"VALUE = {value}\n"
        server.wait_for_line(f"starting {value}")
    small["helper.py"] = "VALUE = 5\n"
    server.wait_for("/", {"value": 5, "greeting": "hello"})


def test_an_unknown_module_is_one_line_and_exit_code_3(project: Project, serve: Serve) -> None:
    """Bad input names the thing and the remedy, without a traceback."""
    server = serve("nothere:app", ready=False)
    assert server.process.wait(30) == 3
    wait_until(lambda: "nothere" in server.output, "the message")
    assert "Traceback" not in server.output


def test_importing_the_package_is_inert() -> None:
    """`import fastapi_hmr` loads none of the heavy packages and does nothing."""
    import subprocess

    code = (
        "import sys, json, fastapi_hmr; "
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'uvicorn','watchfiles','reactivity','fastapi','starlette','sse_starlette','click','asyncio'})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_pages_that_nobody_has_open_are_not_said_to_refresh(small: Project, serve: Serve) -> None:
    """The line is about pages in browsers; without one it would be untrue."""
    small["page.html"] = "<p>one</p>"
    server = serve("main:app", "--reload")
    server.wait_for("/", {"value": 1, "greeting": "hello"})
    small["page.html"] = "<p>two</p>"
    small["helper.py"] = "VALUE = 2\n"
    server.wait_for("/", {"value": 2, "greeting": "hello"})
    small["page.html"] = "<p>three</p>"
    small["helper.py"] = "VALUE = 3\n"
    server.wait_for("/", {"value": 3, "greeting": "hello"})
    assert not [line for line in server.lines if "refresh  page.html" in line]
