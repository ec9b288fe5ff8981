"""What clients see of a save, by kind of client: the product, real edits, every HTTP, WebSocket and loop implementation."""

import concurrent.futures
import contextlib
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.clients import Stream, close_code
from tests.saved import Saved, make_project
from tests.test_faults import HALF_OPEN
from tests.utils import wait_until

LAST_CHUNK = b"0\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
MIXES = [
    ("h11", "asyncio", "websockets"),
    ("httptools", "uvloop", "wsproto"),
    ("httptools", "asyncio", "websockets-sansio"),
]


@pytest.fixture(scope="module", params=MIXES, ids="-".join)
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saved]:
    """One server for the module, which no client may end."""
    http, loop, ws = request.param
    project = make_project(tmp_path_factory.mktemp("clients"))
    with Saved(project, "--http", http, "--loop", loop, "--ws", ws).running() as running:
        yield running


def test_requests_at_the_gate_are_answered_by_the_new_code(product: Saved) -> None:
    """New and kept connections, 300 kB, a WebSocket and pipelined requests: sent while the new app starts, they wait."""

    def echo() -> str:
        with product.websocket() as socket:
            socket.send("hello")
            return str(socket.recv())

    product.fresh()
    with (
        concurrent.futures.ThreadPoolExecutor() as clients,
        httpx.Client(base_url=product.server.url, timeout=30) as kept,
    ):
        kept.get("/")
        new = product.save(lifespan="slow")
        product.imported(new)
        waiting = [
            clients.submit(lambda: product.server.json("/")),
            clients.submit(lambda: kept.get("/").json()),
            clients.submit(lambda: product.server.post("/upload", b"x" * 300_000).json()),
            clients.submit(echo),
        ]
        with Stream(product, "/") as pipelined:
            pipelined.socket.sendall(REQUEST * 2)
            assert [each.result() for each in waiting] == [new, new, [new, 300_000], f"{new} hello"]
            pipelined.until(b"\r\n\r\n%d" % new, 3)
    product.is_well()


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "BaseHTTPMiddleware"])
@pytest.mark.parametrize("lifespan", ["plain", "none"])
def test_streams_and_sockets_end_with_their_code(product: Saved, wrapped: bool, lifespan: str) -> None:
    """Those that clients ask for again end complete, a WebSocket with 1012, another body so that it shows."""
    old = product.fresh(wrapped=wrapped, lifespan=lifespan)
    with contextlib.ExitStack() as stack:
        streams = {
            path: stack.enter_context(Stream(product, path))
            for path in ("/sse", "/sse-starlette", "/ndjson", "/mixed", "/tokens")
        }
        old_client = stack.enter_context(Stream(product, "/sse", version="1.0"))
        socket = stack.enter_context(product.websocket())
        for stream in (*streams.values(), old_client):
            stream.until(b"data: %d" % old)
        cut = streams.pop("/tokens")
        new = product.fresh()
        for stream in streams.values():
            stream.until(LAST_CHUNK)
            stream.socket.sendall(REQUEST)  # its connection goes on
            stream.until(b"\r\n\r\n%d" % new)
        assert close_code(socket) == 1012
        assert not cut.rest().endswith(LAST_CHUNK)
        old_client.rest()
    product.is_well()


@pytest.mark.parametrize("how", ["held", "never", "upload"])
def test_request_is_waited_for_within_bounds(product: Saved, how: str) -> None:
    """A handler that takes longer than a drain, or for ever, or whose client is slow, finishes on the old code."""
    old = product.fresh()
    method, headers = ("POST", "content-length: 10\r\n") if how == "upload" else ("GET", "")
    with Stream(product, f"/{how}", method=method, headers=headers) as request:
        product.wait_for(f"{how} {old}")
        product.is_well()
        if how == "upload":
            request.socket.sendall(b"ten bytes!")
        product.server.post("/release")
        if how != "never":
            request.until({"held": b"[%d,false]", "upload": b"[%d,10]"}[how] % old)


def test_requests_in_a_row_are_answered_in_order(product: Saved) -> None:
    """Pipelined ones, the first of which belongs to the old code: the others may be answered by the new."""
    old = product.fresh()
    with Stream(product, "/held") as requests:
        requests.socket.sendall(REQUEST * 2)
        product.wait_for(f"held {old}")
        new = product.fresh()
        product.server.post("/release")
        requests.until(b"[%d," % old)
        requests.until(b"\r\n\r\n%d" % new, 2)
    product.is_well()


def test_old_client_is_answered(product: Saved) -> None:
    """HTTP/1.0, during a start and after it."""
    new = product.save(lifespan="slow")
    product.imported(new)
    for _ in range(2):
        with Stream(product, "/", version="1.0") as request:
            assert request.rest().endswith(b"\r\n\r\n%d" % new)
    product.is_well()


def test_client_that_is_killed_is_forgotten(product: Saved) -> None:
    """kill -9, with a stream, a WebSocket and a request in flight."""
    old = product.fresh()
    code = f"""
import socket, time, websockets.sync.client
for path in ("/sse", "/held"):
    globals()[path] = socket.create_connection(("127.0.0.1", {product.port}))
    globals()[path].sendall(f"GET {{path}} HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n".encode())
with websockets.sync.client.connect("ws://127.0.0.1:{product.port}/ws"):
    time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as client:
        for event in ("sse", "held", "ws"):
            product.wait_for(f"{event} {old}")
        client.kill()
    product.wait_for(f"sse {old} ended")
    wait_until(
        lambda: any(event.startswith(f"ws {old} disconnect") for event in product.server.json("/events")),
        "the disconnect",
    )
    product.is_well()


@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
def test_half_open_connection_holds_nothing_up(product: Saved, sent: bytes) -> None:
    """A client that stops in the middle of something, and stays."""
    product.fresh()
    with product.connect() as client:
        client.sendall(sent)
        product.is_well()


@pytest.mark.parametrize("how", ["raises", "exits", "interrupts", "base", "hangs", "deaf"])
def test_startup_that_goes_wrong_is_rolled_back_or_overtaken(product: Saved, how: str) -> None:
    """One that fails leaves the last good version; one that never ends is given up for the next save."""
    old = product.fresh()
    failures = sum("failed" in line for line in list(product.server.lines))
    product.imported(product.save(lifespan=how))
    if how not in {"hangs", "deaf"}:
        wait_until(lambda: sum("failed" in line for line in list(product.server.lines)) > failures, "the report")
        assert product.server.json("/") == old
    product.is_well()
    product.server.post("/release")
