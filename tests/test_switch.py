"""The gate, the ids, what the app sees of a request, and what is served when there is nothing good to serve."""

import asyncio
import contextvars
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.generation import IN_REQUEST
from fastapi_hmr.switch import Switch
from tests.clients import Stream
from tests.serving_main import render
from tests.serving_process import Serving, serving
from tests.utils import wait_until

ASGI = {"version": "3.0", "spec_version": "2.3"}


@pytest.fixture(scope="module")
def process() -> Iterator[Serving]:
    """One server for the module; each test begins with a version of its own."""
    with serving(switch={"drain_timeout": 0.5}) as running:
        yield running


class Call:
    """One request made to a Switch without a server."""

    def __init__(self, switch: Switch, **scope: Any) -> None:
        self.sent: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": ASGI,
            "method": "GET",
            "path": "/",
            "headers": [],
            **scope,
        }
        self.task = asyncio.ensure_future(switch(self.scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        """No body."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        """Keep it."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """Of the response."""
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        """Of the response."""
        return b"".join(message.get("body", b"") for message in self.sent)


def answering(text: str, seen: list[Any] | None = None) -> Any:
    """An app that answers with a text; it has no lifespan."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        assert scope["type"] in {"http", "websocket"}
        if seen is not None:
            seen.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    return app


async def test_generation_ids_count_up_within_one_boot() -> None:
    """An id is `boot.n`: n counts the starts, and two processes never share a boot."""
    switch, other = Switch(render=render), Switch(render=render)
    boot, number = switch.generation.split(".")
    assert number == "0"
    assert not switch.serving
    assert await switch.replace(answering("a"), reason="first") == f"{boot}.1"
    assert await switch.replace(answering("b"), reason="second") == f"{boot}.2"
    assert switch.renew() == switch.generation == f"{boot}.3"
    assert other.generation.split(".")[0] != boot


async def test_request_carries_no_trace_of_us() -> None:
    """The exchange of the browser part is taken out of the scope, and told who answered; the state is the lifespan's."""
    seen: list[Any] = []
    switch = Switch(render=render)
    await switch.replace(answering("a", seen), reason="first")
    exchange: dict[str, Any] = {}
    await Call(switch, fastapi_hmr=exchange, state={"of": "uvicorn"}).task
    assert exchange == {"generation": switch.generation}
    assert "fastapi_hmr" not in seen[0]
    assert seen[0]["state"] == {}


@pytest.mark.parametrize("known", [False, True])
async def test_request_knows_that_it_is_one(known: bool) -> None:
    """Also where uvicorn gives each request an empty context (`--reset-contextvars`), of which ours says nothing."""
    found: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(IN_REQUEST.get())
        await answering("a")(scope, receive, send)

    switch = Switch(render=render)
    await switch.replace(app, reason="first")
    found.clear()  # of its lifespan
    context = contextvars.Context()
    if known:
        context.run(IN_REQUEST.set, True)
    await context.run(Call, switch).task
    assert found == [True]
    assert not IN_REQUEST.get()


async def test_state_is_a_copy_for_each_request(process: Serving) -> None:
    """What a request puts into its state is not seen by the next; the values are the lifespan's own."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["pool"] = pool
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    pool, states = object(), list[Any]()
    switch = Switch(render=render)
    await switch.replace(app, reason="first")
    await Call(switch).task
    await Call(switch).task
    assert states == [{"pool": pool}, {"pool": pool}]
    await switch.close()


def test_start_is_known_to_the_app(process: Serving) -> None:
    """`app.state.hmr` says which start this is, whether it is a reload, and why it came."""
    version = process.fresh()
    found = process.get("/state").json()
    assert found["state"] == version
    assert found["hmr"]["reloaded"]
    assert found["hmr"]["reason"] == "a test said so"
    assert found["hmr"]["generation"].endswith(f".{found['hmr']['number']}")
    assert "fastapi_hmr" not in found["scope"]


def test_first_start_is_not_a_reload() -> None:
    """The first generation is number 1."""
    with serving() as process:
        found = process.get("/state").json()["hmr"]
        assert (found["number"], found["reloaded"]) == (1, False)


class Waiting:
    """A client in a thread, whose request waits at the gate."""

    def __init__(self, request: Any) -> None:
        self.result: Any = None
        self.thread = threading.Thread(target=self._run, args=(request,))
        self.thread.start()

    def _run(self, request: Any) -> None:
        try:
            self.result = request()
        except Exception as error:
            self.result = error

    def join(self) -> Any:
        """Its answer."""
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.result


def echo(process: Serving) -> str:
    """Open a WebSocket and use it."""
    with process.websocket() as socket:
        socket.send("hello")
        return str(socket.recv())


def test_requests_at_the_gate_are_answered_by_the_new_generation(process: Serving) -> None:
    """New connections, keep-alive connections, uploads of 300 kB and WebSockets wait, and none sees the old code."""
    old = process.fresh()
    new = old + 1000
    with process.client() as client:
        client.get("/")
        process.do("gate", open=False)
        waiting = [
            Waiting(lambda: process.get().json()),
            Waiting(lambda: client.get("/").json()),
            Waiting(lambda: client.post("/upload", content=b"x" * 300_000).json()),
            Waiting(lambda: echo(process)),
        ]
        with Stream(process, "/") as early:  # it is certain to be at the gate: nothing can be sent after it before
            early.socket.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            process.replace(new)
            assert [each.join() for each in waiting] == [new, new, [new, 300_000], f"{new} hello"]
            early.until(b"\r\n\r\n%d" % new, 2)


def test_gate_that_opens_again_lets_the_old_generation_answer(process: Serving) -> None:
    """A save that came to nothing costs the request the wait, and nothing else."""
    version = process.fresh()
    process.do("gate", open=False)
    waiting = Waiting(lambda: process.get().json())
    process.do("gate", open=True)
    assert waiting.join() == version


async def test_gate_that_stays_closed_answers_503() -> None:
    """A request waits for a bounded time, and is told for what."""
    switch = Switch(render=render, gate_timeout=0.05)
    await switch.replace(answering("a"), reason="first")
    switch.close_gate()
    call = Call(switch)
    await call.task
    assert call.status == 503
    assert b"0.05 s" in call.body
    switch.open_gate()


async def test_request_that_is_cancelled_at_the_gate_harms_no_other() -> None:
    """A client that leaves while it waits does not open the gate, nor does it end the others' wait."""
    switch = Switch(render=render)
    await switch.replace(answering("a"), reason="first")
    switch.close_gate()
    first, second = Call(switch), Call(switch)
    await asyncio.sleep(0)
    first.task.cancel()
    await asyncio.wait({first.task})
    assert not second.task.done()
    switch.open_gate()
    await second.task
    assert second.body == b"a"


def test_failure_is_answered_with_its_report() -> None:
    """Where nothing good can be served every request gets 503 and the report, WebSockets too, until the next good save."""
    with serving(first=None, ready=False) as process:
        process.do("fail", message="expected ':' in main.py")
        response = process.get("/")
        assert (response.status_code, response.text) == (503, "SyntaxError: expected ':' in main.py")
        with pytest.raises(InvalidStatus) as refused:
            process.websocket()
        assert refused.value.response.status_code == 503
        assert process.do("replace", version=1)["value"].endswith(".1")
        assert process.get().json() == 1


def test_failed_startup_leaves_the_gate_closed_until_the_old_is_back(process: Serving) -> None:
    """A request that arrives in between is answered by the old generation, whose lifespan has been started again."""
    old = process.fresh()
    reply = process.do("replace", version=7000, lifespan="raises")
    assert reply["cause"] == "ValueError('no database for version 7000')"
    assert not reply["serving"]
    waiting = Waiting(lambda: process.get("/held").json())
    process.do("restore")
    wait_until(lambda: process.events().count(f"held {old}") == 1, "the request")
    process.do("release")
    assert waiting.join() == [old, True]
    assert process.events().count(f"start {old}") == 2


def test_failed_startup_of_an_app_without_lifespan_costs_no_restart(process: Serving) -> None:
    """What was not stopped is not started again."""
    old = process.fresh(lifespan="none")
    assert "error" in process.do("replace", version=7001, lifespan="raises")
    process.do("restore")
    assert process.get().json() == old


def test_second_failure_in_a_row_restores_the_last_good(process: Serving) -> None:
    """However many versions fail to start, it is the last good one that comes back."""
    old = process.fresh()
    for version in (7002, 7003):
        assert "error" in process.do("replace", version=version, lifespan="raises")
    process.do("restore")
    assert process.get().json() == old


def test_next_good_version_needs_no_restore(process: Serving) -> None:
    """After a failure the fix is served, and the old generation is not started for nothing."""
    old = process.fresh()
    assert "error" in process.do("replace", version=7004, lifespan="raises")
    new = process.fresh()
    assert process.get().json() == new
    assert process.events().count(f"start {old}") == 1


async def test_restore_without_a_past_says_so() -> None:
    """There is nothing to go back to before the first good start."""
    with pytest.raises(StartupFailed, match="no version of the app has started yet"):
        await Switch(render=render).restore()


@pytest.mark.parametrize("how", ["hangs", "deaf"])
def test_startup_is_given_up_for_a_newer_save(process: Serving, how: str) -> None:
    """A startup under way is cancelled, be it deaf; the newer version is served."""
    process.fresh()
    number = process.begin("replace", version=7005, lifespan=how)
    process.wait_for("start 7005")
    process.do("cancel")
    assert process.reply(number)["error"] == "cancelled"
    new = process.fresh()
    assert process.get().json() == new


async def test_variables_of_modules_that_did_not_run_again_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a module set in a ContextVar when it was imported is seen by later generations too; its successor replaces it."""

    def imported(name: str, module: str) -> contextvars.ContextVar[str]:
        variable: contextvars.ContextVar[str] = contextvars.ContextVar(name)
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
        monkeypatch.setattr(sys.modules[module], "VARIABLE", variable, raising=False)
        return variable

    async def load(**values: str) -> None:
        for module, value in values.items():
            variables.append(imported("same name", module))
            variables[-1].set(value)
        await switch.replace(app, reason="a save")

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        seen.append([variable.get("unset") for variable in variables])

    variables: list[contextvars.ContextVar[str]] = []
    seen: list[list[str]] = []
    switch = Switch(render=render)
    for values in ({"kept": "a", "edited": "b"}, {"edited": "c"}):
        await asyncio.create_task(load(**values))  # each save has a context of its own
        await Call(switch).task
    first, second = ["a", "b"], ["a", "unset", "c"]
    assert seen == [first, first, second, second]  # the lifespan and a request of each
