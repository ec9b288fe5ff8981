"""The process under test of the serving part, told line by line what to do."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import httpx

from tests.clients import Clients
from tests.utils import DEADLINE_S, ROOT, free_port, wait_until


class Serving(Clients):
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
        self.port = options.setdefault("port", free_port())
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
