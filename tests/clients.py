"""Clients that look at bytes, and know how a stream or a WebSocket ended."""

import contextlib
import socket
import ssl
from typing import Any, Self

import websockets.sync.client
from websockets.exceptions import ConnectionClosed

from tests.utils import DEADLINE_S


class Clients:
    """Connects to the server of a port."""

    port: int

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


class Stream:
    """A response that is read as it comes, byte by byte, on a connection of its own."""

    def __init__(
        self,
        server: Clients,
        path: str,
        *,
        method: str = "GET",
        version: str = "1.1",
        headers: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.socket = server.connect()
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
