"""Watchdog: has an import given up that does not end, that a newer save overtakes, or that an exit can't wait for."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from queue import SimpleQueue
from types import FrameType

from fastapi_hmr.interrupt import Interrupter
from fastapi_hmr.waiting import LATE_S, running

SOON_S = 0.5
"""An import that takes longer may be one that hangs: from here on it is looked for what makes it pointless."""
LOOK_S = 0.05
FIRST_S = 600.0
"""The limit while nothing else can be served anyway: models are loaded, and more is downloaded, at import."""
AGAIN_S = 0.2
"""How long code that was interrupted may take to clean up before it is again."""


class ImportTimeout(BaseException):
    """An import took longer than it may."""


class GivenUp(BaseException):
    """A newer save has come, or the end of the server: nobody wants this import any more."""


class Watchdog:
    """Looks after one import at a time, from another thread: the import may block the event loop."""

    def __init__(self, owns: Callable[[str], bool], limit_s: float) -> None:
        """`owns` tells which files are first-party; `limit_s` is that of an import while a version serves."""
        self.superseded: Callable[[], bool] = lambda: False
        """Whether a newer save makes the import pointless; asked in another thread, while it takes long."""
        self.on_late: Callable[[str, int], None] = lambda _file, _line: None
        """Called, in another thread, with the line that an import is at which takes long."""
        self._owns, self._limit_s = owns, limit_s
        self._longest: float | None = None
        self._ending = False
        self._interrupter: Interrupter | None = None

    @property
    def patience_s(self) -> float:
        """How long an import may take: twice as long as any did that ended, if that is more than the limit."""
        return FIRST_S if self._longest is None else max(self._limit_s, 2 * self._longest)

    @property
    def busy(self) -> bool:
        """Whether something is being imported."""
        return self._interrupter is not None

    def end(self, frame: FrameType | None) -> None:
        """No import matters any more: to be called by a signal handler, which may raise for that."""
        self._ending = True
        if self._interrupter is not None:
            self._interrupter.at(frame)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """While inside, the calling thread imports."""
        if self._ending:
            raise GivenUp
        watch = _Watch(Interrupter(self._owns), threading.get_ident())
        _dog().put(partial(self._look_after, watch))
        try:
            with watch.interrupter as self._interrupter:
                yield
        except BaseException as error:
            if watch.interrupter.raised:  # whatever else was made of it
                raise self._verdict(watch).with_traceback(error.__traceback__) from None  # which shows where it was
            raise
        finally:
            self._interrupter = None
            watch.done.set()
        if watch.interrupter.raised:
            raise self._verdict(watch)
        self._longest = max(self._longest or 0.0, time.monotonic() - watch.began)

    def _look_after(self, watch: "_Watch") -> None:
        limit, told = self.patience_s, False
        pause = min(SOON_S, limit)
        while not watch.done.wait(pause):
            pause = AGAIN_S if watch.interrupter.raised else LOOK_S
            seconds = time.monotonic() - watch.began
            if seconds >= LATE_S and not told:
                told = True
                self._tell(watch.thread)
            if self._ending or seconds >= limit:
                watch.interrupter.interrupt(debugging=self._ending)
            elif watch.newer or self._newer():
                watch.newer = True
                watch.interrupter.interrupt(loading=False, debugging=False)

    def _newer(self) -> bool:
        with suppress(RuntimeError):  # what is being asked changes meanwhile: then the next time
            return self.superseded()
        return False

    def _tell(self, thread: int) -> None:
        line = running(thread, self._owns)
        if line is not None:
            self.on_late(*line)

    def _verdict(self, watch: "_Watch") -> BaseException:
        if self._ending or watch.newer:
            return GivenUp()
        late = f"the import did not end within {self.patience_s:.3g} s"
        return ImportTimeout(f"{late}: what takes so long belongs into the app's lifespan")


class _Watch:
    """The import under way."""

    def __init__(self, interrupter: Interrupter, thread: int) -> None:
        self.interrupter, self.thread = interrupter, thread
        self.began = time.monotonic()
        self.newer = False
        self.done = threading.Event()


@cache
def _dog() -> SimpleQueue[Callable[[], None]]:
    """One thread for all imports: to start one, and to see it end, is to wait for it twice in each reload."""
    jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def work() -> None:
        while True:
            with suppress(Exception):  # what cannot be told of one import is no reason not to watch the next
                jobs.get()()

    threading.Thread(target=work, name="fastapi-hmr import watchdog", daemon=True).start()
    return jobs
