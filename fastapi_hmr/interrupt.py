"""Gets a thread out of the app's code that does not come back: raises `Interrupted` there, if need be at each line."""

import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Self

KICK = signal.SIGURG
"""Ends a blocking call, and runs our handler. By default it does nothing, and hardly anybody uses it."""
INSIST_AFTER = 3
"""Raised so often in vain, it is raised at each line: whoever catches everything in a loop catches it once a turn."""
_OURS = {"fastapi_hmr", "reactivity"}
_LOADER = "fastapi_hmr.engine.loader"
"""This of ours is part of the import system, and calls the app."""
_IMPORT_SYSTEM = {"importlib", "_frozen_importlib", "_frozen_importlib_external"}
_DEBUGGERS = {"pdb", "bdb", "ipdb", "pydevd", "_pydevd_bundle", "debugpy"}
_TOOLS = range(5, -1, -1)
"""The numbers of `sys.monitoring`, those that hardly anybody uses first."""


class Interrupted(BaseException):
    """Raised in the app's code. No Exception, so that the app's own handlers let it pass."""

    def __str__(self) -> str:
        return "the dev server has ended what did not end by itself"


class Interrupter:
    """Entered by the thread in question, around the app's code.

    It is raised between two instructions of the app or of a library that the app calls, never in the import system
    or in our own code, which have to leave everything in order.
    """

    def __init__(self, owns: Callable[[str], bool], *, forcibly: bool = True) -> None:
        """`owns` tells which files are the app's. `forcibly`: at each line in the end, and where signals can't be had."""
        self.raised = False
        """Whether it ever was: whoever caught it may have gone on without what it was about to get."""
        self._owns, self._forcibly = owns, forcibly
        self._thread = 0
        self._lock = threading.Lock()
        self._open = False
        self._loading = self._debugging = True
        self._wanted = False
        self._tries = 0
        self._tool: int | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._thread = threading.get_ident()
        here = threading.current_thread() is threading.main_thread()
        if here and _is_free(signal.getsignal(KICK)):
            self._before = signal.signal(KICK, lambda _number, frame: self._kicked(frame))
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open = False
        if self._tool is not None:
            sys.monitoring.free_tool_id(self._tool)
        if self._before is not None:
            signal.signal(KICK, self._before)

    def interrupt(self, *, loading: bool = True, debugging: bool = True) -> None:
        """Raise it, from any other thread; to be called again until the code has ended.

        `loading`: also while a library is being imported, which may be of no use afterwards. `debugging`: also while
        a debugger has stopped it.
        """
        with self._lock:
            if not self._open:
                return
            self._loading, self._debugging = loading, debugging
            if self._before is not None:
                self._insist_if_in_vain()
                self._wanted = True
                signal.pthread_kill(self._thread, KICK)
            elif self._forcibly:
                self.raised = True
                _raise_between(self._thread)

    def _kicked(self, frame: FrameType | None) -> None:
        if self._wanted:  # another one, around this, may kick too
            self._wanted = False
            self.at(frame)

    def at(self, frame: FrameType | None) -> None:
        """Raise it where the thread is, from a signal handler."""
        if self._open and frame is not None and self._in_app(frame):
            self.raised = True
            raise Interrupted

    def _in_app(self, innermost: FrameType) -> bool:
        frame: FrameType | None = innermost
        waiting = innermost.f_code.co_qualname == "_ModuleLock.acquire"  # for another thread's import
        while frame is not None:
            name = str(frame.f_globals.get("__name__"))
            top = name.partition(".")[0]
            if name == _LOADER or top in _IMPORT_SYSTEM:
                if not waiting and (frame is innermost or not self._loading):
                    return False
            elif top in _OURS or (top in _DEBUGGERS and not self._debugging):
                return False
            elif self._is_app(frame.f_code):
                return True
            else:
                waiting = False
            frame = frame.f_back
        return False

    def _insist_if_in_vain(self) -> None:
        if self.raised:
            self._tries += 1
        if self._tries == INSIST_AFTER and self._forcibly and self._tool is None:
            self._insist()

    def _insist(self) -> None:
        monitoring = sys.monitoring
        self._tool = next((tool for tool in _TOOLS if monitoring.get_tool(tool) is None), None)
        if self._tool is not None:
            monitoring.use_tool_id(self._tool, "fastapi-hmr interrupts")
            monitoring.register_callback(self._tool, monitoring.events.LINE, self._on_line)
            monitoring.set_events(self._tool, monitoring.events.LINE)

    def _on_line(self, code: CodeType, _line: int) -> None:
        if self._open and threading.get_ident() == self._thread and self._is_app(code):
            raise Interrupted

    def _is_app(self, code: CodeType) -> bool:
        return not code.co_filename.startswith("<") and self._owns(code.co_filename)


def _is_free(handler: Any) -> bool:
    return handler is signal.SIG_DFL or getattr(handler, "__module__", None) == __name__


def _raise_between(thread: int) -> None:
    """Without a signal: at the next bytecode, whosever it is, for which a blocking call has to end first."""
    import ctypes  # hardly any import hangs

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Interrupted))
