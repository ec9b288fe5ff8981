"""Runs the event loop so that the app's code can neither end it from inside nor keep it from ending."""

import asyncio
import contextlib
import contextvars
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

LAST_WAIT_S = 0.5
"""How long each kind of leftover may take to end: tasks, async generators."""

SILENT_S = 10.0
"""How long what would be said a thousand times is not said again."""

logger = logging.getLogger("uvicorn.error")


def run_loop[T](main: Coroutine[Any, Any, T], *, factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """`asyncio.run()` for a server of other people's code.

    A SystemExit or KeyboardInterrupt raised in any task, or a `loop.stop()`, ends `asyncio.run()`; here it is logged,
    and the loop goes on. Cancelling all tasks, as some shutdown recipes do, does not reach `main`. At the end nothing
    is waited for without a bound. Ctrl-C cancels `main` and raises KeyboardInterrupt, as there.

    `asyncio.all_tasks()` shows one task that lasts as long as the loop, as there: AnyIO ties its threads to it, and
    where it finds none starts a thread for each call.
    """
    loop = factory() if factory is not None else asyncio.new_event_loop()
    loop.set_exception_handler(_Handler())
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main, name="fastapi-hmr")
        hide(task)
        seen = loop.create_task(_over(task), name="fastapi-hmr runs")
        with _interruptible(loop, task) as interrupted:
            try:
                return _complete(loop, task, interrupted, seen=seen)
            except asyncio.CancelledError:
                if interrupted.is_set():
                    raise KeyboardInterrupt from None
                raise
    finally:
        _close(loop)


class _Handler:
    """As without a handler, but that a lack of file descriptors is said in one line, now and then.

    asyncio says it with a traceback for each of the connections that might be waiting: for thousands, each second,
    and does nothing else meanwhile.
    """

    def __init__(self) -> None:
        self._silent_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != "socket.accept() out of system resource":
            loop.default_exception_handler(context)
        elif loop.time() > self._silent_until:
            self._silent_until = loop.time() + SILENT_S
            logger.error("No connection can be accepted (%s): new ones wait until others end.", context["exception"])


def hide(task: asyncio.Task[Any]) -> None:
    """Keep a task out of `asyncio.all_tasks()`: an app that cancels all of them means its own."""
    asyncio._unregister_task(task)  # noqa: SLF001 - documented, under "Extending asyncio"


def hidden[T](coroutine: Coroutine[Any, Any, T], context: contextvars.Context | None = None) -> asyncio.Task[T]:
    """A task of ours: `asyncio.all_tasks()` does not know it. It runs in this context, or in a copy of the current."""
    task = asyncio.get_running_loop().create_task(coroutine, context=context)
    hide(task)
    return task


async def _over(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})


def _complete[T](
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[T],
    interrupted: threading.Event,
    *,
    seen: asyncio.Task[None] | None = None,
) -> T:
    """Run until the future is done, whatever else gets out of the loop, and whoever cancels the task that is `seen`."""
    while True:
        try:
            if seen is not None and not seen.done():
                with contextlib.suppress(asyncio.CancelledError):
                    loop.run_until_complete(seen)
            return loop.run_until_complete(future)
        except (SystemExit, KeyboardInterrupt) as error:
            if future.done() or interrupted.is_set():
                raise
            logger.exception("The app's code raised %s to end the process: the server goes on.", type(error).__name__)
        except RuntimeError:
            if future.done():
                raise
            logger.error("The app's code stopped the event loop: the server goes on.")  # noqa: TRY400 - it's known why


@contextlib.contextmanager
def _interruptible(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> Iterator[threading.Event]:
    """Ctrl-C outside the time that the server has its own handler."""
    interrupted = threading.Event()

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set() or task.done():
            raise KeyboardInterrupt
        interrupted.set()
        loop.call_soon_threadsafe(task.cancel)

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted
    finally:
        if ours and signal.getsignal(signal.SIGINT) is on_interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            _within_bounds(loop, asyncio.wait(tasks, timeout=LAST_WAIT_S))
        if not all(task.done() for task in tasks):  # it has been said, and what they hold open can't be closed
            loop.set_exception_handler(lambda _loop, _context: None)
        _within_bounds(loop, loop.shutdown_asyncgens())
        # Threads of the default executor are not joined: uvloop does that without a bound. `loop.close()` lets go of
        # them, and the interpreter waits for them at its end, watched by the watchdog.
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _within_bounds(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> None:
    async def bounded() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(coroutine, 2 * LAST_WAIT_S)

    _complete(loop, loop.create_task(bounded()), threading.Event())
