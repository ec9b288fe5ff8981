"""The event stream, and what it relies on in sse-starlette."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from sse_starlette.sse import AppStatus

from fastapi_hmr.browser.channel import BACKLOG, Channel, Payload
from tests.browser.asgi import scope_of


class Client:
    """One page's connection, driven as ASGI."""

    def __init__(self, channel: Channel, *, stuck: bool = False) -> None:
        self.messages: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.free = asyncio.Event()
        if not stuck:
            self.free.set()
        self.news = asyncio.Condition()
        self.task = asyncio.ensure_future(channel.answer(scope_of(), self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            await self.free.wait()
        async with self.news:
            self.messages.append(message)
            self.news.notify_all()

    @property
    def text(self) -> str:
        """Everything that came."""
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    @property
    def payloads(self) -> list[dict[str, Any]]:
        """The messages, decoded."""
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]

    async def until(self, probe: Callable[[], bool]) -> None:
        """Wait for news that make `probe` true."""
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(probe)


def run(work: Callable[[], Awaitable[None]]) -> None:
    """A loop for one test, and an end of sse-starlette's watcher with it."""

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(bounded())


def make(**options: Any) -> Channel:
    """A channel whose greeting is plain."""
    return Channel(lambda: {"type": "hello"}, {"x-test": "1"}, **options)


def test_stream_begins_with_the_greeting_and_brings_what_follows() -> None:
    """In order, as unnamed events with JSON, under our headers."""

    async def work() -> None:
        channel = make()
        client = Client(channel)
        await client.until(lambda: len(client.payloads) == 1)
        channel.publish({"type": "a", "text": "ü\n\ndata: x"})
        channel.publish({"type": "b"})
        await client.until(lambda: len(client.payloads) == 3)
        channel.close()
        await client.task
        assert [payload["type"] for payload in client.payloads] == ["hello", "a", "b"]
        assert client.payloads[1]["text"] == "ü\n\ndata: x"
        assert "event:" not in client.text
        assert (b"x-test", b"1") in client.messages[0]["headers"]
        assert (b"cache-control", b"no-store") in {(k.lower(), v) for k, v in client.messages[0]["headers"]}

    run(work)


def test_every_stream_hears_and_a_closed_one_is_forgotten() -> None:
    """Nothing piles up for pages that have gone."""

    async def work() -> None:
        channel = make()
        clients = [Client(channel) for _ in range(3)]
        for client in clients:
            await client.until(lambda client=client: bool(client.payloads))  # type: ignore[misc]  # bound on purpose
        assert channel.open_streams == 3
        clients[0].gone.set()
        await clients[0].task
        assert channel.open_streams == 2
        channel.publish({"type": "a"})
        for client in clients[1:]:
            await client.until(lambda client=client: len(client.payloads) == 2)  # type: ignore[misc]  # bound on purpose
        channel.close()
        await asyncio.gather(*(client.task for client in clients))
        assert channel.open_streams == 0

    run(work)


def test_nothing_between_greeting_and_publish_is_lost() -> None:
    """What is published while the greeting is under way comes after it."""

    async def work() -> None:
        seen: list[Payload] = []
        channel: Channel

        def greeting() -> Payload:
            channel.publish({"type": "meanwhile"})
            return {"type": "hello"}

        channel = Channel(greeting, {})
        client = Client(channel)
        await client.until(lambda: len(client.payloads) == 2)
        seen += client.payloads
        channel.close()
        await client.task
        assert [payload["type"] for payload in seen] == ["hello", "meanwhile"]

    run(work)


def test_page_that_does_not_read_loses_its_stream_not_our_memory() -> None:
    """Beyond the backlog the stream ends; the page will come back and see what is current."""

    async def work() -> None:
        channel = make()
        client = Client(channel, stuck=True)
        await client.until(lambda: bool(client.messages))
        await asyncio.sleep(0)
        for number in range(BACKLOG * 3):
            channel.publish({"type": "a", "number": number})
        client.free.set()
        await client.task
        assert len(client.payloads) <= BACKLOG + 1
        assert client.messages[-1]["more_body"] is False

    run(work)


def test_ledger_1_uvicorn_handle_exit_still_calls_the_original() -> None:
    """Importing sse-starlette replaces it; a server told to exit must still exit."""
    assert uvicorn.Server.handle_exit is AppStatus.handle_exit
    server = uvicorn.Server(uvicorn.Config(make))
    try:
        server.handle_exit(15, None)
        assert server.should_exit
        assert AppStatus.should_exit
    finally:
        AppStatus.should_exit = False


def test_ledger_2_should_exit_stays_set_and_ends_streams() -> None:
    """Whoever starts a server again in this process must reset it."""

    async def work() -> None:
        AppStatus.should_exit = True
        try:
            client = Client(make())
            await client.task
        finally:
            AppStatus.should_exit = False

    run(work)


def test_ledger_3_ping_is_data_that_pages_can_see() -> None:
    """A comment would not reset the page's watchdog."""

    async def work() -> None:
        channel = make(ping_s=0.05)
        client = Client(channel)
        await client.until(lambda: {"type": "ping"} in client.payloads)
        channel.close()
        await client.task

    run(work)


def test_ledger_4_close_ends_each_stream_with_a_complete_body() -> None:
    """No cancellation, no exception; a stream opened after it ends at once."""

    async def work() -> None:
        channel = make()
        client = Client(channel)
        await client.until(lambda: bool(client.payloads))
        channel.close()
        await client.task
        assert client.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        late = Client(channel)
        await late.task
        assert late.payloads == []

    run(work)


@pytest.mark.parametrize("headers", [{"host": "localhost"}])
def test_stream_is_an_event_stream(headers: dict[str, str]) -> None:
    """By its media type."""

    async def work() -> None:
        channel = make()
        client = Client(channel)
        await client.until(lambda: bool(client.messages))
        channel.close()
        await client.task
        types = [value for name, value in client.messages[0]["headers"] if name.lower() == b"content-type"]
        assert types == [b"text/event-stream; charset=utf-8"]

    run(work)
