"""Records which functions ran while modules were imported and the lifespan started, at no cost afterwards.

`sys.monitoring` reports the first call of each first-party function and is then switched off for it, so that requests
pay for one event per function and start. Library code is never instrumented, but for three functions of the standard
library: `functools.lru_cache` and its decorator, whose results are the caches to clear, and `linecache.getlines`, which
is how source is read at run time (`inspect.getsource`, warnings, tracebacks).
"""

import functools
import linecache
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import CodeType, FrameType

from fastapi_hmr.engine.cache_reads import CacheReads
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.patch_caches import Cache, Caches
from fastapi_hmr.engine.scopes import functions_in, nested
from fastapi_hmr.engine.sensors import questions

_TOOL_NAME = "fastapi-hmr"
_BODY_READERS = frozenset({"co_code", "co_consts", "co_names", "co_lines", "co_positions"})
_DOCSTRING_READERS = frozenset({"__doc__", "getdoc"})
_SHOWING = frozenset({"warnings", "traceback"})
_NEAR = 4
_SUSPENDABLE = CO_ASYNC_GENERATOR | CO_COROUTINE | CO_GENERATOR


class RunRecord:
    """What ran during starts: imports, the building of the app, and startups of lifespans.

    Whoever runs a module's code calls `watch(code)` before. Everything between `begin()` and `end()`, which nest, counts
    as a start; also imports that happen later, in a request say. With `in_request`, what first runs outside requests counts
    too: a background task that an app's lifespan began, or its thread. Without it that goes unnoticed.
    """

    def __init__(self, in_request: Callable[[], bool] | None = None) -> None:
        self._in_request = in_request
        self._depth = 0
        self._tool: int | None = None
        self._ran = _CodeSet()
        self._called = _CodeSet()
        self._held = _CodeSet()
        self._watched = _CodeSet()
        self._questions = {address(code): (code, argument) for code, argument in questions()}
        self._caches = Caches()
        self.cache_reads = CacheReads(self._watched.__contains__)
        self._sources_read: set[str] = set()
        self._bodies_read_by: str | None = None

    @property
    def _asking(self) -> list[CodeType]:
        return [code for code, _ in self._questions.values()]

    @property
    def available(self) -> bool:
        """False if other tools hold all of `sys.monitoring`'s places: then nothing can be known."""
        return self._tool is not None

    @property
    def bodies_read_by(self) -> str | None:
        """The first function that read bytecode of functions during a start, if one did."""
        return self._bodies_read_by

    def install(self) -> None:
        """Take a place among `sys.monitoring`'s tools; before the first import of first-party code."""
        monitoring = sys.monitoring
        for tool in (4, 3, monitoring.PROFILER_ID, monitoring.OPTIMIZER_ID):
            if monitoring.get_tool(tool) is None:
                break
        else:
            return
        monitoring.use_tool_id(tool, _TOOL_NAME)
        self._tool = tool
        monitoring.register_callback(tool, monitoring.events.PY_START, self._on_call)
        monitoring.register_callback(tool, monitoring.events.PY_RETURN, self._on_return)
        for code in _cache_makers():
            monitoring.set_local_events(tool, code, monitoring.events.PY_RETURN)
        for code in (linecache.getlines.__code__, *self._asking):
            monitoring.set_local_events(tool, code, monitoring.events.PY_START)

    def close(self) -> None:
        """Give the place back."""
        if self._tool is None:
            return
        monitoring = sys.monitoring
        for code in (*_cache_makers(), linecache.getlines.__code__, *self._asking, *self._watched):
            monitoring.set_local_events(self._tool, code, monitoring.events.NO_EVENTS)
        monitoring.register_callback(self._tool, monitoring.events.PY_START, None)
        monitoring.register_callback(self._tool, monitoring.events.PY_RETURN, None)
        monitoring.free_tool_id(self._tool)
        self._tool = None

    def watch(self, module: CodeType) -> None:
        """Report first calls of the functions in a module's code, which is about to run."""
        self._note_readers(module)
        for code in functions_in(module):
            self._watch(code)

    def begin(self) -> None:
        """A start begins: functions that were called before report again."""
        self._depth += 1
        if self._depth > 1:
            return
        self._caches.count(start=False)
        if self._tool is not None and self._called:  # in a first start there is nothing to restart, and it costs
            sys.monitoring.restart_events()

    def end(self) -> None:
        """A start is over; what it left suspended or cached is noted."""
        self._depth -= 1
        if self._depth:
            return
        for code in self._watched:
            if code.co_flags & _SUSPENDABLE and sys.getrefcount(code) > _ONE_FUNCTION:
                self._held.add(code)
        self._caches.count(start=True)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Everything inside is part of a start."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def ran(self, code: CodeType) -> bool:
        """True if that code ran during a start, or if nothing can be known."""
        return self._tool is None or code in self._ran

    def pin(self, codes: Iterable[CodeType]) -> None:
        """Take these for code that ran in a start."""
        for code in codes:
            self._ran.add(code)

    def called(self, code: CodeType) -> bool:
        """True if that code ran at all."""
        return code in self._called

    def all_called(self) -> Iterator[CodeType]:
        """Yield the code of all first-party functions that ran."""
        return iter(self._called)

    def may_be_of_start(self, code: CodeType, *, begun: bool) -> bool:
        """Whether a call in progress of that code may be one that a start left behind, a generator say."""
        if self._in_request is None:
            return True  # background tasks can't be told from requests
        return self.ran(code) or code in self._held or not (begun or self.called(code))

    def source_was_read(self, filename: str) -> bool:
        """True if that file's source was read through `linecache` during a start."""
        return filename in self._sources_read

    def reads_docstrings(self) -> str | None:
        """The name of a first-party function that ran during a start and reads docstrings, if there is one."""
        return next((c.co_qualname for c in self._ran if _DOCSTRING_READERS.intersection(c.co_names)), None)

    def replace(self, pairs: Iterable[tuple[CodeType, CodeType]]) -> None:
        """Functions got other code: what is known of the old holds for the new."""
        pairs = list(pairs)
        self.cache_reads.replace(pairs)
        for old, new in pairs:
            if old is new:
                continue
            for known in (self._ran, self._called, self._held):
                if old in known:
                    known.add(new)
            self._watch(new)

    def caches(self) -> tuple[list[Cache], str | None]:
        """Return the caches of first-party functions with results of requests, and the name of one not to be cleared."""
        return self._caches.with_requests(self._watched.__contains__)

    def _watch(self, code: CodeType) -> None:
        self._watched.add(code)
        if self._tool is not None:
            sys.monitoring.set_local_events(self._tool, code, sys.monitoring.events.PY_START)

    def _on_call(self, code: CodeType, _offset: int) -> object:
        question = self._questions.get(address(code))
        if question is not None:
            frame = sys._getframe(1)  # noqa: SLF001 - the frame that this event is about
            self.cache_reads.note(frame.f_locals.get(question[1]), frame.f_back)
            return None
        if code is linecache.getlines.__code__:
            if self._depth:
                frame = sys._getframe(1)  # noqa: SLF001 - the frame that this event is about
                if not _is_shown(frame.f_back):
                    self._sources_read.add(str(frame.f_locals.get("filename")))
            return None
        self._called.add(code)
        if self._depth or (self._in_request is not None and not self._in_request()):
            self._ran.add(code)
            if _BODY_READERS.intersection(code.co_names):
                self._bodies_read_by = code.co_qualname
        return sys.monitoring.DISABLE

    def _on_return(self, _code: CodeType, _offset: int, result: object) -> None:
        self._caches.add(result)
        self.cache_reads.add(result)

    def _note_readers(self, code: CodeType) -> None:
        if _BODY_READERS.intersection(code.co_names):
            self._bodies_read_by = code.co_qualname
        for inner in nested(code):
            if not inner.co_flags & 1:
                self._note_readers(inner)


class _CodeReference(weakref.ref[CodeType]):
    """A reference that knows the identity of what it referred to."""

    __slots__ = ("key",)
    key: int


class _CodeSet:
    """A set of code objects by identity that doesn't keep them alive (equal code objects are common)."""

    __slots__ = ("_forget", "_references")

    def __init__(self) -> None:
        references: dict[int, _CodeReference] = {}
        # One callback for all: an app has thousands of functions, and each is in several sets.
        self._forget: Callable[[_CodeReference], object] = lambda dead: references.pop(dead.key, None)
        self._references = references

    def add(self, code: CodeType) -> None:
        key = address(code)
        if key not in self._references:
            reference = self._references[key] = _CodeReference(code, self._forget)
            reference.key = key

    def __len__(self) -> int:
        return len(self._references)

    def __contains__(self, code: object) -> bool:
        return address(code) in self._references

    def __iter__(self) -> Iterator[CodeType]:
        return (code for reference in list(self._references.values()) if (code := reference()) is not None)


def _cache_makers() -> tuple[CodeType, ...]:
    make = functools.lru_cache.__code__
    return make, *nested(make)


def _is_shown(frame: FrameType | None) -> bool:
    """True if source is read to be shown to people, by a warning or a traceback."""
    for _ in range(_NEAR):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") in _SHOWING:
            return True
        frame = frame.f_back
    return False


def _references_of_one_function() -> int:
    """How `end()` sees the code of a function that exists once, and of which no call is suspended."""

    async def one() -> None: ...

    codes = _CodeSet()
    codes.add(one.__code__)
    return next(sys.getrefcount(code) for code in codes)


_ONE_FUNCTION = _references_of_one_function()
