"""Names: the probe for a library's dicts of classes by name, of which each module puts some in."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from fastapi_hmr.engine.hmr import Module
from fastapi_hmr.engine.record import Effect

type Entries = dict[tuple[int, Any], tuple[dict[Any, Any], Any]]


class Names:
    """The entries of some dicts: one thing for each name, or a list of things. Classes of libraries stay, as those do.

    `what` is for people; `dicts` tells which there are by now; `changed` is called after each change of ours.
    """

    def __init__(
        self, what: str, dicts: Callable[[], Iterable[dict[Any, Any]]], changed: Callable[[], None] = lambda: None
    ) -> None:
        self._what, self._dicts, self._changed = what, dicts, changed

    def take(self) -> Entries:
        """All entries."""
        return {
            (id(each), name): (each, tuple(value) if isinstance(value, list) else value)
            for each in self._dicts()
            for name, value in each.items()
        }

    def effects(self, before: Entries, now: Entries) -> Iterator[Effect]:
        """One for each thing that came."""
        for (place, name), (names, value) in now.items():
            _, old = before.get((place, name), (names, None))
            if isinstance(value, tuple):
                for each in value:
                    if not _of_library(each) and not any(each is known for known in old or ()):
                        yield self._effect(name, _Listed(names, name, each))
            elif value is not old and not isinstance(value, dict) and not _of_library(value):
                yield self._effect(name, _Entry(names, name, old, value))

    def _effect(self, name: Any, change: "_Listed | _Entry") -> Effect:
        def undo() -> None:
            change.undo()
            self._changed()

        def redo() -> None:
            change.redo()
            self._changed()

        return Effect(f"{self._what} {name}", undo, redo)


def _of_library(value: Any) -> bool:
    return isinstance(value, type) and not isinstance(sys.modules.get(value.__module__), Module)


class _Entry:
    def __init__(self, names: dict[Any, Any], name: Any, old: Any, value: Any) -> None:
        self._names, self._name, self._old, self._value = names, name, old, value

    def undo(self) -> None:
        if self._names.get(self._name) is self._value:
            if self._old is None:
                del self._names[self._name]
            else:
                self._names[self._name] = self._old

    def redo(self) -> None:
        self._names[self._name] = self._value


class _Listed:
    def __init__(self, names: dict[Any, Any], name: Any, value: Any) -> None:
        self._names, self._name, self._value = names, name, value

    def undo(self) -> None:
        left = [each for each in self._names.get(self._name, ()) if each is not self._value]
        if left:
            self._names[self._name] = left
        else:
            self._names.pop(self._name, None)

    def redo(self) -> None:
        self.undo()
        self._names[self._name] = [*self._names.get(self._name, ()), self._value]
