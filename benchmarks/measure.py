"""One server process: how long until a save is served, what failed meanwhile, how it starts and what it costs idle."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.apps import Edit, save
from benchmarks.servers import Server

LIMIT_S = 30.0
POLL_S = 0.002
TAIL_S = 0.2
"""How long after the new code was seen the client goes on asking: some servers answer, and then go away."""


class Saved(NamedTuple):
    """One save: milliseconds until its code answered (None: it never did), and requests that failed."""

    milliseconds: float | None
    failed: int


class Running:
    """A server that runs over an app's folder."""

    def __init__(self, server: Server, python: str, folder: Path) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port: int = sock.getsockname()[1]
        self.server, self.folder = server, folder
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            self.began = time.perf_counter()
            self.process = subprocess.Popen(
                server.argv(python, self.port), cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def get(self) -> bytes | None:
        """The answer to a request on a connection of its own; None where that fails."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        try:
            connection.request("GET", "/0/0")
            response = connection.getresponse()
            return response.read() if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def started_ms(self) -> float:
        """Wait for the first good answer. Raises RuntimeError where none comes."""
        while self.get() is None:
            if self.process.poll() is not None or time.perf_counter() - self.began > LIMIT_S:
                raise RuntimeError(f"{self.server.name} does not start: see {self.folder}.log")
            time.sleep(POLL_S)
        return (time.perf_counter() - self.began) * 1000

    def save(self, edit: Edit, token: str) -> Saved:
        """Save, and ask until the new code has answered for a while."""
        wanted, failed, seen = token.encode(), 0, 0.0
        began = time.perf_counter()
        save(edit, self.folder, token)
        while time.perf_counter() - began < (seen + TAIL_S if seen else LIMIT_S):
            answer = self.get()
            failed += answer is None
            if not seen and answer is not None and wanted in answer:
                seen = time.perf_counter() - began
            time.sleep(POLL_S)
        return Saved(seen * 1000 if seen else None, failed)

    def cpu_s(self) -> float:
        """CPU seconds so far of the process and those below it. Linux only."""
        ticks, pids = 0, [self.process.pid]
        while pids:
            pid = pids.pop()
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    pids += map(int, children.read_text().split())
        return ticks / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def running(server: Server, python: str, folder: Path) -> Iterator[Running]:
    """A server for the time of the block, once it answers."""
    process = Running(server, python, folder)
    try:
        process.started_ms()
        yield process
    finally:
        process.end()
