"""Watchdog: interrupts an import that does not end."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ImportTimeout(BaseException):
    """An import took longer than it may. No Exception, so that the app's own handlers let it pass."""


def interrupt(thread: int) -> None:
    """Raise ImportTimeout in a thread, at its next bytecode."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(ImportTimeout))


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """While inside, the calling thread is interrupted after so many seconds, and again until it leaves."""
    thread = threading.get_ident()
    done = threading.Event()
    lock = threading.Lock()

    def bark() -> None:
        while not done.wait(seconds):
            with lock:
                if not done.is_set():
                    interrupt(thread)

    dog = threading.Thread(target=bark, name="fastapi-hmr import watchdog", daemon=True)
    dog.start()
    try:
        yield
    except ImportTimeout as error:
        raise ImportTimeout(f"the import did not end within {seconds:g} s") from error.__cause__
    finally:
        with lock:
            done.set()
        dog.join()
