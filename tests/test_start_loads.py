"""What a start loads before the app is served: every start is waited for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fastapi_hmr
from tests.utils import Project, Server, free_port, hmr_argv

PACKAGE = Path(fastapi_hmr.__file__).parent
MAIN = """
import sys
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    app.state.loaded = sorted(sys.modules)
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/loaded")
async def loaded():
    return app.state.loaded

@app.get("/")
async def root():
    return {}
"""
LATER = frozenset(
    "carry codes facts touched "  # only with --keep-lifespan
    "engine.eviction "  # only with dev()
    "engine.patch engine.patch_checks engine.patch_holders engine.patch_memos engine.patch_source "
    "engine.patch_templates engine.syntax".split()  # the first edit
)
"""What only some starts, or an edit, need: loaded by those, or when nobody waits."""


def ours(names: list[str]) -> set[str]:
    """The modules of this package, named below it."""
    return {name.removeprefix("fastapi_hmr.") for name in names if name.startswith("fastapi_hmr.")}


def test_start_loads_what_it_needs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A new module has its place here on purpose; of pydantic.v1 and WebSockets an app without them has nothing."""
    project = Project(tmp_path_factory.mktemp("loads"))
    project["main.py"] = MAIN
    port = free_port()
    server = Server(hmr_argv("main:app", "--port", str(port)), project.root, port=port)
    try:
        server.wait_ready()
        loaded = server.json("/loaded")
    finally:
        server.stop()
    code = "import json, sys, main; print(json.dumps(list(sys.modules)))"
    plain = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    by_itself = set(json.loads(plain.stdout))
    there = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
    whole = {name.removesuffix(".__init__") for name in there} - {"__init__", "__main__"}
    some = {name for name in whole if name.startswith(("browser", "engine.adapters."))}
    assert sorted(ours(loaded) - some) == sorted(whole - some - LATER)
    assert not {name for name in ours(loaded) if name.startswith("browser")}
    assert whole >= LATER
    assert not {"pydantic.v1", "websockets", "wsproto", "difflib", "ctypes"} & (set(loaded) - by_itself)
