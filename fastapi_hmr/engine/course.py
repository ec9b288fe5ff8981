"""Course: how far a cold start would have come by now, and what kept modules did to the process, done when it would be."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Protocol

from fastapi_hmr.engine.effects import Effect
from fastapi_hmr.engine.order import parents
from fastapi_hmr.engine.process import Process
from fastapi_hmr.engine.record import Record, Records


class Stack(Protocol):
    """What is being imported at the moment, outermost first."""

    stack: list[Record]


class Course:
    """One pass from the entry on, through modules that run and modules that were kept.

    What a kept module did is there from the beginning.  Where a module that runs adds to the same list, a cold start
    would put the kept one's entry behind it: so the entry is taken out and put in again when an import statement
    reaches the kept module.  And where a module asks for an environment variable that a kept one sets later, the
    variable is as it was before, until that one is reached.
    """

    def __init__(self, records: Records, process: Process, running: Stack) -> None:
        self._records, self._process, self._running = records, process, running
        self.reached: set[str] = set()
        """The modules that a cold start would have begun to run by now."""
        self._latest: dict[Hashable, int] = {}
        self._setters: defaultdict[str, list[tuple[Record, Effect]]] | None = None
        self._held: list[tuple[Record, Effect]] = []
        self._moved: dict[Effect, int] = {}
        """Effects of kept modules that were done again, and when they had been done at the last commit."""
        process.on_effect = self._done

    def begin(self) -> None:
        """A transaction begins, or has been committed."""
        self._moved.clear()
        self.begin_pass()

    def begin_pass(self) -> None:
        """The entry is about to be imported: a cold start would have run nothing yet."""
        self.reached.clear()
        self._latest.clear()
        self._held.clear()
        self._setters = None

    def end_pass(self) -> None:
        """The app is made; what nothing reached has its variables again."""
        effects = [effect for record, effect in self._held if self._records.get(record.name) is record]
        self._process.turn_forth(effects)
        self._held.clear()

    def reach(self, name: str) -> None:
        """An import statement names a module: a cold start would run it now, and what it imports."""
        if name in self.reached or name not in self._records:
            return
        effects = list(self._ahead(name))
        if effects:
            with self._process.aside(self._running.stack[-1], effects):
                for effect in effects:
                    if not effect.done or any(self._latest.get(each, 0) > effect.serial for each in effect.lists):
                        self._again(effect)
                    self._done(effect)

    def asks(self, key: str | None) -> None:
        """The running module is about to read an environment variable, or (None) to list them all."""
        if self._setters is None:
            self._setters = defaultdict(list)
            for record in self._records.values():
                for effect in record.effects:
                    for written in effect.written:
                        self._setters[written].append((record, effect))
        if not self._setters:
            return
        keys = [key] if key is not None else list(self._setters)
        early = [
            (record, effect)
            for each in keys
            for record, effect in self._setters.get(each, ())
            if record.name not in self.reached and effect.done and self._records.get(record.name) is record
        ]
        if early:
            effects = [effect for _, effect in early]
            with self._process.aside(self._running.stack[-1], effects):
                self._moved |= {effect: effect.serial for effect in effects if effect not in self._moved}
                self._process.turn_back(effects)
            self._held += early

    def undo(self, fresh: Iterable[Record]) -> None:
        """Of a failed transaction: undo what the new modules did, and what kept ones did again."""
        self._process.turn_back([*(effect for record in fresh for effect in record.effects), *self._moved])
        for effect, serial in self._moved.items():
            effect.serial = serial

    def redo(self, gone: Iterable[Record], kept: Iterable[Record]) -> None:
        """Then do again what the old modules had done, and kept ones after them, in the order in which it was done."""
        effects = [effect for record in gone for effect in record.effects]
        first: dict[Hashable, int] = {}
        for effect in effects:
            for each in effect.lists:
                first[each] = min(first.get(each, effect.serial), effect.serial)
        behind = [
            effect
            for record in kept
            for effect in record.effects
            if effect in self._moved or any(first.get(each, effect.serial) < effect.serial for each in effect.lists)
        ]
        self._process.turn_back(behind)
        self._process.turn_forth([*effects, *behind])
        self._moved.clear()

    def _done(self, effect: Effect) -> None:
        for each in effect.lists:
            self._latest[each] = effect.serial

    def _again(self, effect: Effect) -> None:
        self._moved.setdefault(effect, effect.serial)
        self._process.turn_back((effect,))
        self._process.number(effect)
        self._process.turn_forth((effect,))

    def _ahead(self, name: str) -> Iterator[Effect]:
        """What the kept modules that this import reaches did, where order shows, in the order of a cold start."""
        todo: list[Iterator[str | Effect]] = [iter((name,))]
        while todo:
            item = next(todo[-1], None)
            if item is None:
                todo.pop()
            elif isinstance(item, Effect):
                yield item
            elif item not in self.reached and item in self._records:
                new = [each for each in (*parents(item), item) if each not in self.reached and each in self._records]
                self.reached.update(new)
                todo += [self._steps(self._records[each]) for each in reversed(new)]

    @staticmethod
    def _steps(record: Record) -> Iterator[str | Effect]:
        """Import statements and effects of a module, as they came."""
        effects = [effect for effect in record.effects if effect.lists or effect.written]
        return iter(record.statements) if not effects else _merged(record.statements, effects)


def _merged(statements: Iterable[str], effects: list[Effect]) -> Iterator[str | Effect]:
    todo = sorted(effects, key=lambda effect: (-effect.after, -effect.serial))
    for index, statement in enumerate(statements):
        while todo and todo[-1].after <= index:
            yield todo.pop()
        yield statement
    yield from reversed(todo)
