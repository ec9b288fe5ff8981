"""Marks: what exactly a module changed of the state of others, and who is the one to have changed what can be seen."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Any, Final

from fastapi_hmr.engine.hmr import MISSING
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.record import Record
from fastapi_hmr.engine.state import Contents, How, same, unflat

type Key = tuple[str, str | None]
"""A module and a name in it, or the whole module."""
type Mark = Hashable
"""The identity of an object; a name of a module, as (module, name); the heirs of a class, as (HEIRS, identity)."""
type Marks = dict[Mark, Any]
"""Each with the object itself, so that no other gets its identity."""

HEIRS: Final = 0
"""Only who asks for `__subclasses__` sees them."""
LIBRARY: Final = ""
"""In the place of the module: a name by which modules set something of a library's, whichever library."""


def marks_of(owner: str, obj: Any, how: How, before: Contents, now: Contents) -> Marks:
    """What differs in one object that was reached from the module `owner`."""
    if how is How.GLOBALS:
        old, new = unflat(before), unflat(now)
        names = old.keys() | new.keys()
        return {(owner, name): None for name in names if not same(old.get(name, MISSING), new.get(name, MISSING))}
    if isinstance(obj, type) and len(before) == len(now) and all(map(same, before[1:], now[1:])):
        return {(HEIRS, address(obj)): obj}
    return {address(obj): obj}


class Index:
    """Who left which mark."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._marks: defaultdict[Mark, list[str]] = defaultdict(list)
        self._names: defaultdict[str | int, list[Mark]] = defaultdict(list)
        self.library: set[str] = set()
        """Names by which they set something of a library's."""
        self.modules: list[str] = []
        """Who left any."""
        for record in records:
            names = {name for effect in record.effects for name in effect.shown}
            marks = [*record.marks, *((LIBRARY, name) for name in names)]
            self.library |= names
            if marks:
                self.modules.append(record.name)
            for mark in marks:
                self._marks[mark].append(record.name)

        for mark in self._marks:
            if isinstance(mark, tuple):
                self._names[mark[0]].append(mark)

    def rebound(self, key: Key) -> bool:
        """Whether the name itself stands for something else since: to import it is to look at that."""
        return key in self._marks

    def seen(self, key: Key, sight: Callable[[Key], Collection[int]], *, heirs: bool) -> set[str]:
        """Who changed something that can be seen from `key`, where `sight` finds objects."""
        owner, name = key
        found: set[Mark] = {key} if name is not None else set(self._names.get(owner, ()))
        marks, identities = self._marks.keys(), sight(key)
        found |= marks & identities
        if heirs and HEIRS in self._names:
            found |= {(HEIRS, identity) for identity in identities}
        return {module for mark in marks & found for module in self._marks[mark]}
