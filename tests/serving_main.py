"""The process under test: serves a Switch through HmrServer, and does what lines of JSON on its standard input say."""

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from typing import Any

import uvicorn

from fastapi_hmr.exceptions import BindError, StartupFailed
from fastapi_hmr.loop import hide, run_loop
from fastapi_hmr.server import Beginning, HmrServer, bind, replace_process
from fastapi_hmr.switch import Switch
from fastapi_hmr.tracebacks import ErrorReport
from tests import serving_app

MARK = "> "
"""Begins a line that is meant for the test; all others are log."""


def render(_scope: Any, report: ErrorReport, status: int) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """A 503 as the product's, less its looks."""
    body = f"{report.title}: {report.message}".encode()
    return status, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))], body


def say(**reply: Any) -> None:
    """Answer the test."""
    sys.stdout.write(f"{MARK}{json.dumps(reply)}\n")
    sys.stdout.flush()


class Main:
    """The parts, and the commands."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.switch = Switch(render=render, **options.pop("switch", {}))
        self.first = options.pop("first", {"version": 1})
        given = options.pop("port_given", True)
        self.beginning = Beginning()
        config = uvicorn.Config(self.switch, interface="asgi3", lifespan="off", log_level="info", **options)
        self.server = HmrServer(config, end_streams=self.switch.end_streams, close=self.switch.close)
        self.bound = bind(config, port_given=given)
        self.changing: asyncio.Task[Any] | None = None

    async def run(self) -> None:
        """Serve until the end."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        self.switch.close_gate()
        serving = asyncio.create_task(self.server.serve(sockets=list(self.bound.sockets)))
        hide(serving)
        say(url=self.bound.url, notes=self.bound.notes)
        if self.first:
            await self._do({"id": 0, "do": "replace", **self.first})
        await serving

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            command = json.loads(line)
            loop.call_soon_threadsafe(self._begin, command)
        os._exit(1)  # the test is gone, however it ended; the loop may be one that nobody else can end

    def _begin(self, command: dict[str, Any]) -> None:
        task = asyncio.ensure_future(self._do(command))
        hide(task)
        if command["do"] == "replace":
            self.changing = task

    async def _do(self, command: dict[str, Any]) -> None:
        began = time.perf_counter()
        reply: dict[str, Any]
        try:
            reply = {"value": await getattr(self, f"do_{command['do']}")(command)}
        except StartupFailed as failure:
            reply = {"error": str(failure), "cause": repr(failure.__cause__)}
        except asyncio.CancelledError:
            reply = {"error": "cancelled"}
        say(id=command["id"], ms=(time.perf_counter() - began) * 1000, serving=self.switch.serving, **reply)

    async def do_replace(self, command: dict[str, Any]) -> str:
        """Another version."""
        app = serving_app.make(**{name: value for name, value in command.items() if name not in {"id", "do"}})
        return await self.switch.replace(app, reason="a test said so")

    async def do_restore(self, _command: dict[str, Any]) -> None:
        """The last good version."""
        await self.switch.restore()

    async def do_fail(self, command: dict[str, Any]) -> None:
        """No version."""
        self.switch.fail(ErrorReport("SyntaxError", command["message"]))

    async def do_gate(self, command: dict[str, Any]) -> None:
        """Open or close the gate."""
        if command["open"]:
            self.switch.open_gate()
        else:
            self.switch.close_gate()

    async def do_cancel(self, _command: dict[str, Any]) -> None:
        """Give the replacement under way up."""
        assert self.changing is not None
        self.changing.cancel()
        await asyncio.wait({self.changing})

    async def do_events(self, _command: dict[str, Any]) -> list[str]:
        """What the app has seen."""
        gc.collect()  # a generator that was cancelled at its yield ends when it is collected
        return serving_app.EVENTS

    async def do_release(self, _command: dict[str, Any]) -> None:
        """Let what is held or deaf come to its end."""
        serving_app.release()

    async def do_drain(self, command: dict[str, Any]) -> float:
        """Wait for requests for another time from now on; returns for how long it was."""
        before, self.switch._drain_timeout = self.switch._drain_timeout, command["seconds"]
        return before

    async def do_certificate(self, _command: dict[str, Any]) -> str | None:
        """Read the certificate again."""
        assert all(file.is_absolute() for file in self.server.certificate_files)
        return self.server.renew_certificate()

    async def do_tasks(self, _command: dict[str, Any]) -> int:
        """How many requests are in flight, at the gate or behind it."""
        return len(self.server.server_state.tasks)

    async def do_restart(self, _command: dict[str, Any]) -> None:
        """A new process on the same socket."""
        self.switch.close_gate()
        await replace_process(self.server, self.bound.sockets, self.beginning)


def main() -> None:
    """Serve with the options that the first argument has."""
    try:
        program = Main(json.loads(sys.argv[1]))
    except BindError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(3)
    with contextlib.suppress(KeyboardInterrupt):
        run_loop(program.run(), factory=program.server.config.get_loop_factory())


if __name__ == "__main__":
    main()
