"""Apps that use fastapi-reloader, and apps that don't, with --reload and without: each save is one refresh or none."""

import os
import re
from itertools import product

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.driving import LOADS, loads, ready
from tests.utils import Project, Server, free_port, hmr_argv

pytestmark = pytest.mark.browser

APP = """
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

NAME = "one"
app = FastAPI()

def text():
    return "one"

@app.get("/document", response_class=HTMLResponse)
def document():
    return f"<!doctype html><html><head><title>t</title></head><body><p>{NAME} {text()}</p></body></html>"

@app.get("/bare", response_class=HTMLResponse)
def bare():
    return f"<p>{NAME} {text()}</p>"

@app.get("/json")
def data():
    return f"{NAME} {text()}"
"""
WRAPPED = "\nfrom fastapi_reloader import patch_for_auto_reloading\n\napp = patch_for_auto_reloading(app)\n"
EDITS = {"patch": ('    return "one"', '    return "two"'), "update": ('NAME = "one"', 'NAME = "two"')}
COMBINATIONS = list(product((False, True), (False, True), ("document", "bare"), EDITS))


@pytest.fixture
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder for the app."""
    return Project(tmp_path_factory.mktemp("interop"))


@pytest.mark.parametrize(("wrapped", "reload", "kind", "edit"), COMBINATIONS)
def test_each_save_is_one_refresh_or_none(
    project: Project, context: BrowserContext, wrapped: bool, reload: bool, kind: str, edit: str
) -> None:
    """One where either of the two is in use, also where both are; none where neither is."""
    project["main.py"] = APP + (WRAPPED if wrapped else "")
    port = free_port()
    server = Server(
        hmr_argv("main:app", *(["--reload"] if reload else []), "--port", str(port)), project.root, port=port
    )
    try:
        server.wait_for("/json", "one one")
        page = context.new_page()
        page.add_init_script(LOADS)
        if wrapped and not reload:
            with page.expect_response(re.compile(r"/---fastapi-reloader---(/0)?$")):
                page.goto(f"{server.url}/{kind}")
        else:
            page.goto(f"{server.url}/{kind}")
        if reload:
            ready(page)
        project.edit("main.py", *EDITS[edit])
        expected = "two one" if edit == "update" else "one two"
        server.wait_for("/json", expected)
        if wrapped or reload:
            page.wait_for_selector(f"p >> text={expected}")
        page.wait_for_timeout(500)  # a second refresh would come now
        assert loads(page) == (2 if wrapped or reload else 1)
        assert page.inner_text("p") == (expected if wrapped or reload else "one one")
        server.wait_for_line(f"  {edit}  ")  # the edit is served by the step that it is meant to test
    finally:
        server.stop()


def test_sixteen_combinations_are_tried() -> None:
    """Wrapped or not, --reload or not, a document or bare text, a patch or an update."""
    assert len(set(COMBINATIONS)) == 16


def test_an_app_that_lacks_the_package_is_told_where_it_comes_from(project: Project) -> None:
    """In the terminal and in the answer; with the wrapper dropped the app runs."""
    project["blocked/sitecustomize.py"] = "import sys\nsys.modules['fastapi_reloader'] = None\n"  # Python's "absent"
    project["main.py"] = APP + WRAPPED
    port = free_port()
    path = os.pathsep.join([str(project.root / "blocked"), os.environ.get("PYTHONPATH", "")])
    argv = hmr_argv("main:app", "--reload", "--port", str(port))
    server = Server(argv, project.root, port=port, env={"PYTHONPATH": path})
    try:
        server.wait_for_line(r"fastapi-reloader is an extra: pip install 'fastapi-hmr\[all\]'")
        answer = server.get("/json")
        assert answer.status_code == 503
        assert "fastapi-reloader is an extra" in answer.text
        project["main.py"] = APP
        server.wait_for("/json", "one one")
    finally:
        server.stop()
