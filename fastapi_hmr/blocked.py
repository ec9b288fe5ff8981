"""Gets the event loop back from code of the app that blocks it, once a save or the exit has waited for it too long."""

import threading
from collections.abc import Callable
from typing import Self

from fastapi_hmr.interrupt import Interrupter
from fastapi_hmr.waiting import LATE_S, running

LIMIT_S = 10.0
"""How long code may block the loop while a save waits for it: as long as a shutdown may take."""


class Blocked:
    """Entered by the thread of the loop, around all that it runs."""

    def __init__(self, owns: Callable[[str], bool], tell: Callable[[str, int], None]) -> None:
        """`owns` tells which files are the app's, `tell` gets the line that has blocked for a while."""
        self._owns, self._tell = owns, tell
        self._interrupter = Interrupter(owns, forcibly=False)
        self._thread = 0
        self._told = False

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        self._interrupter.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._interrupter.__exit__(*exception)

    def waited_for(self, seconds: float) -> None:
        """A save waits for the loop, for so long by now; to be called again and again, from one thread."""
        if seconds >= LIMIT_S:
            self.end()
        elif seconds < LATE_S:
            self._told = False
        elif not self._told:
            self._told = True
            line = running(self._thread, self._owns)
            if line is not None:
                self._tell(*line)

    def end(self, *, anyway: bool = False) -> None:
        """Interrupt what the loop runs, if that is code of the app, from any other thread.

        `anyway`: in the import of a library and in a debugger too, for the process is about to end.
        """
        self._interrupter.interrupt(loading=anyway, debugging=anyway)
