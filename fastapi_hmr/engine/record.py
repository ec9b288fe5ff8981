"""Record: what one execution of a module read, tried and did (its Effects); Records: all, by what they depend on."""

from collections import defaultdict
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Thread
from types import CodeType
from typing import Any

from fastapi_hmr.engine.hmr import Module, namespace, readers
from fastapi_hmr.engine.scopes import Words, words_in

NAME = "name"
FILE = "file"
PROBE = "probe"
LISTING = "listing"
ENVIRON = "environ"


def nothing() -> None:
    """For effects that need nothing done."""


class Effect:
    """One thing done to the process or to a library, with the way back and forth."""

    def __init__(
        self,
        what: str,
        undo: Callable[[], None],
        redo: Callable[[], None],
        slots: frozenset[Hashable] = frozenset(),
        words: tuple[frozenset[str], ...] = (),
        *,
        lists: frozenset[Hashable] = frozenset(),
        written: dict[str, str | None] | None = None,
        replaced: dict[str, str | None] | None = None,
        threads: tuple[Thread, ...] = (),
        touches: frozenset[str] = frozenset(),
        shown: Mapping[str, Any] | None = None,
        finish: Callable[[], None] = nothing,
        thing: Any = None,
        by: str | None = None,
        carries: bool = False,
    ) -> None:
        self.what = what
        """For people: `os.environ`, `a handler of logger 'shop'`."""
        self.undo = undo
        self.redo = redo
        self.slots = slots
        """What is written: two modules that write the same run again together."""
        self.words = words
        """Of each set one stands in code that may write the same: where it is so already, nobody sees it written again."""
        self.lists = lists
        """What it adds to, where the order of the entries shows: it can be undone and redone to come last."""
        self.written = written or {}
        """Environment variables and what they were set to."""
        self.replaced = replaced or {}
        """And what they were before."""
        self.threads = threads
        """Threads started: only a new process is rid of them."""
        self.shown = shown or {}
        """Names by which other code would come to see it, with what they stand for now."""
        self.touches = touches
        """Modules whose own objects it changed: they run again with the one that did it."""
        self.finish = finish
        """Called when the effect is gone for good: close files, cancel tasks."""
        self.thing = thing
        """What was registered, where somebody may hold it and rely on its being there."""
        self.by = by
        """The module that asked for it, where that is known."""
        self.carries = carries
        """Where an app's start did it, it goes on with a lifespan that does."""
        self.probe = ""
        """Who saw it, where it was a probe."""
        self.serial = 0
        """When it was done, among all effects."""
        self.after = 0
        """How many import statements of its module had been made by then."""
        self.done = True
        """It is not undone at the moment."""


class Row:
    """The imports that a module's code begins with."""

    def __init__(self, leads: dict[int, int], last: int, whole: bool) -> None:
        self.leads = leads
        """Where one is, by where the one is that leads straight to it."""
        self.last = last
        """Where the last of them is."""
        self.whole = whole
        """The code has nothing else."""


class Record:
    """One execution of one first-party module."""

    def __init__(self, name: str, file: Path, module: Module, order: int, source: bytes) -> None:
        self.name = name
        self.file = file
        self.module = module
        self.order = order
        self.source = source
        """The bytes that were compiled: an edit is a difference to these."""
        self.code: CodeType | None = None
        self.changed_by = ""
        """The library whose loader made other code of the source than Python does."""
        self.failed = False
        """It raised, and whoever imported it went on: an edit of it still counts."""
        self.statements: dict[str, None] = {}
        """What its import statements asked for, absolute, in the order they ran: the order of a cold start."""
        self.at = 0
        """How many of those had been made when the latest was."""
        self.edges: dict[tuple[str, Hashable], Any] = {}
        """(kind, key) → what was found: names imported or looked for, files, questions asked of disk and environ."""
        self.borrowed: set[int] = set()
        """Identities of objects that it read from other first-party modules: theirs to answer for."""
        self.library: set[int] = set()
        """Identities of objects that it imported from libraries: running it again does not renew them."""
        self.changed: set[str] = set()
        """First-party modules whose state it changed."""
        self.marks: dict[Hashable, Any] = {}
        """What exactly it changed of theirs."""
        self.asked: set[tuple[str, str | None]] = set()
        """Names of first-party modules that it read, or (module, None) where it called a function of one: it may know
        what others had changed there by then."""
        self.effects: list[Effect] = []
        """What it did to the process and to libraries, in order."""
        self.variables: dict[str, tuple[str | None, int]] = {}
        """Environment variables that it asked for: what it found, and how many import statements it had made by then."""
        self.repeated = False
        """It ran more than once for one generation: after a failure, for each of its importers."""
        self.classes = False
        """Whether its code asks for `__subclasses__`."""
        self.row = Row({}, 0, False)
        """The imports that its code begins with."""
        self._words: tuple[CodeType, Words] | None = None
        """What is said in some code of this module, looked up once."""

    def inherit(self, earlier: "Record") -> None:
        """The module ran before in this process: it failed and was tried again, or the app reloaded it.

        What the earlier run did is still there, and what it depended on led to it.
        """
        self.repeated = True
        self.statements = {**earlier.statements, **self.statements}
        self.edges = {**earlier.edges, **self.edges}
        self.changed |= earlier.changed
        self.marks = {**earlier.marks, **self.marks}
        self.asked |= earlier.asked
        self.effects = [*earlier.effects, *self.effects]

    @property
    def globals(self) -> dict[str, Any]:
        """The module's namespace."""
        return namespace(self.module)

    def runs(self, code: CodeType, words: Words, row: Row) -> None:
        """Its code is known, what is said in it, and which of its imports follow each other."""
        self.code, self._words, self.row = code, (code, words), row

    def words(self) -> Words:
        """All names and plain constants in its code."""
        if self.code is None:
            return Words(frozenset(), frozenset())
        known = self._words  # kept here, so that it goes when the record goes
        if known is None or known[0] is not self.code:
            known = self._words = (self.code, words_in(self.code))
        return known[1]

    def mentions(self, words: Iterable[frozenset[str]]) -> bool:
        """Whether of each of these one is a name or a plain constant in its code."""
        names, constants = self.words()
        return not any(names.isdisjoint(each) and constants.isdisjoint(each) for each in words)

    def keys(self, kind: str) -> Iterator[Any]:
        """What it depends on, of one kind."""
        return (key for k, key in self.edges if k == kind)


class Records:
    """The records by module name, with an index of who depends on what."""

    def __init__(self) -> None:
        self._by_name: dict[str, Record] = {}
        self.names = self._by_name.keys()
        """Of all modules that have one, at any time."""
        self._index: defaultdict[tuple[str, Hashable], set[Record]] = defaultdict(set)
        self._by_file: defaultdict[str, set[Record]] = defaultdict(set)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __getitem__(self, name: str) -> Record:
        return self._by_name[name]

    def get(self, name: object) -> Record | None:
        """The record of a module, if it is first-party and loaded."""
        return self._by_name.get(name)  # type: ignore[call-overload,no-any-return]  # any hashable may be asked for

    def values(self) -> list[Record]:
        """All records."""
        return list(self._by_name.values())

    def owner(self, globals_: Mapping[str, Any] | None) -> Record | None:
        """The record whose module has exactly these globals: not an older version of it."""
        record = self._by_name.get(globals_.get("__name__", "")) if globals_ is not None else None
        return record if record is not None and namespace(record.module) is globals_ else None

    def add(self, record: Record) -> None:
        """Enter a record, in place of an older one of the same name."""
        if record.name in self._by_name:
            self.remove(record.name)
        self._by_name[record.name] = record
        self._by_file[str(record.file)].add(record)
        for edge in record.edges:
            self._index[edge].add(record)

    def remove(self, name: str) -> Record:
        """Take a record out."""
        record = self._by_name.pop(name)
        self._discard(self._by_file, str(record.file), record)
        for edge in record.edges:
            self._discard(self._index, edge, record)
        return record

    @staticmethod
    def _discard(index: defaultdict[Any, set[Record]], key: Any, record: Record) -> None:
        members = index[key]
        members.discard(record)
        if not members:
            del index[key]

    def note(self, record: Record, kind: str, key: Hashable, found: Any = None) -> None:
        """`record` depends on `key`; the first answer that it got stands."""
        edge = (kind, key)
        if edge not in record.edges:
            record.edges[edge] = found
            if self._by_name.get(record.name) is record:
                self._index[edge].add(record)

    def dependents(self, kind: str, key: Hashable) -> frozenset[Record]:
        """Who depends on this."""
        return frozenset(self._index.get((kind, key), ()))

    def known(self, kind: str, key: Hashable) -> bool:
        """Whether anybody depends on this."""
        return (kind, key) in self._index

    def from_file(self, path: Path | str) -> frozenset[Record]:
        """The records of modules that were read from this file."""
        return frozenset(self._by_file.get(str(path), ()))

    @property
    def files(self) -> Container[str]:
        """The files that modules were read from."""
        return self._by_file

    def is_source(self, filename: str) -> bool:
        """Whether a module was read from this file."""
        return filename in self._by_file

    def writers(self) -> list[set[str]]:
        """Sets of modules that write the same thing of the process, or may: a repeated write leaves no trace."""
        slots: defaultdict[Hashable, set[str]] = defaultdict(set)
        mentioned: defaultdict[tuple[frozenset[str], ...], set[Hashable]] = defaultdict(set)
        for record in self._by_name.values():
            for effect in record.effects:
                for slot in effect.slots:
                    slots[slot].add(record.name)
                    if effect.words:
                        mentioned[effect.words].add(slot)
        for words, written in mentioned.items():
            names = {record.name for record in self._by_name.values() if record.mentions(words)}
            for slot in written:
                slots[slot] |= names
        return [names for names in slots.values() if len(names) > 1]

    def importers(self, name: str) -> set[str]:
        """Who must run again when this module does: its importers, and the readers of its names."""
        found = {record.name for record in self._index.get((NAME, name), ())}
        record = self._by_name.get(name)
        if record is not None:
            found.update(readers(record.module))
        return found

    def close(self, names: Iterable[str], more: defaultdict[str, set[str]] | None = None) -> set[str]:
        """`names` and everything that depends on them, by the edges of the graph and those in `more`."""
        todo = [name for name in names if name in self._by_name]
        out: set[str] = set()
        while todo:
            name = todo.pop()
            if name in out or name not in self._by_name:
                continue
            out.add(name)
            todo += self.importers(name)
            todo += self._by_name[name].changed
            if more is not None:
                todo += more.get(name, ())
        return out
