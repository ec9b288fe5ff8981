"""Transaction: runs modules afresh beside the serving ones, and then keeps the new or puts back the old."""

import functools
import sys
import typing
from collections.abc import Callable, Collection, Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

from fastapi_hmr.collector import paused
from fastapi_hmr.engine import hmr
from fastapi_hmr.engine.affected import Planner
from fastapi_hmr.engine.hmr import MISSING, Module
from fastapi_hmr.engine.loader import ImportHook
from fastapi_hmr.engine.mechanisms import Mechanisms
from fastapi_hmr.engine.order import cold_order, parents, reordered
from fastapi_hmr.engine.record import Record, Records
from fastapi_hmr.engine.sensors import invalidate_import_caches
from fastapi_hmr.engine.tracking import Tracker

PASSES = 5
"""How often the set of modules may grow because of what the new code does; it is reached in one or two."""


class NoFixpointError(RuntimeError):
    """Each pass changed yet another module: nothing that can be relied on."""


class Transaction:
    """One change of generation, from the first dropped module to commit or rollback."""

    def __init__(
        self,
        tracker: Tracker,
        planner: Planner,
        hook: ImportHook,
        entry: str,
        resolve: Callable[[ModuleType], object],
        mechanisms: Mechanisms,
    ) -> None:
        self._tracker = tracker
        self._records: Records = tracker.records
        self._planner = planner
        self._hook = hook
        self._entry = entry
        self._resolve = resolve
        self._mechanisms = mechanisms
        self._before = {record.name: record for record in self._records.values()}
        self._modules = dict(sys.modules)
        self._path = list(sys.path)
        self._hooks = list(sys.meta_path), list(sys.path_hooks)
        self._bound: list[tuple[dict[str, Any], str, object]] = []
        self._conjured: set[str] = set()
        self._first = tracker.order
        self.ran: dict[str, None] = {}
        """The names that ran, in order."""
        tracker.course.begin()
        tracker.influence.begin()

    @property
    def before(self) -> Collection[Record]:
        """The modules that are there again after a rollback."""
        return self._before.values()

    def run(self, names: set[str], namespaces: Iterable[str] = ()) -> object:
        """Run `names` and the entry again, and whatever proves affected by that; the new target."""
        for name in namespaces:
            sys.modules.pop(name, None)
        names = self._planner.close({*names, self._entry})
        with paused():
            return self._fixpoint(names)

    def _fixpoint(self, names: set[str]) -> object:
        for _ in range(PASSES):
            kept = set(self._records) - names
            dropped = self.drop(names)
            self._tracker.course.begin_pass()
            self._tracker.influence.begin_pass()
            target = self._import()
            self._tracker.course.end_pass()
            more = self._more(kept, dropped)
            if not more:
                self._note_run()
                self._tracker.influence.complete()
                return target
            names = self._planner.close({*more, self._entry})
        raise NoFixpointError(f"after {PASSES} passes {', '.join(sorted(names))} would still have to run again")

    def _import(self) -> object:
        invalidate_import_caches()
        self._hook.refresh()
        self._hook.adopt(f"{self._entry}.")
        module = import_module(self._entry)
        for package in sorted(self._hook.orphaned):
            import_module(package)
        self._hook.orphaned.clear()
        record = self._records.get(self._entry)
        if record is None:
            return self._resolve(module)
        with self._tracker.resumed(record):
            return self._resolve(module)

    def drop(self, names: Iterable[str]) -> list[Record]:
        """Take modules out of this process's view, and undo what they did to it, the last first."""
        names = set(names)
        dropped = [self._records[name] for name in names if name in self._records]
        self._planner.threads(record.name for record in dropped)
        self._tracker.process.undo(dropped)
        for record in dropped:
            self._records.remove(record.name)
            sys.modules.pop(record.name, None)
            for name in self._tracker.conjured.get(record.name, ()):
                sys.modules.pop(name, None)
                self._conjured.add(name)
            self._unbind(record, names)
        self._orphan(names)
        return dropped

    def _orphan(self, dropped: set[str]) -> None:
        """Packages whose modules were kept: nothing else would import them, and their modules are their attributes."""
        children: dict[str, list[str]] = {}
        kept = {*self._records, *self._namespaces()}
        for name in kept:
            package = name.rpartition(".")[0]
            if package:
                children.setdefault(package, []).append(name)
        around = {parent for name in kept for parent in parents(name)}
        self._hook.orphaned = dropped & around
        self._tracker.children = {package: names for package, names in children.items() if package in dropped}

    def _namespaces(self) -> set[str]:
        """Namespace packages around first-party modules: they have no code to run again."""
        around = {parent for name in self._before for parent in parents(name)}
        return {name for name in around if name not in self._before and name in sys.modules}

    def _unbind(self, record: Record, dropped: set[str]) -> None:
        """A kept package loses its attribute for a dropped module in it."""
        package, _, child = record.name.rpartition(".")
        parent = sys.modules.get(package)
        if parent is None or package in dropped:
            return
        attributes = hmr.namespace(parent)
        if attributes.get(child) is record.module:
            self._bound.append((attributes, child, record.module))
            del attributes[child]

    def _more(self, kept: set[str], dropped: list[Record]) -> set[str]:
        """Kept modules that prove affected by what the others did when they ran."""
        more: set[str] = set()
        kept = {name for name in kept if name in self._records}
        fresh = [record for record in self._records.values() if record.name not in kept]
        if self._mechanisms.state:
            for record in fresh:
                more |= record.changed & kept
            more |= self._tracker.influence.early.names
        more |= self._planner.sharing(fresh) & kept
        if self._mechanisms.probes:
            more |= self._tracker.course.mistaken & kept
            more |= self._planner.environment(dropped, fresh) & kept
        if self._hooks != (sys.meta_path, sys.path_hooks):
            more |= {name for name in kept if self._hook.finder.loads_otherwise(self._records[name])}
        if self._mechanisms.foreign:
            more |= self._planner.library(dropped, fresh) & kept
        if sys.path != self._path:
            more |= self._planner.moved(kept)
        if self._mechanisms.reach and self._may_be_lost(dropped):
            now = {record.name: record for record in self._records.values()}
            more |= kept - cold_order(now, self._entry).keys()
        if self._mechanisms.order:
            now = {record.name: record for record in self._records.values()}
            depends = self._tracker.influence.early.depends
            more |= reordered(self._before, now, self._entry, kept, self._records.writers(), depends)
        return more

    def _may_be_lost(self, dropped: list[Record]) -> bool:
        for old in dropped:
            new = self._records.get(old.name)
            if new is None or old.statements.keys() - new.statements.keys():
                return True
        return False

    def _note_run(self) -> None:
        fresh = [record for record in self._records.values() if record.order > self._first]
        self.ran = dict.fromkeys(record.name for record in sorted(fresh, key=lambda record: record.order))

    def rollback(self) -> None:
        """Everything is as it was before."""
        tracker = self._tracker
        tracker.abandon()
        fresh = [record for record in self._records.values() if self._before.get(record.name) is not record]
        kept = [record for record in self._records.values() if self._before.get(record.name) is record]
        tracker.course.undo(fresh)
        tracker.process.finish(fresh)
        tracker.influence.restore(kept)
        for name in [
            name for name in sys.modules if name not in self._modules and self._is_namespace(sys.modules[name])
        ]:
            del sys.modules[name]  # or the next import of it would not make it an attribute of the next package
        for record in fresh:
            self._records.remove(record.name)
            hmr.dispose(record.module)
            self._take_back(record)
        for name in [name for name, module in sys.modules.items() if isinstance(module, Module)]:
            if self._modules.get(name) is not sys.modules[name]:
                del sys.modules[name]
        for name, module in self._modules.items():
            if isinstance(module, Module) or name in self._conjured or name not in sys.modules:
                sys.modules[name] = module
        gone = [record for record in self._before.values() if record.name not in self._records]
        for record in gone:
            self._records.add(record)
        tracker.course.redo(gone, kept)
        tracker.process.rest()
        for attributes, child, module in reversed(self._bound):
            attributes[child] = module
        self._hook.orphaned.clear()
        forget_generations()

    def _is_namespace(self, module: ModuleType) -> bool:
        """Whether it is a first-party package without a file."""
        places: Iterable[str] = () if getattr(module, "__file__", None) else getattr(module, "__path__", ())
        return any(map(self._tracker.places.owns_directory, places))

    def _take_back(self, record: Record) -> None:
        package, _, child = record.name.rpartition(".")
        parent = self._modules.get(package)
        if parent is not None:
            attributes = hmr.namespace(parent)
            if attributes.get(child, MISSING) is record.module:
                del attributes[child]

    def commit(self) -> None:
        """The new modules are what there is; let go of the old ones."""
        old = [record for name, record in self._before.items() if self._records.get(name) is not record]
        self._tracker.process.finish(old)
        self._tracker.process.rest()
        for record in old:
            hmr.dispose(record.module)
        self._tracker.course.begin()
        self._tracker.influence.begin()
        forget_generations()


def forget_generations() -> None:
    """Empty the caches of libraries that would keep every generation alive."""
    for clear in typing._cleanups:  # type: ignore[attr-defined]  # noqa: SLF001 - made for this by CPython's own tests
        clear()
    models = sys.modules.get("fastapi.dependencies.models")
    for value in list(vars(models).values()) if models is not None else ():
        if isinstance(value, functools._lru_cache_wrapper):  # noqa: SLF001 - the type has no public name
            value.cache_clear()
