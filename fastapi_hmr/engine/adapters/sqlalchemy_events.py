"""SQLAlchemy: event listeners that a module put on classes of the library, or on the library as a whole."""

from collections.abc import Callable, Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect
from fastapi_hmr.engine.effects import void

type Listener = tuple[Any, str, Any]


class Events:
    """The calls of `sqlalchemy.event.listen`, by anybody."""

    def __init__(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.event import api

        self.log: list[Listener] = []
        original = api.listen

        def listen(target: Any, identifier: str, fn: Any, *args: Any, **kw: Any) -> None:
            original(target, identifier, fn, *args, **kw)
            self.log.append((target, identifier, fn))

        # listens_for() finds `listen` among the globals of its module
        api.listen = event.listen = listen
        self._original = original

    def take(self) -> int:
        """How many calls there were."""
        return len(self.log)

    def effects(self, before: int, now: int) -> Iterator[Effect]:
        """One effect for each listener."""
        for listener in self.log[before:now]:
            what = f"listener for {listener[1]!r}"
            yield Effect(what, _removing(listener), self._adding(listener))

    def _adding(self, listener: Listener) -> Callable[[], None]:
        return lambda: void(self._original(*listener))


def _removing(listener: Listener) -> Callable[[], None]:
    def remove() -> None:
        from sqlalchemy import event

        if event.contains(*listener):
            event.remove(*listener)

    return remove


ADAPTER = Adapter("sqlalchemy.event", Events)
