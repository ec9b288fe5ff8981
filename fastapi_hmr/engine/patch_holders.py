"""Finds every live function that has a given code object, and proves by reference counts that none was missed.

A code object is referenced by the constants of the code around it, by functions, by frames of calls in progress, and
rarely by tools (debuggers, coverage). Whatever its reference count says beyond what was found is doubt.
"""

import gc
import inspect
import operator
import sys
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial, partialmethod
from types import (
    AsyncGeneratorType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)

from fastapi_hmr.engine.patch_source import Source
from fastapi_hmr.engine.syntax import Pair

# Walking from the module's names is to be quick, not complete: the reference counts tell what it missed.
_MOST_OBJECTS = 20_000
_FEW_CODES = 3
_PLAIN = (str, bytes, int, float, complex, bool, type(None), ModuleType)


@dataclass(slots=True, eq=False)
class Holders:
    """Who has one code object."""

    code: CodeType
    parents: int = 1
    functions: list[FunctionType] = field(default_factory=list)
    frames: list[FrameType] = field(default_factory=list)
    in_progress: list[FrameType] = field(default_factory=list)
    begun: bool = True
    others: int = 0
    missed: bool = False

    def clear(self) -> None:
        """Begin again."""
        self.functions, self.frames, self.in_progress, self.others = [], [], [], 0

    def add(self, function: FunctionType, namespace: Mapping[str, object]) -> None:
        """Note a function that has the code."""
        if function.__globals__ is namespace:
            self.functions.append(function)
        else:
            self.others += 1

    @property
    def unknown(self) -> int:
        """How many references nothing explains."""
        known = self.parents + len(self.functions) + len(self.frames) + self.others
        return sys.getrefcount(self.code) - _BASE - known


class Index:
    """The functions found before, so that a save that comes back to them need not search again."""

    def __init__(self) -> None:
        self._functions: dict[int, tuple[weakref.ref[CodeType], list[weakref.ref[FunctionType]]]] = {}
        self._incomplete: dict[int, weakref.ref[CodeType]] = {}

    def get(self, code: CodeType) -> list[FunctionType]:
        """Return the functions known to have that code."""
        known = self._functions.get(id(code))
        if known is None or known[0]() is not code:
            return []
        found = (reference() for reference in known[1])
        return [function for function in found if function is not None and function.__code__ is code]

    def is_complete(self, code: CodeType) -> bool:
        """False if a function was missed when the others got that code."""
        return id(code) not in self._incomplete

    def put(self, code: CodeType, functions: Iterable[FunctionType], *, complete: bool) -> None:
        """Remember who has that code, and whether nobody was missed."""
        key, known = id(code), self._functions
        if not complete:
            self._incomplete[key] = weakref.ref(code, lambda _dead: self._incomplete.pop(key, None))
        self._functions[key] = (
            weakref.ref(code, lambda _dead: known.pop(key, None)),
            [weakref.ref(function) for function in functions],
        )


def find(
    codes: Iterable[CodeType], source: Source, namespace: Mapping[str, object], index: Index
) -> dict[int, Holders]:
    """Find who has these code objects of a module, by id of the code; quick where module, classes and decorators tell.

    Only functions of this namespace count as holders to patch: an earlier generation's have the same code as long as
    they live, and keep it.
    """
    parents = source.parents_of()
    found = {id(code): Holders(code, parents.get(id(code), 1), index.get(code)) for code in codes}
    wanted = {key: holders for key, holders in found.items() if holders.unknown}
    if wanted:
        for holders in wanted.values():
            holders.clear()
        for function in walk(namespace):
            if id(function.__code__) in wanted:
                wanted[id(function.__code__)].add(function, namespace)
        wanted = {key: holders for key, holders in wanted.items() if holders.unknown}
    if wanted:
        _search_heap(wanted, source, namespace)
        for holders in wanted.values():
            holders.missed = bool(holders.unknown)
            index.put(holders.code, holders.functions, complete=not holders.missed)
    return found


def walk(namespace: Mapping[str, object]) -> list[FunctionType]:
    """Return the functions in reach of a module's names: in classes, decorators' wrappers, closures, containers."""
    name = namespace.get("__name__")
    functions: list[FunctionType] = []
    waiting: list[object] = [value for value in list(namespace.values()) if not isinstance(value, _PLAIN)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_OBJECTS:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _PLAIN):
            continue
        seen.add(id(thing))
        if isinstance(thing, FunctionType):
            functions.append(thing)
            waiting.extend(_of_function(thing))
        elif isinstance(thing, type):
            if thing.__module__ == name:
                waiting.extend(vars(thing).values())
        elif isinstance(thing, _WRAPPERS):
            waiting.extend(gc.get_referents(thing))
        elif type(thing) in (dict, list, tuple, set, frozenset) and id(thing) != id(namespace):
            waiting.extend(thing.values() if isinstance(thing, dict) else thing)  # type: ignore[arg-type]
        else:
            waiting.extend(_wrapped_by(thing))
    return functions


# Objects around functions; what they refer to is looked at as it is, without running any code of theirs.
_WRAPPERS = (property, classmethod, staticmethod, cached_property, partial, partialmethod, MethodType)


def _of_function(function: FunctionType) -> list[object]:
    inside: list[object] = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    inside.extend(vars(function).values())
    for cell in function.__closure__ or ():
        try:
            inside.append(cell.cell_contents)
        except ValueError:
            continue  # not assigned yet
    return inside


def _wrapped_by(thing: object) -> list[object]:
    """What an object of any kind wraps in the manner of functools, found without running code of its own."""
    for referent in gc.get_referents(thing):
        if type(referent) is dict and "__wrapped__" in referent:
            return [referent["__wrapped__"]]
    return []


def _search_heap(by_id: dict[int, Holders], source: Source, namespace: Mapping[str, object]) -> None:
    """Look through all objects for who has these code objects; costs milliseconds that grow with the heap."""
    for holders in by_id.values():
        holders.clear()
    _add_running(by_id)
    few = len(by_id) <= _FEW_CODES
    for thing in _referrers(by_id) if few else gc.get_objects():
        if type(thing) not in _HOLDING:
            continue
        if type(thing) is FunctionType:
            if id(thing.__code__) in by_id:
                by_id[id(thing.__code__)].add(thing, namespace)
        elif isinstance(thing, FrameType):
            _add_frame(by_id, thing)
        elif isinstance(thing, GeneratorType | CoroutineType | AsyncGeneratorType):
            _add_suspended(by_id, thing)
    constants = source.constants()
    unexplained = {key: holders for key, holders in by_id.items() if holders.unknown}
    if unexplained:
        for thing in _referrers(unexplained):
            if isinstance(thing, list | tuple | dict) and id(thing) not in constants:
                _add_container(unexplained, thing)


def _referrers(by_id: dict[int, Holders]) -> list[object]:
    codes = tuple(holders.code for holders in by_id.values())
    # The call itself puts its arguments into tuples.
    return [thing for thing in gc.get_referrers(*codes) if not (type(thing) is tuple and _same_items(thing, codes))]


def _same_items(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(map(operator.is_, one, other))


_HOLDING = {FunctionType, FrameType, GeneratorType, CoroutineType, AsyncGeneratorType}


def _add_running(by_id: dict[int, Holders]) -> None:
    """Add the calls that are on some thread's stack; keep no other frame, ours are among them and would keep us."""
    for top in sys._current_frames().values():  # noqa: SLF001 - documented, the only way to other threads' stacks
        frame: FrameType | None = top
        while frame is not None:
            holders = by_id.get(id(frame.f_code))
            if holders is not None:
                holders.frames.append(frame)
                holders.in_progress.append(frame)
            frame = frame.f_back
    del top


def _add_frame(by_id: dict[int, Holders], frame: FrameType) -> None:
    holders = by_id.get(id(frame.f_code))
    if holders is not None and not any(known is frame for known in holders.frames):
        holders.frames.append(frame)


def _add_suspended(
    by_id: dict[int, Holders],
    thing: GeneratorType | CoroutineType | AsyncGeneratorType,  # type: ignore[type-arg]
) -> None:
    if isinstance(thing, GeneratorType):
        frame, code = thing.gi_frame, thing.gi_code
    elif isinstance(thing, CoroutineType):
        frame, code = thing.cr_frame, thing.cr_code
    else:
        frame, code = thing.ag_frame, thing.ag_code
    holders = by_id.get(id(code))
    if holders is None:
        return
    if frame is None:  # it is over
        holders.others += 1
        return
    _add_frame(by_id, frame)
    if not any(known is frame for known in holders.in_progress):
        holders.in_progress.append(frame)
    if _never_begun(thing):
        holders.begun = False


def _never_begun(thing: GeneratorType | CoroutineType | AsyncGeneratorType) -> bool:  # type: ignore[type-arg]
    if isinstance(thing, GeneratorType):
        return inspect.getgeneratorstate(thing) == inspect.GEN_CREATED
    if isinstance(thing, CoroutineType):
        return inspect.getcoroutinestate(thing) == inspect.CORO_CREATED
    return inspect.getasyncgenstate(thing) == inspect.AGEN_CREATED


def _add_container(by_id: dict[int, Holders], thing: list[object] | tuple[object, ...] | dict[object, object]) -> None:
    """Tools keep code objects in plain containers; those around it, its parent's constants, are in `_BASE`."""
    items: Iterable[object] = [*thing, *thing.values()] if isinstance(thing, dict) else thing
    for item in items:
        holders = by_id.get(id(item))
        if holders is not None:
            holders.others += 1


def _base() -> int:
    """The references that a code object has when no function, frame or tool has it: ours, and its parent's constants."""
    module = compile("def one(): pass", "", "exec")
    pair = Pair(module.co_consts[0], module.co_consts[0])
    pair.new = module
    return Holders(pair.old).unknown


_BASE = 0
_BASE = _base()
