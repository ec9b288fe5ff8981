"""One exchange by itself: who waits for messages, and what wakes him."""

import asyncio
from typing import Any

import pytest

from fastapi_hmr.exchange import Exchange


async def test_two_tasks_may_wait_for_messages() -> None:
    """Each message goes to one of them, and the end of the exchange to both."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def send(_message: Any) -> None:
        return None

    exchange = Exchange({"type": "websocket"}, inbox.get, send)
    both = [asyncio.ensure_future(exchange.receive()) for _ in range(2)]
    await asyncio.sleep(0)
    inbox.put_nowait({"type": "websocket.receive", "text": "once"})
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    await exchange.end()
    assert sorted([(await task)["type"] for task in both]) == ["websocket.disconnect", "websocket.receive"]


async def test_receive_that_is_cancelled_from_outside_stays_cancelled() -> None:
    """The end of an exchange wakes who waits by a cancellation; one that comes from elsewhere is not swallowed."""

    async def send(_message: Any) -> None:
        return None

    exchange = Exchange({"type": "http"}, asyncio.Queue[dict[str, Any]]().get, send)
    waiting = asyncio.ensure_future(exchange.receive())
    await asyncio.sleep(0)
    await exchange.end()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
