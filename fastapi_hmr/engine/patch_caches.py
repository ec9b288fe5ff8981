"""Keeps an account of functools caches: what starts put into them, and what requests did."""

import functools
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Protocol

_MOST_WRAPPERS = 20


class Cache(Protocol):
    """A function made by `functools.lru_cache`, or one that looks like it."""

    def cache_clear(self) -> None:
        """Forget all results."""


class _Account:
    """How many results of one cache are of starts, how many of requests; `seen` is the count at the last look."""

    def __init__(self, cache: "weakref.ref[functools._lru_cache_wrapper[object]]") -> None:
        self.cache = cache
        self.seen = self.of_starts = self.of_requests = self.hits = 0

    def count(self, cache: "functools._lru_cache_wrapper[object]", *, start: bool) -> None:
        """Attribute what is new."""
        hits, misses, _, _ = cache.cache_info()
        if misses < self.seen:  # it was cleared
            self.seen = self.of_starts = self.of_requests = self.hits = 0
        if start:
            self.of_starts += (
                misses - self.seen + max(0, hits - self.hits)
            )  # found there: a cold start would have made it
        else:
            self.of_requests += misses - self.seen
        self.seen, self.hits = misses, hits


class Caches:
    """All caches that were made since somebody reports them; none is kept alive."""

    def __init__(self) -> None:
        self._accounts: dict[int, _Account] = {}

    def add(self, made: object) -> None:
        """`functools.lru_cache` or its decorator returned something."""
        if isinstance(made, functools._lru_cache_wrapper):  # noqa: SLF001 - the type has no public name
            key, accounts = id(made), self._accounts
            accounts[key] = _Account(weakref.ref(made, lambda _dead: accounts.pop(key, None)))

    def count(self, *, start: bool) -> None:
        """A start begins (what is new is of requests) or is over."""
        for account, cache in self._alive():
            account.count(cache, start=start)

    def with_requests(self, ours: Callable[[CodeType], bool]) -> tuple[list[Cache], str | None]:
        """Return the caches of our functions with results of requests, and the name of one that can't be cleared.

        A cache that a start filled may not be cleared: others have got its results. If no request added to it, it is as
        after a cold start.
        """
        clearable: list[Cache] = []
        for account, cache in self._alive():
            account.count(cache, start=False)
            if not account.of_requests or not any(ours(function.__code__) for function in functions_below(cache)):
                continue
            if account.of_starts:
                return [], getattr(cache, "__qualname__", repr(cache))
            clearable.append(cache)
        return clearable, None

    def _alive(self) -> "Iterator[tuple[_Account, functools._lru_cache_wrapper[object]]]":
        for account in list(self._accounts.values()):
            cache = account.cache()
            if cache is not None:
                yield account, cache


def functions_below(cache: object) -> Iterator[FunctionType]:
    """The functions below a cache, maybe under the wrappers of other decorators."""
    waiting: list[object] = [getattr(cache, "__wrapped__", None)]
    for _ in range(_MOST_WRAPPERS):
        if not waiting:
            return
        thing = waiting.pop()
        if isinstance(thing, FunctionType):
            yield thing
            waiting.extend(_cells(thing))
            waiting.append(vars(thing).get("__wrapped__"))
        elif isinstance(thing, partial):
            waiting.append(thing.func)
        elif isinstance(thing, MethodType):
            waiting.append(thing.__func__)
        elif isinstance(thing, functools._lru_cache_wrapper):  # noqa: SLF001 - as above
            waiting.append(getattr(thing, "__wrapped__", None))
        elif thing is not None and not isinstance(thing, type):
            waiting.append(vars(type(thing)).get("__call__"))


def _cells(function: FunctionType) -> Iterator[object]:
    for cell in function.__closure__ or ():
        try:
            if callable(cell.cell_contents):
                yield cell.cell_contents
        except ValueError:
            continue  # not assigned yet
