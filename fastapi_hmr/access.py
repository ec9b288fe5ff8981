"""The access log: without the page's own questions, and without what `logging` need not do anew for each line."""

import dis
import logging
import sys
from itertools import pairwise
from types import CodeType
from typing import Any

from uvicorn.logging import AccessFormatter

_OURS = "/__fastapi_hmr__/"
_PATH = 2
"""Where the path stands among the arguments of uvicorn's line."""


def quicken(logger: logging.Logger, *, hide_ours: bool) -> None:
    """Let the logger remember who says a line; with `hide_ours`, keep the page's own questions out, and their token.

    uvicorn logs every request from one line. To find that, `logging` reads the code of seven frames, and each time
    every audit hook of the process is called, ours among them. What writes the line is uvicorn's, if it is that, but
    copies no record.
    """
    said: Any = _Info(logger, hide_ours=hide_ours)
    logger.info = said  # type: ignore[method-assign]  # for this one only
    for handler in logger.handlers:
        if type(handler.formatter) is AccessFormatter:
            handler.formatter.__class__ = _Formatter  # it keeps its format and colors


class _Formatter(AccessFormatter):
    """uvicorn's, which copies the record twice for each line."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is that of `logging`
        """As uvicorn's, for a line of its own."""
        if type(record.args) is not tuple or "color_message" in record.__dict__:
            return super().formatMessage(record)
        client, method, path, version, status = record.args
        request, level = f"{method} {path} HTTP/{version}", record.levelname
        shown: Any = _Shown()
        shown.__dict__ = record.__dict__ | {
            "client_addr": client,
            "request_line": f"\x1b[1m{request}\x1b[0m" if self.use_colors else request,
            "status_code": self.get_status_code(int(status)),  # type: ignore[call-overload]  # uvicorn's are numbers
            "levelprefix": (self.color_level_name(level, record.levelno) if self.use_colors else level)
            + ":"
            + " " * (8 - len(level)),
        }
        return logging.Formatter.formatMessage(self, shown)


class _Shown:
    """What the format of a line can name."""


class _Info:
    """Takes the place of `Logger.info`."""

    def __init__(self, logger: logging.Logger, *, hide_ours: bool) -> None:
        self._logger, self._info, self._hide = logger, logger.info, hide_ours
        self._line: str | None = None
        """The very object that was said last: a constant of one line."""
        self._caller: tuple[str, int, str] = ("", 0, "")

    def __call__(self, msg: str, *args: Any, **options: Any) -> None:
        """As `Logger.info`."""
        if self._hide and len(args) > _PATH and _OURS in str(args[_PATH]):
            return
        if msg is not self._line or options:
            self._find(msg, options)
            options["stacklevel"] = options.get("stacklevel", 1) + 1  # this
            self._info(msg, *args, **options)
            return
        logger = self._logger
        if logger.isEnabledFor(logging.INFO):
            file, line, function = self._caller
            logger.handle(logger.makeRecord(logger.name, logging.INFO, file, line, msg, args, None, function))

    def _find(self, msg: str, options: dict[str, Any]) -> None:
        frame = sys._getframe(2)  # noqa: SLF001 - documented CPython; who logs is the question
        code = frame.f_code
        if not options and code.co_filename != logging.__file__ and _says_once(code, msg):
            self._line, self._caller = msg, (code.co_filename, frame.f_lineno, code.co_name)


def _says_once(code: CodeType, text: str) -> bool:
    """Whether this very object stands in one place of the code only, and there right behind `.info(`."""
    steps = [step.argval for step in dis.get_instructions(code)]
    return [before for before, each in pairwise(steps) if each is text] == ["info"]
