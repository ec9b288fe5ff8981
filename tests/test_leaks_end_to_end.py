"""What outlives its version in a real server: reported once, by owner; it keeps no save and no exit waiting."""

import pytest

from tests.conftest import Serve
from tests.utils import Project

MAIN = """
from contextlib import asynccontextmanager
import left
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    await left.start()
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return left.VALUE
"""
LEFT = """
import asyncio, socket, subprocess, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from kept import kept

VALUE = 0

async def tick():
    while True:
        try:
            await asyncio.sleep(300)
        except asyncio.CancelledError:
            print("deaf", flush=True)

def poll():
    time.sleep(300)

async def start():
    made = MADE
    kept.append(made)
    await asyncio.sleep(0)
"""
KINDS = {
    "task": "asyncio.create_task(tick())",
    "thread": "threading.Thread(target=poll); made.start()",
    "socket": "socket.create_server(('127.0.0.1', 0))",
    "process": "subprocess.Popen([sys.executable, '-c', '__import__(\"sys\").stdin.read()'], stdin=-1)",
    "executor": "ThreadPoolExecutor(1); made.submit(poll)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_behind_is_named_once_and_holds_nothing_up(project: Project, serve: Serve, kind: str) -> None:
    """A task deaf to its cancellation and a thread deaf to everything among it: saves go on, one Ctrl-C ends it all."""
    text = LEFT.replace("MADE", KINDS[kind])
    project["main.py"], project["left.py"], project["kept.py"] = MAIN, text, "kept = []\n"
    server = serve("main:app", "--no-access-log")
    for value in range(1, 5):
        project["left.py"] = text.replace("VALUE = 0", f"VALUE = {value}")
        server.wait_for("/", value)
        server.wait_for_line(r"left behind: .*left\.py")
    said = [line for line in server.lines if "left behind" in line]
    assert len(said) == 1, server.output
    assert kind.replace("executor", "thread pool") in said[0]
    assert "() in left.py" in said[0]
    assert server.interrupt() == 0
    assert "Traceback" not in server.output
