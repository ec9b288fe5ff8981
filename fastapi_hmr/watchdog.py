"""Ends a process that ought to have ended, but is kept alive by code that listens to nothing."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

BLOCKED_S = 5.0
"""How long after the first signal the event loop may not have noticed."""
LOOK_S = 0.1
EXIT_S = 30.0
"""How long an exit may take, besides what requests in flight are given: more than all its limits together."""
THREADS_S = 1.5
"""How long threads may go on after the main thread is through, or all of it after a second Ctrl-C."""


class Watchdog:
    """Told of each signal and of the exit's beginning, it ends the process where the exit does not come.

    The status is what a shell sees of uvicorn's: 0 after Ctrl-C, else 128 and the signal's number.
    """

    def __init__(self, blocked: Callable[[float], None] = lambda _seconds: None) -> None:
        """`blocked` is called again and again while the event loop has not noticed, with for how long: it may help."""
        self._on_blocked = blocked
        self._signal = 0
        self._noticed = threading.Event()

    def on_signal(self, number: int, *, again: bool) -> None:
        """A signal has come that asks for the end; `again`: and not for the first time."""
        if not self._signal:
            self._signal = number
            _in_thread(self._blocked)
        elif again:
            _in_thread(self._impatient)

    def on_exit(self, drain_s: float = 0.0) -> None:
        """The event loop has noticed, and begins to shut down; requests in flight are given so many seconds."""
        self._noticed.set()
        _in_thread(partial(self._threads, time.monotonic() + EXIT_S + drain_s))

    def _blocked(self) -> None:
        began = time.monotonic()
        while not self._noticed.wait(LOOK_S):
            seconds = time.monotonic() - began
            self._on_blocked(seconds)
            if seconds > BLOCKED_S:
                self._end("the event loop is blocked by code that never gives it back")

    def _impatient(self) -> None:
        time.sleep(THREADS_S)
        self._end("the shutdown takes too long")

    def _threads(self, until: float) -> None:
        while not _main_is_through():
            time.sleep(LOOK_S)
            if time.monotonic() > until:
                self._end("the shutdown does not come to its end")
        time.sleep(THREADS_S)
        names = [thread.name for thread in threading.enumerate() if not thread.daemon and thread.is_alive()]
        if names:
            self._end(f"threads still run ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})")

    def _end(self, why: str) -> None:
        print(f"Ending the process now: {why}.", file=sys.stderr, flush=True)
        # Only the main thread can let a signal end the process again, and it may be what is stuck.
        os._exit(0 if self._signal in {0, signal.SIGINT} else 128 + self._signal)


def _main_is_through() -> bool:
    """Whether the main thread has run its program to the end, and only waits for other threads.

    Executors are waited for before it counts as finished; then its outermost frame is `threading._shutdown`.
    """
    main = threading.main_thread()
    if not main.is_alive() or main.ident is None:
        return True
    frame = sys._current_frames().get(main.ident)  # noqa: SLF001 - documented, for debuggers as this is one
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "_shutdown" and frame.f_globals["__name__"] == "threading"


def _in_thread(target: Callable[[], None]) -> None:
    threading.Thread(target=target, name="fastapi-hmr watchdog", daemon=True).start()
