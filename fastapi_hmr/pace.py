"""How often to look for saves: soon while there is time, and rarely enough that a busy server keeps its time."""

import time
from collections.abc import Callable

BUSY = 0.5
"""Share of a core that this process uses: from here on it has better things to do."""


class Pace:
    """Tells the pause between two looks. Each look takes the interpreter from the thread that serves."""

    def __init__(
        self,
        idle_ms: int,
        busy_ms: int,
        *,
        clock: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._idle_ms, self._busy_ms, self._clock, self._used = idle_ms, busy_ms, clock, used
        self._last = clock(), used()

    def step_ms(self) -> int:
        """The pause from now on, by what happened since the last call."""
        now, before = (self._clock(), self._used()), self._last
        self._last = now
        return self._busy_ms if now[1] - before[1] > BUSY * (now[0] - before[0]) else self._idle_ms
