"""Faults of apps and clients: whatever happens, the next good save is served, and the process ends when told to."""

import contextlib
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients import Stream
from tests.serving_process import Serving, serving
from tests.utils import wait_until

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

HALF_OPEN = {
    "nothing": b"",
    "half a line": b"GET /",
    "half a head": b"GET / HTTP/1.1\r\nhost: localhost\r\n",
    "half a body": b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nhalf",
    "half a frame": UPGRADE + b"\x81",
}
"""How clients begin that never go on."""


@pytest.fixture(
    scope="module", params=[("h11", "asyncio"), ("httptools", "uvloop")], ids=["h11-asyncio", "httptools-uvloop"]
)
def process(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """One server for the module, which no fault may end."""
    http, loop = request.param
    with serving(http=http, loop=loop, switch={"drain_timeout": 0.5}) as running:
        yield running


def is_well(process: Serving) -> None:
    """The next good save is served, twice."""
    for _ in range(2):
        new = process.fresh()
        assert process.get().json() == new
    assert process.process.poll() is None


@pytest.mark.parametrize("path", ["/exit", "/interrupt"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "BaseHTTPMiddleware"])
def test_handler_that_ends_the_process_does_not(process: Serving, path: str, wrapped: bool) -> None:
    """`sys.exit()` and KeyboardInterrupt in a handler are its failure, also from the task of a middleware."""
    process.fresh(wrapped=wrapped)
    with contextlib.suppress(httpx.TransportError):  # uvicorn may close the connection instead
        assert process.get(path).status_code == 500
    is_well(process)


def test_task_that_ends_the_process_does_not(process: Serving) -> None:
    """`sys.exit()` in a task that a handler left behind is logged; the handler's own answer is not lost."""
    version, logged = process.fresh(), len(process.log)
    assert process.get("/exit-in-task").json() == version
    wait_until(lambda: "raised SystemExit to end the process" in "".join(process.log[logged:]), "the log")
    is_well(process)


@pytest.mark.parametrize("how", ["raises", "exits", "interrupts", "base"])
def test_startup_that_fails_keeps_the_old_version(process: Serving, how: str) -> None:
    """An exception of any kind, `sys.exit()`, Ctrl-C by its own hand: reported, and the last good version is back."""
    old = process.fresh()
    reply = process.do("replace", version=9000, lifespan=how)
    assert "error" in reply
    assert reply["cause"] != "None"
    process.do("restore")
    assert process.get().json() == old
    is_well(process)


def test_startup_whose_task_exits_is_served(process: Serving) -> None:
    """`sys.exit()` in a task that the startup made does not end the server, nor the startup."""
    process.fresh(lifespan="exits in a task")
    is_well(process)


def test_startup_of_seconds_with_three_saves_in_it(process: Serving) -> None:
    """Each newer save takes the one before down; the last is served, and the old never comes back in between."""
    process.fresh()
    for version in (9101, 9102, 9103):
        number = process.begin("replace", version=version, lifespan="hangs")
        process.wait_for(f"start {version}")
        process.do("cancel")
        assert process.reply(number)["error"] == "cancelled"
    process.replace(9104, lifespan="slow")
    assert process.get().json() == 9104
    is_well(process)


@pytest.mark.parametrize("how", ["stop raises", "stop exits", "cancels all", "stops loop"])
def test_shutdown_that_goes_wrong_holds_nothing_up(process: Serving, how: str) -> None:
    """A shutdown that raises or exits, cancels every task there is, or stops the loop, is the old generation's affair."""
    process.fresh(lifespan=how)
    is_well(process)


def test_client_that_is_killed_is_forgotten(process: Serving) -> None:
    """kill -9 of a client with a stream and a WebSocket: their handlers end, and reloads go on."""
    old = process.fresh()
    code = f"""
import socket, time, websockets.sync.client
stream = socket.create_connection(("127.0.0.1", {process.port}))
stream.sendall(b"GET /sse HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n")
with websockets.sync.client.connect("ws://127.0.0.1:{process.port}/ws") as ws:
    time.sleep(300)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as client:
        process.wait_for(f"sse {old}")
        process.wait_for(f"ws {old}")
        client.kill()
    process.wait_for(f"sse {old} ended")
    wait_until(lambda: any(event.startswith(f"ws {old} disconnect") for event in process.events()), "the disconnect")
    is_well(process)


def test_connection_that_is_reset_is_forgotten(process: Serving) -> None:
    """A reset in the middle of a stream, just when its generation is retired."""
    process.fresh()
    with Stream(process, "/sse") as stream:
        stream.until(b"data:")
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    is_well(process)


@pytest.mark.parametrize("sent", HALF_OPEN.values(), ids=HALF_OPEN)
def test_half_open_connection_holds_nothing_up(process: Serving, sent: bytes) -> None:
    """A client that stops in the middle of something, and stays."""
    process.fresh()
    with process.connect() as client:
        client.sendall(sent)
        is_well(process)


def test_upload_that_was_begun_before_is_finished_by_old_code(process: Serving) -> None:
    """A body that takes longer than the drain is read to its end by the generation that began it."""
    old = process.fresh()
    with Stream(process, "/upload", method="POST", headers="content-length: 10\r\n") as request:
        request.socket.sendall(b"half")
        process.wait_for(f"upload {old}")
        process.fresh()
        request.socket.sendall(b"other!")
        request.until(b"[%d,10]" % old)


def test_malformed_requests_are_uvicorns_affair(process: Serving) -> None:
    """Rubbish gets its 400 while generations change."""
    process.fresh()
    with process.connect() as client:
        client.sendall(b"\x00\x01\x02 rubbish\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400")
    is_well(process)


@pytest.mark.parametrize("lifespan", ["plain", "none"])
def test_handler_that_never_returns_is_left_behind(lifespan: str) -> None:
    """Deaf to everything, it keeps neither the next save waiting nor the process from ending."""
    with serving(switch={"drain_timeout": 0.5}, first={"version": 1, "lifespan": lifespan}) as process:
        with Stream(process, "/never"):
            process.wait_for("never 1")
            is_well(process)
            assert process.end() == 0
        assert "Traceback" not in process.output


def test_thread_pool_full_of_sleepers_is_not_the_next_generations() -> None:
    """Forty `def` handlers asleep hold every thread there is; the new code has threads all the same, and Ctrl-C ends it."""
    with serving(switch={"drain_timeout": 0.5}) as process, contextlib.ExitStack() as clients:
        for _ in range(40):
            clients.enter_context(Stream(process, "/thread?seconds=300"))
        wait_until(lambda: _threads(process) >= 40, "forty threads")
        for _ in range(3):
            is_well(process)
            assert process.get("/thread?seconds=0").status_code == 200
        assert process.end() == 0
        assert "threads still run" in process.output


def _threads(process: Serving) -> int:
    with open(f"/proc/{process.process.pid}/status") as status:  # noqa: PTH123 - one line of a special file
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def test_executor_full_of_sleepers_is_not_the_next_generations() -> None:
    """The same for `run_in_executor(None, …)` and `asyncio.to_thread()`."""
    with serving() as process:
        for _ in range(40):
            process.get("/executor")
        is_well(process)
        assert process.get("/to-thread").status_code == 200
        assert process.end() == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_process_out_of_descriptors_recovers(loop: str) -> None:
    """A save is taken all the same; when descriptors are free again every client is served.

    Until then connections wait, or are closed by uvloop, which looks for new ones before it sees that others ended.
    """
    with serving(loop=loop, prefix=("prlimit", "--nofile=64")) as process:
        descriptors = Path(f"/proc/{process.process.pid}/fd")
        before = len(list(descriptors.iterdir()))
        with contextlib.ExitStack() as clients:
            for _ in range(100):
                clients.enter_context(process.connect())
            wait_until(lambda: len(list(descriptors.iterdir())) > 60, "the lack of descriptors")
            process.replace(2)
        wait_until(lambda: len(list(descriptors.iterdir())) < before + 20, "descriptors being free")
        assert process.get().json() == 2
        is_well(process)


def test_blocked_event_loop_ends_on_second_ctrl_c() -> None:
    """A handler that never gives the loop back: uvicorn would have to be killed."""
    with serving() as process, Stream(process, "/blocked"):
        wait_until(lambda: "blocked" in process.log, "the handler")  # nothing can be asked of it any more
        before = _threads(process)
        process.process.send_signal(signal.SIGINT)
        wait_until(lambda: _threads(process) > before, "the watchdog")  # two signals at once are one
        assert process.end() == 0
        assert "Ending the process now: the shutdown takes too long" in process.output


def test_blocked_event_loop_ends_on_sigterm() -> None:
    """Who sends it sends it once."""
    with serving() as process, Stream(process, "/blocked"):
        wait_until(lambda: "blocked" in process.log, "the handler")
        assert process.end(signal.SIGTERM) == 128 + signal.SIGTERM
        assert "the event loop is blocked" in process.output


@pytest.mark.parametrize("how", ["hangs", "deaf"])
def test_ctrl_c_during_a_startup_ends_it(how: str) -> None:
    """A startup under way is given up, the first or a later one; requests at the gate are not left waiting."""
    with serving() as process:
        process.begin("replace", version=2, lifespan=how)
        process.wait_for("start 2")
        with Stream(process, "/") as waiting:
            wait_until(lambda: process.do("tasks")["value"] == 1, "the request at the gate")
            assert process.end() == 0
            assert waiting.rest().startswith(b"HTTP/1.1 503")
        assert "Traceback" not in process.output


def test_ctrl_c_during_a_drain_ends_it() -> None:
    """An exit that comes while old requests are waited for does not wait longer than they would have been."""
    with serving(switch={"drain_timeout": 1.0}) as process, Stream(process, "/held"):
        process.wait_for("held 1")
        process.begin("replace", version=2)
        wait_until(lambda: "stop 1" not in process.events(), "the drain")
        assert process.end() == 0


def test_ctrl_c_before_the_first_start_ends_it() -> None:
    """There is nothing to shut down yet."""
    with serving(first={"version": 1, "lifespan": "hangs"}, ready=False) as process:
        process.wait_for("start 1")
        assert process.end() == 0


def test_shutdown_deaf_to_everything_ends_with_the_second_ctrl_c() -> None:
    """The exit's last step may take its ten seconds, unless somebody is in a hurry."""
    with serving(first={"version": 1, "lifespan": "stop is deaf"}) as process:
        process.process.send_signal(signal.SIGINT)
        wait_until(lambda: "Waiting for application shutdown." in process.output, "the shutdown")
        assert process.end() == 0
        assert "Ending the process now: the shutdown takes too long" in process.output
        assert "did not shut down within" not in process.output
