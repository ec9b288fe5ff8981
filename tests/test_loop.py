"""The loop: what the app's code raises or stops does not end it, and nothing keeps it from ending."""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio.to_thread
import pytest
import uvloop

from fastapi_hmr.loop import hidden, run_loop

FACTORIES = pytest.mark.parametrize("factory", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
type Factory = Callable[[], asyncio.AbstractEventLoop] | None


async def _raise(error: BaseException) -> None:
    raise error


@FACTORIES
@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"])
def test_task_can_not_end_the_loop(error: BaseException, factory: Factory, caplog: pytest.LogCaptureFixture) -> None:
    """`asyncio.run()` would end with what any task raises to end the process; here it is logged, and life goes on."""

    async def main() -> str:
        task = asyncio.create_task(_raise(error))
        await asyncio.sleep(0.05)
        assert task.exception() is error
        return "went on"

    assert run_loop(main(), factory=factory) == "went on"
    assert f"raised {type(error).__name__} to end the process" in caplog.text


@FACTORIES
def test_callback_can_not_end_the_loop(factory: Factory) -> None:
    """Nor can what is called from the loop itself; what was due after it still comes."""

    async def main() -> list[str]:
        came: list[str] = []
        loop = asyncio.get_running_loop()
        loop.call_soon(_exit)
        loop.call_soon(came.append, "next")
        await asyncio.sleep(0.05)
        return came

    assert run_loop(main(), factory=factory) == ["next"]


def _exit() -> None:
    raise SystemExit(7)


@FACTORIES
def test_loop_can_not_be_stopped(factory: Factory, caplog: pytest.LogCaptureFixture) -> None:
    """`loop.stop()` stops it for a moment."""

    async def main() -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.05)
        return "went on"

    assert run_loop(main(), factory=factory) == "went on"
    assert "stopped the event loop" in caplog.text


@FACTORIES
def test_cancelling_all_tasks_spares_ours(factory: Factory) -> None:
    """A shutdown recipe that cancels every task there is, and waits for them, does not reach those of the server."""

    async def recipe() -> int:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return len(tasks)

    async def main() -> tuple[int, str, bool]:
        ours = hidden(asyncio.sleep(0.1, "ours"))
        theirs = asyncio.create_task(asyncio.sleep(300))
        cancelled = await asyncio.create_task(recipe())
        return cancelled, await ours, theirs.cancelled()

    assert run_loop(main(), factory=factory) == (2, "ours", True), "theirs, and the one that asyncio.run() has too"


@FACTORIES
def test_calls_share_a_thread(factory: Factory) -> None:
    """AnyIO, which runs `def` endpoints, keeps its threads for the next call, as under `asyncio.run()`."""

    async def main() -> set[threading.Thread]:
        calls = [hidden(anyio.to_thread.run_sync(threading.current_thread)) for _ in range(2)]
        await asyncio.wait(calls)
        calls += [hidden(anyio.to_thread.run_sync(threading.current_thread)) for _ in range(2)]
        return {await call for call in calls}

    threads = run_loop(main(), factory=factory)
    assert len(threads) == 2
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@FACTORIES
@pytest.mark.parametrize("error", [ValueError("main's own"), SystemExit(3)], ids=lambda error: type(error).__name__)
def test_what_main_raises_gets_out(error: BaseException, factory: Factory) -> None:
    """The server's own failure, and its own exit, are not the app's."""
    with pytest.raises(type(error)) as raised:
        run_loop(_raise(error), factory=factory)
    assert raised.value is error


@FACTORIES
def test_ctrl_c_cancels_main(factory: Factory) -> None:
    """Outside the time that uvicorn has its handler Ctrl-C is what it is to `asyncio.run()`."""
    ended: list[str] = []

    async def main() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(300)
        finally:
            ended.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        run_loop(main(), factory=factory)
    assert ended == ["cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@FACTORIES
def test_leftovers_are_ended(factory: Factory) -> None:
    """Tasks are cancelled and generators closed, as `asyncio.run()` does it."""
    ended: list[str] = []
    kept: list[Any] = []

    async def task() -> None:
        try:
            await asyncio.sleep(300)
        finally:
            ended.append("task")

    async def generator() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("generator")

    async def main() -> None:
        kept.extend((asyncio.create_task(task()), generator()))
        await anext(kept[1])

    run_loop(main(), factory=factory)
    assert sorted(ended) == ["generator", "task"]


@FACTORIES
def test_deaf_leftovers_are_left(factory: Factory) -> None:
    """A task that ignores its cancellation and a thread that sleeps cost a bounded time."""
    over = threading.Event()
    kept: list[Any] = []

    async def deaf() -> None:
        while not over.is_set():
            try:
                await asyncio.sleep(300)
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        kept.append(asyncio.create_task(deaf()))
        kept.append(asyncio.get_running_loop().run_in_executor(None, over.wait, 60))
        await asyncio.sleep(0.01)

    began = time.monotonic()
    run_loop(main(), factory=factory)
    assert time.monotonic() - began < 20
    over.set()
    kept[0]._log_destroy_pending = False
    kept[0].get_coro().close()
