"""Pools of processes: their workers run the code of the last save, wherever the pool is kept."""

import pytest

from tests.conftest import Serve
from tests.utils import Project

SERVICE = """
def work(number):
    return number + 1
"""
POOL = """
from concurrent.futures import ProcessPoolExecutor
pool = ProcessPoolExecutor(1)
"""
HELD = """
from multiprocessing import Pool

class Workers:
    def __init__(self):
        self._pool = Pool(1)

    def submit(self, function, *arguments):
        answer = self._pool.apply_async(function, arguments)
        answer.result = answer.get
        return answer

pool = Workers()
"""
MAIN = """
from fastapi import FastAPI
import service
from shared import pool

app = FastAPI()

@app.get("/")
def index():
    return pool.submit(service.work, 1).result(20)
"""
LIFESPAN = """
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from fastapi import FastAPI
import service

@asynccontextmanager
async def lifespan(app):
    with ProcessPoolExecutor(1) as pool:
        app.state.pool = pool
        yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def index():
    return app.state.pool.submit(service.work, 1).result(20)
"""


@pytest.mark.parametrize(
    ("shared", "main", "options"),
    [(POOL, MAIN, ()), (HELD, MAIN, ()), ("", LIFESPAN, ()), ("", LIFESPAN, ("--keep-lifespan",))],
    ids=["module", "object", "lifespan", "kept-lifespan"],
)
def test_workers_have_the_code_of_the_last_save(
    project: Project, serve: Serve, shared: str, main: str, options: tuple[str, ...]
) -> None:
    """The edit of a body, of a signature, of what the function calls; and of a module that is none of theirs."""
    project["shared.py"] = shared
    project["service.py"] = SERVICE
    project["main.py"] = main
    server = serve("main:app", *options)
    server.wait_for("/", 2)
    project.edit("service.py", "+ 1", "+ 10")
    server.wait_for("/", 11)
    changed = SERVICE.replace("(number)", "(number, more=1)").replace("+ 1", "+ RATE + more")
    project["service.py"] = f"from rates import RATE\n{changed}"
    server.wait_for_line("No module named 'rates'")
    server.wait_for("/", 11)
    project["rates.py"] = "RATE = 20"
    server.wait_for("/", 22)
    project["rates.py"] = "RATE = 30"
    server.wait_for("/", 32)
    project["main.py"] = main.replace("result(20)", "result(20) * 2")
    server.wait_for("/", 64)
    assert server.interrupt() == 0
