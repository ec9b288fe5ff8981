"""Sensors: sys.monitoring and audit events, turned into "this function runs" and "this was asked of the disk"."""

import genericpath
import importlib
import os
import pathlib
import sys
from collections.abc import Container, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Protocol

from fastapi_hmr import audit
from fastapi_hmr.engine.identity import address

TOOL = "fastapi-hmr"


class CallSenses(Protocol):
    """Who wants to know of calls. Only asked while something is being imported, in whatever thread."""

    def on_call(self, code: CodeType) -> bool:
        """A Python function starts; False where it is not first-party."""

    def on_return(self, value: object) -> None:
        """A function returns of which that was asked for."""

    def on_probe(self, path: Any, frame: FrameType) -> None:
        """Somebody asked whether a path exists."""

    def on_environ(self, key: Any, frame: FrameType) -> None:
        """Somebody asked for an environment variable; None: for the names of all."""


class DiskSenses(Protocol):
    """Who wants to know of the disk and of what is set; likewise."""

    def on_open(self, path: Any, frame: FrameType) -> None:
        """A file is opened for reading."""

    def on_listing(self, path: Any, frame: FrameType) -> None:
        """A directory is listed."""

    def on_setenv(self) -> None:
        """An environment variable is set or deleted."""


def questions() -> Iterator[tuple[CodeType, str]]:
    """Functions of the standard library that ask whether a path exists, and what they call it."""
    asking: list[tuple[Any, str]] = [
        (genericpath, "exists"),
        (genericpath, "isfile"),
        (genericpath, "isdir"),
        (genericpath, "lexists"),
        (pathlib.Path, "stat"),
        (pathlib.Path, "exists"),
        (pathlib.Path, "is_file"),
        (pathlib.Path, "is_dir"),
    ]
    for owner, name in asking:
        code = getattr(getattr(owner, name, None), "__code__", None)
        if isinstance(code, CodeType) and code.co_argcount:
            yield code, code.co_varnames[0]


class Monitor:
    """Calls of Python functions, by sys.monitoring. On only while something is imported or started."""

    def __init__(self, senses: CallSenses, sources: Container[str]) -> None:
        self._senses = senses
        self._sources = sources
        """The names of first-party files: asked for each function that starts, a library's too."""
        self._questions = {address(code): (code, argument) for code, argument in questions()}
        asking: tuple[Any, ...] = (type(os.environ).__getitem__, type(os.environ).__iter__)
        self._environ = frozenset(address(each.__code__) for each in asking)
        codes = (*(code for code, _ in self._questions.values()), *(each.__code__ for each in asking))
        self._names = frozenset(code.co_name for code in codes)
        self._tool: int | None = None
        self._on = False

    @property
    def works(self) -> bool:
        """Whether Python lent us a tool id: other tools may hold them all."""
        return self._tool is not None

    def install(self) -> None:
        """Take a tool id that no convention gives to somebody else."""
        monitoring = sys.monitoring
        for tool in (4, 3):
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, TOOL)
                monitoring.register_callback(tool, monitoring.events.PY_START, self._on_start)
                monitoring.register_callback(tool, monitoring.events.PY_RETURN, self._on_return)
                self._tool = tool
                return

    def uninstall(self) -> None:
        """Give it back."""
        if self._tool is not None:
            self.off()
            sys.monitoring.register_callback(self._tool, sys.monitoring.events.PY_START, None)
            sys.monitoring.register_callback(self._tool, sys.monitoring.events.PY_RETURN, None)
            sys.monitoring.free_tool_id(self._tool)
            self._tool = None

    def on(self) -> None:
        """Report calls from now on."""
        if self._tool is not None and not self._on:
            self._on = True
            sys.monitoring.set_events(self._tool, sys.monitoring.events.PY_START)

    def off(self) -> None:
        """Report no calls any more: they cost nothing."""
        if self._tool is not None and self._on:
            self._on = False
            sys.monitoring.set_events(self._tool, sys.monitoring.events.NO_EVENTS)

    def returns(self, code: CodeType) -> None:
        """Report what this function returns the next time."""
        if self._tool is not None:
            sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.PY_RETURN)

    def _on_return(self, code: CodeType, _offset: int, value: object) -> None:
        assert self._tool is not None
        sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.NO_EVENTS)
        self._senses.on_return(value)

    def _on_start(self, code: CodeType, _offset: int) -> object:
        if code.co_filename in self._sources and self._senses.on_call(code):
            return None
        if code.co_name not in self._names:
            return sys.monitoring.DISABLE  # a library's function: its first call is the last we hear of
        question = self._questions.get(address(code))
        if question is not None:
            frame = sys._getframe(1)  # noqa: SLF001 - the only way to the arguments
            self._senses.on_probe(frame.f_locals.get(question[1]), frame)
            return None
        if address(code) in self._environ:
            frame = sys._getframe(1)  # noqa: SLF001 - as above
            self._senses.on_environ(frame.f_locals.get("key"), frame)
            return None
        return sys.monitoring.DISABLE


class Audit:
    """What is asked of the disk and the environment, by audit events. On only while something is imported."""

    def __init__(self, senses: DiskSenses) -> None:
        self._senses = senses
        self._listeners: dict[str, audit.Listener] = {
            "open": self._opened,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "os.putenv": self._set,
            "os.unsetenv": self._set,
        }
        self._on = False

    def on(self) -> None:
        """Report from now on."""
        if not self._on:
            self._on = True
            for event, listener in self._listeners.items():
                audit.listen(event, listener)

    def off(self) -> None:
        """Report nothing any more."""
        if self._on:
            self._on = False
            for event, listener in self._listeners.items():
                audit.unlisten(event, listener)

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if isinstance(flags, int) and flags % 2 == 0:
            self._senses.on_open(path, sys._getframe(2))  # noqa: SLF001 - who asks

    def _listed(self, arguments: tuple[Any, ...]) -> None:
        frame = sys._getframe(2)  # noqa: SLF001 - who asks
        if "importlib" not in frame.f_code.co_filename:
            self._senses.on_listing(arguments[0], frame)

    def _set(self, _arguments: tuple[Any, ...]) -> None:
        self._senses.on_setenv()


def path_of(value: Any) -> Path | None:
    """An argument of a file function as a path; None for descriptors and nonsense."""
    if isinstance(value, int):
        return None
    try:
        return Path(os.fsdecode(value if value is not None else os.curdir))
    except (TypeError, ValueError):
        return None


def invalidate_import_caches() -> None:
    """Files have come and gone within the second that the import system's caches trust."""
    importlib.invalidate_caches()
