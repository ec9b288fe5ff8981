"""Faults of apps as the whole product meets them: whatever a save does, the next good one is served."""

import contextlib
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.test_server import make_certificate
from tests.utils import Project, Server, free_port, hmr_argv, wait_until

MAIN = """
from contextlib import asynccontextmanager

import fault
import sub
from fastapi import FastAPI
from version import VALUE

@asynccontextmanager
async def lifespan(app):
    async with sub.app.router.lifespan_context(sub.app):  # nobody else runs that of a mounted app
        await fault.startup()
        yield
        await fault.shutdown()

app = FastAPI(lifespan=lifespan)
app.mount("/sub", sub.app)

@app.get("/")
def root():
    return VALUE

@app.get("/fault")
async def faulty():
    return await fault.handler()

@app.get("/thread")
def thread():
    fault.thread()
"""
SUB = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

state = []

@asynccontextmanager
async def lifespan(app):
    state[:] = ["up"]
    yield
    print("sub stopped", flush=True)

app = FastAPI(lifespan=lifespan)

@app.get("/")
def root():
    return ["one", *state]
"""
GOOD = """
import asyncio, os, sys, time

async def startup(): pass
async def shutdown(): pass
async def handler(): pass
def thread(): time.sleep(0)
"""
AT_IMPORT = {
    "exits": "sys.exit(7)",
    "interrupts": "raise KeyboardInterrupt",
    "raises": "raise ValueError('not today')",
    "raises a base": "raise BaseException('neither an Exception nor an exit')",
    "raises in its words": "class Fault(BaseException):\n    def __str__(self): raise KeyboardInterrupt\nraise Fault",
    "exhausts the stack": "def deeper(): deeper()\ndeeper()",
}
IN_STARTUP = {
    "exits": "async def startup(): sys.exit(7)",
    "interrupts": "async def startup(): raise KeyboardInterrupt",
    "raises": "async def startup(): raise ValueError('not today')",
}
IN_SHUTDOWN = {
    "exits": "async def shutdown(): sys.exit(7)",
    "interrupts": "async def shutdown(): raise KeyboardInterrupt",
    "raises": "async def shutdown(): raise ValueError('not today')",
}
IN_HANDLER = {
    "exits": "async def handler(): sys.exit(7)",
    "interrupts": "async def handler(): raise KeyboardInterrupt",
    "stops the loop": "async def handler(): asyncio.get_running_loop().stop(); await asyncio.sleep(0)",
    "cancels everything": "async def handler():\n    for task in asyncio.all_tasks(): task.cancel()",
}
DEAF = """
async def handler():
    print("deaf", flush=True)
    while True:
        try:
            await asyncio.sleep(300)
        except asyncio.CancelledError:
            pass
"""


class Product:
    """The server and its project, in which a good save comes after each fault."""

    def __init__(self, project: Project, *options: str, prefix: tuple[str, ...] = ()) -> None:
        self.project, self.version = project, 0
        project["main.py"], project["sub.py"], project["fault.py"] = MAIN, SUB, GOOD
        project["version.py"] = "VALUE = 0\n"
        port = free_port()
        argv = [*prefix, *hmr_argv("main:app", "--port", str(port), *options)]
        self.server = Server(argv, project.root, port=port)

    def break_with(self, text: str) -> None:
        """Save a fault, and wait until that is reported as failed."""
        failures = self._failures()
        self.project["fault.py"] = f"{GOOD}\n{text}\n"
        wait_until(lambda: self._failures() > failures, "the report")

    def serve_with(self, text: str) -> None:
        """Save a fault that shows only later, and wait until that is served."""
        self.project["fault.py"] = f"{GOOD}\n{text}\n"
        self._next()

    def is_well(self) -> None:
        """A good save is served, twice."""
        self.project["fault.py"] = GOOD
        self._next()
        self._next()
        assert self.server.process.poll() is None

    def _next(self) -> None:
        self.version += 1
        self.project["version.py"] = f"VALUE = {self.version}\n"
        self.server.wait_for("/", self.version)

    def _failures(self) -> int:
        return sum("failed" in line and "fault.py" in line for line in list(self.server.lines))


@pytest.fixture(
    scope="module",
    params=[("h11", "asyncio", "wsproto"), ("httptools", "uvloop", "websockets")],
    ids=["h11-asyncio-wsproto", "httptools-uvloop-websockets"],
)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One server for the module, which no fault may end."""
    http, loop, ws = request.param
    folder = tmp_path_factory.mktemp("faults") / "project"
    folder.mkdir()
    running = Product(Project(folder), "--reload", "--http", http, "--loop", loop, "--ws", ws)
    try:
        running.server.wait_for("/", 0)
        yield running
    finally:
        running.server.stop()


@pytest.mark.parametrize("how", AT_IMPORT)
def test_module_that_goes_wrong_costs_nothing(product: Product, how: str) -> None:
    """`sys.exit()` and its like at import: the last good version answers, the next good save is served."""
    product.break_with(AT_IMPORT[how])
    assert product.server.json("/") == product.version
    product.is_well()


@pytest.mark.parametrize("how", IN_STARTUP)
def test_startup_that_goes_wrong_costs_nothing(product: Product, how: str) -> None:
    """The same in a lifespan: the last good version is started again."""
    product.break_with(IN_STARTUP[how])
    assert product.server.json("/") == product.version
    product.is_well()


@pytest.mark.parametrize("how", IN_SHUTDOWN)
def test_shutdown_that_goes_wrong_costs_nothing(product: Product, how: str) -> None:
    """Nobody can do anything about it any more: it is logged."""
    product.serve_with(IN_SHUTDOWN[how])
    product.is_well()


@pytest.mark.parametrize("how", IN_HANDLER)
def test_handler_that_goes_for_the_server_costs_nothing(product: Product, how: str) -> None:
    """It is its own request that suffers, if any."""
    product.serve_with(IN_HANDLER[how])
    with contextlib.suppress(httpx.TransportError):  # uvicorn may close the connection instead
        product.server.get("/fault")
    product.is_well()


def test_handler_that_is_deaf_costs_nothing(product: Product) -> None:
    """Its client may wait for it for as long as both want."""
    product.serve_with(DEAF)
    with socket.create_connection(("127.0.0.1", product.server.port), timeout=30) as client:
        client.sendall(b"GET /fault HTTP/1.1\r\nhost: localhost\r\n\r\n")
        product.server.wait_for_line("^deaf$")
        product.is_well()


def test_thread_pool_full_of_sleepers_costs_nothing(product: Product) -> None:
    """The next version has threads of its own."""
    product.serve_with("def thread():\n    os.write(1, b'asleep\\n')\n    time.sleep(300)")
    with contextlib.ExitStack() as clients:
        for _ in range(45):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", product.server.port), timeout=30))
            client.sendall(b"GET /thread HTTP/1.1\r\nhost: localhost\r\n\r\n")
        product.server.wait_for_line("^asleep$", count=40)
        product.is_well()
        assert product.server.get("/thread").status_code == 200


def test_mounted_app_is_served_with_its_lifespan(product: Product) -> None:
    """An edit of a mounted app is an edit of the app; the lifespan that the outer one runs stops and starts with it."""
    assert product.server.json("/sub/") == ["one", "up"]
    product.project["sub.py"] = SUB.replace('"one"', '"two"').replace('"up"', '"new"')
    product.server.wait_for("/sub/", ["two", "new"])
    product.server.wait_for_line("^sub stopped$")
    product.project["sub.py"] = SUB
    product.server.wait_for("/sub/", ["one", "up"])
    product.is_well()


PARTS = """
from contextlib import asynccontextmanager
from fastapi import APIRouter, FastAPI
from version import VALUE

def says(name):
    @asynccontextmanager
    async def lifespan(app):
        print(name, "started", flush=True)
        yield
        print(name, "stopped", flush=True)
    return lifespan

app = FastAPI(lifespan=says("app"))
app.include_router(APIRouter(lifespan=says("router")))
app.mount("/sub", FastAPI(lifespan=says("sub")))

@app.get("/")
def root():
    return VALUE
"""


def test_lifespans_of_parts_are_run_as_under_uvicorn(project: Project, serve: Serve) -> None:
    """That of a mounted app by nobody, that of a router along with the app's; and all of it once for each version."""
    project["main.py"], project["version.py"] = PARTS, "VALUE = 0\n"
    plain = serve(argv=[sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"])
    plain.wait_for("/", 0)
    plain.interrupt()
    server = serve("main:app")
    for value in (1, 2):
        project["version.py"] = f"VALUE = {value}\n"
        server.wait_for("/", value)
    server.interrupt()
    said = [[line for line in each.lines if line.endswith(("started", "stopped"))] for each in (plain, server)]
    assert said[1] == said[0] * 3
    assert said[0]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_process_out_of_descriptors_recovers(project: Project, loop: str) -> None:
    """A save while there are none left may fail or be served; with descriptors again the next one is."""
    product = Product(project, "--loop", loop, prefix=("prlimit", "--nofile=80"))
    try:
        product.server.wait_for("/", 0)
        descriptors = Path(f"/proc/{product.server.process.pid}/fd")
        with contextlib.ExitStack() as clients:
            for _ in range(120):
                clients.enter_context(socket.create_connection(("127.0.0.1", product.server.port), timeout=30))
            wait_until(lambda: len(list(descriptors.iterdir())) > 75, "the lack of descriptors")
            project["version.py"] = "VALUE = 100\n"
            product.server.wait_for_line(r"reload .*version\.py")
        wait_until(lambda: len(list(descriptors.iterdir())) < 60, "descriptors being free")
        product.is_well()
        assert len(product.server.lines) < 200
    finally:
        product.server.stop()


def test_project_that_is_removed_and_made_again_is_served(product: Product) -> None:
    """As by a fresh clone, in the very directory that the server was started in."""
    root = product.project.root
    kept = root.parent / "kept"
    shutil.copytree(root, kept)
    shutil.rmtree(root)
    product.server.wait_for_line("failed .*main.py")
    assert product.server.json("/") == product.version
    kept.rename(root)
    product.is_well()


def test_certificate_that_changes_is_used(project: Project, tmp_path: Path, serve: Serve) -> None:
    """Its files are watched: new connections see the new one, without a reload."""
    project["main.py"] = "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef root(): return 1\n"
    cert, key = make_certificate(tmp_path)
    server = serve("main:app", "--ssl-certfile", cert, "--ssl-keyfile", key, ready=False)
    address = ("127.0.0.1", server.port)

    def presented() -> str:
        try:
            return ssl.get_server_certificate(address, timeout=10)
        except OSError:
            return ""

    wait_until(lambda: presented() == Path(cert).read_text(), "the certificate")
    make_certificate(tmp_path)
    wait_until(lambda: presented() == Path(cert).read_text(), "the new certificate")
    trust = ssl.create_default_context(cafile=cert)
    assert httpx.get(f"https://127.0.0.1:{server.port}/", verify=trust, timeout=30).json() == 1
    assert not any("reload" in line for line in server.lines[5:]), server.output
    project.edit("main.py", "return 1", "return 2")
    wait_until(
        lambda: httpx.get(f"https://127.0.0.1:{server.port}/", verify=trust, timeout=30).json() == 2, "the next save"
    )
