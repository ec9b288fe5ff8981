"""Engine: the ladder. From file changes to new modules, or to a reason why not."""

import gc
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from fastapi_hmr.engine.affected import OnlyNewProcess, Plan, Planner
from fastapi_hmr.engine.garbage import Garbage
from fastapi_hmr.engine.loader import Finder, ImportHook
from fastapi_hmr.engine.mechanisms import ALL, Mechanisms
from fastapi_hmr.engine.outcome import Broken, Built, NeedsRestart, Outcome, Overtaken, Unchanged
from fastapi_hmr.engine.patching import Patching
from fastapi_hmr.engine.places import Places, real
from fastapi_hmr.engine.probe import Probe
from fastapi_hmr.engine.record import FILE, Record, Records
from fastapi_hmr.engine.routes import Routes
from fastapi_hmr.engine.starts import Starts
from fastapi_hmr.engine.tracking import Tracker
from fastapi_hmr.engine.transaction import Transaction
from fastapi_hmr.engine.verdict import explain, summary, surely_broken
from fastapi_hmr.engine.watchdog import GivenUp, Watchdog
from fastapi_hmr.events import NOT_IN_PLACE, FileChange, ReloadLevel

logger = logging.getLogger(__name__)


WORN = "no start can be repeated on the same modules, so all run again"
ONLY_STARTS = frozenset(("RuntimeError: Cannot add middleware after an application has started",))
"""Starlette says so of an app that a library keeps for the process, as NiceGUI does: new modules have new apps."""
COLD_START_S = 30.0
"""How long a cold start in a child process may take, whatever limit an import in this one has."""
THOROUGH = 0.6
"""Above this share of the modules, running all of them costs hardly more and is simpler."""


class Engine:
    """Builds the next set of modules beside the serving one.

    `roots` hold first-party code; `module` is the app's, imported by its real name; `resolve` gets the app from it.
    `in_request` tells whether the running code serves a request, and is not left from the app's start.
    `before_attempt` is called each time modules are about to run, for what they may leave elsewhere.
    `cold` is the argv of a child process that starts the app the same way and exits with 0 if that works.
    """

    def __init__(
        self,
        *,
        roots: Sequence[Path],
        module: str,
        resolve: Callable[[ModuleType], object],
        cold: Sequence[str] | None = None,
        import_timeout: float = 30.0,
        in_request: Callable[[], bool] | None = None,
        before_attempt: Callable[[], None] = lambda: None,
        mechanisms: Mechanisms = ALL,
    ) -> None:
        self.target: object | None = None
        self.on_doubt: Callable[[BaseException], None] = lambda _error: None
        """Called with what an update raised while a cold start in a child process is asked whether that is true."""
        self.only_starts = set(ONLY_STARTS)
        """Errors of updates that a cold start does not have: whoever makes them can run once per process."""
        self.records = Records()
        self._module = module
        self._resolve = resolve
        self._cold = cold
        self._mechanisms = mechanisms
        self._places = Places(roots)
        self.owns: Callable[[str], bool] = self._places.owns
        """Whether a file is first-party."""
        self.watchdog = Watchdog(self.owns, import_timeout)
        self._tracker = Tracker(self.records, self._places, mechanisms)
        self._planner = Planner(self.records, self._places)
        self._before_attempt = before_attempt
        self._patching = Patching(self.records, in_request) if mechanisms.patch else None
        if self._patching is not None:
            self._tracker.on_code = self._patching.watch
        self.starts = Starts(self._tracker.process, self.records)
        self.starts.good = self._good
        self._finder = Finder(self._tracker)
        self._hook = ImportHook(self._tracker, self._finder)
        self._garbage = Garbage()
        self._routes = Routes()
        self._tracker.on_library = self._routes.install
        self._probe: Probe | None = None
        self._transaction: Transaction | None = None
        self._previous: object | None = None
        self._pending: dict[Path, str] = {}
        self.worn = False
        """No app can be started on the modules of the one that serves: see wear()."""
        self._taken_back: set[str] = set()  # errors of updates that a cold start did not have
        self._installed = False

    async def start(self) -> Outcome:
        """Import the app for the first time."""
        self._install()
        return self._first()

    def _install(self) -> None:
        if self._installed:
            return
        self._installed = True
        self._probe = Probe(self._module, self._cold)
        self._tracker.install()
        if self._patching is not None:
            self._patching.install(self._places.reads)
        self._finder.install()
        self._hook.install()

    def close(self) -> None:
        """Take all hooks out. The modules stay as they are."""
        if self._installed:
            self._installed = False
            self._garbage.close()
            self._hook.uninstall()
            self._finder.uninstall()
            self._tracker.uninstall()
            self._routes.uninstall()
            if self._patching is not None:
                self._patching.close()

    def evict_preloaded(self) -> None:
        """Forget the first-party modules that were imported before there was an engine, as plain modules.

        `python main.py` imports the app's other modules before it calls dev(); they are imported again by us.
        """
        from fastapi_hmr.engine.eviction import evict  # only for dev()

        self._install()
        self._tracker.straight.day()
        evict(self._places, self._tracker.process)

    async def apply(self, changes: Iterable[FileChange]) -> Outcome:
        """Serve some changes by the gentlest level that is sound."""
        self._install()
        self._garbage.postpone()
        if self._transaction is not None:
            self.commit()
        for change in changes:
            path = real(change.path)
            # What came or went since the last good version stays so, whatever else happened to it meanwhile.
            self._pending[path] = change.kind if change.kind != "modified" else self._pending.get(path, "modified")
        if self.target is None:
            return self._first()
        stale = self._patching.forget_stale(self._planner.readers(self._pending)) if self._patching is not None else []
        forgotten = f"{', '.join(stale)} had read what changed: cached results forgotten" if stale else ""
        effective = {path: kind for path, kind in self._pending.items() if self._matters(path) and self._differs(path)}
        if not effective and not self.worn:
            self._settled()
            return Unchanged(forgotten or "every file is as it was loaded", bool(stale))
        everything = effective
        effective = self._without_bystanders(effective)
        patched = self._patch(effective) if effective and not self.worn else ""
        if not isinstance(patched, str):
            return patched
        for name, touched in self._tracker.process.links():
            if name in self.records and name != touched:
                self.records[name].changed.add(touched)
        try:
            plan = self._planner.plan(effective)
        except OnlyNewProcess as decision:
            return await self._new_process(str(decision))
        if self.worn:
            why = f"{explain(plan)}{NOT_IN_PLACE}{WORN}" if plan.hit else WORN
            plan.names |= set(self.records)
            return await self._climb(plan, why)
        if not plan.names:
            self._settled()
            return Unchanged(forgotten or self._nothing(everything), bool(stale))
        return await self._climb(plan, f"{explain(plan)}{NOT_IN_PLACE}{patched}" if patched else explain(plan))

    def _nothing(self, effective: Iterable[Path]) -> str:
        """Why no module has to run: data that one reads is what it was, after a broken save and back, say."""
        read = any(self.records.known(FILE, path) for path in effective)
        return "every file is as it was loaded" if read else "no module imported or read what changed"

    def _without_bystanders(self, effective: dict[Path, str]) -> dict[Path, str]:
        """Leave out what was saved along with sources and changes no module: a template, what the app itself wrote."""
        others = {path: kind for path, kind in effective.items() if not self.records.from_file(path)}
        if not others:
            return effective
        try:
            idle = not self._planner.plan(others).names
        except OnlyNewProcess:
            return effective
        return {path: kind for path, kind in effective.items() if path not in others} if idle else effective

    def pin(self, codes: Iterable[CodeType]) -> None:
        """Never patch these functions in place: what they made lives on, and a patch would not reach it."""
        if self._patching is not None:
            self._patching.pin(codes)

    async def reimport(self, reason: str) -> Outcome:
        """Run every first-party module again, whatever changed: somebody knows of a reason that we can't see."""
        self._install()
        if self._transaction is not None:
            self.commit()
        transaction = self._begin()
        try:
            return self._build(transaction, set(self.records), ReloadLevel.REIMPORT, reason)
        except BaseException as error:  # noqa: BLE001 - as in a first start
            self._undo(transaction)
            return self._broken(error)

    def _patch(self, effective: Mapping[Path, str]) -> Built | Unchanged | str:
        """Levels 0 and 1, or why they are not sound; an empty reason where no source of a module changed."""
        if self._patching is None or self.target is None:
            return ""
        for path, kind in effective.items():
            if kind != "modified":
                return f"{path.name} is {'gone' if kind == 'deleted' else 'new'}"
        if not any(self.records.from_file(path) for path in effective):
            return ""
        found = self._patching.attempt(effective)
        if isinstance(found, str):
            return found
        self._settled()
        functions = [name for patch in found for name in patch.functions]
        if not functions:
            return Unchanged("only comments, blank lines or positions changed")
        self._tracker.process.renewed()
        names = ", ".join(functions[:3]) + (f" and {len(functions) - 3} more" if len(functions) > 3 else "")
        modules = tuple(record.name for path in effective for record in self.records.from_file(path))
        return Built(self.target, ReloadLevel.PATCH, f"only the body of {names} changed", modules)

    def commit(self) -> None:
        """The new target is being served."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._started()
            transaction.commit()
            self.worn = False
            first, self._previous = self._previous is None, None
            self._settled()
            del transaction
            if not first:
                self._tracker.process.renewed()
                self._garbage.dropped()
            if any(record.classes for record in self.records.values()):
                gc.collect()  # the app asks for __subclasses__(): it must not see those of the last generation

    def wear(self) -> None:
        """The old target is started a second time, or would have to be: what that does to its modules is there twice.

        So the next edit, be it the way back, runs them all.
        """
        self.worn = True

    def rollback(self) -> None:
        """The new target could not be started: everything is as before, and the edit stays pending."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            self._undo(transaction)
            self.target, self._previous = self._previous, None
            self._seek()

    def folders(self) -> set[Path]:
        """Where the files are that the app imported, read or listed while it was imported."""
        return self._planner.folders()

    def on_elsewhere(self, callback: Callable[[Path], None]) -> None:
        """Call `callback`, in whatever thread, with each file outside of the roots that the app reads or looks for."""
        self._places.on_elsewhere = callback

    def concerns(self, path: Path) -> bool:
        """Whether the app imported this file, read it, or tried to find it; or whether it is code of a failed save.

        Other files that were saved along with it don't count: the app itself may write its database at each start.
        """
        path = real(path)
        return (path in self._pending and path.suffix == ".py") or self._matters(path)

    def outdated(self, path: Path) -> bool:
        """Whether a module runs, or is about to, that was made from other bytes than its file has now. Thread-safe."""
        path = real(path)
        return self.records.is_source(str(path)) and self._differs(path)

    def differs(self, path: Path) -> bool:
        """Whether a file has other bytes than those that run, or are about to. Those of data are not known."""
        return self._differs(real(path))

    def _matters(self, path: Path) -> bool:
        if self._planner.concerns(path) or (self._patching is not None and self._patching.concerns(path)):
            return True
        tracker = self._tracker
        if not tracker.attempts and not tracker.asked:
            return False
        if any(place in tracker.asked for place in (path, *path.parents)):
            return True
        return any(name in tracker.attempts for name in self._planner.could_be(path))

    def _settled(self) -> None:
        self._pending.clear()
        self._tracker.forget_attempts()

    def _differs(self, path: Path) -> bool:
        """Whether a file has other bytes than those that run. Files that no module was made from always do."""
        records = self.records.from_file(path)
        if not records:
            return True
        try:
            now = path.read_bytes()
        except OSError:
            return True
        return any(record.source != now for record in records)

    def _first(self) -> Outcome:
        transaction = self._begin()
        try:
            return self._build(transaction, set(self.records), ReloadLevel.UPDATE, "first start")
        except BaseException as error:  # noqa: BLE001 - whatever an app raises at import, even SystemExit, is its error
            self._undo(transaction)
            self._seek()
            return self._broken(error)

    def _seek(self) -> None:
        """Where nothing could be served so far, the file to mend may be one that nobody imported but us."""
        if self.target is None:
            self._tracker.attempts.add(self._module)

    def _good(self) -> Iterable[Record]:
        return self.records.values() if self._transaction is None else self._transaction.before

    def _started(self) -> None:
        if self._patching is not None:
            self._patching.end()

    def _begin(self) -> Transaction:
        self._before_attempt()
        self.starts.modules_run()
        if self._patching is not None:
            self._patching.begin()
        return Transaction(self._tracker, self._planner, self._hook, self._module, self._resolve, self._mechanisms)

    def _undo(self, transaction: Transaction) -> None:
        self._started()
        transaction.rollback()
        self.starts.modules_ran()

    def _build(
        self, transaction: Transaction, names: set[str], level: ReloadLevel, reason: str, namespaces: Iterable[str] = ()
    ) -> Built:
        with self.watchdog(), self._routes.sharing():
            target = transaction.run(names, namespaces)
        self._transaction = transaction
        self._previous, self.target = self.target, target
        return Built(target, level, reason, tuple(transaction.ran))

    async def _climb(self, plan: Plan, why: str) -> Outcome:
        """Update; then, if that raises and a cold start does not, everything again; then a new process."""
        able = self._mechanisms.keep and self._tracker.monitor.works
        everything = not able or len(plan.names) > THOROUGH * max(len(self.records), 20)
        names = set(self.records) if everything else plan.names
        transaction = self._begin()
        try:
            return self._build(transaction, names, ReloadLevel.UPDATE, why, plan.namespaces)
        except OnlyNewProcess as decision:
            self._undo(transaction)
            return await self._new_process(str(decision))
        except BaseException as error:  # noqa: BLE001 - as above
            self._undo(transaction)
            first = error
        if isinstance(first, GivenUp) or not self._mechanisms.ladder or surely_broken(first, self._pending):
            return self._broken(first)
        known = summary(first) in self.only_starts
        if not known and summary(first) not in self._taken_back:
            self.on_doubt(first)
        if not await self._works_cold():
            return self._broken(first)
        if known:
            return NeedsRestart(f"{explain(plan)}; only a new process can run this app ({summary(first)})")
        why = f"{explain(plan)}; updating raised {summary(first)}"
        self._taken_back.add(summary(first))
        transaction = self._begin()
        try:
            return self._build(transaction, set(self.records), ReloadLevel.REIMPORT, why, plan.namespaces)
        except BaseException as error:  # noqa: BLE001 - as above
            self._undo(transaction)
            if isinstance(error, GivenUp):
                return self._broken(error)
            self.only_starts.add(summary(first))
            same = summary(error) == summary(first)
            also = ", in a fresh import too" if same else f"; a fresh import raised {summary(error)}"
            return NeedsRestart(f"{why}{also}; a cold start works")

    async def _new_process(self, why: str) -> Outcome:
        if not self._mechanisms.ladder:
            return self._broken(RuntimeError(why))
        if await self._works_cold():
            return NeedsRestart(why)
        return self._broken(RuntimeError(f"{why}, and a cold start of the present files fails"))

    async def _works_cold(self) -> bool:
        assert self._probe is not None
        return await self._probe.works(max(COLD_START_S, self.watchdog.patience_s))

    def _broken(self, error: BaseException) -> Outcome:
        self._garbage.dropped()  # the attempt: its modules are in the frames of the error until that has been told
        return Overtaken() if isinstance(error, GivenUp) else Broken(error)
