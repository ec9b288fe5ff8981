"""Loader: finds first-party source files and runs them as hmr's modules, compiled from their present bytes."""

import builtins
import linecache
import marshal
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import LazyLoader
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple, NoReturn, cast

from fastapi_hmr.engine import bytecode, disk, hmr
from fastapi_hmr.engine.hmr import Module, SourceFile
from fastapi_hmr.engine.record import Record, Row
from fastapi_hmr.engine.scopes import Words, words_in
from fastapi_hmr.engine.straight import imports_in_a_row
from fastapi_hmr.engine.tracking import Tracker

THREADS = 2
"""While nothing but a first start goes on: the main thread, and that which looks after the import."""


class Known(NamedTuple):
    """What is known of the code that some bytes compile to."""

    source: bytes
    marshalled: bytes
    words: Words
    row: Row


class Codes:
    """Compiled code by path and bytes: a module that runs again unchanged is not compiled, or looked through, again.

    Kept is a copy: each execution has code objects of its own, by which its functions can be told from those of other
    generations.
    """

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._files: dict[str, SourceFile] = {}
        self._read: dict[str, tuple[disk.Print, bytes]] = {}

    def source(self, loader: SourceFileLoader) -> bytes:
        """The present bytes of a loader's file, which is only read where they may have changed: that takes a while."""
        path = loader.path
        status = disk.status(path)
        known = self._read.get(path)
        if status is not None and known is not None and known[0] == status:
            return known[1]
        source = loader.get_data(path)
        self._read[path] = status, source
        return source

    def get(self, loader: SourceFileLoader, source: bytes) -> CodeType:
        """The code of a loader's file."""
        path = loader.path
        known = self._known.get(path)
        if known is not None and known.source == source:
            return cast("CodeType", marshal.loads(known.marshalled))  # noqa: S302 - our own copy
        linecache.checkcache(path)
        cached = bytecode.read(path, source)
        code = None if cached is None else bytecode.load(cached, path)
        if code is None or cached is None:
            code = compile(source, path, "exec", dont_inherit=True)
            cached = marshal.dumps(code)
            bytecode.write(loader, path, source, cached)
        self._known[path] = Known(source, cached, words_in(code), imports_in_a_row(code))
        return code

    def file(self, path: str) -> SourceFile:
        """A resolved path: one object for each, which keeps its parts and its hash once they are known."""
        known = self._files.get(path)
        if known is None:
            known = self._files[path] = SourceFile(path)
        return known

    def known(self, path: str) -> Known:
        """What is known of the code that was got last."""
        return self._known[path]


class Loader(SourceFileLoader):
    """A source loader (resources, get_source, get_data work as ever) whose modules are hmr's and are tracked.

    `usual` is the loader whose place it takes: one of a library's (beartype's, typeguard's) may change the code.
    """

    def __init__(self, usual: SourceFileLoader, tracker: Tracker, codes: Codes) -> None:
        super().__init__(usual.name, usual.path)
        self.usual = type(usual)
        self._usual = None if self.usual is SourceFileLoader else usual
        self._tracker = tracker
        self._codes = codes
        self._file = codes.file(tracker.places.resolved(usual.path))

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Part of the import system: hmr's module object, with what the import system would set one by one.

        A LazyLoader needs a plain one, to whose class it gives another for a while; such a module goes with its importer.
        """
        if isinstance(spec.loader, LazyLoader):
            if self._tracker.stack:
                self._tracker.conjured.setdefault(self._tracker.stack[-1].name, set()).add(spec.name)
            return None
        module = Module(spec.name, self._file)
        hmr.namespace(module).update(
            __loader__=spec.loader, __package__=spec.parent, __file__=spec.origin, __cached__=spec.cached
        )
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Part of the import system. Runs the code itself, so that no frame of ours lies between two modules."""
        tracker = self._tracker
        if not isinstance(module, Module):
            with tracker.reading():
                code = self._codes.get(self, self._codes.source(self))
            exec(code, vars(module))  # noqa: S102 - as below
            return
        tracker.order += 1
        with tracker.reading():
            source = self._codes.source(self)
        record = Record(self.name, self._file, module, tracker.order, source)
        tracker.begin(record)
        failed = True
        try:
            with hmr.running(module):
                with tracker.reading():
                    code = self._compiled(record)
                tracker.straight.runs(record)
                record.classes = "__subclasses__" in record.words().names
                tracker.influence.subclasses |= record.classes
                tracker.on_code(code)
                tracker.influence.early.begins(record)
                exec(code, hmr.namespace(module))  # noqa: S102 - this is what a loader does
            tracker.bind_children(record)
            failed = False
        finally:
            tracker.end(record, failed=failed)

    def _compiled(self, record: Record) -> CodeType:
        changed = None if self._usual is None else _code_by(self._usual, record.source)
        try:
            code = self._codes.get(self, record.source)
        except SyntaxError:
            if changed is None:
                raise
            code = changed  # to that loader it is none
        else:
            if changed is None or changed == code:
                known = self._codes.known(self.path)
                record.runs(code, known.words, known.row)
                return code
        record.changed_by = self.usual.__module__.partition(".")[0]
        record.runs(changed, words_in(changed), imports_in_a_row(changed))
        return changed


def _code_by(loader: SourceFileLoader, source: bytes) -> CodeType:
    """What another loader makes of these bytes. Its bytecode files are left alone: they are found by size and second."""
    get_data = loader.get_data
    vars(loader).update(path_stats=_no_stats, get_data=lambda path: source if path == loader.path else get_data(path))
    return cast("CodeType", loader.get_code(loader.name))


def _no_stats(path: str) -> NoReturn:
    raise OSError(f"{path} is compiled anew each time")


class Finder:
    """Stands before all finders, asks them in their order, and puts our loader where the file is first-party."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._codes = Codes()
        self._usual: tuple[list[Any], list[Any]] = ([], [])

    def install(self) -> None:
        """Become the first finder."""
        sys.meta_path.insert(0, cast("Any", self))
        self._usual = (list(sys.meta_path), list(sys.path_hooks))

    def uninstall(self) -> None:
        """Leave."""
        if self in sys.meta_path:
            sys.meta_path.remove(cast("Any", self))

    def stay_first(self) -> None:
        """A library has put a finder before this one: modules that it finds would be nobody's here."""
        first = sys.meta_path[0] if sys.meta_path else None
        if first is not self and self in sys.meta_path:
            sys.meta_path.remove(cast("Any", self))
            sys.meta_path.insert(0, cast("Any", self))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import system."""
        tracker = self._tracker
        inside = tracker.in_library()
        if path is None or not inside or self._usual != (sys.meta_path, sys.path_hooks):
            # A library's own modules, by the hundred, lie where it is: only a finder of the app's could differ.
            tracker.on_attempt(fullname, quietly=inside)
        spec = self._find(fullname, path, target)
        if inside and (spec is None or "." not in fullname or isinstance(spec.loader, Loader)):
            # Of what a library imports counts what is ours, or could be, were there such a file.
            tracker.on_attempt(fullname)
        return spec

    def _find(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                return self._ours(spec)
        return None

    def loads_otherwise(self, record: Record) -> bool:
        """Whether another loader would load this module by now: the hook of a library has come or gone."""
        package = record.name.rpartition(".")[0]
        spec = self._find(record.name, getattr(sys.modules.get(package), "__path__", None), None)
        then, now = hmr.namespace(record.module).get("__loader__"), spec and spec.loader
        return isinstance(then, Loader) and isinstance(now, Loader) and then.usual is not now.usual

    def _conjured(self, spec: ModuleSpec) -> None:
        """A finder or loader of the app's own makes this module: it goes with the module that defines those."""
        maker = type(spec.loader).__module__
        if maker in self._tracker.records:
            self._tracker.conjured.setdefault(maker, set()).add(spec.name)

    def _ours(self, spec: ModuleSpec) -> ModuleSpec:
        loader = spec.loader
        kind = type(loader)  # wrapt's is a proxy around ours, which says that it is one
        made = kind.__module__ in self._tracker.records  # a loader of the app's own
        if issubclass(kind, SourceFileLoader) and not made and self._tracker.places.owns(spec.origin or ""):
            spec.loader = Loader(cast("SourceFileLoader", loader), self._tracker, self._codes)
        else:
            self._conjured(spec)
        return spec


class ImportHook:
    """Takes the place of `builtins.__import__`: which statement of which module asked for what."""

    def __init__(self, tracker: Tracker, finder: Finder) -> None:
        self._tracker = tracker
        self.finder = finder
        self._names = tracker.records.names
        self._original = builtins.__import__
        self.orphaned: set[str] = set()
        """Packages that are to run again although modules in them were kept: an import of those must reach them."""
        self._tops: dict[str, bool] = {}
        self._aside = False
        tracker.on_hearing = self._hear

    def install(self) -> None:
        """Be called for every import statement."""
        self._original = builtins.__import__
        builtins.__import__ = self._import

    def uninstall(self) -> None:
        """Leave, unless somebody else came after us."""
        self._aside = False
        if builtins.__import__ == self._import:
            builtins.__import__ = self._original

    def _hear(self, hears: bool) -> None:
        """Stand aside while a library imports what it needs, by the thousand, unless another thread may import too."""
        if hears and self._aside:
            self._aside = False
            self.install()
        elif not hears and builtins.__import__ == self._import and self._alone():
            self._aside = True
            builtins.__import__ = self._original

    def _alone(self) -> bool:
        return not self.orphaned and len(sys._current_frames()) <= THREADS  # noqa: SLF001 - threads of C's among them

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - Python's own names
        locals: Any = None,  # noqa: A002 - as above
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        tracker = self._tracker
        base = name if not level else absolute(name, globals or {}, level)
        stranger = globals is not None and globals.get("__name__") not in self._names
        if stranger and not self.orphaned and (not tracker.stack or base in sys.modules or tracker.in_library()):
            # By the thousand, when an app imports its framework and when that runs, and in each request: only what
            # first-party code asks for counts.
            return self._original(name, globals, locals, fromlist or (), level)
        self.finder.stay_first()
        record = tracker.records.owner(globals)
        tracked = tracker.tracks_here()
        if record is None and not tracked:
            return self._original(name, globals, locals, fromlist or (), level)
        frame = self._among_statements(record) if tracked and locals is globals else None
        if record is not None:
            self._note(record, base, plain=not fromlist)
        if self.orphaned:
            self.adopt(base)
        try:
            if tracked and base not in sys.modules and not self.ours(base):
                with tracker.library_import():
                    return self._original(name, globals, locals, fromlist or (), level)
            return self._original(name, globals, locals, fromlist or (), level)
        except BaseException:
            tracker.straight.day()  # what deals with it runs next
            raise
        finally:
            if record is not None:
                self._note_names(record, base, fromlist or (), tracked=tracked)
                if frame is not None:
                    tracker.straight.leaves(record, frame)

    def _among_statements(self, record: Record | None) -> FrameType | None:
        """The frame of the module's own code, where it is that which imports."""
        frame = sys._getframe(2)  # noqa: SLF001 - who imports
        return frame if record is not None and self._tracker.straight.enters(record, frame) else None

    def _note(self, record: Record, base: str, *, plain: bool) -> None:
        if plain:
            for dot in (index for index, char in enumerate(base) if char == "."):
                self._tracker.statement(record, base[:dot])
        self._tracker.statement(record, base)

    def _note_names(self, record: Record, base: str, fromlist: Sequence[str], *, tracked: bool) -> None:
        module = sys.modules.get(base)
        library = type(module) is ModuleType and not self.ours(base)
        if library and module is not None and tracked:
            self._tracker.foreign.imported(record, module, fromlist)
        if library:
            return
        for item in fromlist:
            if item != "*":
                self._tracker.statement(record, f"{base}.{item}")

    def adopt(self, base: str) -> None:
        """Import the packages around `base` that are to run again."""
        for dot in [index for index, char in enumerate(base) if char == "."]:
            package = base[:dot]
            if package in self.orphaned:
                self.orphaned.discard(package)
                if package not in sys.modules:
                    self._original(package)

    def ours(self, name: str) -> bool:
        """Whether a module is, or would be, first-party."""
        top = name.partition(".")[0]
        if top in self._tracker.records:
            return True
        known = self._tops.get(top)
        if known is None:
            known = self._tops[top] = self._find(top)
        return known

    def _find(self, top: str) -> bool:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(top, None, None) if find and not isinstance(finder, Finder) else None
            if spec is not None:
                places = [spec.origin] if spec.origin and spec.has_location else []
                inner = [f"{where}/x" for where in spec.submodule_search_locations or ()]
                return any(self._tracker.places.owns(place) for place in (*places, *inner))
        return False

    def refresh(self) -> None:
        """Files changed: names may mean something else."""
        self._tops.clear()
        self._tracker.places.refresh()
        self.finder.stay_first()


def absolute(name: str, globals_: Mapping[str, Any], level: int) -> str:
    """The absolute name behind a relative import."""
    package = globals_.get("__package__") or globals_.get("__name__", "").rpartition(".")[0]
    base = package.rsplit(".", level - 1)[0] if level > 1 else package
    return f"{base}.{name}" if name else base
