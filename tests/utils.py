"""What tests share: a project edited by item assignment, a real server process, and waiting with a deadline."""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_S = 30.0
"""Far beyond what anything takes on an idle machine: a test waits this long only where it is about to fail."""


def wait_until[T](probe: Callable[[], T], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Call `probe` until it returns something true; AssertionError with `what` past the deadline."""
    until = time.monotonic() + deadline_s
    while True:
        with contextlib.suppress(httpx.TransportError):
            if value := probe():
                return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not happen within {deadline_s} s")
        time.sleep(0.01)


def free_port() -> int:
    """A loopback port that nothing listens on.

    Below those that the system gives to outgoing connections, one of which might take it before the server does; and
    not from `random`, which begins anew for each test, in every worker alike.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class Project:
    """A folder whose files are read and written like a dict; each write is an editor's atomic save."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getitem__(self, name: str) -> str:
        return (self.root / name).read_text()

    def __setitem__(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = self.root.parent / f".staged-{threading.get_ident()}"
        staged.write_text(textwrap.dedent(text))
        staged.replace(path)

    def __delitem__(self, name: str) -> None:
        (self.root / name).unlink()

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, with `new`."""
        text = self[name]
        assert old in text, f"{old!r} is not in {name}"
        self[name] = text.replace(old, new)


class Server:
    """A dev server as a user runs it: its own process, output collected line by line."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: Path,
        *,
        port: int,
        env: dict[str, str] | None = None,
        fds: tuple[int, ...] = (),
    ) -> None:
        self.port = port
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("UVICORN", "FASTAPI_HMR", "WATCHFILES"))}
        clean.update({"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **(env or {})})
        self.process = subprocess.Popen(
            argv, cwd=cwd, env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True, pass_fds=fds,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str = "/", **kwargs: object) -> httpx.Response:
        """One request on a connection of its own."""
        return httpx.get(f"{self.url}{path}", timeout=10, **kwargs)  # type: ignore[arg-type]  # passed through

    def post(self, path: str, content: bytes = b"") -> httpx.Response:
        """A POST on a connection of its own, which must succeed."""
        response = httpx.post(f"{self.url}{path}", content=content, timeout=DEADLINE_S)
        assert response.status_code == 200, f"{response.status_code}: {response.text}\n{self.output}"
        return response

    def json(self, path: str = "/") -> Any:
        """The JSON body of a GET that must succeed."""
        response = self.get(path)
        assert response.status_code == 200, f"{response.status_code}: {response.text}\n{self.output}"
        return json.loads(response.text)

    def wait_for(self, path: str, expected: object, deadline_s: float = DEADLINE_S) -> None:
        """Wait until a GET answers 200 with this JSON value."""

        def probe() -> bool:
            assert self.process.poll() is None, f"the server ended:\n{self.output}"
            response = self.get(path)
            return response.status_code == 200 and json.loads(response.text) == expected

        try:
            wait_until(probe, f"{path} == {expected!r}", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it answers {self.get(path).text!r}\n{self.output}") from None

    def wait_for_line(self, pattern: str, count: int = 1) -> str:
        """Wait until `count` printed lines match; returns the last of them."""

        def probe() -> str | None:
            found = [line for line in list(self.lines) if re.search(pattern, line)]
            return found[count - 1] if len(found) >= count else None

        try:
            return str(wait_until(probe, f"a line like {pattern!r}"))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def wait_ready(self) -> None:
        """Wait until something answers on the port, whatever its status."""
        wait_until(lambda: self._alive() and self.get("/"), f"the server on port {self.port}")

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"the server ended:\n{self.output}"
        return True

    def interrupt(self, deadline_s: float = DEADLINE_S) -> int:
        """Ctrl-C once; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(deadline_s)
        self._reader.join(5)
        return code

    def stop(self) -> None:
        """End it and all that it started, however it is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()


def hmr_argv(*arguments: str) -> list[str]:
    """The command line of the product under test."""
    return [sys.executable, "-m", "fastapi_hmr", *arguments]
