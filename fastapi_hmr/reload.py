"""One reload at a time, as a transaction: build the next app, switch to it, or leave everything as it was."""

import asyncio
import contextlib
import contextvars
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fastapi_hmr.engine import Broken, Built, Engine, NeedsRestart, Outcome, Overtaken, Unchanged
from fastapi_hmr.events import AssetsChanged, Event, FileChange, Reloaded, ReloadFailed, ReloadLevel
from fastapi_hmr.exceptions import StartupFailed
from fastapi_hmr.hot import host
from fastapi_hmr.loop import hidden
from fastapi_hmr.switch import Switch
from fastapi_hmr.tracebacks import ErrorReport
from fastapi_hmr.watcher import Watcher

ASSETS = frozenset(
    ".html .htm .xhtml .xml .jinja .jinja2 .j2 .mako .txt .md .css .js .mjs .map .wasm .json .svg .png .jpg .jpeg .gif "
    ".webp .avif .ico .woff .woff2 .ttf .otf .mp4 .webm .pdf".split()
)
"""Suffixes of files that a page may be made of. Anything else that no module read is nobody's business."""


logger = logging.getLogger("uvicorn.error")


class Hooks(NamedTuple):
    """What a reload tells others.

    `show` gets every event, `notice` a line about something else, `describe` turns an exception into a report,
    `restart` replaces the process and returns only where it can't, `loaded` hears that the first load is over, for
    better or worse, `settled` that a generation has come up. `deaf` hears, in a thread, for how many seconds a save
    has waited for the blocked event loop; for ever, where it makes pointless what blocks it. `ran` hears that modules
    or a startup of the app have run, whatever came of it.
    """

    show: Callable[[Event], None]
    notice: Callable[[str], None]
    describe: Callable[[BaseException], ErrorReport]
    restart: Callable[[str], Awaitable[None]]
    loaded: Callable[[], None] = lambda: None
    settled: Callable[[], None] = lambda: None
    deaf: Callable[[float], None] = lambda _seconds: None
    ran: Callable[[], None] = lambda: None


class _Save:
    """The edit in hand: its files, and when its news came (seconds, perf_counter).

    Its modules run in `context`, and the app they make starts in it: what they set in ContextVars is there, and
    not in that of the next save.
    """

    def __init__(self, changes: frozenset[FileChange], began: float) -> None:
        self.changes, self.began = changes, began
        self.context = contextvars.copy_context()

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(sorted({change.path for change in self.changes}))

    @property
    def milliseconds(self) -> float:
        return (time.perf_counter() - self.began) * 1000


class Reloader:
    """Takes batches of changes to the engine and what it builds to the switch; newest save wins, none is lost."""

    def __init__(
        self,
        engine: Engine,
        switch: Switch,
        watcher: Watcher,
        hooks: Hooks,
        *,
        restart_files: Mapping[Path, Callable[[], str | None]] | None = None,
        included: Callable[[str], bool] = lambda _path: False,
        renewed: Mapping[Path, Callable[[], str | None]] | None = None,
        own: Callable[[Path], bool] = lambda _path: False,
    ) -> None:
        """`restart_files` are read once per process (an env file, say): the functions say why a change needs a new one.

        `included` names files that count although no module is known to read them (`--reload-include`).
        `own` tells of a file that this process has just written itself: that is no edit.
        `renewed` are files of the server's own that it reads again when they change, by these functions.
        """
        self._engine, self._switch, self._watcher, self._hooks = engine, switch, watcher, hooks
        self._restart_files, self._renewed = restart_files or {}, renewed or {}
        self._included, self._own = included, own
        self._between = False  # the old generation has stopped and no other has started
        self._unfinished = False  # a newer save came before anything was built
        self._broken = False  # the last word was an error
        self._told: BaseException | None = None  # what an update raised, shown while a cold start is being asked
        self._seen = time.perf_counter()
        watcher.on_news(self._on_news)
        watcher.on_deaf(self._on_deaf)
        engine.on_elsewhere(watcher.add)

    async def run(self) -> None:
        """Load the app for the first time, then reload it for ever."""
        self._switch.close_gate()
        self._engine.watchdog.superseded = partial(self._superseded, asyncio.get_running_loop())
        await self._surviving(self._first, _Save(frozenset(), time.perf_counter()))
        self._hooks.loaded()
        async for batch in self._watcher.watch():
            edits = frozenset(change for change in batch if not self._own(change.path))
            if edits or self._unfinished:
                await self._surviving(self._reload, _Save(edits, self._seen))

    async def _surviving(self, act: Callable[[_Save], Awaitable[None]], save: _Save) -> None:
        """A failure that is not the edit's (no descriptors left, no memory, a bug) costs this save and not the server.

        The edit stays pending; as nobody knows how far it came, all modules run again with the next one.
        """
        try:
            await act(save)
            if self._watcher.partial:  # not all directories are watched, but those that the app uses
                self._watcher.follow(self._engine.folders())
        except BaseException as error:  # without this task there would be no reloads, and no server
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            try:
                await self._recover(error, save)
            except Exception:
                logger.exception("A failed reload could not be reported either. Save again.")
                self._switch.open_gate()

    async def _recover(self, error: BaseException, save: _Save) -> None:
        report = self._hooks.describe(error)
        self._engine.rollback()
        self._engine.wear()
        await host.rollback()
        self._between = self._between or not self._switch.serving
        await self._failed(report, save)

    def _on_news(self) -> None:
        """Close the gate at once, so that a request sent after the save is not answered by the old code."""
        if any(self._matters(path) for path in self._watcher.pending()):
            self._switch.close_gate()
            self._seen = time.perf_counter()

    def _on_deaf(self, seconds: float) -> None:
        """The loop is blocked, by what it may be blocked for as long as it likes unless a newer save overtakes it.

        An import has its own watchdog; a handler or a shutdown has its limit.
        """
        if self._engine.watchdog.busy:
            return
        if not self._switch.starting:
            self._hooks.deaf(seconds)
        else:
            with contextlib.suppress(RuntimeError):  # what is being asked changes meanwhile: then the next time
                if self._overtaken():
                    self._hooks.deaf(math.inf)

    def _superseded(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether there is a newer save than the one whose import takes long and blocks the loop; in a thread."""
        self._watcher.listen(loop)
        new = [path for path in self._watcher.pending() if not self._own(path)]
        return any(path in self._restart_files or self._engine.outdated(path) for path in new)

    def _overtakes(self, path: Path) -> bool:
        return self._matters(path) and (path in self._restart_files or self._engine.differs(path))

    def _matters(self, path: Path) -> bool:
        return not self._own(path) and (path in self._restart_files or self._counts(path))

    def _counts(self, path: Path) -> bool:
        return self._included(str(path)) or self._engine.concerns(path)

    async def _first(self, save: _Save) -> None:
        save.context.run(host.begin)
        outcome = await hidden(self._engine.start(), save.context)
        self._watcher.listen(asyncio.get_running_loop())  # the start may wait for the next save
        await self._settle(outcome, save)

    async def _reload(self, save: _Save) -> None:
        renewals = dict.fromkeys(self._renewed[path] for path in save.files if path in self._renewed)
        self._tell(text for text in [renew() for renew in renewals] if text)
        reasons = [self._restart_files[path]() for path in save.files if path in self._restart_files]
        if any(reasons):
            return await self._restart("; ".join(reason for reason in reasons if reason), save)
        resumed, self._unfinished = self._unfinished, False
        if not (self._between or resumed or any(self._counts(change.path) for change in save.changes)):
            self._switch.open_gate()
            self._assets(save)
            return None
        self._switch.close_gate()
        await self._settle(await self._apply(save), save)
        return None

    async def _apply(self, save: _Save) -> Outcome:
        """What the engine makes of an edit, unless a newer save comes first.

        It only waits for anything where it asks a child about a failure: meanwhile the old generation, untouched, may
        as well answer, and the failure is told: mostly the child only confirms it.
        """
        self._engine.on_doubt = lambda error: self._doubt(error, save)
        building = hidden(self._build(save), save.context)
        await asyncio.sleep(0)
        await self._unless_overtaken(building)
        if building.cancelled():
            return Overtaken()
        if not isinstance(building.result(), Broken):
            self._switch.close_gate()
        return building.result()

    def _doubt(self, error: BaseException, save: _Save) -> None:
        if not self._between and self._switch.serving:
            self._switch.open_gate()
            self._told = error
            self._tell_failed(self._hooks.describe(error), save)

    async def _unless_overtaken(self, task: asyncio.Task[Any]) -> bool:
        """Wait for a task, or cancel it where a newer save comes first; whether one came."""
        overtaken = hidden(self._watcher.news(self._overtakes))
        try:
            await asyncio.wait({task, overtaken}, return_when=asyncio.FIRST_COMPLETED)
            return overtaken.done()
        finally:
            overtaken.cancel()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(overtaken, task, return_exceptions=True)

    async def _build(self, save: _Save) -> Outcome:
        host.begin()
        outcome = await self._engine.apply(save.changes)
        included = [path.name for path in save.files if self._included(str(path)) and path.suffix != ".py"]
        if isinstance(outcome, Unchanged) and included:
            return await self._engine.reimport(f"{', '.join(included)} changed (--reload-include)")
        return outcome

    def _assets(self, save: _Save, *, every: bool = False) -> None:
        """Files that no module read: pages may show them."""
        assets = tuple(path for path in save.files if every or path.suffix.lower() in ASSETS)
        if assets:
            self._hooks.show(AssetsChanged(assets))

    async def _settle(self, outcome: Outcome, save: _Save) -> None:
        self._hooks.ran()
        if not isinstance(outcome, Built):
            await host.rollback()
        if not isinstance(outcome, Broken):
            self._told = None
        match outcome:
            case Unchanged() | Built(level=ReloadLevel.PATCH) if self._between and self._switch.stopped:
                await self._anew(save)
            case Built(level=ReloadLevel.PATCH):
                await self._patched(outcome, save)
            case Built():
                await self._switch_to(outcome, save)
            case Unchanged():
                await self._unchanged(outcome, save)
            case Broken():
                told, self._told = self._told is outcome.error, None
                await self._failed(None if told else self._hooks.describe(outcome.error), save)
            case NeedsRestart():
                await self._restart(outcome.reason, save)
            case Overtaken():  # the newer save decides; until then the gate stays as it is
                self._unfinished = True
        self._hooks.ran()

    async def _anew(self, save: _Save) -> None:
        """Run all modules: those that stay have seen a start, and the next on them is not as a cold start's."""
        self._engine.wear()
        await host.rollback()
        await self._settle(await self._apply(save), save)

    async def _patched(self, built: Built, save: _Save) -> None:
        if self._between:
            await self._restore()
        await hidden(host.built(), save.context)
        self._engine.commit()
        generation = self._switch.renew()
        self._broken = False
        self._switch.open_gate()
        self._hooks.show(_reloaded(generation, built, save))
        self._tell(await host.commit((), carried=True))

    def _tell(self, notes: Iterable[str]) -> None:
        for note in notes:
            self._hooks.notice(note)

    async def _switch_to(self, built: Built, save: _Save) -> None:
        try:
            await hidden(host.built(), save.context)
            generation = await self._replace(built, save)
        except StartupFailed as failure:
            kept = not self._engine.worn and set(self._engine.records).difference(built.modules)
            await self._step_back()
            if kept:  # what those hold may have been started already: a cold start would not know that
                return await self._anew(save)
            return await self._failed(self._hooks.describe(failure.__cause__ or failure), save)
        if generation is None:  # a newer save is waiting: the edit stays pending and is built together with it
            return await self._step_back()
        self._between = self._broken = False
        self._hooks.show(_reloaded(generation, built, save))
        self._tell([self._switch.not_carried] if self._switch.not_carried else [])
        self._tell(await host.commit(built.modules, carried=self._switch.carried))
        self._hooks.settled()
        return None

    async def _step_back(self) -> None:
        self._engine.rollback()
        self._between = True
        await host.rollback()

    async def _replace(self, built: Built, save: _Save) -> str | None:
        """Switch to what was built; None where a newer save came while it was starting."""
        switching = hidden(
            self._switch.replace(built.target, reason=built.reason, commit=self._engine.commit), save.context
        )
        overtaken = await self._unless_overtaken(switching)
        try:
            return None if switching.cancelled() else switching.result()
        except StartupFailed:
            if overtaken or self._overtaken():
                return None
            raise

    async def _unchanged(self, outcome: Unchanged, save: _Save) -> None:
        """Nothing to run: pages may still show files of the save, and an error may be gone with it."""
        if self._between:
            await self._restore()
        self._switch.open_gate()
        if outcome.forgotten or self._broken or any(path.suffix.lower() not in ASSETS for path in save.files):
            self._broken = False
            self._hooks.show(
                Reloaded(
                    self._switch.generation, ReloadLevel.NOTHING, outcome.reason, save.files, (), save.milliseconds
                )
            )
        self._assets(save, every=outcome.forgotten)

    async def _failed(self, report: ErrorReport | None, save: _Save) -> None:
        """`report` is None where the failure has been told."""
        if self._between and self._overtaken():
            return  # the newer save decides; until then the gate stays closed
        if self._between or not self._switch.serving:
            await self._restore(report)
        self._switch.open_gate()
        if report is not None:
            self._tell_failed(report, save)

    def _tell_failed(self, report: ErrorReport, save: _Save) -> None:
        self._broken = True
        self._hooks.show(ReloadFailed(report, save.files, save.milliseconds, self._switch.serving))

    def _overtaken(self) -> bool:
        return any(self._overtakes(path) for path in self._watcher.pending())

    async def _restore(self, report: ErrorReport | None = None) -> None:
        """Let the last good generation serve again; where that fails too, every request gets the report."""
        self._between = False
        if self._switch.stopped:
            self._engine.wear()
        try:
            await self._switch.restore()
        except StartupFailed as failure:
            self._switch.fail(report or self._hooks.describe(failure.__cause__ or failure))

    async def _restart(self, reason: str, save: _Save) -> None:
        await self._hooks.restart(reason)
        report = ErrorReport("RestartNeeded", f"{reason}: stop the server and start it again to see the change")
        await self._failed(report, save)


def _reloaded(generation: str, built: Built, save: _Save) -> Reloaded:
    return Reloaded(generation, built.level, built.reason, save.files, built.modules, save.milliseconds)
