"""Connections that are kept over switches: whenever a request comes in, it is answered, on the same connection."""

import asyncio
import random
import socket
from typing import Any

import pytest
import uvicorn

from fastapi_hmr.switch import Switch

CLIENTS = 6
REQUESTS = 60
HALVES = (b"GET / HTTP/1.1\r\nho", b"st: localhost\r\n\r\n")


def make(version: int) -> Any:
    """An app that says its version, and takes some turns of the loop for everything."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await asyncio.sleep(0)
                await send({"type": f"lifespan.{step}.complete"})
            return
        await asyncio.sleep(0)
        body = b"%06d" % version
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": body})

    return app


async def turns(number: int) -> None:
    """Let the loop go on by so many turns."""
    for _ in range(number):
        await asyncio.sleep(0)


async def ask(port: int, seed: int) -> list[int]:
    """Requests over one connection, each begun and ended at any moment of a switch: the versions that answered."""
    chance = random.Random(seed)
    versions = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(REQUESTS):
        for half in HALVES:
            await turns(chance.randrange(12))
            writer.write(half)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert b"connection: close" not in head.lower()
        versions.append(int(await reader.readexactly(6)))
    writer.close()
    return versions


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_no_connection_is_closed_by_a_switch(http: Any) -> None:
    """Not one request is refused, reset or answered by an older version than the one before, in hundreds of switches."""
    switch = Switch(render=lambda _scope, report, status: (status, [], report.message.encode()))
    await switch.replace(make(0), reason="start")
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(switch, http=http, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    port = listening.getsockname()[1]
    clients = asyncio.gather(*(ask(port, seed) for seed in range(CLIENTS)))
    number = 0
    while not clients.done():
        number += 1
        await switch.replace(make(number), reason="edit")
        await turns(number % 7)
    answers = await clients
    server.should_exit = True
    await serving
    await switch.close()
    assert number > 30
    for versions in answers:
        assert versions == sorted(versions)
        assert len(set(versions)) > 10
