"""Course: how far a cold start would have come by now, and what kept modules did to the process, done when it would be."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, Protocol

from fastapi_hmr.engine.order import parents
from fastapi_hmr.engine.process import Process
from fastapi_hmr.engine.record import Effect, Record, Records


class Stack(Protocol):
    """What is being imported at the moment, outermost first."""

    stack: list[Record]


class Question:
    """A module asked for an environment variable that modules set."""

    def __init__(self, record: Record, key: str, found: str | None, after: int) -> None:
        self.record = record
        self.key = key
        self.found = found
        self.after = after


type Step = Effect | Question
SEARCH: Final = "sys.path"
"""Among the variables: what no variable is called."""
SEARCHED: Final = frozenset(((SEARCH,),))


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
        self.mistaken: set[str] = set()
        """Kept modules that would find a variable otherwise in a cold start."""
        self._latest: dict[Hashable, int] = {}
        self._passed: set[Effect] = set()
        self._setters: dict[str, list[tuple[Record, Effect]]] | None = None
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
        self.mistaken.clear()
        self._latest.clear()
        self._passed.clear()
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
        steps = list(self._ahead(name))
        if steps:
            with self._process.aside(self._running.stack[-1], [step for step in steps if isinstance(step, Effect)]):
                for step in steps:
                    if isinstance(step, Question):
                        self._ask(step)
                    else:
                        self._pass(step)

    def _pass(self, effect: Effect) -> None:
        if not effect.done or any(self._latest.get(each, 0) > effect.serial for each in effect.lists):
            self._again(effect)
        self._done(effect)

    def _ask(self, question: Question) -> None:
        setters = [effect for _, effect in self._still(question.key)]
        if setters:
            now = min(setters, key=lambda effect: effect.serial).replaced[question.key]
        else:
            now = self._process.variable(question.key)
        if now != question.found:
            self.mistaken.add(question.record.name)

    def note_variable(self, record: Record, key: str) -> None:
        """The running module reads a variable itself."""
        if key not in record.variables:
            record.variables[key] = (self._process.variable(key), len(record.statements))

    def asks(self, key: str | None) -> None:
        """The running module is about to read an environment variable, or (None) to list them all."""
        early = [pair for each in ([key] if key is not None else self._known_setters()) for pair in self._still(each)]
        if early:
            effects = [effect for _, effect in early]
            with self._process.aside(self._running.stack[-1], effects):
                self._moved |= {effect: effect.serial for effect in effects if effect not in self._moved}
                self._process.turn_back(effects)
            self._held += early

    def searches(self) -> None:
        """The import system is about to look for a module: not where kept modules will let it look."""
        self.asks(SEARCH)

    def _known_setters(self) -> dict[str, list[tuple[Record, Effect]]]:
        if self._setters is None:
            self._setters = {}
            for record in self._records.values():
                for effect in record.effects:
                    for key in (*effect.written, *([SEARCH] if effect.lists & SEARCHED else ())):
                        self._setters.setdefault(key, []).append((record, effect))
        return self._setters

    def _still(self, key: str) -> list[tuple[Record, Effect]]:
        """What kept modules that are not reached yet have set a variable to."""
        return [
            (record, effect)
            for record, effect in self._known_setters().get(key, ())
            if effect.done and effect not in self._passed and self._records.get(record.name) is record
        ]

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
        self._passed.add(effect)
        for each in effect.lists:
            self._latest[each] = effect.serial

    def _again(self, effect: Effect) -> None:
        self._moved.setdefault(effect, effect.serial)
        self._process.turn_back((effect,))
        self._process.number(effect)
        self._process.turn_forth((effect,))

    def _ahead(self, name: str) -> Iterator[Step]:
        """What the kept modules that this import reaches did and asked, in the order of a cold start."""
        todo: list[Iterator[str | Step]] = [iter((name,))]
        while todo:
            item = next(todo[-1], None)
            if item is None:
                todo.pop()
            elif not isinstance(item, str):
                yield item
            elif item not in self.reached and item in self._records:
                new = [each for each in (*parents(item), item) if each not in self.reached and each in self._records]
                self.reached.update(new)
                todo += [self._steps(self._records[each]) for each in reversed(new)]

    def _steps(self, record: Record) -> Iterator[str | Step]:
        """Import statements, effects and questions of a module, as they came."""
        steps: list[Step] = [effect for effect in record.effects if effect.lists or effect.written]
        if record.variables and self._known_setters():
            own = {key for effect in record.effects for key in effect.written}
            steps += [
                Question(record, key, found, after)
                for key, (found, after) in record.variables.items()
                if key in self._known_setters() and key not in own
            ]
        return iter(record.statements) if not steps else _merged(record.statements, steps)


def _merged(statements: Iterable[str], steps: list[Step]) -> Iterator[str | Step]:
    todo = sorted(steps, key=lambda step: step.after)[::-1]
    for index, statement in enumerate(statements):
        while todo and todo[-1].after <= index:
            yield todo.pop()
        yield statement
    yield from reversed(todo)
