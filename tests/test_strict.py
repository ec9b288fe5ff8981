"""`--strict` in the real server: each reload forgets what a restart would forget, and nothing else reloads."""

import pytest

from tests.conftest import Serve
from tests.utils import Project

MAIN = """
from fastapi import FastAPI
import routes
app = FastAPI()
app.include_router(routes.router)
"""
STORE = """
from fastapi_hmr import hot
seen = []
kept = hot.keep("kept", list)
"""
ROUTES = """
from fastapi import APIRouter
from store import kept, seen
router = APIRouter()

@router.get("/")
def root():
    return ["one", len(seen), len(kept)]

@router.get("/add")
def add():
    seen.append(1)
    kept.append(1)
"""


def make(project: Project) -> None:
    """An app in three modules, one of which holds what requests have left."""
    project["main.py"] = MAIN
    project["store.py"] = STORE
    project["routes.py"] = ROUTES
    project["unused.py"] = "X = 1"


def test_requests_leave_their_state_in_modules_that_stay(project: Project, serve: Serve) -> None:
    """Without the option: an edit of another module keeps it."""
    make(project)
    server = serve("main:app")
    server.wait_for("/", ["one", 0, 0])
    server.get("/add")
    project.edit("routes.py", '"one"', '"two"')
    server.wait_for("/", ["two", 1, 1])
    project.edit("routes.py", "def root()", "def root(q: int = 1)")
    project.edit("routes.py", '"two"', '"three"')
    server.wait_for("/", ["three", 1, 1])


@pytest.mark.parametrize("settings", ["", "[tool.fastapi-hmr]\nstrict = true\n"], ids=["option", "pyproject"])
def test_strict_forgets_it(project: Project, serve: Serve, settings: str) -> None:
    """Even for the edit of a body, which is otherwise patched; what `hot.keep` made was meant to stay."""
    make(project)
    if settings:
        project["pyproject.toml"] = settings
    server = serve("main:app", *([] if settings else ["--strict"]))
    server.wait_for("/", ["one", 0, 0])
    server.get("/add")
    project.edit("routes.py", '"one"', '"two"')
    server.wait_for("/", ["two", 0, 1])
    server.get("/add")
    project["unused.py"] = "X = 2"
    project["routes.py"] = project["routes.py"] + "def (:"
    server.wait_for_line("SyntaxError")
    server.wait_for("/", ["two", 1, 2])
    project["routes.py"] = ROUTES.replace('"one"', '"three"')
    server.wait_for("/", ["three", 0, 2])
    assert sum("reload" in line and " 3 modules" in line for line in server.lines) == 2
    assert server.interrupt() == 0
