"""Files that requests read behind functools caches: an edit shows, as after a cold start, whatever module is kept."""

from tests.conftest import Serve
from tests.utils import Project

HELPER = """
import functools
from functools import cache, lru_cache
from pathlib import Path

@cache
def note():
    return Path("note.md").read_text()

@lru_cache(maxsize=8)
def posts(folder):
    return {path.name: post(path.name) for path in sorted(Path(folder).glob("*.md"))}

@cache
def post(name):
    return Path("posts", name).read_text()

@cache
def maybe():
    return Path("maybe.json").exists()

@cache
def twice():
    return note() * 2

@cache
def counted():
    counted.calls = getattr(counted, "calls", 0) + 1
    return counted.calls
"""
MAIN = """
from fastapi import FastAPI
import helper

app = FastAPI(title="one")

@app.get("/")
def root():
    return {"note": helper.note(), "posts": helper.posts("posts"), "maybe": helper.maybe(), "title": app.title}

@app.get("/twice")
async def twice():
    return helper.twice()

@app.get("/counted")
def counted():
    return helper.counted()
"""


def written(project: Project) -> None:
    """An app with cached reads in a module that no edit concerns."""
    project["helper.py"], project["main.py"] = HELPER, MAIN
    project["note.md"], project["posts/a.md"] = "old", "a"


def test_an_edit_of_a_file_behind_a_cache_shows(project: Project, serve: Serve) -> None:
    """Changed, created, deleted, listed, looked for, read by an inner cached function: the next request sees it."""
    written(project)
    server = serve("main:app")
    expected = {"note": "old", "posts": {"a.md": "a"}, "maybe": False, "title": "one"}
    server.wait_for("/", expected)
    server.wait_for("/twice", "oldold")
    server.wait_for("/counted", 1)
    project["note.md"] = "new"
    server.wait_for("/", expected := expected | {"note": "new"})
    server.wait_for("/twice", "newnew")
    server.wait_for_line(r"note\.md.*note\(\) had read what changed: cached results forgotten")
    project["posts/b.md"] = "b"
    server.wait_for("/", expected := expected | {"posts": {"a.md": "a", "b.md": "b"}})
    del project["posts/a.md"]
    server.wait_for("/", expected := expected | {"posts": {"b.md": "b"}})
    project["maybe.json"] = "{}"
    server.wait_for("/", expected | {"maybe": True})
    assert not any("update" in line for line in server.lines), server.output


def test_files_that_change_along_with_modules_show(project: Project, serve: Serve) -> None:
    """A checkout of another commit: modules and posts change at once, and the module with the cache does not."""
    written(project)
    server = serve("main:app")
    expected = {"note": "old", "posts": {"a.md": "a"}, "maybe": False, "title": "one"}
    server.wait_for("/", expected)
    del project["posts/a.md"]
    project["posts/z.md"] = "z"
    project.edit("main.py", 'title="one"', 'title="two"')
    server.wait_for("/", expected | {"posts": {"z.md": "z"}, "title": "two"})


def test_other_files_leave_caches_alone(project: Project, serve: Serve) -> None:
    """What no cached function read is nobody's business."""
    written(project)
    server = serve("main:app")
    server.json("/")
    server.wait_for("/counted", 1)
    project["posts.txt"] = "x"
    project["note2.md"] = "x"
    project.edit("main.py", 'title="one"', 'title="two"')
    server.wait_for_line("update")
    assert server.json("/counted") == 1
    assert "forgotten" not in server.output
