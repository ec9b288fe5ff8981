"""Influence: notices whose state the module that is being imported changes, by looking before and after."""

from collections.abc import Callable, Collection, Iterable
from sys import modules
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Final

from fastapi_hmr.engine.course import Course, Stack
from fastapi_hmr.engine.early import Early, borrowed
from fastapi_hmr.engine.hmr import MISSING, read_by
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.marks import Key, Marks, marks_of
from fastapi_hmr.engine.record import NAME, Record, Records
from fastapi_hmr.engine.restoring import restore, restore_globals
from fastapi_hmr.engine.state import ATOMIC, Contents, How, Seen, Walker, dunder
from fastapi_hmr.engine.trail import DICT, Trail

NOWHERE: Final[tuple[None, Trail, None]] = (None, Trail(), None)


class Influence:
    """One transaction's view of the first-party state.

    Everything that is looked at is remembered by the identity of the object, with its contents when last seen;
    so each change is charged once, to the module that was running when it happened.
    """

    def __init__(self, records: Records, running: Stack, course: Course) -> None:
        self._records = records
        self._running = running
        self._seen: dict[int, Seen] = {}
        self._looked: dict[str, dict[str, set[str | None]]] = {}
        self._walked: dict[str, set[str | None]] = {}
        self._holders: dict[int, set[str]] = {}
        home: Callable[[str], ModuleType | None] = modules.get
        self._walker = Walker(records.__contains__, home)
        self._trails: dict[Key, tuple[Record, Trail, Collection[int] | None]] = {}
        self._old: frozenset[Record] = frozenset()
        self._complete = False
        self._written: dict[tuple[str, str], tuple[Record, object]] = {}
        """What names of kept modules stood for that were set from outside: not even modules and dunders are passed by."""
        self.early = Early(records, course, self._sight)

    def begin(self) -> None:
        """A transaction begins: what requests did to the state since the last one is nobody's effect."""
        self._seen.clear()
        self._looked.clear()
        self._walked.clear()
        self._holders.clear()
        self._walker.forget()
        self._trails.clear()
        self._complete = False
        self._written.clear()
        self._old = frozenset(self._records.values())
        self.subclasses = any(record.classes for record in self._old)
        self.early.begin_pass(())

    @property
    def subclasses(self) -> bool:
        """Whether any first-party code asks for `__subclasses__`."""
        return self._walker.subclasses

    @subclasses.setter
    def subclasses(self, asked: bool) -> None:
        if asked != self._walker.subclasses:
            self._walker.subclasses = asked
            self._walker.forget()
            self._trails.clear()

    def begin_pass(self) -> None:
        """The entry is about to be imported: a cold start would have run nothing yet."""
        self.early.begin_pass(self._records.values())

    def complete(self) -> None:
        """All modules have run: what changes from now on is not their doing."""
        self._complete = True

    def called(self, record: Record, owner: Record, code: CodeType, *, lives: bool) -> None:
        """The running module calls a function of another, which may change its state or tell it."""
        record.asked.update(((owner.name, None), *borrowed(owner, code)))
        if lives:
            self._records.note(record, NAME, owner.name)  # it need not have imported it: a library may have led there
        self.look(record, (owner.name, None))
        self.early.called(record, owner, code, lives=lives)

    def made(self, value: object) -> None:
        """A cache is about to keep what the running module had made: it may change that from now on."""
        for identity, (obj, how, contents) in self._walker.walk((value,), direct=False).items():
            self._seen.setdefault(identity, Seen(obj, how, contents, contents, kept=False))

    def renewed(self, name: str) -> None:
        """A module runs afresh: nothing in it has been looked at."""
        self._walked.pop(name, None)

    def read(self, record: Record, owner: str, name: str, value: object, frame: FrameType) -> None:
        """The running module got hold of an object of another module and may look at it, or change it."""
        key = owner, name
        record.asked.add(key)
        kind = type(value)
        if not (kind in ATOMIC or value is MISSING or (kind is FunctionType and stateless(value))):
            self.look(record, key)
        self.early.read(record, key, frame)

    def read_all(self, record: Record, owner: str, frame: FrameType) -> None:
        """It got hold of the whole namespace."""
        key = owner, None
        record.asked.add(key)
        self.look(record, key)
        self.early.read(record, key, frame)

    def look(self, record: Record, key: Key) -> None:
        """Before the running module can change it: look at what `key` holds."""
        owner, name = key
        looked = self._looked.setdefault(record.name, {}).setdefault(owner, set())
        if name in looked:
            return
        if owner not in self._records or any(running.name == owner for running in self._running.stack):
            return  # a module under way runs again with its importers anyway
        before = [
            running
            for running in self._running.stack
            if (looked if running is record else owner in self._looked.get(running.name, ()))
        ]
        looked.add(name)
        if before or name not in self._walked.get(owner, ()):
            changed = self._walk(key)
            if changed:  # since these looked: an outer module, or this one when it reached less of the other's state
                for running in before:
                    self._blame(running, owner, changed)

    def wrote(self, record: Record, owner: str, name: str) -> None:
        """The running module is about to set or delete an attribute of another module."""
        if owner != record.name:
            self.look(record, (owner, None))
            record.changed.add(owner)
            other = self._records[owner]
            if other in self._old:
                self._written.setdefault((owner, name), (other, other.globals.get(name, MISSING)))

    def end(self, record: Record) -> None:
        """The module has run: find out what it changed."""
        self.early.settle(record, None)
        for owner, names in self._looked.pop(record.name, {}).items():
            if owner == record.name:
                continue
            for name in names:
                changed = self._walk((owner, name))
                if changed:
                    self._blame(record, owner, changed)

    def _walk(self, key: Key) -> Marks:
        """Look at everything below `key`; return what has other contents than when last seen."""
        self._walked.setdefault(key[0], set()).add(key[1])
        record = self._records.get(key[0])
        if record is None:
            return {}
        walked, trail, _ = self._trails.get(key, NOWHERE)
        if walked is record and trail.same():
            return {}
        trail = Trail()
        kept = record in self._old
        changed: Marks = {}
        walker = self._walker
        found = self._below(walker, record, key[1], trail)
        self._trails[key] = record, trail, self._walker.sight(found) if self.early.waiting() else None
        for identity, (obj, how, contents) in found.items():
            seen = self._seen.get(identity)
            if seen is not None:
                seen.kept |= kept
            if seen is None or seen.how is How.SEEN:  # new, or now reached by a way that says more
                kept_before = seen is not None and seen.kept
                self._seen[identity] = Seen(obj, how, contents, contents, kept or kept_before)
            elif how is seen.how and walker.differs(obj, how, seen.last, contents):
                changed |= marks_of(key[0], obj, how, seen.last, contents)
                seen.last = contents
        if changed:
            self._trails.clear()  # a change back must not look like none
        return changed

    def _below(
        self, walker: Walker, record: Record, name: str | None, trail: Trail | None = None
    ) -> dict[int, tuple[Any, How, tuple[Any, ...]]]:
        """Everything below one name of a module, or below all of it."""
        globals_ = record.globals
        if name is not None:
            value = globals_.get(name)
            if trail is not None:
                trail.add(globals_, (lambda held: (held.get(name),),))
            return {} if address(value) in record.library else walker.walk((value,), direct=True, trail=trail)
        if trail is not None:
            trail.add(globals_, DICT)
        contents = names_of(globals_)
        own = [
            value
            for value in contents[2::2]
            if type(value) not in ATOMIC
            and address(value) not in record.borrowed
            and address(value) not in record.library
        ]
        found = walker.walk(own, direct=True, trail=trail)
        found[address(globals_)] = (globals_, How.GLOBALS, contents)
        return found

    def _sight(self, key: Key) -> Collection[int]:
        """The identities of what can be seen from `key`."""
        record = self._records.get(key[0])
        if record is None:
            return ()
        walked, trail, known = self._trails.get(key, NOWHERE)
        if known is not None and walked is record and trail.same():
            return known
        return self._walker.sight(self._below(self._walker, record, key[1]))

    def _blame(self, record: Record, owner: str, changed: Marks) -> None:
        record.changed.add(owner)
        record.marks |= changed
        for identity in {address(obj) for obj in changed.values() if obj is not None}:
            holders = self._holders.get(identity)
            if holders is None:
                holders = self._holders[identity] = self._who_holds(owner, identity)
            record.changed |= holders
        record.changed.discard(record.name)

    def _who_holds(self, owner: str, identity: int) -> set[str]:
        """Modules below `owner` that hold the very object: running `owner` again would not make a new one."""
        running = {record.name for record in self._running.stack}
        found = set()
        for name in self.below(owner):
            if (
                name != owner
                and name not in running
                and identity in self._below(self._walker, self._records[name], None)
            ):
                found.add(name)
        return found

    def below(self, name: str) -> set[str]:
        """A module and everything that it depends on, by imports and by reads."""
        todo, out = [name], set()
        while todo:
            record = self._records.get(todo.pop())
            if record is None or record.name in out:
                continue
            out.add(record.name)
            todo += record.keys(NAME)
            todo += read_by(record.module)
        return out

    def restore(self, owners: Iterable[Record]) -> None:
        """A failed edit: give back to the modules that were kept what the new code changed in them.

        That is what was last seen, once all of it had run: what a lifespan did afterwards is its own to undo.
        """
        for record in owners:
            seen = self._seen.get(address(record.globals))
            if seen is not None:
                now = seen.last if self._complete else names_of(record.globals)
                restore_globals(record.globals, seen.first, now)
        walker = self._walker
        for seen in [seen for seen in self._seen.values() if seen.kept]:
            contents = seen.last if self._complete else walker.contents(seen.obj, seen.how)
            if contents is not None and walker.differs(seen.obj, seen.how, seen.first, contents):
                restore(walker, seen, contents)
        for (_, name), (record, value) in self._written.items():
            if value is MISSING:
                record.globals.pop(name, None)
            else:
                record.globals[name] = value


def names_of(globals_: dict[str, Any]) -> Contents:
    """A module's own names with what they stand for, made flat; not the modules in it, which the import system puts there."""
    found: list[Any] = [0]
    for name, value in list(globals_.items()):
        if not dunder(name) and not isinstance(value, ModuleType):
            found += (name, value)
    return tuple(found)


def stateless(function: Any) -> bool:
    """Whether a function holds nothing that could be changed."""
    return not (function.__closure__ or function.__dict__ or function.__kwdefaults__)
