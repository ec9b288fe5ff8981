"""What the tests of the serving part share: the process under test, and clients that look at bytes."""

import contextlib
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import httpx
import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from tests.utils import DEADLINE_S, ROOT, free_port, wait_until


class Serving:
    """`tests.serving_main` in a process of its own, told what to do line by line."""

    def __init__(
        self,
        *,
        prefix: tuple[str, ...] = (),
        fds: tuple[int, ...] = (),
        env: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        """`options` are those of `uvicorn.Config`, plus `switch`, `first` and `port_given`."""
        self.port: int = options.setdefault("port", free_port())
        self.log: list[str] = []
        self._version = 1
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.serving_main", json.dumps(options)],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, pass_fds=fds,
        )  # fmt: skip
        self.listening: queue.Queue[dict[str, Any]] = queue.Queue()
        self._replies: dict[int, queue.Queue[dict[str, Any]]] = {0: queue.Queue()}
        self._threads = [threading.Thread(target=read, daemon=True) for read in (self._read, self._read_log)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.startswith("> "):
                self.log.append(line.rstrip("\n"))
                continue
            reply = json.loads(line[2:])
            if "url" in reply:
                self.listening.put(reply)
            else:
                self._replies[reply["id"]].put(reply)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """What it has logged so far."""
        return "\n".join(self.log)

    def ready(self) -> Self:
        """Wait until it has started its first version."""
        self.reply(0)
        return self

    def reply(self, number: int) -> dict[str, Any]:
        """The answer to a command."""
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self._replies[number].get(timeout=0.1)
            except queue.Empty:
                assert self.process.poll() is None, f"the process ended:\n{self.output}"
                assert time.monotonic() < until, f"no answer to command {number}:\n{self.output}"

    def begin(self, do: str, **arguments: Any) -> int:
        """Give a command without waiting for its answer."""
        number = len(self._replies)
        self._replies[number] = queue.Queue()
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"id": number, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return number

    def do(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        return self.reply(self.begin(do, **arguments))

    def replace(self, version: int, **arguments: Any) -> dict[str, Any]:
        """Switch to another version, which must work."""
        reply = self.do("replace", version=version, **arguments)
        assert "error" not in reply, reply
        return reply

    def fresh(self, **arguments: Any) -> int:
        """Switch to a version that was not there before; returns its number."""
        self._version += 1
        self.replace(self._version, **arguments)
        return self._version

    def events(self) -> list[str]:
        """What the app has seen."""
        return list(self.do("events")["value"])

    def wait_for(self, event: str) -> None:
        """Wait until the app has seen something."""
        wait_until(lambda: event in self.events(), f"event {event!r} (of {self.events()})")

    @contextlib.contextmanager
    def patient(self) -> Iterator[None]:
        """A reload that waits for any request takes longer than a command may: what is ended at once shows."""
        before = self.do("drain", seconds=10 * DEADLINE_S)["value"]
        try:
            yield
        finally:
            self.do("drain", seconds=before)

    def client(self, **arguments: Any) -> httpx.Client:
        """A client that keeps connections."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=DEADLINE_S, verify=False, **arguments)

    def get(self, path: str = "/") -> httpx.Response:
        """One request on a connection of its own."""
        # Without `verify` httpx reads all certificates of the system for each request.
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_S, verify=False)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S)

    def websocket(self, path: str = "/ws", **arguments: Any) -> websockets.sync.client.ClientConnection:
        """An open WebSocket."""
        scheme = "wss" if "ssl" in arguments else "ws"
        connection: websockets.sync.client.ClientConnection = websockets.sync.client.connect(
            f"{scheme}://127.0.0.1:{self.port}{path}", open_timeout=DEADLINE_S, close_timeout=5, **arguments
        )
        return connection

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal; returns the exit code. What is deaf in these tests is so for ten times the deadline."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        code = self.process.wait(DEADLINE_S)
        for thread in self._threads:
            thread.join(5)
        return code

    def stop(self) -> None:
        """End it, however it is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@contextlib.contextmanager
def serving(*, ready: bool = True, **options: Any) -> Iterator[Serving]:
    """A process that serves version 1 of the app."""
    process = Serving(**options)
    try:
        yield process.ready() if ready else process
    finally:
        process.stop()


class Stream:
    """A response that is read as it comes, byte by byte, on a connection of its own."""

    def __init__(
        self,
        process: Serving,
        path: str,
        *,
        method: str = "GET",
        version: str = "1.1",
        headers: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = process.connect()
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.sendall(f"{method} {path} HTTP/{version}\r\nhost: localhost\r\n{headers}\r\n".encode())
        self.data = b""

    def read(self) -> bytes:
        """What has come since; b"" at the end."""
        more = self.socket.recv(65536)
        self.data += more
        return more

    def until(self, part: bytes, count: int = 1) -> Self:
        """Read until this has come, so many times."""
        while self.data.count(part) < count:
            assert self.read(), f"the connection ended before {part!r}: {self.data!r}"
        return self

    def drop(self, last: bytes) -> None:
        """Read what comes as fast as can be, up to these last bytes, and keep none of it."""
        self.data = b""
        while not self.data.endswith(last):
            assert self.read(), f"the connection ended before {last!r}: {self.data!r}"
            self.data = self.data[-len(last) :]

    def rest(self) -> bytes:
        """Everything until the connection is closed."""
        with contextlib.suppress(ConnectionResetError):
            while self.read():
                pass
        return self.data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def close_code(connection: websockets.sync.client.ClientConnection) -> int:
    """Read a WebSocket until it is closed; the code it was closed with."""
    try:
        while True:
            connection.recv(timeout=DEADLINE_S)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006
