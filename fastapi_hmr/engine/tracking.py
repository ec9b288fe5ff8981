"""Tracker: what is being imported, and what each module reads, tries and asks meanwhile."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Token
from pathlib import Path
from threading import get_ident
from types import CodeType, FrameType, ModuleType
from typing import Any

from fastapi_hmr import audit
from fastapi_hmr.engine import disk, hmr
from fastapi_hmr.engine.course import Course
from fastapi_hmr.engine.disk_reads import DiskReads
from fastapi_hmr.engine.foreign import Foreign
from fastapi_hmr.engine.hmr import MISSING, STATIC, Module
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.influence import Influence
from fastapi_hmr.engine.mechanisms import Mechanisms
from fastapi_hmr.engine.places import Places, real
from fastapi_hmr.engine.process import Process
from fastapi_hmr.engine.record import ENVIRON, NAME, PROBE, Record, Records
from fastapi_hmr.engine.sensors import Audit, Monitor, path_of
from fastapi_hmr.engine.state import ATOMIC
from fastapi_hmr.engine.straight import Straight
from fastapi_hmr.engine.trail import is_cached

NAMESPACE = frozenset(("__dict__", "vars"))
"""What code calls a module's namespace by."""
BOOTSTRAP = vars(sys.modules["_frozen_importlib"])
"""The namespace of the import system."""


class Tracker:
    """Keeps the stack of modules under way; everything noticed belongs to its top.

    The stack belongs to one thread. In other threads, and while nothing is imported, nothing is tracked but the
    import statements of first-party functions.
    """

    def __init__(self, records: Records, places: Places, mechanisms: Mechanisms) -> None:
        self.records = records
        self.places = places
        self.stack: list[Record] = []
        self.order = 0
        self.quiet = False
        """We are reading ourselves: nobody depends on that."""
        self.children: dict[str, list[str]] = {}
        """Kept modules by the package around them that is to run again."""
        self.attempts: set[str] = set()
        """Names that were looked for since a failure: what may heal it."""
        self.asked: set[Path] = set()
        """Paths likewise."""
        self.conjured: dict[str, set[str]] = {}
        """Modules that a first-party loader made, by the module of that loader."""
        self.on_code: Callable[[CodeType], None] = lambda _code: None
        """Called with a module's code before it runs."""
        self.on_library: Callable[[], None] = lambda: None
        """Called when a library has been imported."""
        self.on_hearing: Callable[[bool], None] = lambda _hears: None
        """Called with whether import statements are heard of: those of a library that is being imported need not be."""
        self._mechanisms = mechanisms
        self._thread = 0
        self._token: Token[Any] | None = None
        self._importers: Iterable[Record] | None = None
        """Who imports the library that is being imported; None: not known yet."""
        self._reads: dict[str, set[tuple[object, str]]] = {}
        self.process = Process(mechanisms)
        self.course = Course(records, self.process, self)
        self.influence = Influence(records, self, self.course)
        self.straight = Straight(self._day)
        self.foreign = Foreign(records, self.process.adapted)
        self.monitor = Monitor(self, records.files)
        self._files = DiskReads(self)
        self._audit = Audit(self._files)

    def install(self) -> None:
        """Hook in; nothing is reported until a module is imported."""
        self.monitor.install()

    def uninstall(self) -> None:
        """Hook out."""
        self.monitor.uninstall()
        self._audit.off()
        self.process.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While inside, we are reading ourselves."""
        quiet, self.quiet = self.quiet, True
        try:
            yield
        finally:
            self.quiet = quiet

    def tracks_here(self) -> bool:
        """Whether this thread is importing something."""
        return bool(self.stack) and get_ident() == self._thread

    # The life of a module's execution.

    def begin(self, record: Record) -> None:
        """A module is about to run."""
        earlier = self.records.get(record.name)
        if earlier is not None:
            record.inherit(earlier)
        if self.stack and get_ident() != self._thread:
            self.straight.day()
            self.records.add(record)  # another thread imports meanwhile: known, but not watched
            return
        if not self.stack:
            self._open()
        if not (self.straight.now and self.monitor.works):
            self.process.charge(self.stack[-1] if self.stack else None)
        self.straight.begins(record)
        self.records.add(record)
        self.course.reached.add(record.name)
        self.influence.renewed(record.name)
        self._push(record)

    def end(self, record: Record, *, failed: bool) -> None:
        """It has run."""
        record.failed = failed
        if not self.stack or self.stack[-1] is not record:
            return
        for path in hmr.files_read(record.module):
            if path != record.file:
                self._files.note(record, path)
        if self._mechanisms.state:
            self.influence.end(record)
        record.at = len(record.statements)
        self.process.charge(record)
        if self._mechanisms.foreign:
            self.process.note(record, self.foreign.end(record))
        self.straight.looked()
        self.stack.pop()
        self._reads.pop(record.name, None)
        if self.stack:
            self._listen()
        else:
            self._close()

    def bind_children(self, record: Record) -> None:
        """A package has run; its modules that were kept are its attributes again, as after an import of theirs."""
        attributes = record.globals
        for name in self.children.pop(record.name, ()):
            module = sys.modules.get(name)
            if module is not None:
                attributes.setdefault(name.rpartition(".")[2], module)

    @contextmanager
    def resumed(self, record: Record) -> Iterator[None]:
        """While inside, what happens belongs to a module that has run already: its factory is called."""
        self._open()
        self.process.mark()
        self.straight.day()
        self.straight.stirred()
        self._push(record)
        try:
            with hmr.extending(record.module):
                yield
        finally:
            self.end(record, failed=record.failed)

    def _listen(self) -> None:
        """Hear of calls, unless a library is being imported: that it asks counts for nothing, for it stays."""
        self._hear(not self.in_library())

    def _hear(self, hears: bool) -> None:
        if hears and not self.straight.dawn:
            self.monitor.on()
        else:
            self.monitor.off()
        self.on_hearing(hears)

    def _day(self) -> None:
        audit.take_up()
        self.process.environ_heard()
        if self.tracks_here():
            self._listen()

    def _push(self, record: Record) -> None:
        self.stack.append(record)
        self._listen()
        self._reads[record.name] = set()

    def _open(self) -> None:
        self._thread = get_ident()
        self._token = hmr.isolate()
        hmr.watch(self)
        self._audit.on()
        if self._mechanisms.process:
            self.process.environ_changed()
        self.process.mark()

    def _close(self) -> None:
        self.straight.stirred()  # which holds a record
        self._hear(True)
        self.monitor.off()
        self._audit.off()
        hmr.unwatch()
        if self._token is not None:
            hmr.rejoin(self._token)
            self._token = None

    # Reads and writes of module attributes.

    def on_read(self, module: Module, name: str, value: object) -> None:
        """Part of hmr.Observer."""
        if not self.stack:
            return
        record = self.stack[-1]
        if module is record.module:
            return
        if name == "__dict__":
            if self._mechanisms.state:
                self._on_namespace(record, module, sys._getframe(2))  # noqa: SLF001 - who asks
            return
        if name == "__spec__":
            self._import_probe(module)
            return
        reads = self._reads[record.name]
        read = (module, name)
        if read in reads and not self.influence.early.waiting():
            return
        reads.add(read)
        hmr.track(module, name)
        if isinstance(value, Module):
            self.records.note(record, NAME, hmr.namespace(value)["__name__"])
        elif type(value) not in ATOMIC and value is not MISSING:
            record.borrowed.add(address(value))
        if self._mechanisms.state:
            self.influence.read(record, hmr.namespace(module)["__name__"], name, value, sys._getframe(2))  # noqa: SLF001 - who asks

    def _on_namespace(self, record: Record, module: Module, frame: FrameType) -> None:
        """First-party code takes the whole namespace, `vars(module)`, and may write into it: `import *` does not."""
        if not NAMESPACE.isdisjoint(frame.f_code.co_names) and self.records.owner(frame.f_globals) is not None:
            self.influence.read_all(record, hmr.namespace(module)["__name__"], frame)

    def on_write(self, module: Module, name: str, value: object) -> None:
        """Part of hmr.Observer."""
        if not self.stack or name in STATIC or not self._mechanisms.state:
            return
        owner = hmr.namespace(module)["__name__"]
        if isinstance(value, ModuleType) and sys.modules.get(f"{owner}.{name}") is value:
            return  # the import system binds a submodule to its package
        if owner in self.records:
            self.influence.wrote(self.stack[-1], owner, name)

    def _import_probe(self, module: Module) -> None:
        """The import system asks a loaded module for its `__spec__`: importlib.import_module()."""
        if sys._getframe(3).f_globals is BOOTSTRAP:  # noqa: SLF001 - who asks
            name = hmr.namespace(module)["__name__"]
            for record in self.frames(sys._getframe(3)):  # noqa: SLF001 - as above
                self.statement(record, name)

    # Imports.

    def statement(self, record: Record, name: str) -> None:
        """A module asked for another by name."""
        if name not in record.statements:
            record.at = len(record.statements)
            record.statements[name] = None
        self.records.note(record, NAME, name)
        if self.stack:
            for running in self.stack:
                self.influence.early.settle(running, sys._getframe(1))  # noqa: SLF001 - how far it has come
            self.course.reach(name)

    def in_library(self) -> bool:
        """Whether a library is being imported at the moment, and what happens is its own business."""
        return bool(self.stack) and self.process.importing_for is self.stack[-1]

    @contextmanager
    def library_import(self) -> Iterator[None]:
        """While inside, the module under way is importing a library.

        Its files are opened by the hundred, and to resolve the path of each takes its time.
        Its functions are called by the thousand, and none of them is first-party.
        """
        outer, self._importers = self._importers, None
        self._hear(False)
        self.straight.stirred()
        try:
            with self.process.library_import(self.stack[-1]):
                yield
        finally:
            self._importers = outer
            self.straight.stirred()
            self._listen()
            self.on_library()

    def on_attempt(self, name: str, *, quietly: bool = False) -> None:
        """The import system looks for a module that is not loaded; quietly: no module depends on it yet."""
        if self.tracks_here():
            self.attempts.add(name)
            self.course.searches()
            for record in () if quietly else self._searching(sys._getframe(1)):  # noqa: SLF001 - who asks
                self.statement(record, name)

    def _searching(self, frame: FrameType) -> Iterable[Record]:
        if not self.in_library():
            return self.frames(frame)
        if self._importers is None:  # the same for all that a library imports, fifty frames deep
            self._importers = self.frames(frame)
        return self._importers

    # The senses.

    def on_call(self, code: CodeType) -> bool:
        """Part of sensors.CallSenses."""
        owners = self.records.from_file(code.co_filename) if self.records.is_source(code.co_filename) else ()
        if owners:
            self.straight.stirred()
        if owners and self.tracks_here() and self._mechanisms.state:
            self._called(code, owners, sys._getframe(2).f_globals)  # noqa: SLF001 - the function's own frame
        return bool(owners)

    def _called(self, code: CodeType, owners: Iterable[Record], globals_: dict[str, Any]) -> None:
        record = self.stack[-1]
        calls, call = self._reads[record.name], (address(code), "")
        if call in calls:
            return
        calls.add(call)
        for owner in owners:
            if owner is record:
                self.influence.early.calls_own(record, code)
            else:
                self.influence.called(record, owner, code, lives=owner.globals is globals_)
                if is_cached(owner.globals.get(code.co_name), code):
                    self.monitor.returns(code)

    def on_return(self, value: object) -> None:
        """Part of sensors.CallSenses."""
        if self.tracks_here():
            self.influence.made(value)

    def on_probe(self, path: Any, frame: FrameType) -> None:
        """Part of sensors.CallSenses."""
        found = path_of(path)
        if found is None or not self._mechanisms.probes or not self.tracks_here() or not self.places.reads(found):
            return
        path = real(found)
        with self.reading():
            kind = disk.kind(path)
        for record in self.frames(frame):
            self.records.note(record, PROBE, path, kind)
        self.asked.add(path)

    def on_environ(self, key: Any, frame: FrameType) -> None:
        """Part of sensors.CallSenses."""
        if not self._mechanisms.probes or self.process.looking or not self.tracks_here():
            return
        if key is None or isinstance(key, str):
            self.course.asks(key)
            if key is not None and not self.in_library():
                self.course.note_variable(self.stack[-1], key)
            for record in self.frames(frame):
                self.records.note(record, ENVIRON, key)

    def frames(self, frame: FrameType | None) -> Iterable[Record]:
        """The module under way, and those whose functions it called on the way here."""
        top = self.stack[-1]
        owner, globals_of_top = self.records.owner, top.globals
        found = {top: None}
        strange: object = None
        while frame is not None:
            globals_ = frame.f_globals
            if globals_ is globals_of_top:
                if frame.f_code.co_name == "<module>":
                    break
            elif globals_ is not strange:  # calls within one library follow each other
                record = owner(globals_)
                if record is None:
                    strange = globals_
                else:
                    if frame.f_code.co_name == "<module>":
                        break
                    found[record] = None
            frame = frame.f_back
        return found

    def forget_attempts(self) -> None:
        """The latest imports worked: nothing is waited for any more."""
        self.attempts.clear()
        self.asked.clear()

    def abandon(self) -> None:
        """An import was interrupted in the middle of our own bookkeeping: start from nothing."""
        if self.stack:
            self.stack.clear()
            self._reads.clear()
            with suppress(Exception):
                self._close()
