"""Starts: what the start of an app did to libraries, from the building of its middleware on, undone before the next."""

import asyncio
import gc
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType, ModuleType, NoneType
from typing import Any

from fastapi_hmr.engine.process import Process, attempt
from fastapi_hmr.engine.record import Effect, Record, Records

_FOLLOWED = (dict, list, set, frozenset, tuple)
_ELSEWHERE = (ModuleType, type, FunctionType, CodeType, str, bytes, int, float, NoneType)
"""What holds nothing that a start has made, or leads to all that there is."""
_DEPTH, _MOST = 5, 20_000
"""How far objects are followed, and how many."""


class Starts:
    """Sees what adapters see while an app starts, and what some of them see until its modules run again.

    A start is no module's doing alone: a library's middleware registers a metric when the app builds it. So it is
    undone as a whole when the next start begins, whichever modules were kept.
    """

    def __init__(self, process: Process, records: Records) -> None:
        self._process, self._records = process, records
        self._done: list[Effect] = []
        self._undone: list[Effect] = []
        self._mark: dict[str, Any] | None = None
        self._starting = False
        self.tasks: Callable[[], Iterable[asyncio.Task[Any]]] = tuple
        """The tasks that starts have begun, which run first-party code and have not ended."""
        self.on_cancel: Callable[[list[asyncio.Task[Any]]], None] = lambda _tasks: None
        """Called with those of them that are about to be cancelled because they were left behind."""
        self.good: Callable[[], Iterable[Record]] = records.values
        """The modules of the last good version, which may have to start again."""
        self._older: list[asyncio.Task[Any]] = []

    def begin(self) -> None:
        """An app is about to start: undo what the last start did, the last first."""
        if self._starting:
            self.failed()
        self.modules_run()
        self._undone = [effect for effect in self._done if self._is_ours(effect)]
        self._done = [effect for effect in self._done if not self._is_ours(effect)]
        for effect in reversed(self._undone):
            attempt(effect.undo, effect)
        self._mark = self._process.libraries()
        self._older = list(self.tasks())
        self._starting = True

    def ended(self) -> list[asyncio.Task[Any]]:
        """The app has shut down: cancel the tasks that it left running, as the end of a process does; returns them.

        Unless a module still holds one: `if task is None: task = create_task(poll())` makes no other.
        """
        return self._leave_behind(self.tasks(), {*self._records.values(), *self.good()})

    def succeeded(self) -> None:
        """It is up: what it did is known, and what the last start did is gone for good.

        Unless a kept module still holds it: `if metric is None: metric = Gauge(...)` has found that it was there.
        """
        self._starting = False
        undone, self._undone = self._undone, []
        new = self._since()
        things = self._held((effect.thing for effect in undone if effect.thing is not None), self._records.values())
        held = [effect for effect in undone if any(effect.thing is thing for thing in things)]
        for effect in undone:
            attempt(effect.redo if effect in held else effect.finish, effect)
        self._done += [*held, *new]
        self._leave_behind(self._older, self._records.values())
        self._older = []
        self.modules_ran()

    def failed(self) -> None:
        """It did not come up: what it did is undone, and what the last start did is done again."""
        self._starting = False
        undone, self._undone = self._undone, []
        for effect in reversed(self._since()):
            attempt(effect.undo, effect)
        for effect in undone:
            attempt(effect.redo, effect)
        self._done += undone
        own = [task for task in self.tasks() if task not in self._older]
        for task in self._unheld(own, self.good()):
            task.cancel()
        self._older = []
        self.modules_ran()

    def modules_run(self) -> None:
        """Modules are about to run, and answer for themselves what they do: what requests did is the app's."""
        if self._mark is not None and not self._starting:
            self._done += self._since()

    def modules_ran(self) -> None:
        """From now on requests are answered."""
        self._mark = self._process.libraries(lasting=True)

    @property
    def bound(self) -> str | None:
        """Why what the app started can't go on for another app; None where it can."""
        done = [effect.what for effect in self._done if self._is_ours(effect) and not effect.carries]
        return f"the start left behind: {', '.join(done[:3])}" if done else None

    def _leave_behind(self, tasks: Iterable[asyncio.Task[Any]], holders: Iterable[Record]) -> list[asyncio.Task[Any]]:
        left = self._unheld(tasks, holders)
        self.on_cancel(left)
        for task in left:
            task.cancel()
        return left

    def _unheld(self, tasks: Iterable[asyncio.Task[Any]], holders: Iterable[Record]) -> list[asyncio.Task[Any]]:
        running = [task for task in tasks if not (task.done() or task.cancelling())]
        held = _in_reach(running, holders) if running else ()
        return [task for task in running if id(task) not in held]

    def _since(self) -> list[Effect]:
        mark, self._mark = self._mark, None
        return list(self._process.since(mark)) if mark is not None else []

    def _is_ours(self, effect: Effect) -> bool:
        """What a library did by itself it may take for done: OpenTelemetry instruments an engine once."""
        return effect.by is None or effect.by in self._records

    def _held(self, things: Iterable[Any], holders: Iterable[Record]) -> list[Any]:
        """Those that are a global of one of these modules, or in a container or an object of ours that is one."""
        things = list(things)
        if not things:
            return []
        found = {id(value) for record in holders for value in self._values(record.globals.values())}
        return [thing for thing in things if id(thing) in found]

    def _values(self, values: Iterable[Any]) -> Iterable[Any]:
        for value in list(values):
            yield value
            if isinstance(value, _FOLLOWED) or type(value).__module__ in self._records:
                yield from gc.get_referents(value)


def _in_reach(things: Iterable[Any], holders: Iterable[Record]) -> set[int]:
    """The identities of those that these modules hold, be it deep in an object: a pool has its workers in a list."""
    wanted = set(map(id, things))
    seen: set[int] = set()
    level = [value for record in holders for value in record.globals.values()]
    for _ in range(_DEPTH):
        new = {id(value): value for value in level if id(value) not in seen and not issubclass(type(value), _ELSEWHERE)}
        seen |= new.keys()
        if len(seen) > _MOST or wanted <= seen:
            break
        level = gc.get_referents(*new.values())
    return wanted & seen
