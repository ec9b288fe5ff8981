"""A save while the app is being imported for the first time is served like any other."""

import pytest

from tests.conftest import Serve
from tests.utils import Project, Server, free_port, hmr_argv, wait_until

MAIN = """
import pathlib, time
from fastapi import FastAPI
import value

here = pathlib.Path(__file__).parent
(here / "imported.tmp").touch()
while not (here / "go.tmp").exists():
    time.sleep(0.01)
app = FastAPI()

@app.get("/")
def read():
    return value.VALUE
"""


@pytest.mark.parametrize("polling", ["", "true"])
def test_a_save_between_import_and_start_is_not_lost(tmp_path_factory: pytest.TempPathFactory, polling: str) -> None:
    """The module has been read, the app is not there yet: by events and by polling, the newer text is served."""
    project = Project(tmp_path_factory.mktemp("start"))
    project["main.py"] = MAIN
    project["value.py"] = "VALUE = 'old'\n"
    port = free_port()
    env = {"WATCHFILES_FORCE_POLLING": polling} if polling else {}
    server = Server(hmr_argv("main:app", "--port", str(port)), project.root, port=port, env=env)
    try:
        wait_until((project.root / "imported.tmp").exists, "the import of the module")
        project["value.py"] = "VALUE = 'new'\n"
        project["go.tmp"] = ""
        server.wait_for("/", "new")
    finally:
        server.stop()


LIFESPAN = """
from contextlib import asynccontextmanager
import helper
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    helper.start()
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return "up"
"""


@pytest.mark.parametrize("how", ["raise ValueError", "raise SystemExit(3)", "raise KeyboardInterrupt"])
@pytest.mark.parametrize("file", ["main.py", "helper.py"])
def test_first_startup_that_fails_is_healed_by_the_fix(project: Project, serve: Serve, file: str, how: str) -> None:
    """Wherever that is: all that was imported for it is worth another try."""
    project["main.py"], project["helper.py"] = LIFESPAN, f"def start():\n    {how}\n"
    server = serve("main:app")
    assert server.get("/").status_code == 503
    fixed = LIFESPAN.replace("helper.start()", "pass") if file == "main.py" else "def start(): pass\n"
    project[file] = fixed
    server.wait_for("/", "up")


APP = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef root(): return 'up'\n"
BROKEN = {
    "syntax error": (f"{APP}def (\n", "SyntaxError"),
    "missing module": (f"import nothere\n{APP}", "ModuleNotFoundError"),
    "wrong attribute": (APP.replace("app", "api"), "AppNotFound"),
    "failing lifespan": (LIFESPAN, "ValueError"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_first_start_is_answered_to_each_in_its_language(project: Project, serve: Serve, how: str) -> None:
    """503 as a page, as JSON, as plain text, until the fix is saved; and the next save after it."""
    text, name = BROKEN[how]
    project["main.py"], project["helper.py"] = text, "def start():\n    raise ValueError\n"
    server = serve("main:app")
    for accept, kind in (("text/html", "text/html"), ("application/json", "application/json"), ("*/*", "text/plain")):
        answer = server.get("/", headers={"accept": accept})
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith(kind)
        assert name in answer.text
    for word in ("healed", "well"):
        project["main.py"] = APP.replace("up", word)
        server.wait_for("/", word)
