"""The product's engine as the suite drives it, with cold probes answered by a fork made before the app is imported."""

import asyncio
import importlib
import os
import select
import socket
import sys
import tempfile
from pathlib import Path

from tests.conformance import WithPatches

ASK = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.exit(s.recv(1) != b'0')"
TIMEOUT_S = 30.0


class Engine(WithPatches):
    """A probe in a new interpreter costs a second of imports; in a fork of this process, what the app itself costs."""

    def __init__(self, root: Path, entry: str) -> None:
        super().__init__(root, entry)
        module, _, attribute = entry.partition(":")
        path = serve_cold(module, attribute)
        self.engine._cold = [sys.executable, "-I", "-S", "-c", ASK, path]
        self.engine.watchdog._limit_s = TIMEOUT_S


def serve_cold(module: str, attribute: str) -> str:
    """Fork a process that answers on a socket, once a connection, whether a cold start works. Ends with its parent."""
    path = str(Path(tempfile.mkdtemp(prefix="cold-probe-")) / "ask")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    alive, held = os.pipe()
    if os.fork():
        listener.close()
        os.close(alive)
        return path
    try:
        os.close(held)
        asyncio._set_running_loop(None)
        while True:
            ready, _, _ = select.select([listener.fileno(), alive], [], [])
            if alive in ready:
                os._exit(0)
            connection, _ = listener.accept()
            if not os.fork():
                os.close(alive)
                start_cold(connection, module, attribute)
            connection.close()
    finally:
        Path(path).unlink(missing_ok=True)
        os._exit(0)


def start_cold(connection: socket.socket, module: str, attribute: str) -> None:
    """Import the app in this very process, which then ends."""

    async def start() -> None:
        getattr(importlib.import_module(module), attribute)

    try:
        asyncio.run(start())
        connection.sendall(b"0")
    except BaseException:
        connection.sendall(b"1")
    finally:
        os._exit(0)
