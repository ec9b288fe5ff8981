"""The access log: without the page's own questions, and without a search of the stack for each line."""

import logging
import sys
from typing import Any

_OURS = "/__fastapi_hmr__/"

type Caller = tuple[str, int, str, str | None]


def hide_ours(logger: logging.Logger) -> None:
    """Keep the page's own questions, and the token in them, out of the log."""
    logger.addFilter(_is_not_ours)


def _is_not_ours(record: logging.LogRecord) -> bool:
    arguments = record.args
    path = arguments[2] if isinstance(arguments, tuple) and len(arguments) > 2 else arguments
    return _OURS not in str(path)


def find_caller_once(logger: logging.Logger) -> None:
    """Let the logger remember who called it, as long as it is called from the same line.

    uvicorn logs every request from one line. To find that, `logging` reads the code of seven frames, and each time
    every audit hook of the process is called, ours among them.
    """
    logger.findCaller = _Finder(logger)  # type: ignore[method-assign]  # a method, for this one only


class _Finder:
    def __init__(self, logger: logging.Logger) -> None:
        self._find = logger.findCaller
        self._globals: dict[str, Any] | None = None
        self._line = 0
        self._caller: Caller = ("", 0, "", None)

    def __call__(self, stack_info: bool = False, stacklevel: int = 1) -> Caller:
        """As `Logger.findCaller`."""
        frame = sys._getframe(3)  # noqa: SLF001 - above this, Logger._log and Logger.info; documented CPython
        # A line of a module says as much as the code, which is an audit event to ask for.
        line = frame.f_lineno
        if line == self._line and stacklevel == 1 and not stack_info and frame.f_globals is self._globals:
            return self._caller
        caller = self._find(stack_info, stacklevel + 1)  # one frame more: this
        if stacklevel == 1 and not stack_info and caller[:2] == (frame.f_code.co_filename, line):
            self._globals, self._line, self._caller = frame.f_globals, line, caller
        return caller
