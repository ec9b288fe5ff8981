"""What costs seconds is not paid again: `--keep-lifespan` and `hot.keep` in the real server."""

from tests.conftest import Serve
from tests.utils import Project

LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import routes
from loader import load_model

@asynccontextmanager
async def lifespan(app):
    app.state.model = load_model()
    yield

app = FastAPI(lifespan=lifespan)
app.include_router(routes.router)
"""
LOADER = """
WEIGHT = 1

def load_model():
    print("loading the model", flush=True)
    return {"weight": WEIGHT}
"""
ROUTES = """
from fastapi import APIRouter, Request
router = APIRouter()

@router.get("/")
def root(request: Request, word: str = "one"):
    return [word, request.app.state.model["weight"]]
"""
KEPT = """
from fastapi import FastAPI
from fastapi_hmr import hot
from loader import load_model
import routes

app = FastAPI()
app.state.model = hot.keep("model", load_model)
app.include_router(routes.router)
"""


def loads(output: list[str]) -> int:
    """How often the model has been loaded."""
    return output.count("loading the model")


def edits_of_routes_are_free_and_edits_of_the_loader_are_paid(project: Project, serve: Serve, *options: str) -> None:
    """The signature of a route changes: no load. What the loader reads changes: one load. A broken save: none."""
    project["loader.py"] = LOADER
    project["routes.py"] = ROUTES
    server = serve("main:app", *options)
    server.wait_for("/", ["one", 1])
    server.wait_for_line("loading the model")
    project.edit("routes.py", '"one"', '"two"')
    server.wait_for("/", ["two", 1])
    project["routes.py"] = ROUTES + "def (:"
    server.wait_for_line("SyntaxError")
    project["routes.py"] = ROUTES.replace('"one"', '"three"')
    server.wait_for("/", ["three", 1])
    assert loads(server.lines) == 1
    project.edit("loader.py", "WEIGHT = 1", "WEIGHT = 2")
    server.wait_for("/", ["three", 2])
    server.wait_for_line("loading the model", count=2)
    assert loads(server.lines) == 2
    assert server.interrupt() == 0


def test_keep_lifespan_pays_only_for_what_it_touches(project: Project, serve: Serve) -> None:
    """The lifespan goes on over edits of routes, and starts again for an edit of what it ran."""
    project["main.py"] = LIFESPAN
    edits_of_routes_are_free_and_edits_of_the_loader_are_paid(project, serve, "--keep-lifespan")


def test_keep_lifespan_from_pyproject(project: Project, serve: Serve) -> None:
    """`keep-lifespan = true` in pyproject.toml means the same."""
    project["main.py"] = LIFESPAN
    project["pyproject.toml"] = "[tool.fastapi-hmr]\nkeep-lifespan = true\n"
    edits_of_routes_are_free_and_edits_of_the_loader_are_paid(project, serve)


def test_hot_keep_pays_only_for_what_the_factory_touches(project: Project, serve: Serve) -> None:
    """A kept value survives the module that asked for it."""
    project["main.py"] = KEPT
    edits_of_routes_are_free_and_edits_of_the_loader_are_paid(project, serve)


def test_without_either_every_reload_pays(project: Project, serve: Serve) -> None:
    """The lifespan of a new generation starts, as a cold start's would."""
    project["main.py"] = LIFESPAN
    project["loader.py"] = LOADER
    project["routes.py"] = ROUTES
    server = serve("main:app")
    server.wait_for("/", ["one", 1])
    project.edit("routes.py", '"one"', '"two"')
    server.wait_for("/", ["two", 1])
    server.wait_for_line("loading the model", count=2)


def test_a_lifespan_that_was_started_again_goes_on_with_what_it_set(project: Project, serve: Serve) -> None:
    """It found its own state there from the first time, which does not make that the module's."""
    project["main.py"] = LIFESPAN.replace("app.state.model =", 'app.state.level = "high"\n    app.state.model =')
    project["loader.py"] = LOADER
    project["routes.py"] = ROUTES.replace("return [word,", "return [word, request.app.state.level,")
    server = serve("main:app", "--keep-lifespan")
    server.wait_for("/", ["one", "high", 1])
    project["loader.py"] = LOADER + "\nif True:\n    def load_model():\n        raise OSError('no model')\n"
    server.wait_for_line("still serving")
    assert server.json("/") == ["one", "high", 1]
    project["loader.py"] = LOADER
    project.edit("routes.py", '"one"', '"two"')
    server.wait_for("/", ["two", "high", 1])
    project.edit("routes.py", '"two"', '"three"')
    server.wait_for("/", ["three", "high", 1])
    assert loads(server.lines) == 2
