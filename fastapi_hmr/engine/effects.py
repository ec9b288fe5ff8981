"""Effects: what a module did to the process while it was imported, so that it can be undone and redone."""

import asyncio
import importlib
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final, Protocol

from fastapi_hmr.engine.record import Effect, nothing


class Probe(Protocol):
    """Looks at one part of the process before and after, cheaply, for it is asked around every module.

    Its `rest()`, where it has one, is called when no module will run for a while and requests are answered.
    """

    def take(self) -> Any:
        """What it looks like now."""

    def effects(self, before: Any, now: Any) -> Iterable[Effect]:
        """What was done in between; only asked where `before != now`."""


class Environ:
    """Environment variables."""

    def __init__(self) -> None:
        self.dirty = True
        """Set by the audit hook on os.putenv and os.unsetenv."""
        self.heard = False
        """Whether it listens yet: until then each look is at all of them."""
        self._last: dict[str, str] = {}

    def take(self) -> dict[str, str]:
        """All variables; the same object while nothing was set."""
        if self.dirty or not self.heard:
            self.dirty = False
            self._last = dict(os.environ)
        return self._last

    def effects(self, before: dict[str, str], now: dict[str, str]) -> Iterator[Effect]:
        """One effect for each variable that was set or deleted."""
        for key in before.keys() | now.keys():
            old, new = before.get(key), now.get(key)
            if old != new:
                yield self._effect(key, old, new)

    @staticmethod
    def _effect(key: str, old: str | None, new: str | None) -> Effect:
        def put(expected: str | None, value: str | None) -> None:
            if os.environ.get(key) == expected:
                os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)

        return Effect(
            f"os.environ[{key!r}]",
            lambda: put(new, old),
            lambda: put(old, new),
            frozenset((("environ", key),)),
            written={key: new},
            replaced={key: old},
        )


type Entry = tuple[Any, int | None]


class Sequence:
    """A list that anybody may add to: sys.path, the warning filters."""

    def __init__(
        self, what: str, get: Callable[[], list[Any]], *readers: str, touched: Callable[[], None] = nothing
    ) -> None:
        self._what, self._get, self._readers, self._touched = what, get, readers, touched

    def take(self) -> tuple[Any, ...]:
        """The items."""
        return tuple(self._get())

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One effect for all that was added and removed."""
        come, gone = added(before, now), added(now, before)
        lists: frozenset[Hashable] = frozenset(((self._what,),))
        shown = dict.fromkeys(self._readers, tuple(tuple(item for item, _ in items) for items in (come, gone)))
        undo, redo = lambda: self._turn(come, gone), lambda: self._turn(gone, come)
        yield Effect(self._what, undo, redo, lists=lists, shown=shown)

    def _turn(self, gone: list[Entry], come: list[Entry]) -> None:
        """Only what differs, for others change it too."""
        items = self._get()
        for item, _ in reversed(gone):
            equal = [index for index, other in enumerate(items) if other == item]
            own = [index for index in equal if items[index] is item]  # not the one that another module added
            if equal:
                del items[(own or equal)[-1]]
        for item, index in come:
            items.insert(len(items) if index is None else index, item)
        self._touched()


def added(before: tuple[Any, ...], now: tuple[Any, ...]) -> list[Entry]:
    """What is in `now` and was not before, as often as it is, with its index: None where all behind it is new too."""
    left, found = list(before), []
    for index, item in enumerate(now):
        if item in left:
            left.remove(item)
        else:
            found.append((item, index))
    behind = len(now) - len(found)
    return [(item, None if index == behind + at else index) for at, (item, index) in enumerate(found)]


class Scalar:
    """One setting of the interpreter that has a way to read and to set it."""

    def __init__(
        self, what: str, get: Callable[[], Any], put: Callable[[Any], object], word: str = "", *readers: str
    ) -> None:
        self._what, self._get, self._put = what, get, put
        self._words = (frozenset((word,)),) if word else ()
        self._readers = readers

    def take(self) -> Any:
        """The setting."""
        return self._get()

    def effects(self, before: Any, now: Any) -> Iterator[Effect]:
        """It was set."""

        def put(expected: Any, value: Any) -> None:
            if self._get() == expected:
                self._put(value)

        slot: frozenset[Hashable] = frozenset((("scalar", self._what),))
        shown = dict.fromkeys(self._readers, now)
        yield Effect(self._what, lambda: put(now, before), lambda: put(before, now), slot, self._words, shown=shown)


SIGNAL: Final = (frozenset(("signal",)),)


class Signals:
    """Signal handlers."""

    def __init__(self) -> None:
        self._raw = importlib.import_module("_signal")  # signal.getsignal makes an enum of each answer: 20 times slower
        self._numbers = [n for n in sorted(self._raw.valid_signals()) if n not in {9, 19}]

    def take(self) -> tuple[Any, ...]:
        """The handler of each signal."""
        get = self._raw.getsignal
        return tuple([get(number) for number in self._numbers])

    def effects(self, before: tuple[Any, ...], now: tuple[Any, ...]) -> Iterator[Effect]:
        """One effect for each handler that was set."""
        for number, old, new in zip(self._numbers, before, now, strict=True):
            if old is not new and old != new:
                yield self._effect(number, old, new)

    def _effect(self, number: int, old: Any, new: Any) -> Effect:
        def put(expected: Any, value: Any) -> None:
            if value is not None and self._raw.getsignal(number) == expected:
                self._raw.signal(number, value)

        slot: frozenset[Hashable] = frozenset((("signal", number),))
        return Effect(f"the handler of signal {number}", lambda: put(new, old), lambda: put(old, new), slot, SIGNAL)


class Calls:
    """Registrations that only a call shows: atexit.register, codecs.register."""

    def __init__(self, owner: Any, name: str, undo: Callable[[Any], object]) -> None:
        self._owner, self._name, self._undo = owner, name, undo
        self._original = getattr(owner, name)
        self.log: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

        def register(fn: Any, *args: Any, **kwargs: Any) -> Any:
            result = self._original(fn, *args, **kwargs)
            self.log.append((fn, args, kwargs))
            return result

        self._replacement = register
        setattr(owner, name, register)

    def close(self) -> None:
        """Put the original function back."""
        if getattr(self._owner, self._name) is self._replacement:
            setattr(self._owner, self._name, self._original)

    def take(self) -> int:
        """How many calls there were."""
        return len(self.log)

    def effects(self, before: int, now: int) -> Iterator[Effect]:
        """One effect for each call."""
        for fn, args, kwargs in self.log[before:now]:
            what = f"{self._owner.__name__}.{self._name}({getattr(fn, '__name__', fn)})"
            yield Effect(what, self._undoing(fn), self._redoing(fn, args, kwargs))

    def _undoing(self, fn: Any) -> Callable[[], None]:
        return lambda: void(self._undo(fn))

    def _redoing(self, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], None]:
        return lambda: void(self._original(fn, *args, **kwargs))


class Threads:
    """Threads that were started. They can't be undone; those that run first-party code need a new process."""

    def take(self) -> frozenset[threading.Thread]:
        """The threads that are alive."""
        return frozenset(threading.enumerate())

    def effects(self, before: frozenset[threading.Thread], now: frozenset[threading.Thread]) -> Iterator[Effect]:
        """One effect for all that were started."""
        started = tuple(now - before)
        if started:
            names = ", ".join(thread.name for thread in started)
            yield Effect(f"thread {names}", nothing, nothing, threads=started)


class Tasks:
    """Tasks that a module started on the running loop: cancelled when the module is gone for good."""

    def take(self) -> frozenset[asyncio.Task[Any]]:
        """The tasks of the running loop."""
        try:
            return frozenset(asyncio.all_tasks())
        except RuntimeError:  # no loop is running
            return frozenset()

    def effects(self, before: frozenset[asyncio.Task[Any]], now: frozenset[asyncio.Task[Any]]) -> Iterator[Effect]:
        """One effect for each task that was started."""
        for task in now - before:
            yield Effect(f"task {task.get_name()}", nothing, nothing, finish=self._cancelling(task))

    @staticmethod
    def _cancelling(task: asyncio.Task[Any]) -> Callable[[], None]:
        return lambda: void(task.cancel())


def void(_: object) -> None:
    """Drop a result."""
