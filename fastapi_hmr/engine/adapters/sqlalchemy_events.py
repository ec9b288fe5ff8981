"""SQLAlchemy: event listeners that a module put on classes of the library, or on the library as a whole."""

import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect
from fastapi_hmr.engine.effects import void

REMEMBERED = 2000
"""Requests may listen to sessions of their own, which must not live on here."""

type Listener = tuple[Any, str, Any, tuple[Any, ...], dict[str, Any]]


def _caller(frame: FrameType | None) -> str:
    """The module that listens."""
    while frame is not None and frame.f_globals.get("__name__", "").startswith("sqlalchemy.event."):
        frame = frame.f_back  # listens_for()
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


class Events:
    """The calls of `sqlalchemy.event.listen`, by anybody."""

    def __init__(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.event import api

        self.log: deque[tuple[Listener, str]] = deque(maxlen=REMEMBERED)
        self._calls = 0
        original = api.listen

        def listen(target: Any, identifier: str, fn: Any, *args: Any, **kw: Any) -> None:
            original(target, identifier, fn, *args, **kw)
            caller = _caller(sys._getframe(1))  # noqa: SLF001 - the only way to the caller
            if not caller.startswith("sqlalchemy."):  # for its own purposes: that goes with its own objects
                self.log.append(((target, identifier, fn, args, kw), caller))
                self._calls += 1

        # listens_for() finds `listen` among the globals of its module
        api.listen = event.listen = listen
        self._original = original

    def take(self) -> int:
        """How many calls there were."""
        return self._calls

    def effects(self, before: int, now: int) -> Iterator[Effect]:
        """One effect for each listener."""
        forgotten = self._calls - len(self.log)
        for listener, caller in list(self.log)[max(before - forgotten, 0) : now - forgotten]:
            what = f"listener for {listener[1]!r}"
            yield Effect(
                what,
                _removing(listener),
                self._adding(listener),
                lists=frozenset((("listeners", id(listener[0]), listener[1]),)),
                touches=_home(listener[0]),
                by=caller,
            )

    def _adding(self, listener: Listener) -> Callable[[], None]:
        target, identifier, fn, args, kw = listener
        return lambda: void(self._original(target, identifier, fn, *args, **kw))


def _home(target: Any) -> frozenset[str]:
    """The module of the class that is listened to: in a cold start the listener comes before those of its mapper."""
    cls = target if isinstance(target, type) else getattr(target, "class_", None)
    return frozenset((cls.__module__,)) if isinstance(cls, type) else frozenset()


def _links() -> Iterator[tuple[str, str]]:
    """A relationship has put its other side, a backref, on the mapper of another module's class."""
    from sqlalchemy.orm import mapperlib

    for registry in mapperlib._all_registries():  # noqa: SLF001 - no public list
        for mapper in list(registry.mappers):
            for relationship in mapper._init_properties.values():  # noqa: SLF001 - `relationships` would configure it
                for other in getattr(relationship, "_reverse_property", ()):
                    yield mapper.class_.__module__, other.parent.class_.__module__


def _removing(listener: Listener) -> Callable[[], None]:
    def remove() -> None:
        from sqlalchemy import event

        if event.contains(*listener[:3]):
            event.remove(*listener[:3])

    return remove


ADAPTER = Adapter("sqlalchemy.event", Events, links=_links)
