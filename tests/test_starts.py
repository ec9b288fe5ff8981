"""What an app's start does to libraries goes when the next start begins: real processes, compared with a cold start."""

import os
import re

import pytest

from tests.conftest import Serve
from tests.utils import Project, Server

COUNTED = """
from contextlib import asynccontextmanager
from fastapi import FastAPI, Response
from prometheus_client import Counter, Gauge, generate_latest
from settings import TITLE
from slow import register

class Counting:
    def __init__(self, app):
        self.app, self.gauge = app, Gauge("in_progress", "Built with the middleware")
        self.requests = Counter("requests", "Likewise", ["title"])
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.requests.labels(TITLE).inc()
        await self.app(scope, receive, send)

@asynccontextmanager
async def lifespan(app):
    if TITLE == "broken":
        raise RuntimeError("no start with this title")
    Gauge("of_the_lifespan", "Made by each start")
    register()
    yield

Gauge("of_the_module", "Made by the module")
app = FastAPI(LIFESPAN)
app.add_middleware(Counting)

@app.get("/")
def root():
    return TITLE

@app.get("/metrics")
def metrics():
    return Response(generate_latest(), media_type="text/plain")
"""
ONCE = """
from prometheus_client import Gauge

_metric = None

def register():
    global _metric
    if _metric is None:
        _metric = Gauge("of_a_kept_module", "Made by the first start")
"""


def lines(server: Server) -> dict[str, str]:
    """The app's own metrics and their values."""
    text = server.get("/metrics").text
    return dict(re.findall(r"^((?:requests_total|in_progress|of_)[^ ]*) (.*)$", text, re.MULTILINE))


def written(project: Project, lifespan: str) -> None:
    """An app whose start registers metrics."""
    project["settings.py"] = 'TITLE = "one"\n'
    project["slow.py"] = ONCE
    project["main.py"] = COUNTED.replace("LIFESPAN", lifespan)


def test_metrics_of_a_start_are_made_anew_by_the_next(project: Project, serve: Serve) -> None:
    """A library's middleware registers a metric when it is built, a lifespan does: no duplicate, and each counts."""
    written(project, "lifespan=lifespan")
    server = serve("main:app")
    server.wait_for("/", "one")
    started = lines(server)
    assert set(started) == {
        'requests_total{title="one"}',
        "in_progress",
        "of_the_lifespan",
        "of_a_kept_module",
        "of_the_module",
    }
    for title in ("two", "three"):
        project["settings.py"] = f'TITLE = "{title}"\n'
        server.wait_for("/", title)
        server.json("/")
        found = lines(server)
        assert set(found) == {name.replace("one", title) for name in started}
        assert float(found[f'requests_total{{title="{title}"}}']) >= 3.0


def test_metrics_of_a_start_that_failed_are_those_of_the_last_good_one(project: Project, serve: Serve) -> None:
    """The old version starts again with its own metrics, and the next good version with its own."""
    written(project, "lifespan=lifespan")
    server = serve("main:app")
    server.wait_for("/", "one")
    started = lines(server)
    project["settings.py"] = 'TITLE = "broken"\n'
    server.wait_for_line("no start with this title")
    server.wait_for("/", "one")
    assert set(lines(server)) == set(started)
    project.edit("main.py", "return TITLE", "return TITLE * 1")  # the way to the failed version is still there
    server.wait_for_line("failed.*same error")
    server.wait_for("/", "one")
    assert set(lines(server)) == set(started)
    project["settings.py"] = 'TITLE = "two"\n'
    server.wait_for("/", "two")
    assert set(lines(server)) == {name.replace("one", "two") for name in started}


AGAIN = "no start can be repeated on the same modules, so all run again"
STORE = """
rows = []

def init(title):
    rows.append(title)
    if title == "broken":
        raise OSError("database down")
"""
STORED = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from settings import TITLE
import store

@asynccontextmanager
async def lifespan(app):
    store.init(TITLE)
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return store.rows
"""


def test_what_a_start_put_into_modules_is_there_once_after_a_failed_one(project: Project, serve: Serve) -> None:
    """The old version starts again on modules that its first start has filled: the next save makes them anew."""
    project["settings.py"], project["store.py"], project["main.py"] = 'TITLE = "one"\n', STORE, STORED
    server = serve("main:app")
    server.wait_for("/", ["one"])
    for _ in range(2):
        project["settings.py"] = 'TITLE = "broken"\n'
        server.wait_for_line("database down")
        server.lines.clear()
        project["settings.py"] = 'TITLE = "one"\n'  # the way back is an edit too
        server.wait_for("/", ["one"])
        server.wait_for_line(AGAIN)
    project["settings.py"] = 'TITLE = "broken"\n'
    server.wait_for_line("database down")
    project["settings.py"] = 'TITLE = "two"\n'
    server.wait_for("/", ["two"])


SLOW = STORED.replace(
    "    yield\n",
    "    if TITLE == 'slow':\n        print('begun', flush=True)\n        await asyncio.sleep(60)\n    yield\n",
).replace("import store\n", "import asyncio, store\n")


@pytest.mark.parametrize("body", ["store.rows", "[*store.rows]"], ids=["nothing else", "a body"])
def test_the_way_back_during_a_start_runs_all_modules_again(project: Project, serve: Serve, body: str) -> None:
    """The old version has been shut down by then, and no start can be repeated on what its first one has filled."""
    project["settings.py"], project["store.py"], project["main.py"] = 'TITLE = "one"\n', STORE, SLOW
    server = serve("main:app")
    server.wait_for("/", ["one"])
    for _ in range(2):
        project["settings.py"] = 'TITLE = "slow"\n'
        server.wait_for_line("begun")
        server.lines.clear()
        project["main.py"] = SLOW.replace("return store.rows", f"return {body}")
        project["settings.py"] = 'TITLE = "one"\n'
        server.wait_for("/", ["one"])
        server.wait_for_line(AGAIN)
        server.lines.clear()


def test_the_way_back_to_an_app_without_a_lifespan_starts_nothing(project: Project, serve: Serve) -> None:
    """It needed no shutdown, so it goes on, and may have its body patched."""
    plain = SLOW.replace("lifespan=lifespan", "")
    project["settings.py"], project["store.py"], project["main.py"] = 'TITLE = "slow"\n', STORE, plain
    server = serve("main:app")
    for number in range(3):
        project["main.py"] = plain.replace("store.rows", f"[{number}]")
        server.wait_for("/", [number])
        server.lines.clear()
        project["main.py"] = SLOW
        server.wait_for_line("begun")


def test_metrics_of_a_first_request_go_with_its_app(project: Project, serve: Serve) -> None:
    """Without a lifespan the middleware is built by the first request."""
    written(project, "")
    server = serve("main:app", "--lifespan", "off")
    for title in ("one", "two", "three"):
        project["settings.py"] = f'TITLE = "{title}"\n'
        server.wait_for("/", title)
        found = lines(server)
        assert set(found) == {f'requests_total{{title="{title}"}}', "in_progress", "of_the_module"}


def test_a_lifespan_that_goes_on_takes_no_metrics_to_another_app(project: Project, serve: Serve) -> None:
    """With --keep-lifespan: the next app's middleware registers anew, so the lifespan restarts, and it is said why."""
    written(project, "lifespan=lifespan")
    server = serve("main:app", "--keep-lifespan")
    server.wait_for("/", "one")
    project.edit("main.py", "return TITLE", "return TITLE + '!'")
    project.edit("main.py", '@app.get("/")', '@app.get("/", summary="x")')
    server.wait_for("/", "one!")
    assert "in_progress" in lines(server)
    server.wait_for_line("the start left behind: metric in_progress")


def test_an_app_that_can_not_build_its_middleware_is_a_failed_start(project: Project, serve: Serve) -> None:
    """It has a lifespan, so it is not one without: the old version serves on, and the error is shown."""
    project["main.py"] = """
        from fastapi import FastAPI

        LIMIT = 1

        class Limited:
            def __init__(self, app):
                self.app = app
                if LIMIT > 1:
                    raise ValueError("too much for this middleware")
            async def __call__(self, scope, receive, send):
                await self.app(scope, receive, send)

        app = FastAPI()
        app.add_middleware(Limited)

        @app.get("/")
        def root():
            return LIMIT
        """
    server = serve("main:app")
    server.wait_for("/", 1)
    project.edit("main.py", "LIMIT = 1", "LIMIT = 2")
    server.wait_for_line("ValueError: too much for this middleware")
    server.wait_for_line("still serving the last good version")
    assert server.json("/") == 1
    assert "unsupported" not in server.output


def test_listeners_of_a_start_go_with_it(project: Project, serve: Serve) -> None:
    """Each start listens to the engine of a kept module: each request is heard once."""
    project["db.py"] = "from sqlalchemy import create_engine\nengine = create_engine('sqlite://')\n"
    project["settings.py"] = "VALUE = 1\n"
    project["main.py"] = """
        from contextlib import asynccontextmanager
        from fastapi import FastAPI
        from sqlalchemy import event
        from settings import VALUE
        import db

        @asynccontextmanager
        async def lifespan(app):
            event.listen(db.engine, "begin", lambda connection: db.heard.append(VALUE))
            yield

        app = FastAPI(lifespan=lifespan)

        @app.get("/")
        def root():
            db.heard = []
            with db.engine.begin():
                return db.heard
        """
    server = serve("main:app")
    server.wait_for("/", [1])
    for value in (2, 3):
        project["settings.py"] = f"VALUE = {value}\n"
        server.wait_for("/", [value])


CONNECTED = """
started = []

def start():
    if started:
        raise RuntimeError("already started")
    started.append(1)
"""
CONNECTING = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import connection

TITLE = "one"

@asynccontextmanager
async def lifespan(app):
    connection.start()
    if TITLE == "broken":
        raise OSError("no start with this title")
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return [TITLE, connection.started]
"""


def test_a_start_that_kept_modules_refuse_is_made_with_new_ones(project: Project, serve: Serve) -> None:
    """A client that can be started once is kept, and started again: a cold start would have a new one."""
    project["connection.py"], project["main.py"] = CONNECTED, CONNECTING
    server = serve("main:app")
    server.wait_for("/", ["one", [1]])
    for title in ("two", "three"):
        project["main.py"] = CONNECTING.replace("one", title)
        server.wait_for("/", [title, [1]])
        assert AGAIN in server.wait_for_line("reload  update ")
        server.lines.clear()
    project["main.py"] = CONNECTING.replace("one", "broken")
    line = server.wait_for_line("reload  failed ")
    assert "no start with this title" in line
    project["main.py"] = CONNECTING.replace("one", "four")
    server.wait_for("/", ["four", [1]])
    assert len([line for line in server.lines if "failed" in line]) == 1


TICKING = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI
import kept
from fastapi_hmr import hot
from repeating import repeat

TITLE = "one"

async def poll():
    while True:
        kept.ticks.append(f"poll {TITLE}")
        await asyncio.sleep(0.02)

async def report():
    kept.ticks.append(f"report {TITLE}")

async def finish():
    await asyncio.sleep(1)
    kept.finished.append(TITLE)

@asynccontextmanager
async def lifespan(app):
    tasks = [asyncio.create_task(poll(), name="poller"), asyncio.create_task(repeat(report))]
    kept.start()
    await hot.keep("made", kept.make)
    if TITLE == "broken":
        raise OSError("no start with this title")
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return TITLE

@app.get("/ticks")
async def ticks():
    kept.ticks.clear()
    await asyncio.sleep(0.2)
    return sorted(set(kept.ticks))

@app.post("/finish")
async def start_to_finish():
    asyncio.create_task(finish())

@app.get("/finished")
def finished():
    return kept.finished
"""
KEEPING = """
import asyncio

ticks, finished, task = [], [], None

async def keep():
    while True:
        ticks.append("kept")
        await asyncio.sleep(0.02)

class Pool:
    def __init__(self):
        self.workers = {}

    def open(self):
        if not self.workers:
            self.workers["one"] = [asyncio.create_task(work())]

async def work():
    while True:
        ticks.append("work")
        await asyncio.sleep(0.02)

pool = Pool()

def start():
    global task
    pool.open()
    if task is None:
        task = asyncio.create_task(keep())

async def run():
    while True:
        ticks.append("made")
        await asyncio.sleep(0.02)

async def make():
    return [asyncio.create_task(run())]
"""
REPEATING = """
import asyncio

async def repeat(function):
    while True:
        await function()
        await asyncio.sleep(0.02)
"""


def test_tasks_that_a_start_leaves_running_end_with_its_app(
    project: Project, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As with a process: not a request's task, nor one that a kept module holds and would not make again."""
    library = tmp_path_factory.mktemp("libraries")
    Project(library)["repeating.py"] = REPEATING
    project["kept.py"], project["main.py"] = KEEPING, TICKING
    path = os.pathsep.join(filter(None, (str(library), os.environ.get("PYTHONPATH"))))
    server = serve("main:app", "--no-access-log", PYTHONPATH=path)
    server.wait_for("/ticks", ["kept", "made", "poll one", "report one", "work"])
    server.post("/finish")
    project["main.py"] = TICKING.replace('"one"', '"two"')
    server.wait_for("/", "two")
    server.wait_for("/ticks", ["kept", "made", "poll two", "report two", "work"])
    server.wait_for("/finished", ["one"])
    assert "cancelled now" in server.wait_for_line(r"left behind: task 'poller', running poll\(\) in main\.py")
    assert "cancelled now" in server.wait_for_line(r"left behind: a task, running report\(\) in main\.py")
    project["main.py"] = TICKING.replace('"one"', '"broken"')
    server.wait_for_line("no start with this title")
    server.wait_for("/", "two")
    server.wait_for("/ticks", ["kept", "made", "poll two", "report two", "work"])
    project["main.py"] = TICKING.replace('"one"', '"three"')
    server.wait_for("/", "three")
    server.wait_for("/ticks", ["kept", "made", "poll three", "report three", "work"])
    assert server.interrupt() == 0


def test_a_start_that_imports_and_fails_is_told(project: Project, serve: Serve) -> None:
    """A module that only the start imports was not run by the reload: that is no reason to try for ever."""
    project["connection.py"], project["late.py"] = "started = []\ndef start():\n    import late\n", ""
    project["main.py"] = CONNECTING.replace('"one"', '"broken"')
    server = serve("main:app")
    server.wait_for_line("no start with this title")
    project["main.py"] = CONNECTING
    server.wait_for("/", ["one", []])
    server.lines.clear()
    project["main.py"] = CONNECTING.replace('"one"', '"broken"')
    server.wait_for_line("reload  failed .*no start with this title")
    project["main.py"] = CONNECTING.replace('"one"', '"two"')
    server.wait_for("/", ["two", []])
