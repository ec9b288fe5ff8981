"""Cache reads: which files stand behind the results of functools caches, so that those go when a file changes."""

import functools
import os
import sys
import weakref
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from fastapi_hmr import audit
from fastapi_hmr.engine.patch_caches import functions_below

type Print = tuple[int, int, int] | None

_LISTINGS = ("os.listdir", "os.scandir")
_WRITING = os.O_WRONLY | os.O_RDWR


class _Reads:
    """What was read while the function behind one cache ran: paths, and what they were like."""

    def __init__(self, cache: "weakref.ref[functools._lru_cache_wrapper[object]]", codes: set[int]) -> None:
        self.cache = cache
        self.codes = codes
        self.prints: dict[str, Print] = {}


class CacheReads:
    """The files that functions of ours under `functools.cache` opened, looked for and listed, in whatever thread.

    A module that reads a file while it is imported runs again when that changes. What a request reads is read again
    by the next, unless a cache stands before it: that would show the old text until its module runs again.
    """

    def __init__(self, ours: Callable[[CodeType], bool]) -> None:
        self._ours = ours
        self._counts: Callable[[str], bool] = lambda _path: False
        self._by_code: dict[int, _Reads] = {}

    def listen(self, counts: Callable[[str], bool]) -> None:
        """From now on, note what is read. `counts` says of which files."""
        self._counts = counts
        audit.listen("open", self._opened)
        for event in _LISTINGS:
            audit.listen(event, self._listed)

    def close(self) -> None:
        """Note nothing any more."""
        audit.unlisten("open", self._opened)
        for event in _LISTINGS:
            audit.unlisten(event, self._listed)

    def add(self, made: object) -> None:
        """A cache was made."""
        if isinstance(made, functools._lru_cache_wrapper):  # noqa: SLF001 - the type has no public name
            codes = {id(function.__code__) for function in functions_below(made) if self._ours(function.__code__)}
            reads = _Reads(weakref.ref(made, lambda _dead: self._drop(codes)), codes)
            self._by_code.update(dict.fromkeys(codes, reads))

    def _drop(self, codes: set[int]) -> None:
        for code in codes:
            self._by_code.pop(code, None)

    def replace(self, pairs: Iterable[tuple[CodeType, CodeType]]) -> None:
        """Functions got other code."""
        for old, new in pairs:
            reads = self._by_code.pop(id(old), None)
            if reads is not None:
                reads.codes.discard(id(old))
                reads.codes.add(id(new))
                self._by_code[id(new)] = reads

    def concerns(self, path: Path) -> bool:
        """Whether a cached result comes from this file, or from a list of what is in its directory."""
        places = {str(path), str(path.parent)}
        return any(not places.isdisjoint(reads.prints) for reads in self._all())

    def forget_stale(self, going: Container[str]) -> list[str]:
        """Clear the caches whose files are no longer what they were, but for some modules; the names of their functions."""
        names = []
        for reads in self._all():
            cache = reads.cache()
            if getattr(cache, "__module__", "") in going:
                continue
            if cache is not None and any(_print(path) != was for path, was in list(reads.prints.items())):
                reads.prints.clear()
                cache.cache_clear()
                names.append(f"{getattr(cache, '__qualname__', 'a function')}()")
        return names

    def _all(self) -> list[_Reads]:
        return list({id(reads): reads for reads in list(self._by_code.values())}.values())

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if self._by_code and isinstance(flags, int) and not flags & _WRITING:
            self.note(path, sys._getframe(2))  # noqa: SLF001 - documented CPython; who asks is the question

    def _listed(self, arguments: tuple[Any, ...]) -> None:
        if self._by_code:
            self.note(arguments[0] or os.curdir, sys._getframe(2))  # noqa: SLF001 - as above

    def note(self, path: Any, frame: FrameType | None) -> None:
        """Somebody opens, lists or looks for a path."""
        found: dict[int, _Reads] = {}
        while frame is not None and self._by_code:
            reads = self._by_code.get(id(frame.f_code))
            if reads is not None:
                found[id(reads)] = reads
            frame = frame.f_back
        if not found or not isinstance(path, (str, bytes, os.PathLike)):
            return
        place = os.path.realpath(os.fsdecode(path))
        if self._counts(place):
            for reads in found.values():
                reads.prints.setdefault(place, _print(place))


def _print(path: str) -> Print:
    try:
        status = os.stat(path)  # noqa: PTH116 - called for every file behind a cache
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
