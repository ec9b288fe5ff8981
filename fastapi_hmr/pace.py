"""How often to look for saves: soon while there is time, and rarely enough that a busy server keeps its time."""

import time
from collections.abc import Callable

EAGER_S = 120.0
"""A save is hardly ever alone: for so long after one the next is looked for sooner."""
BUSY = 0.5
"""Share of a core that this process uses: from here on it has better things to do."""


class Pace:
    """Tells the pause between two looks. Each look takes the interpreter from the thread that serves."""

    def __init__(
        self,
        *,
        idle_ms: int,
        eager_ms: int,
        busy_ms: int,
        clock: Callable[[], float] = time.perf_counter,
        used: Callable[[], float] = time.process_time,
    ) -> None:
        self._idle_ms, self._eager_ms, self._busy_ms, self._clock, self._used = idle_ms, eager_ms, busy_ms, clock, used
        self._last = clock(), used()
        self._eager_until = 0.0

    def news(self) -> None:
        """Something was found."""
        self._eager_until = self._clock() + EAGER_S

    def step_ms(self) -> int:
        """The pause from now on, by what happened since the last call."""
        now, before = (self._clock(), self._used()), self._last
        self._last = now
        if now[1] - before[1] > BUSY * (now[0] - before[0]):
            return self._busy_ms
        return self._eager_ms if now[0] < self._eager_until else self._idle_ms
