"""Garbage: has dropped generations collected soon, but never when somebody waits, and for a bounded share of the time."""

import asyncio
import gc
from time import perf_counter

LULL_S = 0.25
"""After a reload the page is loaded again: that is not the moment to stop the process."""
SHARE = 0.05
"""Of the time, at most, goes into collecting. Python itself waits until a quarter of all objects is new."""


class Garbage:
    """An app is one large cycle, which only a full collection frees, and Python's own come every ten reloads or so."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._free_at = 0.0

    def dropped(self) -> None:
        """A generation has been let go."""
        if self._timer is not None or not gc.isenabled():
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody can tell when there is a lull
        self._timer = loop.call_later(max(LULL_S, self._free_at - perf_counter()), self._collect)

    def close(self) -> None:
        """Leave the rest to Python."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _collect(self) -> None:
        self._timer = None
        start = perf_counter()
        gc.collect()
        end = perf_counter()
        self._free_at = end + (end - start) / SHARE
