"""Affected: which modules must run again because of some changes, and why only a new process will do."""

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from types import FrameType, FunctionType, ModuleType

from fastapi_hmr import workers
from fastapi_hmr.engine import disk
from fastapi_hmr.engine.hmr import Module, namespace
from fastapi_hmr.engine.order import parents
from fastapi_hmr.engine.places import Places
from fastapi_hmr.engine.record import ENVIRON, FILE, LISTING, NAME, PROBE, Record, Records
from fastapi_hmr.engine.state import same

IMPORTED_S = 0.5
"""How long an import in another thread is waited for: a request that has just begun it."""


class OnlyNewProcess(Exception):
    """What this process holds can't be undone."""


class Plan:
    """What is to run again."""

    def __init__(self) -> None:
        self.hit: dict[str, str] = {}
        """Modules that the changes concern directly, with the reason in words."""
        self.names: set[str] = set()
        """Those and everything that depends on them."""
        self.namespaces: set[str] = set()
        """Namespace packages that became, or ceased to be, something else."""


class Planner:
    """Reads the graph of records."""

    def __init__(self, records: Records, places: Places) -> None:
        self._records = records
        self._places = places

    def plan(self, changes: Mapping[Path, str]) -> Plan:
        """What these changes ("added", "modified", "deleted" by path) make necessary."""
        plan = Plan()
        for path in changes:
            self._file(plan, path)
            self._path(plan, path)
            self._names(plan, path)
        if plan.hit and workers.alive():
            for record in self._records.values():
                if workers.holds_pool(namespace(record.module)):
                    plan.hit.setdefault(record.name, f"the processes of the pool in {record.name} have the old code")
        plan.names = self.close({*plan.hit, *(self._repeated() if plan.hit else ())})
        return plan

    def _repeated(self) -> set[str]:
        """Modules that failed for several importers: who got which error depends on the order of all."""
        return {record.name for record in self._records.values() if record.failed and record.repeated}

    def close(self, names: Iterable[str]) -> set[str]:
        """`names`, what depends on them, what they changed, and who writes the same slots of the process."""
        return self._records.close(names, self._sharing())

    def readers(self, paths: Iterable[Path]) -> set[str]:
        """The modules that read one of these files when they were imported, and what depends on those."""
        found = {record.name for path in paths for record in self._records.dependents(FILE, path)}
        return self.close(found) if found else found

    def sharing(self, fresh: Iterable[Record]) -> set[str]:
        """Who writes the slots that these modules write."""
        shared = self._sharing()
        return set[str]().union(*(shared[record.name] for record in fresh if record.name in shared))

    def _sharing(self) -> defaultdict[str, set[str]]:
        shared: defaultdict[str, set[str]] = defaultdict(set)
        for writers in self._records.writers():
            for name in writers:
                shared[name] |= writers
        return shared

    def _file(self, plan: Plan, path: Path) -> None:
        for record in self._records.from_file(path):
            plan.hit.setdefault(record.name, f"{self.shown(path)} changed")
        now: disk.Print = ()
        for record in self._records.dependents(FILE, path):
            if now == ():
                now = disk.contents(path)
            if record.edges[FILE, path] != now:
                plan.hit.setdefault(record.name, f"{self.shown(path)}, which {record.name} reads, changed")

    def _path(self, plan: Plan, path: Path) -> None:
        """Questions about the path or a directory above it are answered otherwise now."""
        for place in (path, *path.parents):
            for record in self._records.dependents(PROBE, place):
                if record.edges[PROBE, place] != disk.kind(place):
                    plan.hit.setdefault(
                        record.name, f"{self.shown(place)}, for which {record.name} looks, came or went"
                    )
            for record in self._records.dependents(LISTING, place):
                if record.edges[LISTING, place] != disk.listing(place):
                    plan.hit.setdefault(record.name, f"{self.shown(place)}, which {record.name} lists, changed")
            if place in self._places.roots:
                break

    def _names(self, plan: Plan, path: Path) -> None:
        """Names that the import system would, or would have, looked for in this file."""
        for name in self._newborn(path):
            for seeker in self._records.dependents(NAME, name):
                plan.hit.setdefault(seeker.name, f"{self.shown(path)} makes {name}, for which {seeker.name} looks")
        for name in self._places.dotted(path):
            loaded = self._records.get(name)
            if loaded is not None and loaded.file == path and path.exists():
                continue
            for seeker in self._records.dependents(NAME, name):
                plan.hit.setdefault(seeker.name, f"{self.shown(path)}, for which {seeker.name} looks, came or went")
            if loaded is not None and loaded.file != path:
                plan.hit.setdefault(name, f"{self.shown(path)} came or went")
            if path.name == "__init__.py":
                self._package(plan, name, path)
            elif path.exists() and loaded is None:
                self._shadow(name, path)

    def _newborn(self, path: Path) -> set[str]:
        """The packages that a file in them makes, if they have no other: nobody could import them before."""
        around = {parent for name in self._places.dotted(path) for parent in parents(name)}
        return {name for name in around if name not in sys.modules}

    def could_be(self, path: Path) -> set[str]:
        """The names that an import may be looking for and find because of this file."""
        return self._places.dotted(path) | self._newborn(path)

    def _package(self, plan: Plan, name: str, path: Path) -> None:
        for other in self._records:
            if other.startswith(f"{name}."):
                plan.hit.setdefault(other, f"its package's {self.shown(path)} came or went")
        if name in sys.modules and name not in self._records:
            plan.namespaces.add(name)

    def _shadow(self, name: str, path: Path) -> None:
        module = sys.modules.get(name)
        if "." in name or not isinstance(module, ModuleType) or isinstance(module, Module):
            return
        origin = getattr(module, "__file__", None)
        if origin is None and hasattr(module, "__path__"):
            return  # a namespace package of the project's own
        if self._records.known(NAME, name) or name in sys.stdlib_module_names:
            raise OnlyNewProcess(f"{self.shown(path)} hides the module {name!r} that is loaded already")

    def environment(self, before: Iterable[Record], after: Iterable[Record]) -> set[str]:
        """Kept modules that read an environment variable which is now set otherwise."""
        old, new = written(before), written(after)
        keys = {key for key in old.keys() | new.keys() if old.get(key, None) != new.get(key, None)}
        writers = {record.name for record in after}
        readers = [self._records.dependents(ENVIRON, key) for key in (*keys, None)] if keys else []
        found = {record.name for records in readers for record in records}
        return found - writers

    def library(self, before: Iterable[Record], after: Iterable[Record]) -> set[str]:
        """Modules whose code names what is now set otherwise of a library's: they may have found it when they ran.

        Whoever called a function that was put there depends on it by that.
        """
        old, new = shown(before), shown(after)
        names = {name for name in old.keys() | new.keys() if not _alike(old.get(name, []), new.get(name, []))}
        if not names:
            return set()
        writers = {record.name for record in after}
        return {record.name for record in self._records.values() if record.mentions((frozenset(names),))} - writers

    def moved(self, kept: Iterable[str]) -> set[str]:
        """Kept modules that are found in another file now that the search path is another."""
        found = set()
        for name in kept:
            spec = PathFinder.find_spec(name) if "." not in name else None
            if spec is not None and spec.origin and Path(spec.origin).resolve() != self._records[name].file:
                found.add(name)
        return found

    def threads(self, names: Iterable[str]) -> None:
        """Raise OnlyNewProcess where a thread still runs one of the modules, or first-party code that one started."""
        frames: dict[int, FrameType] | None = None
        for name in names:
            if _still_imported(self._records[name].module):
                raise OnlyNewProcess(f"{name} is being imported by another thread, which does not come to its end")
            for effect in self._records[name].effects:
                for thread in effect.threads:
                    if not thread.is_alive():
                        continue
                    frames = frames if frames is not None else sys._current_frames()  # noqa: SLF001 - public by use
                    if self._runs_ours(thread, frames.get(thread.ident or 0)):
                        raise OnlyNewProcess(f"{name} started the thread {thread.name!r}, which is still running")

    def _runs_ours(self, thread: threading.Thread, frame: FrameType | None) -> bool:
        if type(thread).__module__ in self._records:
            return True
        target = getattr(thread, "_target", None)
        target = getattr(target, "func", target)  # functools.partial
        if getattr(target, "__module__", None) in self._records:
            return True
        while frame is not None:
            if self._records.is_source(frame.f_code.co_filename):
                return True
            frame = frame.f_back
        return False

    def folders(self) -> set[Path]:
        """Where the files are that modules were made of or read, and the directories that they listed."""
        found: set[Path] = set()
        for record in self._records.values():
            found.add(record.file.parent)
            found.update(file.parent for file in record.keys(FILE))
            found.update(record.keys(LISTING))
        return found

    def concerns(self, path: Path) -> bool:
        """Whether a change of this file can make any difference."""
        records = self._records
        if records.is_source(str(path)) or records.known(FILE, path):
            return True
        for place in (path, *path.parents):
            if records.known(PROBE, place) or records.known(LISTING, place):
                return True
            if place in self._places.roots:
                break
        names = self._places.dotted(path)
        if any(records.known(NAME, name) for name in names | self._newborn(path)):
            return True
        return path.name == "__init__.py" and any(name in sys.modules for name in names)

    def shown(self, path: Path) -> str:
        """A path for people: relative to its root, or to the first where it is near that."""
        for root in self._places.roots:
            if path.is_relative_to(root):
                return str(path.relative_to(root))
        if path in self._places.elsewhere:
            return os.path.relpath(path, self._places.roots[0])
        return os.fspath(path)


def _still_imported(module: Module) -> bool:
    """Whether it runs even now, though nothing is imported here; a moment is waited for its end."""
    until = time.monotonic() + IMPORTED_S
    while module.__spec__ is not None and getattr(module.__spec__, "_initializing", False):
        if time.monotonic() > until:
            return True
        time.sleep(IMPORTED_S / 50)
    return False


def written(records: Iterable[Record]) -> dict[str, str | None]:
    """The environment variables that some modules set, with their last values."""
    found: dict[str, str | None] = {}
    for record in sorted(records, key=lambda record: record.order):
        for effect in record.effects:
            found.update(effect.written)
    return found


def shown(records: Iterable[Record]) -> dict[str, list[object]]:
    """The names by which some modules set something of a library's, with all values."""
    found: defaultdict[str, list[object]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.order):
        for effect in record.effects:
            for name, value in effect.shown.items():
                found[name].append(value)
    return found


def _alike(before: object, now: object) -> bool:
    """Whether who looked at a value when it was set would find the same now, or functions: calls tell of those."""
    if isinstance(before, (list, tuple)) and isinstance(now, type(before)):
        return len(before) == len(now) and all(map(_alike, before, now))
    return same(before, now) or (isinstance(before, FunctionType) and isinstance(now, FunctionType))
