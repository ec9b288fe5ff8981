"""A client mix at a steady rate while files are saved, some broken: nothing may be refused, reset or torn.

`python -m tests.soak --minutes 20` runs it by hand; the test suite runs it for two minutes.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import websockets

from tests.soak_parts import BOUND_S, NOTES, OWN_S, Notebook, Reload, figures
from tests.utils import Project, Server, free_port, hmr_argv

MAIN = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
import version
from soak_notes import Flight, Watched, note
from version import VALUE
from routes import router

flight = Flight()

@asynccontextmanager
async def lifespan(app):
    note("start")
    try:
        await asyncio.sleep(0.01)
        if version.FAIL:
            raise RuntimeError("the soak test wants this startup to fail")
    except BaseException:
        note("failed")
        raise
    note("up")
    yield
    note("stop", flight.open[0], *flight.ended)
    await asyncio.sleep(0.01)
    note("down")

app = FastAPI(lifespan=lifespan)
app.add_middleware(Watched, flight=flight)
app.include_router(router)

@app.get("/version")
async def read():
    return VALUE

@app.get("/slow")
async def slow():
    before = VALUE
    await asyncio.sleep(0.5)
    return [before, VALUE, version.VALUE]

@app.get("/long")
async def long():
    before = VALUE
    await asyncio.sleep(3)
    return [before, VALUE, version.VALUE]

@app.post("/upload")
async def upload(request: Request):
    before, size = VALUE, 0
    async for chunk in request.stream():
        size += len(chunk)
    return [before, VALUE, version.VALUE, size]

@app.get("/download")
async def download():
    async def chunks():
        for _ in range(20):
            yield b"x" * 10_000
            await asyncio.sleep(0.01)
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers={"content-length": "200000"})

@app.get("/sse")
async def sse():
    async def ticks():
        while True:
            yield f"data: {version.VALUE}\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(ticks(), media_type="text/event-stream")

@app.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.receive_text()
            await socket.send_json([VALUE, version.VALUE])
    except WebSocketDisconnect:
        pass

note("built")
"""
ROUTES = """
from fastapi import APIRouter
import version
router = APIRouter()

@router.get("/body")
async def body():
    return [version.VALUE, "BODY"]
"""
UPLOAD = b"y" * 300_000
UNANSWERED_S = 15.0
KEEP_ALIVE_S = 5.0
"""uvicorn closes a connection that was idle for so long, by its own clock: after the machine has stood still it does
so although a request waits to be read. Every client asks again then, and so does this one."""


_CLOSED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


@dataclass
class Tally:
    """What the clients saw: how each request ended, and how long each reload took, part by part."""

    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    reloads: list[Reload] = field(default_factory=list)

    def bad(self, kind: str, detail: str) -> None:
        """Something that must never happen."""
        self.ends[f"BAD {kind}"] += 1
        if len(self.problems) < 20:
            self.problems.append(f"{kind}: {detail}")


class Soak:
    """The clients and the editor around one server."""

    def __init__(
        self, server: Server, project: Project, notes: Path, seconds: float, seed: int, processes: Iterable[int] = ()
    ) -> None:
        """`processes`: those whose time in line for a processor is known to be nobody's doing here."""
        self.server, self.project, self.random = server, project, random.Random(seed)
        self.notes = Notebook(notes, processes)
        self.until = time.monotonic() + seconds
        self.tally = Tally()
        self.good = 0
        self.history = [0]

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self.until

    async def run(self) -> Tally:
        """All clients and the editor, until the time is up."""
        clients = [
            self._repeat(self._fresh, 0.02),
            self._keep_alive(),
            self._repeat(self._upload, 0.2),
            self._repeat(self._download, 0.3),
            self._repeat(lambda: self._slow("/slow"), 0.4),
            self._repeat(lambda: self._slow("/long"), 20),  # longer than any drain: left to finish on the old version
            self._sse(),
            self._websocket(),
        ]
        await asyncio.gather(self._edit(), *clients)
        return self.tally

    def _client(self) -> httpx.AsyncClient:
        # Without `verify` it reads all certificates of the system, which takes longer than many a reload.
        return httpx.AsyncClient(base_url=self.server.url, verify=False)

    async def _repeat(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while not self.over:
            await act()
            await asyncio.sleep(pause_s)

    async def _request(
        self, client: httpx.AsyncClient, method: str, path: str, *, since: float | None = None, **kwargs: bytes
    ) -> httpx.Response | None:
        """`since`: when the last answer came over the same connection, if one did."""
        try:
            response = await client.request(method, path, timeout=UNANSWERED_S, **kwargs)  # type: ignore[arg-type]  # content=
        except httpx.TransportError as error:
            idle_s = 0.0 if since is None else time.monotonic() - since
            if isinstance(error, _CLOSED) and idle_s >= KEEP_ALIVE_S:
                self.tally.ends["closed after the keep-alive timeout"] += 1
            else:
                self.tally.bad(type(error).__name__, f"{method} {path}: {error} (last answer {idle_s:.1f} s ago)")
            return None
        if response.status_code != 200:
            self.tally.bad(f"status {response.status_code}", f"{method} {path}: {response.text[:200]}")
            return None
        self.tally.ends[path] += 1
        return response

    def _check(self, path: str, values: list[int]) -> None:
        if len(set(values)) != 1:
            self.tally.bad("torn", f"{path} answered {values}")
        elif values[0] not in self.history:
            self.tally.bad("never good", f"{path} answered {values[0]}")

    async def _fresh(self) -> None:
        async with self._client() as client:
            response = await self._request(client, "GET", "/version")
            if response is not None:
                self._check("/version", [response.json()])

    async def _keep_alive(self) -> None:
        async with self._client() as client:
            answered: float | None = None
            while not self.over:
                response = await self._request(client, "GET", "/body", since=answered)
                answered = None
                if response is not None:
                    self._check("/body", response.json()[:1])
                    answered = time.monotonic()
                await asyncio.sleep(0.02)

    async def _slow(self, path: str) -> None:
        async with self._client() as client:
            response = await self._request(client, "GET", path)
            if response is not None:
                self._check(path, response.json())

    async def _upload(self) -> None:
        async with self._client() as client:
            response = await self._request(client, "POST", "/upload", content=UPLOAD)
            if response is not None:
                *values, size = response.json()
                self._check("/upload", values)
                if size != len(UPLOAD):
                    self.tally.bad("short upload", str(size))

    async def _download(self) -> None:
        async with self._client() as client:
            response = await self._request(client, "GET", "/download")
            if response is not None and len(response.content) != 200_000:
                self.tally.bad("short download", str(len(response.content)))

    async def _sse(self) -> None:
        """A stream may end with its generation, but it ends cleanly and can be opened again at once."""
        async with self._client() as client:
            while not self.over:
                try:
                    async with client.stream("GET", "/sse", timeout=UNANSWERED_S) as stream:
                        async for line in stream.aiter_lines():
                            if line.startswith("data:"):
                                self._check("/sse", [int(line[5:])])
                            if self.over:
                                break
                    self.tally.ends["/sse"] += 1
                except httpx.TransportError as error:
                    self.tally.bad(f"sse {type(error).__name__}", str(error))

    async def _websocket(self) -> None:
        """A socket may be closed with 1012 by a reload, and nothing else."""
        url = f"{self.server.url.replace('http', 'ws')}/ws"
        while not self.over:
            try:
                async with websockets.connect(url, open_timeout=UNANSWERED_S) as socket:
                    while not self.over:
                        await socket.send("x")
                        self._check("/ws", json.loads(await asyncio.wait_for(socket.recv(), UNANSWERED_S)))
                        self.tally.ends["/ws message"] += 1
                        await asyncio.sleep(0.05)
            except websockets.ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
                if code == 1012:
                    self.tally.ends["/ws closed 1012"] += 1
                else:
                    self.tally.bad("websocket", f"closed with {code}")
            except (OSError, TimeoutError, websockets.InvalidHandshake) as error:
                self.tally.bad(f"websocket {type(error).__name__}", str(error))

    async def _edit(self) -> None:
        """Save at random times: every tenth save is broken, every twentieth has a failing lifespan."""
        saves = 0
        while not self.over:
            await asyncio.sleep(self.random.uniform(0.3, 2.0))
            saves += 1
            if saves % 20 == 0:
                self.project["version.py"] = f"VALUE = {self.good}\nFAIL = True\n"
                await asyncio.sleep(0.3)
            elif saves % 10 == 0:
                self.project["version.py"] = self.random.choice(["VALUE = (\n", "raise RuntimeError('half done')\n"])
                await asyncio.sleep(0.3)
            elif saves % 3 == 0:
                await self._save_and_wait(
                    "routes.py", ROUTES.replace("BODY", f"body {saves}"), "/body", f"body {saves}"
                )
            else:
                await self._save_and_wait(*self._version(), "/version", self.good)

    def _version(self) -> tuple[str, str]:
        """The next good version: its file, and its text."""
        self.good += 1
        self.history.append(self.good)
        return "version.py", f"VALUE = {self.good}\nFAIL = False\n"

    async def _save_and_wait(self, file: str, text: str, path: str, expected: object) -> None:
        began, waited = time.monotonic(), self.notes.waited()
        mends = "FAIL = False" not in self.project["version.py"]
        if file == "routes.py" and mends:
            name, mended = self._version()  # first: a good save of one file does not heal another
            self.project[name] = mended
        self.project[file] = text
        async with self._client() as client:
            while time.monotonic() - began < UNANSWERED_S:
                with contextlib.suppress(httpx.TransportError):  # counted where the clients meet it
                    value = (await client.get(path, timeout=UNANSWERED_S)).json()
                    if (value[1] if isinstance(value, list) else value) == expected:
                        self._served(self.notes.reload(began, time.monotonic(), waited, mends=mends))
                        return
                await asyncio.sleep(0.002)
        self.tally.bad("never served", f"{path} did not become {expected!r}")

    def _served(self, reload: Reload) -> None:
        self.tally.reloads.append(reload)
        if reload.longest > BOUND_S:
            self.tally.bad("drain without a bound", f"{reload.longest:.2f} s: {reload.notes}")


def soak(seconds: float, seed: int, folder: Path) -> tuple[Tally, str]:
    """Run the whole in `folder`; returns the tally and the server's output."""
    project = Project(folder / "project")
    project["main.py"] = MAIN
    project["routes.py"] = ROUTES
    project["version.py"] = "VALUE = 0\nFAIL = False\n"
    project["../library/soak_notes.py"] = NOTES
    notes, port = folder / "notes", free_port()
    env = {"PYTHONPATH": str(folder / "library"), "SOAK_NOTES": str(notes)}
    server = Server(hmr_argv("main:app", "--port", str(port), "--no-access-log"), project.root, port=port, env=env)
    try:
        server.wait_ready()
        processes = (server.process.pid, os.getpid())
        return asyncio.run(Soak(server, project, notes, seconds, seed, processes).run()), server.output
    finally:
        server.stop()


def summary(tally: Tally) -> str:
    """The tally as lines for people."""
    ends = [f"{count:7} {end}" for end, count in sorted(tally.ends.items())]
    return "\n".join([*ends, *figures(tally.reloads), *tally.problems])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        result, log = soak(options.minutes * 60, options.seed, Path(temporary))
    for late in [reload for reload in result.reloads if reload.ours > OWN_S]:
        result.bad("slow", f"{late.ours * 1000:.0f} ms are ours: {late.notes}")
    print(summary(result))
    if result.problems:
        print("last lines of the server:", *log.splitlines()[-15:], sep="\n")
        sys.exit(1)
