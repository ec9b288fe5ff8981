"""A reverse proxy as small as can be: strips a prefix, and answers 502 while told to."""

import contextlib
import socket
import threading


class Proxy:
    """One request for each connection; bodies and streams pass as they come."""

    def __init__(self, target: int, prefix: str = "") -> None:
        self._target, self._prefix = target, prefix.encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.up = True
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://localhost:{self.port}{self._prefix.decode()}"

    def take_down(self) -> None:
        """Cut every connection; answer 502 from here on."""
        self.up = False
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def bring_up(self) -> None:
        """Pass requests on again."""
        self.up = True

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self.take_down()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(65536)
                if not part:
                    return
                head += part
            if not self.up:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\nconnection: close\r\n\r\n502")
                return
            with socket.create_connection(("127.0.0.1", self._target)) as upstream:
                self._open.update((client, upstream))
                upstream.sendall(self._rewritten(head))
                watching = threading.Thread(target=self._watch, args=(client, upstream), daemon=True)
                watching.start()
                while part := upstream.recv(65536):
                    client.sendall(part)
                self._open.difference_update((client, upstream))
                client.shutdown(socket.SHUT_RDWR)  # a close alone waits for the thread that still reads

    def _rewritten(self, head: bytes) -> bytes:
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.split(b" ", 2)
        rest = b"\r\n".join(part for part in rest.split(b"\r\n") if not part.lower().startswith(b"connection:"))
        return (
            b" ".join((method, target.removeprefix(self._prefix) or b"/", version))
            + b"\r\nConnection: close\r\n"
            + rest
        )

    def _watch(self, client: socket.socket, upstream: socket.socket) -> None:
        """A browser that goes away ends the request behind."""
        with contextlib.suppress(OSError):
            if not client.recv(1):
                upstream.shutdown(socket.SHUT_RDWR)
