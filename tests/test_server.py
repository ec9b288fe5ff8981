"""What one server serves over all generations, and how the process ends and begins again."""

import signal
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import Stream, close_code
from tests.serving_process import serving
from tests.utils import wait_until


@pytest.mark.parametrize(("http", "loop"), [("h11", "asyncio"), ("httptools", "uvloop")])
def test_restart_refuses_nobody(http: str, loop: str) -> None:
    """A new process on the same socket: every connection made meanwhile is answered, by one or the other."""
    with serving(port_given=False, http=http, loop=loop) as process:
        process.replace(2)
        process_id = process.process.pid
        answers: list[int] = []
        failures: list[Exception] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    response = process.get()
                    assert response.status_code == 200, response.text
                    answers.append(response.json())
                except Exception as error:
                    failures.append(error)

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for client in clients:
            client.start()
        wait_until(lambda: len(answers) > 2, "an answer")
        process.begin("restart")
        process.ready()  # the new process starts version 1
        wait_until(lambda: answers[-1] == 1, "an answer of the new process")
        stop.set()
        for client in clients:
            client.join()
        assert failures == []
        assert set(answers) == {1, 2}
        assert process.process.pid == process_id
        assert process.process.poll() is None
        process.replace(3)
        assert process.get().json() == 3


def test_restart_lets_requests_finish() -> None:
    """What was under way is answered by the old process; streams and sockets end as in a reload."""
    with (
        serving(switch={"drain_timeout": 300}) as process,
        Stream(process, "/held") as request,
        Stream(process, "/sse") as stream,
        process.websocket() as socket_,
    ):
        process.wait_for("held 1")
        stream.until(b"data:")
        process.begin("restart")
        process.do("release")
        request.until(b"[1,true]")
        stream.until(b"0\r\n\r\n")
        assert close_code(socket_) == 1012
        process.ready()
        assert process.get().json() == 1


def test_ctrl_c_during_a_restart_ends_it() -> None:
    """The new process would not know of it: there is none."""
    with (
        serving(switch={"drain_timeout": 300}) as process,
        Stream(process, "/held"),
        Stream(process, "/sse") as stream,
    ):
        process.wait_for("held 1")
        stream.until(b"data:")
        process.begin("restart")
        stream.until(b"0\r\n\r\n")
        assert process.end() == 0


MIXES = [
    ("h11", "websockets-sansio", "asyncio"),
    ("h11", "wsproto", "uvloop"),
    ("h11", "websockets", "asyncio"),
    ("httptools", "websockets-sansio", "uvloop"),
    ("httptools", "wsproto", "asyncio"),
    ("httptools", "websockets", "uvloop"),
]


@pytest.mark.parametrize(("http", "ws", "loop"), MIXES, ids=["-".join(mix) for mix in MIXES])
def test_ctrl_c_once_is_enough(http: str, ws: str, loop: str) -> None:
    """With a stream, a WebSocket, an idle connection and half a request open it ends soon, cleanly and with code 0."""
    with (
        serving(http=http, ws=ws, loop=loop) as process,
        process.client() as client,
        Stream(process, "/sse") as stream,
        process.websocket() as socket_,
        process.connect() as half,
    ):
        client.get("/")
        half.sendall(b"GET / HTTP/1.1\r\nho")
        stream.until(b"data: 1")
        socket_.send("hello")
        assert socket_.recv() == "1 hello"
        process.replace(2)
        stream.until(b"0\r\n\r\n")
        assert close_code(socket_) == 1012
        with Stream(process, "/sse") as again, process.websocket() as other:
            again.until(b"data: 2")
            assert process.end() == 0
            again.until(b"0\r\n\r\n")
            assert close_code(other) == 1012
        assert "Traceback" not in process.output
        assert "Application shutdown complete." in process.output
        assert "Finished server process" in process.output


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)]
)
def test_signal_ends_the_process_as_uvicorn(number: int, code: int) -> None:
    """After the lifespan has been shut down: code 0 for Ctrl-C, else by the signal itself; a closed terminal too."""
    with serving() as process:
        assert process.end(number) == code
        assert "Application shutdown complete." in process.output


def test_hangup_is_ignored_under_nohup() -> None:
    """A process that was started to outlive its terminal does."""
    with serving(prefix=("nohup",)) as process:
        process.process.send_signal(signal.SIGHUP)
        process.replace(2)
        assert process.get().json() == 2


def test_requests_in_flight_are_finished_at_the_end() -> None:
    """An exit waits, within bounds, for ordinary requests."""
    with serving(timeout_graceful_shutdown=200) as process, Stream(process, "/held") as request:
        process.wait_for("held 1")
        process.process.send_signal(signal.SIGINT)
        wait_until(lambda: "Shutting down" in process.output, "the shutdown")
        process.do("release")
        request.until(b"[1,true]")
        assert process.ended() == 0


def test_max_requests_end_the_process() -> None:
    """`--limit-max-requests` means what it means to uvicorn, over all generations."""
    with serving(limit_max_requests=3) as process:
        process.get()
        process.replace(2)
        process.get()
        process.get()
        assert process.ended() == 0
        assert "Maximum request limit of 3 exceeded" in process.output


def test_root_path_and_proxy_headers_reach_the_app() -> None:
    """uvicorn's own options, which the switch does not disturb."""
    with serving(root_path="/api") as process:
        found = httpx.get(
            f"http://127.0.0.1:{process.port}/scope",
            headers={"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"},
            timeout=30,
        )
        assert found.json() == ["/api", "https", "192.0.2.7"]


def test_concurrency_limit_is_uvicorns() -> None:
    """Beyond `--limit-concurrency` uvicorn answers 503 by itself; the next generation is served all the same."""
    with serving(limit_concurrency=2) as process, process.connect(), process.connect():
        assert process.get().status_code == 503
        process.replace(2)
    with serving(limit_concurrency=2) as process:
        assert process.get().status_code == 200


def make_certificate(folder: Path) -> tuple[str, str]:
    """A certificate for localhost that its own key has signed, and the key."""
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """One for all tests that don't change it."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_certificate_is_renewed(tmp_path: Path, loop: str) -> None:
    """New connections see the new one, open ones go on; one that can't be used leaves the old in use, and says so."""
    cert, key = make_certificate(tmp_path)
    with serving(ssl_certfile=cert, ssl_keyfile=key, loop=loop) as process:
        before = Path(cert).read_text()
        with httpx.Client(verify=ssl.create_default_context(cafile=cert), timeout=30) as client:
            url = f"https://127.0.0.1:{process.port}/"
            assert client.get(url).json() == 1
            Path(cert).write_text("-----BEGIN CERTIFICATE-----")
            refused = process.do("certificate")["value"]
            assert refused.startswith(f"can't use the certificate in {cert} (")
            assert ssl.get_server_certificate(("127.0.0.1", process.port)) == before
            make_certificate(tmp_path)
            assert process.do("certificate")["value"] is None
            assert ssl.get_server_certificate(("127.0.0.1", process.port)) == Path(cert).read_text() != before
            assert client.get(url).json() == 1


@pytest.mark.parametrize(("http", "loop"), [("h11", "asyncio"), ("httptools", "uvloop")])
def test_tls_is_served_through_reloads(certificate: tuple[str, str], http: str, loop: str) -> None:
    """Streams and WebSockets over TLS end as they do without, keep-alive connections go on, Ctrl-C is clean."""
    cert, key = certificate
    trust = ssl.create_default_context(cafile=cert)
    with serving(ssl_certfile=cert, ssl_keyfile=key, http=http, loop=loop) as process:
        assert process.listening.get()["url"].startswith("https://")
        base = f"https://127.0.0.1:{process.port}"
        with (
            httpx.Client(base_url=base, verify=trust, timeout=30) as client,
            Stream(process, "/sse", tls=trust) as stream,
            process.websocket(ssl=trust) as socket_,
        ):
            assert client.get("/").json() == 1
            stream.until(b"data: 1")
            process.replace(2)
            stream.until(b"0\r\n\r\n")
            assert close_code(socket_) == 1012
            assert client.get("/").json() == 2
            assert process.end() == 0


def test_second_ctrl_c_does_not_wait_for_the_app() -> None:
    """A shutdown that hangs is left at once, with the code that uvicorn ends with."""
    with serving(first={"version": 1, "lifespan": "stop hangs"}) as process:
        process.process.send_signal(signal.SIGINT)
        wait_until(lambda: "Waiting for application shutdown." in process.output, "the shutdown")
        assert process.end() == 0


def test_second_ctrl_c_does_not_wait_for_requests() -> None:
    """Nor is a request in flight waited for."""
    with serving(timeout_graceful_shutdown=200) as process, Stream(process, "/held") as request:
        process.wait_for("held 1")
        process.process.send_signal(signal.SIGINT)
        wait_until(lambda: "Shutting down" in process.output, "the shutdown")
        assert process.end() == 0
        request.rest()


def test_load_sees_no_reload() -> None:
    """Ten reloads under keep-alive clients and new connections: every request is answered, none late by much."""
    with serving() as process:
        stop = threading.Event()
        failures: list[object] = []
        counts = [0, 0, 0]

        def keep_alive(index: int) -> None:
            with process.client() as client:
                while not stop.is_set():
                    count(index, lambda: client.get("/"))

        def anew(index: int) -> None:
            while not stop.is_set():
                count(index, process.get)

        def count(index: int, ask: Any) -> None:
            try:
                response = ask()
                if response.status_code != 200:
                    failures.append(response.text)
            except httpx.HTTPError as error:
                failures.append(error)
            counts[index] += 1

        clients = [threading.Thread(target=keep_alive, args=(index,)) for index in (0, 1)]
        clients.append(threading.Thread(target=anew, args=(2,)))
        for client in clients:
            client.start()
        for version in range(2, 12):
            before = list(counts)
            process.replace(version)
            wait_until(lambda before=before: all(map(int.__lt__, before, counts)), "traffic")  # type: ignore[misc]  # default
        stop.set()
        for client in clients:
            client.join()
        assert failures == []


def test_bounds_hold_where_nothing_is_in_flight() -> None:
    """An exit without clients does not use any of its time to wait."""
    with serving(timeout_graceful_shutdown=300, switch={"drain_timeout": 300}) as process:
        process.replace(2)
        assert process.end() == 0
