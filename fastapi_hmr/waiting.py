"""Says once, when the app keeps everybody waiting, what for and in which line of the project."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

LATE_S = 3.0
"""When somebody waits and wonders."""
AGAIN_S = 0.5

type Owns = Callable[[str], bool]
type Line = tuple[str, int]
"""A file and a line number."""

_MOST = 100
_SUSPENDED = {
    CoroutineType: ("cr_frame", "cr_await"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
}


class Waiting:
    """Speaks from a thread of its own: what is waited for may block the event loop."""

    def __init__(
        self,
        tell: Callable[[str, Line | None], None],
        owns: Owns,
        late_s: float = LATE_S,
        later: Callable[[str, float], None] = lambda _what, _seconds: None,
    ) -> None:
        """`tell` gets what is waited for, and where in the files that `owns` says are ours that is.

        `later` is called again and again after that, with what and for how many seconds.
        """
        self._tell, self._owns, self._late_s, self._later = tell, owns, late_s, later

    @contextmanager
    def __call__(self, what: str, task: "asyncio.Task[Any]") -> Iterator[None]:
        """While inside, this task is waited for."""
        here = threading.get_ident()

        def late() -> None:
            began = time.monotonic() - self._late_s
            self._tell(what, self._where(here, task))
            while not timer.finished.wait(AGAIN_S):
                self._later(what, time.monotonic() - began)

        timer = threading.Timer(self._late_s, late)
        timer.name, timer.daemon = "fastapi-hmr waiting", True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _where(self, thread: int, task: "asyncio.Task[Any]") -> Line | None:
        return running(thread, self._owns) or suspended(task.get_coro(), self._owns)


def running(thread: int, owns: Owns) -> Line | None:
    """The innermost line of ours that a thread is at."""
    frame: FrameType | None = sys._current_frames().get(thread)  # noqa: SLF001 - documented, for debuggers as this is one
    while frame is not None:
        line = _line(frame, owns)
        if line is not None:
            return line
        frame = frame.f_back
    return None


def _line(frame: FrameType | None, owns: Owns) -> Line | None:
    if frame is None or frame.f_code.co_filename.startswith("<") or not owns(frame.f_code.co_filename):
        return None
    return frame.f_code.co_filename, frame.f_lineno


def suspended(waiting: Any, owns: Owns) -> Line | None:
    """The innermost line of ours in which a coroutine waits, through all that it awaits."""
    found = None
    for _ in range(_MOST):
        names = _SUSPENDED.get(type(waiting))
        if names is None:  # the iterator of an `await`, a step of an async generator: what it drives is inside
            waiting = next((each for each in gc.get_referents(waiting) if type(each) in _SUSPENDED), None)
            if waiting is None:
                break
            continue
        found = _line(getattr(waiting, names[0]), owns) or found
        waiting = getattr(waiting, names[1])
    return found
