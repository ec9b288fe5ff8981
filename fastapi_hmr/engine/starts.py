"""Starts: what the start of an app did to libraries, from the building of its middleware on, undone before the next."""

import gc
from collections.abc import Iterable
from typing import Any

from fastapi_hmr.engine.process import Process, attempt
from fastapi_hmr.engine.record import Effect, Records

_FOLLOWED = (dict, list, set, frozenset, tuple)


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
        self._starting = True

    def succeeded(self) -> None:
        """It is up: what it did is known, and what the last start did is gone for good.

        Unless a kept module still holds it: `if metric is None: metric = Gauge(...)` has found that it was there.
        """
        self._starting = False
        undone, self._undone = self._undone, []
        new = self._since()
        held = self._held([effect for effect in undone if effect.thing is not None])
        for effect in undone:
            attempt(effect.redo if effect in held else effect.finish, effect)
        self._done += [*held, *new]
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
        done = [effect.what for effect in self._done if self._is_ours(effect)]
        return f"the start left behind: {', '.join(done[:3])}" if done else None

    def _since(self) -> list[Effect]:
        mark, self._mark = self._mark, None
        return list(self._process.since(mark)) if mark is not None else []

    def _is_ours(self, effect: Effect) -> bool:
        """What a library did by itself it may take for done: OpenTelemetry instruments an engine once."""
        return effect.by is None or effect.by in self._records

    def _held(self, effects: list[Effect]) -> list[Effect]:
        """Those whose thing is a global of a module, or in a container or an object of ours that is one."""
        if not effects:
            return []
        found = {id(value) for record in self._records.values() for value in self._values(record.globals.values())}
        return [effect for effect in effects if id(effect.thing) in found]

    def _values(self, values: Iterable[Any]) -> Iterable[Any]:
        for value in list(values):
            yield value
            if isinstance(value, _FOLLOWED) or type(value).__module__ in self._records:
                yield from gc.get_referents(value)
