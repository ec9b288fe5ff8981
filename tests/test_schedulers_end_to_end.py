"""APScheduler in the ways that apps start it: after each save its jobs run once, by the new code; a cold start's do."""

import time
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.utils import Project, Server, wait_until

JOBS = """
LABEL = "one"

def write(mark):
    with open("TICKS", "a") as ticks:
        ticks.write(f"{mark} {LABEL}\\n")

def tick(mark="-"):
    write(mark)

async def atick(mark="-"):
    write(mark)
"""
DECORATED = """
from scheduling import scheduler

LABEL = "one"

@scheduler.scheduled_job("interval", seconds=0.05)
def tick():
    with open("TICKS", "a") as ticks:
        ticks.write(f"- {LABEL}\\n")
"""
BACKGROUND = "from apscheduler.schedulers.background import BackgroundScheduler\n"
ASYNCIO = "from apscheduler.schedulers.asyncio import AsyncIOScheduler\n"
SHARED = f"{ASYNCIO}\nscheduler = AsyncIOScheduler()\n"
POOLED = f"""
{BACKGROUND}
from apscheduler.executors.pool import ThreadPoolExecutor
scheduler = BackgroundScheduler(executors={{"default": ThreadPoolExecutor(2)}})
"""
MAIN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import jobs
IMPORTS

MARK = 0

@asynccontextmanager
async def lifespan(app):
    global scheduler
    print("starting", flush=True)
    START
    if MARK == 2:
        raise OSError("no start with this mark")
    yield
    STOP

app = FastAPI(lifespan=lifespan)
AT_IMPORT

@app.get("/")
async def root():
    return [MARK, len(scheduler.get_jobs())]
"""
OWN = "scheduler.add_job(jobs.{}, 'interval', seconds=0.05, args=[MARK])"
FROM_SHARED = "from scheduling import scheduler"
SHAPES = {
    "a shared one, never stopped": ("-", SHARED, DECORATED, FROM_SHARED, "scheduler.start()", "", ""),
    "a shared one": ("-", SHARED, DECORATED, FROM_SHARED, "scheduler.start()", "scheduler.shutdown()", ""),
    "a shared one with a pool": ("-", POOLED, DECORATED, FROM_SHARED, "scheduler.start()", "scheduler.shutdown()", ""),
    "a shared one with a pool, never stopped": ("-", POOLED, DECORATED, FROM_SHARED, "scheduler.start()", "", ""),
    "of each start, never stopped": (
        "", "", JOBS, ASYNCIO, f"scheduler = AsyncIOScheduler(); {OWN.format('atick')}; scheduler.start()", "", "",
    ),
    "of the module": (
        "", "", JOBS, BACKGROUND, "", "", f"scheduler = BackgroundScheduler(); {OWN.format('tick')}; scheduler.start()",
    ),
}  # fmt: skip
"""Whether jobs know the mark; scheduling.py, jobs.py; what main.py imports, does at a start, at its end, when imported."""


def runs(ticks: Path, expected: str) -> None:
    """Wait until nothing but this is written."""

    def only() -> bool:
        ticks.write_text("")
        until = time.monotonic() + 2
        while time.monotonic() < until and len(ticks.read_text().splitlines()) < 8:
            time.sleep(0.02)
        return set(ticks.read_text().splitlines()) == {expected}

    wait_until(only, f"only {expected!r}")


def written(project: Project, shape: str) -> Path:
    """An app of one shape; returns where its jobs write, which is no file of the project."""
    _, scheduling, jobs, imports, start, stop, at_import = SHAPES[shape]
    ticks = project.root.parent / "ticks"
    project["scheduling.py"], project["jobs.py"] = scheduling, jobs.replace("TICKS", str(ticks))
    main = MAIN.replace("IMPORTS", imports).replace("START", start or "pass")
    project["main.py"] = main.replace("STOP", stop).replace("AT_IMPORT", at_import)
    return ticks


@pytest.mark.parametrize("shape", SHAPES)
def test_jobs_run_once_by_the_code_that_serves(project: Project, serve: Serve, shape: str) -> None:
    """An edit of the app, of a job, one that fails to import and one that fails to start: the next heals each."""
    ticks = written(project, shape)
    mark = SHAPES[shape][0]
    server = serve("main:app", "--no-access-log")
    server.wait_for("/", [0, 1])
    runs(ticks, f"{mark or 0} one")
    project.edit("main.py", "MARK = 0", "MARK = 1")
    server.wait_for("/", [1, 1])
    runs(ticks, f"{mark or 1} one")
    project.edit("jobs.py", '"one"', '"two"')
    runs(ticks, f"{mark or 1} two")
    project.edit("main.py", "MARK = 1", "MARK = 1 / 0")
    server.wait_for_line("ZeroDivisionError")
    runs(ticks, f"{mark or 1} two")
    project.edit("main.py", "MARK = 1 / 0", "MARK = 2")
    server.wait_for_line("no start with this mark")
    server.wait_for("/", [1, 1])
    runs(ticks, f"{mark or 1} two")
    project.edit("main.py", "MARK = 2", "MARK = 3")
    server.wait_for("/", [3, 1])
    runs(ticks, f"{mark or 3} two")
    assert answers_to_the_end(server)


def answers_to_the_end(server: Server) -> bool:
    """Whether it ends by one Ctrl-C, in peace."""
    return server.interrupt() == 0 and "SchedulerAlreadyRunning" not in server.output


def test_a_scheduler_goes_on_with_a_lifespan_that_does(project: Project, serve: Serve) -> None:
    """With --keep-lifespan an edit of a router neither stops nor starts it; one of a job starts all anew."""
    ticks = written(project, "a shared one")
    project["routes.py"] = "from fastapi import APIRouter\nrouter = APIRouter()\nSIZE = 1\n"
    main = project["main.py"].replace("import jobs\n", "import jobs\nimport routes\n")
    project["main.py"] = (
        f"{main}\napp.include_router(routes.router)\n@app.get('/size')\ndef size():\n    return routes.SIZE\n"
    )
    server = serve("main:app", "--no-access-log", "--keep-lifespan")
    server.wait_for("/", [0, 1])
    project.edit("routes.py", "SIZE = 1", "SIZE = 2")
    server.wait_for("/size", 2)
    server.wait_for("/", [0, 1])
    runs(ticks, "- one")
    assert server.lines.count("starting") == 1
    project.edit("jobs.py", '"one"', '"two"')
    runs(ticks, "- two")
    assert server.lines.count("starting") == 2
