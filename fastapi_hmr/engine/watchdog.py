"""Watchdog: interrupts an import that does not end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from queue import SimpleQueue

from fastapi_hmr.waiting import LATE_S


class ImportTimeout(BaseException):
    """An import took longer than it may. No Exception, so that the app's own handlers let it pass."""


KICK = signal.SIGURG
"""Ends a blocking call, so that a next bytecode comes. By default it does nothing, and hardly anybody uses it."""


def interrupt(thread: int, *, kick: bool) -> None:
    """Raise ImportTimeout in a thread, at its next bytecode."""
    import ctypes  # hardly any import hangs

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(ImportTimeout))
    if kick:
        signal.pthread_kill(thread, KICK)


@contextmanager
def kickable() -> Iterator[None]:
    """While inside, the signal interrupts blocking calls of this thread, the main one."""
    before = signal.signal(KICK, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(KICK, before)


type Jobs = SimpleQueue[Callable[[], None]]


@cache
def _dog() -> Jobs:
    """One thread for all imports: to start one, and to see it end, is to wait for it twice in each reload."""
    jobs: Jobs = SimpleQueue()

    def watch() -> None:
        while True:
            with suppress(Exception):  # what cannot be told of one import is no reason not to watch the next
                jobs.get()()

    threading.Thread(target=watch, name="fastapi-hmr import watchdog", daemon=True).start()
    return jobs


@contextmanager
def bounded(seconds: float, late: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While inside, the calling thread is interrupted after so many seconds, and again until it leaves.

    `late` is called, in another thread, when it has taken a while.
    """
    thread = threading.get_ident()
    done = threading.Event()
    lock = threading.Lock()

    free = threading.current_thread() is threading.main_thread() and signal.getsignal(KICK) is signal.SIG_DFL

    def bark() -> None:
        pause = min(LATE_S, seconds)
        if done.wait(pause):
            return
        late()
        pause = seconds - pause
        while not done.wait(pause):
            with lock:
                if not done.is_set():
                    interrupt(thread, kick=free)
            pause = seconds

    _dog().put(bark)
    try:
        with kickable() if free else nullcontext():
            yield
    except ImportTimeout as error:
        timeout = ImportTimeout(f"the import did not end within {seconds:g} s")
        raise timeout.with_traceback(error.__traceback__) from None  # which shows where it was
    finally:
        with lock:
            done.set()
