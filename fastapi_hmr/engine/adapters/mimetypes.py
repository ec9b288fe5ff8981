"""mimetypes: types that a module added to the process-wide tables."""

import mimetypes
import os
from collections.abc import Iterator
from typing import Any

from fastapi_hmr.engine.adapters import Adapter, Effect

type Tables = tuple[Any, ...]


def _tables(db: mimetypes.MimeTypes | None = None) -> Tables:
    """Copies of some tables: of those behind the module's functions."""
    db = db or getattr(mimetypes, "_db", None)  # None until first used
    if db is None:
        return ()
    inverse = tuple({kind: tuple(names) for kind, names in table.items()} for table in db.types_map_inv)
    return (*(dict(table) for table in db.types_map), *inverse, dict(db.encodings_map), dict(db.suffix_map))


READERS = ("guess_type", "guess_file_type", "guess_extension", "guess_all_extensions", "types_map", "encodings_map")
"""By what names code sees them."""


class MimeTypes:
    """The tables of the `mimetypes` module."""

    def __init__(self) -> None:
        self._last = _tables()

    def take(self) -> Tables:
        """The tables now; the same object while nothing was added, for they are large."""
        db = getattr(mimetypes, "_db", None)
        if db is not None and self._last:
            live = (*db.types_map, db.encodings_map, db.suffix_map)
            if live == (*self._last[:2], *self._last[4:]):
                return self._last
        self._last = _tables()
        return self._last

    def effects(self, before: Tables, now: Tables) -> Iterator[Effect]:
        """All additions of a module, as one effect."""
        if not before:  # the first question, or the first addition, made them: from the files of the system
            before = _tables(mimetypes.MimeTypes(tuple(filter(os.path.isfile, mimetypes.knownfiles))))
        if before != now:
            slots = frozenset(
                ("mimetypes", number, key)
                for number, (old, new) in enumerate(zip(before, now, strict=True))
                for key in old.keys() | new.keys()
                if old.get(key) != new.get(key)
            )
            undo, redo = lambda: self._turn(now, before), lambda: self._turn(before, now)
            shown = dict.fromkeys(READERS, repr(sorted(map(repr, slots))))
            yield Effect("mimetypes", undo, redo, slots, shown=shown)

    @staticmethod
    def _turn(old: Tables, new: Tables) -> None:
        db = getattr(mimetypes, "_db", None)
        if db is None:
            return
        live = (*db.types_map, *db.types_map_inv, db.encodings_map, db.suffix_map)
        for table, before, after in zip(live, old, new, strict=True):
            for key in before.keys() | after.keys():
                if before.get(key) == after.get(key):
                    continue
                if key not in after:
                    table.pop(key, None)
                else:
                    value = after[key]
                    table[key] = list(value) if isinstance(value, tuple) else value


ADAPTER = Adapter("mimetypes", MimeTypes)
