"""What reloads leave in memory: little, and nothing of the generations that are gone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.memory_child import edited, originals, resident_kb
from tests.utils import ROOT, Project, Server, wait_until

RELOADS = int(os.environ.get("HMR_MEMORY_RELOADS", "200"))
WARM_UP = 40
LIMIT_KB = 40

TICKER = """
import asyncio


async def tick() -> None:
    while True:
        await asyncio.sleep(3600)
"""

ALIVE = """

@app.get("/alive")
def alive() -> dict[str, int]:
    import gc
    import types

    gc.collect()
    gc.collect()
    things = gc.get_objects()
    modules = [t.__name__ for t in things if issubclass(type(t), types.ModuleType)]
    coroutines = [t.__qualname__ for t in things if type(t) is types.CoroutineType]
    names = ("main", "db", "models", "routers.pages")
    return {"apps": sum(type(t) is FastAPI for t in things), "modules": sum(n in names for n in modules), "tickers": coroutines.count("tick")}
"""


@pytest.fixture
def daybook(project: Project) -> Project:
    """A copy of the example app whose lifespan keeps a task running."""
    shutil.copytree(
        ROOT / "example_app", project.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*")
    )
    project["ticker.py"] = TICKER
    project.edit("main.py", "from db import", "import asyncio\n\nimport ticker\nfrom db import")
    project.edit(
        "main.py", "    yield\n", "    task = asyncio.create_task(ticker.tick())\n    yield\n    task.cancel()\n"
    )
    project.edit("main.py", '\nif __name__ == "__main__":', f'{ALIVE}\nif __name__ == "__main__":')
    return project


def environment(folder: Path) -> dict[str, str]:
    """No slow start, and a database of its own."""
    return {"DAYBOOK_DATABASE": str(folder.parent / "daybook.db"), "DAYBOOK_STARTUP_SECONDS": "0"}


@pytest.mark.timeout(600)
def test_memory_of_many_reloads(daybook: Project) -> None:
    """A reload leaves less than 40 kB, and no app, module or task of an older generation is alive after a collection."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.memory_child", str(daybook.root), str(RELOADS)],
        cwd=ROOT,
        env={**os.environ, **environment(daybook.root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["left"] == [], f"{len(found['left'])} of {found['seen']} are still alive: {found['left'][:20]}"
    assert found["kb_per_reload"] < LIMIT_KB, found
    assert found["levels"]["UPDATE"] > RELOADS / 2


@pytest.mark.timeout(600)
def test_memory_of_the_process(daybook: Project, serve: Serve) -> None:
    """The same of the server as a user runs it, over its own watcher: it does not grow, and holds one app."""
    server = serve("main:app", **environment(daybook.root))
    texts = originals(daybook.root)
    before = server.json("/alive")
    sizes = []
    for n in range(WARM_UP + RELOADS):
        if n % 10 == 9:
            continue  # the broken saves have their test above; here each save must be seen to be served
        reload_once(daybook, server, *edited(texts, n))
        if n in (WARM_UP - 2, WARM_UP + RELOADS - 2):
            server.get("/alive")
            sizes.append(resident_kb(server.process.pid))
    assert server.json("/alive") == before == {"apps": 1, "modules": 4, "tickers": 1}
    assert (sizes[1] - sizes[0]) / RELOADS < LIMIT_KB, sizes


@pytest.mark.parametrize("breakage", ["def broken(:\n", "1 / 0\n"])
@pytest.mark.timeout(120)
def test_memory_of_a_failed_save(daybook: Project, serve: Serve, breakage: str) -> None:
    """The error of a save that failed is let go of: it would hold the frames, and with them the modules of its time."""
    server = serve("main:app", **environment(daybook.root))
    before = server.json("/alive")
    for name, text in originals(daybook.root).items():
        reload_once(daybook, server, name, text + breakage)
        server.wait_for("/alive", before)  # a new process was asked about it first
        reload_once(daybook, server, name, f"{text}# mended\n")
        assert server.json("/alive") == before, f"after {name} is mended"


def reload_once(daybook: Project, server: Server, name: str, text: str) -> None:
    """Save, and wait until the terminal says that a reload is done."""
    count = reloads(server)
    daybook[name] = text
    wait_until(lambda: reloads(server) > count, f"a reload after a save of {name}\n{server.output[-2000:]}")
    for path in ("/", "/api/entries", "/openapi.json"):
        assert server.get(path).status_code == 200


def reloads(server: Server) -> int:
    """How many reloads the terminal has shown."""
    return sum(" reload " in line for line in list(server.lines))
