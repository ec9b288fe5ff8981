"""Early: whether a running module comes to see what kept ones did before a cold start would have reached those."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from types import CodeType, FrameType

from fastapi_hmr.engine.course import Course
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.marks import LIBRARY, Index, Key
from fastapi_hmr.engine.record import Record, Records
from fastapi_hmr.engine.state import dunder
from fastapi_hmr.engine.uses import Uses, looks_unseen, words


class Early:
    """One pass: what kept modules changed is there from its beginning, though a cold start has it only when they run.

    Who looks at it before shall not see it: it runs again, and so do those that changed it, each in its turn.
    """

    def __init__(self, records: Records, course: Course, sight: Callable[[Key], Collection[int]]) -> None:
        self._records, self._course, self._sight = records, course, sight
        self.names: set[str] = set()
        """Kept modules of which something was seen too early, and those that saw it."""
        self._kept: frozenset[Record] = frozenset()
        """Those that are there in this pass from the beginning: earlier passes have run some of them."""
        self._index: Index | None = None
        self._passed = 0
        """How many of those that changed something are known to be reached."""
        self._held: defaultdict[str, dict[str, Key]] = defaultdict(dict)
        """What running modules name and have not used yet, by module and by the name that they have for it."""
        self._uses: dict[str, Uses] = {}
        self._sights: dict[Key, Collection[int]] = {}
        """At the end of the pass, when nothing changes any more."""

    def begin_pass(self, kept: Iterable[Record]) -> None:
        """A pass begins, with these modules there already: a cold start would have run none of them yet."""
        self._kept = frozenset(kept)
        self.names.clear()
        self._index, self._passed = None, 0
        self._held.clear()
        self._uses.clear()
        self._sights.clear()

    @property
    def index(self) -> Index:
        """What kept modules changed; made when it is first asked for."""
        if self._index is None:
            self._index = Index(self._kept)
        return self._index

    def waiting(self) -> bool:
        """Whether there are changes that a cold start would not have come to by now."""
        modules, reached = self.index.modules, self._course.reached
        while self._passed < len(modules) and modules[self._passed] in reached:
            self._passed += 1
        return self._passed < len(modules)

    def begins(self, record: Record) -> None:
        """A module's code is about to run."""
        if self.waiting() and self.index.library:
            names, constants = record.words()
            for name in self.index.library & (names | constants):
                self._held[record.name][name] = (LIBRARY, name)

    def read(self, record: Record, key: Key, frame: FrameType) -> None:
        """The running module reads a name of another."""
        if not dunder(key[1] or ""):
            self._meet(record, self._records.get(key[0]))
        found = self._seen(key, heirs=record.classes)
        if found:
            held = self._held_as(record, key, frame)
            if held is None:
                self._tell(record, found)
            else:
                self._held[record.name][held] = key

    def called(self, record: Record, owner: Record, code: CodeType, *, lives: bool) -> None:
        """The running module calls a function of another: of the present one, where that `lives`."""
        if lives:
            self._meet(record, owner)
        if self.waiting():
            heirs = record.classes or "__subclasses__" in code.co_names
            library = [(LIBRARY, name) for name in self.index.library & words(code)]
            for key in ((owner.name, None), *borrowed(owner, code), *library):
                self._tell(record, self._seen(key, heirs=heirs))

    def calls_own(self, record: Record, code: CodeType) -> None:
        """The running module calls a function of its own, or makes a class."""
        held = self._held.get(record.name)
        if held:
            for name in list(held) if looks_unseen(code) else held.keys() & words(code):
                self._use(record, name)

    def settle(self, record: Record, frame: FrameType | None) -> None:
        """A kept module is about to be reached, or the running one has run: now counts what it has used."""
        held = self._held.get(record.name)
        if not held or record.code is None:
            return
        while frame is not None and frame.f_code is not record.code:
            frame = frame.f_back
        by = frame.f_lasti if frame is not None else None
        uses = self._uses_of(record, record.code)
        for name, (owner, _) in list(held.items()):
            if uses.mentioned(name, by) if owner == LIBRARY else uses.used(name, by):
                self._use(record, name)

    def depends(self, reader: Record, writer: Record) -> bool:
        """Whether what one of two kept modules made depends on which of them runs first: asked when the pass is over."""
        if (writer.name, None) in reader.asked or not writer.marks.keys().isdisjoint(reader.marks):
            return True
        index = Index((writer,))
        names, constants = reader.words() if index.library else (frozenset[str](), frozenset())
        if not index.library.isdisjoint(names | constants):
            return True
        return bool(writer.marks) and any(index.seen(key, self._sight_at_end, heirs=True) for key in reader.asked)

    def _sight_at_end(self, key: Key) -> Collection[int]:
        found = self._sights.get(key)
        if found is None:
            found = self._sights[key] = self._sight(key)
        return found

    def _use(self, record: Record, name: str) -> None:
        self._tell(record, self._seen(self._held[record.name].pop(name), heirs=record.classes))

    def _meet(self, record: Record, other: Record | None) -> None:
        """The running module gets at a kept one itself, which a cold start may not have reached."""
        if other is not None and other in self._kept and other.name not in self._course.reached:
            self._tell(record, (other.name,))

    def _tell(self, record: Record, found: Collection[str]) -> None:
        if found:
            self.names |= {record.name, *found}

    def _seen(self, key: Key, *, heirs: bool) -> set[str]:
        """Kept modules that changed something below `key`, and would not have done so yet."""
        if not self.waiting():
            return set()
        found = self.index.seen(key, self._sight, heirs=heirs) - self._course.reached
        return {name for name in found if self._records.get(name) in self._kept}

    def _held_as(self, record: Record, key: Key, frame: FrameType) -> str | None:
        code = record.code
        if code is None or frame.f_code is not code or key[1] is None or self.index.rebound(key):
            return None
        return self._uses_of(record, code).held_as(frame.f_lasti, key[1])

    def _uses_of(self, record: Record, code: CodeType) -> Uses:
        uses = self._uses.get(record.name)
        if uses is None:
            uses = self._uses[record.name] = Uses(code)
        return uses


def borrowed(owner: Record, code: CodeType) -> list[Key]:
    """The names in some code of a module that stand for objects of others."""
    globals_ = owner.globals
    return [
        (owner.name, name) for name in code.co_names if name in globals_ and address(globals_[name]) in owner.borrowed
    ]
