"""pyproject.toml while the server runs: what it says about the server is followed, the rest is nobody's business."""

from pathlib import Path

import pytest

from fastapi_hmr.cli import _config_again
from fastapi_hmr.settings import Settings
from tests.conftest import Serve
from tests.utils import Project, Server, wait_until

APP = """
import uuid
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()
PROCESS = uuid.uuid4().hex

@app.get("/")
def process():
    return PROCESS

@app.get("/page")
def page():
    return HTMLResponse("<!doctype html><head></head><body>page</body>")
"""
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}


@pytest.fixture
def notices() -> list[str]:
    """What the user is told."""
    return []


@pytest.fixture
def settings(project: Project, monkeypatch: pytest.MonkeyPatch, notices: list[str]) -> Settings:
    """Those of a server that was started in the project with `main:app --port 8123`."""
    project["main.py"] = "app = None\n"
    project["other.py"] = "app = None\n"
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nkeep-lifespan = true\n"
    monkeypatch.chdir(project.root)
    given = ["--port", "8123"]
    made = Settings(_config_again(given), lambda: _config_again(given), notices.append)
    monkeypatch.chdir(Path("/"))
    return made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.fastapi-hmr]\nkeep-lifespan = true\n[tool.ruff]\nline-length = 100", None),
        ("[tool.fastapi-hmr]\nkeep_lifespan = true\nport = 8999", None),
        ("", "keep_lifespan"),
        ("[tool.fastapi-hmr]\nkeep-lifespan = true\nreload-dir = 'src'", "reload_dirs"),
        ("[tool.fastapi-hmr]\nkeep-lifespan = true\nreload = true\nroot-path = '/api'", "reload, root_path"),
        ("[tool.fastapi-hmr]\nkeep-lifespan = true\n[tool.fastapi]\nentrypoint = 'other:app'", "app"),
    ],
    ids=["another tool's", "given on the command line", "removed", "what is watched", "two", "entrypoint"],
)
def test_change_of_an_option_is_a_reason(
    settings: Settings, project: Project, notices: list[str], text: str, reason: str | None
) -> None:
    """The options are named that a new process would have otherwise, wherever the app has gone meanwhile."""
    (project.root / "src").mkdir()
    project["pyproject.toml"] = text
    assert settings.why_restart() == (reason and f"pyproject.toml changes {reason}")
    assert notices == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.fastapi-hmr\n", "is not valid TOML"),
        ("[tool.fastapi-hmr]\nkeep-lifespans = true", "did you mean"),
        ("[tool.fastapi-hmr]\nkeep-lifespan = 'perhaps'", "perhaps"),
        ("[tool.fastapi]\nentrypoint = 'nothere:app'", "nothere"),
    ],
)
def test_what_can_not_be_used_is_said_and_restarts_nothing(
    settings: Settings, project: Project, notices: list[str], text: str, says: str
) -> None:
    """A new process would end at once."""
    project["pyproject.toml"] = text
    assert settings.why_restart() is None
    (notice,) = notices
    assert says in notice
    assert "the settings before stay in use" in notice


def test_another_address_is_said(settings: Settings, project: Project, notices: list[str]) -> None:
    """The listening sockets are for life."""
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nkeep-lifespan = true\nhost = '0.0.0.0'"
    assert settings.why_restart() is None
    assert notices == ["pyproject.toml changes host: stop the server and start it again to see that"]


def refreshes(server: Server) -> bool:
    """Whether pages are told to refresh."""
    page = server.get("/page", headers=NAVIGATION)
    return page.status_code == 200 and "/__fastapi_hmr__/" in page.text


def test_change_of_pyproject_is_followed_by_a_new_process(project: Project, serve: Serve) -> None:
    """A table that appears, a broken one, one of another tool, one that goes: each save is answered on the same socket."""
    project["main.py"] = APP
    server = serve("main:app")
    first = server.json("/")
    assert not refreshes(server)
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nreload = true\n"
    server.wait_for_line("restart  pyproject.toml changes reload$")
    wait_until(lambda: refreshes(server), "the new process")
    assert server.json("/") != first
    second = server.json("/")
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nreload = perhaps\n"
    server.wait_for_line("is not valid TOML.*the settings before stay in use")
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nreload = true\n[tool.ruff]\nline-length = 100\n"
    project.edit("main.py", '"<!doctype html>', '"<!doctype html><!-- edited -->')
    server.wait_for_line("reload .*main.py")
    assert server.json("/") == second
    del project["pyproject.toml"]
    server.wait_for_line("restart  pyproject.toml changes reload$", count=2)
    wait_until(lambda: not refreshes(server), "the new process")
