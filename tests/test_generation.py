"""What becomes of requests and sockets in flight when their generation is replaced, by kind of response."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.clients import Stream, close_code
from tests.serving_process import Serving, serving
from tests.utils import wait_until

DRAIN_S = 0.8
LAST_CHUNK = b"0\r\n\r\n"


@pytest.fixture(scope="module", params=[("h11", "asyncio"), ("httptools", "uvloop")], ids="-".join)
def process(request: pytest.FixtureRequest) -> Iterator[Serving]:
    """One server for the module; each test begins with a version of its own."""
    http, loop = request.param
    with serving(http=http, loop=loop, switch={"drain_timeout": DRAIN_S}) as running:
        yield running


@pytest.mark.parametrize("path", ["/sse", "/sse-starlette", "/ndjson", "/mixed"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "BaseHTTPMiddleware"])
def test_stream_ends_cleanly(process: Serving, path: str, wrapped: bool) -> None:
    """A stream that clients ask for again is ended at once, complete, and its connection goes on with the new code."""
    old = process.fresh(wrapped=wrapped)
    with process.patient(), Stream(process, path) as stream:
        stream.until(b"data: %d" % old)
        process.replace(old + 1000)
        stream.until(LAST_CHUNK)
        stream.socket.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert b"%d" % (old + 1000) in stream.rest().partition(LAST_CHUNK)[2]
    process.wait_for(f"{path[1:]} {old} ended")


def test_stream_is_over_before_its_lifespan(process: Serving) -> None:
    """A handler that listens ends while the lifespan of its generation still holds what it uses."""
    old = process.fresh()
    with Stream(process, "/sse") as stream:
        stream.until(b"data:")
        process.fresh()
    events = process.events()
    assert events.index(f"sse {old} ended") < events.index(f"stop {old}")


def test_stream_without_a_pause_is_ended(process: Serving) -> None:
    """A generator that never waits for anything would keep the loop to itself once nobody takes what it sends."""
    process.fresh()
    with Stream(process, "/restless") as stream:
        stream.until(b"data: x")
        new = process.fresh()
        assert process.get().json() == new


def test_stream_without_a_pause_does_not_hide_a_save(process: Serving) -> None:
    """Where its client takes whatever it sends, nothing ever makes such a generator wait: we do."""
    process.fresh()
    with process.patient(), Stream(process, "/restless") as stream:
        stream.until(b"data: x")  # its generation has begun to answer: it would be the next one's otherwise
        reader = threading.Thread(target=stream.drop, args=(LAST_CHUNK,))
        reader.start()
        new = process.fresh()
        assert process.get().json() == new
        reader.join()


@pytest.mark.parametrize("lifespan", ["plain", "none"])
def test_stream_that_begins_while_draining_is_ended(process: Serving, lifespan: str) -> None:
    """A request that turns into a stream after its generation was retired does not live on in old code."""
    old = process.fresh(lifespan=lifespan)
    with Stream(process, "/late-sse") as stream:
        process.wait_for(f"late-sse {old}")
        process.fresh()
        stream.until(LAST_CHUNK)


def test_open_body_is_cut_after_the_drain(process: Serving) -> None:
    """A body of unknown length that goes on and on is cut so that the client sees it is not complete."""
    old, logged = process.fresh(), len(process.log)
    with Stream(process, "/tokens") as stream:
        stream.until(b"data: %d" % old)
        process.fresh()
        assert not stream.rest().endswith(LAST_CHUNK)
    process.wait_for(f"tokens {old} ended")
    assert "without completing" not in "".join(process.log[logged:])


def test_open_body_that_ends_in_time_is_complete(process: Serving) -> None:
    """Within the drain a body of unknown length may come to its end."""
    old = process.fresh()
    with Stream(process, "/short") as stream:
        process.wait_for(f"short {old}")
        process.fresh()
        body = stream.until(LAST_CHUNK).data
        assert all(b"\r\n1\r\n%d\r\n" % digit in body for digit in range(4))


def test_body_of_known_length_is_finished(process: Serving) -> None:
    """A download of known length is finished by the old generation, whatever the drain."""
    old = process.fresh()
    with process.client() as client, client.stream("GET", "/download") as response:
        process.wait_for(f"download {old}")
        process.fresh()
        assert len(response.read()) == 10_000


def test_request_is_drained_with_its_lifespan_open(process: Serving) -> None:
    """A request that ends within the drain still has what its lifespan gave it."""
    old = process.fresh()
    with process.patient(), Stream(process, "/held") as request:
        process.wait_for(f"held {old}")
        reload = process.begin("replace", version=old + 2000)
        process.do("release")
        request.until(b"[%d,true]" % old)
        process.reply(reload)


def test_request_longer_than_the_drain_finishes_on_old_code(process: Serving) -> None:
    """Nothing waits for it for longer than the drain, and it is not cut."""
    old = process.fresh()
    with Stream(process, "/held") as request:
        process.wait_for(f"held {old}")
        new = process.fresh()
        assert process.get().json() == new
        process.do("release")
        request.until(b"[%d,false]" % old)


def test_app_without_lifespan_is_replaced_at_once(process: Serving) -> None:
    """Nothing is taken from requests in flight, so the new generation does not wait for them."""
    old = process.fresh(lifespan="none")
    with process.patient(), Stream(process, "/held") as request:
        process.wait_for(f"held {old}")
        process.fresh()
        process.do("release")
        request.until(b"[%d,null]" % old)


def test_background_task_is_finished(process: Serving) -> None:
    """A task after a response is waited for as a request is, and never cancelled by a reload."""
    old = process.fresh()
    with process.client() as client:
        assert client.get("/background").json() == old
        process.fresh()
    process.do("release")
    process.wait_for(f"background {old} done")


@pytest.mark.parametrize("path", ["/ws", "/ws-push"])
def test_websocket_is_told_that_the_service_restarts(process: Serving, path: str) -> None:
    """Clients reconnect on 1012; the handler gets a disconnect with the same code."""
    old = process.fresh()
    with process.patient(), process.websocket(path) as socket:
        if path == "/ws":
            socket.send("hello")
        assert str(old) in str(socket.recv())
        process.replace(old + 1000)
        assert close_code(socket) == 1012
    wait_until(lambda: any(f" {old} disconnect" in event for event in process.events()), "the handler's disconnect")


def test_websocket_that_is_not_accepted_yet_is_told_too(process: Serving) -> None:
    """A refusal would tell the client not to come back: it is accepted, with what it asked for, and closed."""
    old = process.fresh()
    found: list[tuple[int, str | None]] = []

    def connect() -> None:
        with process.websocket("/ws-late", subprotocols=["chat"]) as socket:
            found.append((close_code(socket), socket.subprotocol))

    client = threading.Thread(target=connect)
    client.start()
    process.wait_for(f"ws-late {old}")
    process.fresh()
    client.join(30)
    assert found == [(1012, "chat")]


@pytest.mark.parametrize("path", ["/deaf-sse", "/ws-deaf"])
def test_deaf_stream_holds_nothing_up(process: Serving, path: str) -> None:
    """A handler that ignores disconnect and cancellation keeps neither the client nor the reload waiting."""
    old = process.fresh()
    if path == "/ws-deaf":
        with process.patient(), process.websocket(path) as socket:
            process.wait_for(f"ws-deaf {old}")
            process.fresh()
            assert close_code(socket) == 1012
    else:
        with process.patient(), Stream(process, path) as stream:
            stream.until(b"data:")
            process.fresh()
            stream.until(LAST_CHUNK)
    process.wait_for(f"{'socket' if path == '/ws-deaf' else 'stream'} {old} is deaf")
    process.do("release")


def test_deaf_open_body_is_cut(process: Serving) -> None:
    """The client is not left waiting for a handler that ignores its cancellation."""
    process.fresh()
    with Stream(process, "/deaf-tokens") as stream:
        stream.until(b"data:")
        process.fresh()
        assert not stream.rest().endswith(LAST_CHUNK)
    process.do("release")


def test_client_that_does_not_read_holds_nothing_up(process: Serving) -> None:
    """The end of a stream has to wait for a client that has stopped reading; a reload has not."""
    process.fresh()
    with process.patient(), process.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /restless HTTP/1.1\r\nhost: localhost\r\n\r\n")
        client.recv(100)
        time.sleep(0.3)  # its buffers fill
        process.replace(5000)
        assert process.get().json() == 5000


def test_http_1_0_stream_ends(process: Serving) -> None:
    """A client of HTTP/1.0 sees the end of a stream as the end of its connection."""
    process.fresh()
    with Stream(process, "/sse", version="1.0") as stream:
        stream.until(b"data:")
        process.fresh()
        stream.rest()


def test_pipelined_requests_are_all_answered(process: Serving) -> None:
    """Requests that were sent before the first was answered are answered in order, the later ones by the new code."""
    old = process.fresh()
    with Stream(process, "/held") as requests:
        requests.socket.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * 2)
        process.wait_for(f"held {old}")
        new = process.fresh()
        process.do("release")
        requests.until(b"[%d," % old)
        requests.until(b"HTTP/1.1 200", 3)
        while not requests.data.endswith(b"%d" % new):
            assert requests.read()
