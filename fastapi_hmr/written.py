"""Knows which files this process has just written itself: an app's own logs, uploads and state are no edits."""

import os
import time
from pathlib import Path
from typing import Any

from fastapi_hmr import audit

RECENT_S = 1.0
"""A change that is seen so soon after our own writing is taken for it; later ones are somebody else's."""
_WRITING = os.O_WRONLY | os.O_RDWR
_MOST = 1000


class Written:
    """Listens to what the process opens for writing or renames to."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def open(self) -> None:
        """Begin to listen."""
        audit.listen("open", self._opened)
        audit.listen("os.rename", self._renamed)

    def close(self) -> None:
        """Listen no more."""
        audit.unlisten("open", self._opened)
        audit.unlisten("os.rename", self._renamed)

    def __call__(self, path: Path) -> bool:
        """Whether the last change of this file is most likely our own."""
        at = self._at.get(str(path))
        return at is not None and time.monotonic() - at < RECENT_S

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if isinstance(path, (str, os.PathLike)) and isinstance(flags, int) and flags & _WRITING:
            self._note(path)

    def _renamed(self, arguments: tuple[Any, ...]) -> None:
        target = arguments[1]
        if isinstance(target, (str, os.PathLike)):
            self._note(target)

    def _note(self, path: "str | os.PathLike[str]") -> None:
        if len(self._at) >= _MOST:
            self._at.clear()
        self._at[os.path.realpath(path)] = time.monotonic()
