"""What an old generation leaves behind: tasks, threads, executors, sockets and processes, by who made them."""

import asyncio
import os
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Literal, NamedTuple

from fastapi_hmr import audit, hot
from fastapi_hmr.kept import Kind, born, making
from fastapi_hmr.modules import file_of, namespace

_REMEDIES = {
    "task": "cancel it when the lifespan ends, or by hot.on_dispose()",
    "thread": "let it end with the lifespan, or by hot.on_dispose()",
    "executor": "shut it down with the lifespan, or by hot.on_dispose()",
    "socket": "close it when the lifespan ends, or by hot.on_dispose()",
    "process": "end it with the lifespan, or by hot.on_dispose()",
}
_LIBRARIES = {"aiosqlite": "dispose of the engine, or close the connection, when the lifespan ends"}
"""Libraries that start a thread for each connection, and what ends it."""
_CANCELLED = "cancelled now, as a restart would; let the lifespan do it when it ends"
_OF_THE_LOOP = ("asyncio_", "AnyIO worker")
"""Names of threads that belong to the event loop, whoever made it need them."""


type _Command = tuple[str, ...]


class Leak(NamedTuple):
    """Something that is still there although the code that made it has been replaced or shut down."""

    kind: Literal["task", "thread", "executor", "socket", "process"]
    what: str
    owner: str
    """The function that it runs, or that made it, and its file."""
    remedy: str = ""
    """What to do about it, where that is special."""

    @property
    def place(self) -> tuple[str, str]:
        """What is said once: its name may count up, and it comes back with each reload."""
        return self.kind, self.owner

    def line(self, count: int = 1) -> str:
        """In words, for the terminal."""
        many = "" if count == 1 else f" ({count} of them)"
        made = {"task": "running", "socket": "opened by", "executor": "used by"}.get(self.kind, "started by")
        return f"left behind: {self.what}, {made} {self.owner}{many}: {self.remedy or _REMEDIES[self.kind]}"


class _Site(NamedTuple):
    """Where and when something was made."""

    function: str
    module: str
    holder: weakref.ref[ModuleType] | None
    number: int
    kind: Kind

    @property
    def owner(self) -> str:
        return f"{self.function}() in {file_of(self.module)}"

    @property
    def stale(self) -> bool:
        """Whether the module that made it is no longer the one of that name."""
        return self.holder is None or sys.modules.get(self.module) is not self.holder()

    @property
    def over(self) -> bool:
        """Whether what asked for it has ended: its module was replaced, or its app shut down."""
        if self.kind == "import":
            return self.stale
        return not hot.host.started <= self.number <= hot.host.serving


class Leaks:
    """Notes who makes threads, sockets and processes, and finds what outlived its generation; each place once.

    `owns` says of a source file whether it is first-party, `in_request` is true in the context of a request. What
    third-party code makes by itself is not looked at.
    """

    def __init__(self, owns: Callable[[str], bool], in_request: ContextVar[bool]) -> None:
        self._owns, self._in_request = owns, in_request
        self._cancelled: Counter[Leak] = Counter()
        self._threads: weakref.WeakKeyDictionary[threading.Thread, _Site] = weakref.WeakKeyDictionary()
        self._sockets: dict[tuple[int, int], tuple[_Site, str, bool]] = {}
        self._commands: dict[_Command, _Site] = {}
        self._older: dict[int, tuple[_Command, _Site]] = {}
        """Processes whose command another generation has started again meanwhile: their own site."""
        self._reported: set[tuple[str, str]] = set()
        self._listeners: dict[str, audit.Listener] = {
            "_thread.start_new_thread": self._on_thread,
            "_thread.start_joinable_thread": self._on_thread,
            "socket.connect": self._on_connect,
            "socket.bind": self._on_bind,
            "subprocess.Popen": self._on_command,
            "os.fork": self._on_fork,
        }

    def open(self) -> None:
        """Begin to note; before the first modules run."""
        for event, listener in self._listeners.items():
            audit.listen(event, listener)

    def close(self) -> None:
        """Stop noting."""
        for event, listener in self._listeners.items():
            audit.unlisten(event, listener)

    def left_behind(self) -> tuple[str, ...]:
        """Lines about what has outlived its generation and was not reported before.

        To be called in the event loop, a while after a reload has been committed: what is about to end has ended.
        """
        found = Counter(
            leak for leaks in (self._tasks, self._live_threads, self._open_sockets, self._children) for leak in leaks()
        )
        there = {leak.place for leak in found}
        found.update({leak: count for leak, count in self._cancelled.items() if leak.place not in there})
        self._cancelled.clear()
        new = {leak: count for leak, count in found.items() if leak.place not in self._reported}
        self._reported.update(leak.place for leak in new)
        return tuple(leak.line(count) for leak, count in new.items())

    def of_starts(self) -> Iterator[asyncio.Task[Any]]:
        """The tasks that apps have begun while they started and that still run first-party code."""
        for task, site in self._running():
            if site.kind == "startup" and not self._of_request(task):
                yield task

    def cancelled(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        """Such tasks are about to be cancelled, as they were left behind: to be told with the others."""
        self._cancelled.update(
            Leak("task", _called(task), site.owner, _CANCELLED) for task, site in self._running() if task in tasks
        )

    def _tasks(self) -> Iterator[Leak]:
        for task, site in self._running():
            if site.over:
                yield Leak("task", _called(task), site.owner)

    def _running(self) -> Iterator[tuple[asyncio.Task[Any], _Site]]:
        """The tasks that run first-party code for a generation and no kept value, and whose doing they are."""
        for task in asyncio.all_tasks():
            context = task.get_context()
            function = None if born not in context or context.get(making) else self._run_by(task)
            if function is not None:
                yield task, _site(*function, *context[born])

    def _of_request(self, task: asyncio.Task[Any]) -> bool:
        return task.get_context().get(self._in_request, False)

    def _run_by(self, task: asyncio.Task[Any]) -> tuple[CodeType, dict[str, Any]] | None:
        """The first-party function that a task runs, or that a library's calls now and then, as `repeat_every` does."""
        frame: FrameType | None = getattr(task.get_coro(), "cr_frame", None)
        if frame is None:
            return None
        if self._owns(frame.f_code.co_filename):
            return frame.f_code, frame.f_globals
        for value in () if self._of_request(task) else frame.f_locals.values():
            if isinstance(value, FunctionType) and self._owns(value.__code__.co_filename):
                return value.__code__, value.__globals__
        return None

    def _live_threads(self) -> Iterator[Leak]:
        for thread in threading.enumerate():
            site = self._threads.get(thread)
            if site is None or not site.over:
                continue
            target: Any = vars(thread).get("_target")
            code = getattr(getattr(target, "__func__", target), "__code__", None)
            ours = code is None or self._owns(code.co_filename)
            if code is not None and code.co_filename.endswith(os.path.join("concurrent", "futures", "thread.py")):  # noqa: PTH118 - a suffix
                if site.kind != "request":
                    yield Leak("executor", "a thread pool", site.owner)
            elif ours or site.kind != "request":  # a library's own worker may well begin in a request
                remedies = (text for name, text in _LIBRARIES.items() if code is not None and name in code.co_filename)
                yield Leak("thread", f"thread {thread.name!r}", site.owner, next(remedies, ""))

    def _open_sockets(self) -> Iterator[Leak]:
        for key, (site, text, bound) in list(self._sockets.items()):
            if _inode(key[0]) != key[1]:
                del self._sockets[key]
            elif site.over and site.stale and (bound or site.kind != "request"):
                yield Leak("socket", text, site.owner)

    def _children(self) -> Iterator[Leak]:
        children = {pid: _command_of(pid) for pid in _child_processes()}
        self._older = {pid: known for pid, known in self._older.items() if children.get(pid) == known[0]}
        for pid, command in children.items():
            site = self._older[pid][1] if pid in self._older else self._commands.get(command)
            if site is not None and site.over:
                yield Leak("process", f"process {pid} ({Path(command[0]).name if command else '?'})", site.owner)

    def _on_thread(self, arguments: tuple[Any, ...]) -> None:
        thread = getattr(arguments[0], "__self__", None)
        if isinstance(thread, threading.Thread) and not thread.name.startswith(_OF_THE_LOOP):
            site = self._here()
            if site is not None:
                self._threads[thread] = site

    def _on_connect(self, arguments: tuple[Any, ...]) -> None:
        self._note_socket(arguments, "to", bound=False)

    def _on_bind(self, arguments: tuple[Any, ...]) -> None:
        self._note_socket(arguments, "on", bound=True)

    def _note_socket(self, arguments: tuple[Any, ...], word: str, *, bound: bool) -> None:
        site = self._here()
        if site is not None:
            sock, address = arguments
            text = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else os.fsdecode(address)
            self._sockets[sock.fileno(), _inode(sock.fileno())] = (site, f"a socket {word} {text}", bound)

    def _on_command(self, arguments: tuple[Any, ...]) -> None:
        site = self._here()
        if site is not None:
            command = arguments[1]
            words = [command] if isinstance(command, (str, bytes, os.PathLike)) else command
            self._note_process(tuple(os.fsdecode(word) for word in words), site)

    def _on_fork(self, _arguments: tuple[Any, ...]) -> None:
        site = self._here()
        if site is not None:
            self._note_process(_command_of(os.getpid()), site)  # a child has our name until it takes another

    def _note_process(self, command: _Command, site: _Site) -> None:
        """Nobody says which process it will be: it is told by its command, which each startup may run anew."""
        before = self._commands.get(command)
        if before is not None and before.number != site.number:
            for pid in _child_processes():
                if pid not in self._older and _command_of(pid) == command:
                    self._older[pid] = command, before
        self._commands[command] = site

    def _here(self) -> _Site | None:
        """The first-party function that is running here, if this belongs to a generation and to no kept value."""
        when = born.get(None)
        if when is None or making.get():
            return None
        frame: Any = sys._getframe(2)  # noqa: SLF001 - documented CPython; who calls is the question
        while frame is not None:
            if self._owns(frame.f_code.co_filename):
                kind = hot.host.values.kind if when[0] > hot.host.serving else "request"
                return _site(frame.f_code, frame.f_globals, when[0], kind)
            frame = frame.f_back
        return None


def _site(code: CodeType, globals_: dict[str, Any], number: int, kind: Kind) -> _Site:
    module = str(globals_.get("__name__"))
    loaded = sys.modules.get(module)
    current = loaded is not None and namespace(loaded) is globals_
    name = "its module" if code.co_name == "<module>" else code.co_qualname
    return _Site(name, module, weakref.ref(loaded) if current and loaded is not None else None, number, kind)


def _called(task: asyncio.Task[Any]) -> str:
    return "a task" if task.get_name().startswith("Task-") else f"task {task.get_name()!r}"


def _inode(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return -1


def _child_processes() -> Iterator[int]:
    """The living children of this process, where the system tells."""
    for listing in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError, ValueError):
            yield from map(int, listing.read_text().split())


def _command_of(pid: int) -> _Command:
    with suppress(OSError):
        return tuple(os.fsdecode(word) for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1])
    return ()
