"""Garbage: has dropped generations collected soon, but never when somebody waits, and for a bounded share of the time."""

import asyncio
import gc
from time import perf_counter

LULL_S = 0.25
"""After a reload the page is loaded again: that is not the moment to stop the process."""
LATEST_S = 2.0
"""Saves that follow each other for longer than this are no reason any more to put it off."""
SHARE = 0.05
"""Of the time, at most, goes into collecting. Python itself waits until a quarter of all objects is new."""
MANY = 12
"""Dropped generations that wait together, at most: what the process has grown by for them, it hardly gives back."""
SOON_S = 0.05
"""After so many: not at once, for the answer to this save comes first."""


class Garbage:
    """An app is one large cycle, which only a full collection frees, and Python's own come every ten reloads or so."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0
        self._latest = 0.0
        self._waiting = 0

    def dropped(self) -> None:
        """A generation has been let go."""
        self._waiting += 1
        if self._timer is not None and self._waiting == MANY:
            self._timer.cancel()
            self._latest = self._free_at = 0.0
            self._schedule(SOON_S)
        elif self._timer is None and gc.isenabled():
            self._latest = perf_counter() + LATEST_S
            self._schedule(LULL_S)

    def postpone(self) -> None:
        """A save is being served: whoever made it waits for the page."""
        if self._timer is not None and perf_counter() + LULL_S < self._latest:
            self._timer.cancel()
            self._schedule(LULL_S)

    def close(self) -> None:
        """Leave the rest to Python."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, lull_s: float) -> None:
        self._timer = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody can tell when there is a lull
        self._timer = loop.call_later(max(lull_s, self._free_at - perf_counter()), self._collect)

    def _collect(self) -> None:
        self._timer, self._waiting = None, 0
        start = perf_counter()
        gc.collect()
        end = perf_counter()
        self._free_at = end + (end - start) / SHARE
