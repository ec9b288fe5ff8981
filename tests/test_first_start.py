"""A save while the app is being imported for the first time is served like any other."""

import pytest

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
