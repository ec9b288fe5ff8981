"""What functions, classes and values are, as facts that can be compared with those of a re-executed module."""

import functools
import re
import sys
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

from fastapi_hmr.codes import Token, code_token, names_in, nested
from fastapi_hmr.modules import namespace

type Place = tuple[str, tuple[str, ...]]
"""A module's name, and the names that lead from its globals to an object: classes and modules may lie between."""

MISSING = object()
BUDGET = 20_000
"""How many values are looked at for one record; what lies beyond counts as opaque."""

_ATOMS = (type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented))
_VALUE_MODULES = frozenset("datetime decimal fractions ipaddress pathlib pathlib._local re uuid zoneinfo".split())
_SEQUENCES = (list, tuple, deque)
_SETS = (set, frozenset)
_MAPPINGS = (dict, OrderedDict, defaultdict, MappingProxyType)
MUTABLE = (list, dict, set, bytearray, deque, OrderedDict, defaultdict)
_CACHE = type(functools.lru_cache(len))
_NOISE = frozenset(
    "__dict__ __weakref__ __doc__ __module__ __firstlineno__ __static_attributes__ __abstractmethods__ __parameters__ "
    "__orig_bases__ __signature__ __class_vars__ __private_attributes__ __annotate__ __annotate_func__ "
    "__annotations_cache__ __match_args__ __subclasshook__".split()
)
_BY_REPR = frozenset(("__annotations__", "__pydantic_fields__", "__dataclass_fields__"))
_LIBRARY_PRIVATE = re.compile(r"__pydantic_|__dataclass_|_abc_impl$|_[a-z0-9]+_$|_[a-z0-9]+_map_$")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_ENVIRONMENT_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,}")


class Same:
    """Stands for an object of which nothing is known but its identity."""

    __slots__ = ("_get",)

    def __init__(self, obj: Any) -> None:
        try:
            self._get: Callable[[], object] = weakref.ref(obj)
        except TypeError:
            self._get = lambda: obj

    def __eq__(self, other: object) -> bool:
        mine = self._get()
        return isinstance(other, Same) and mine is not None and mine is other._get()

    def __hash__(self) -> int:
        return hash(Same)

    def get(self) -> object:
        """The object, or None where it is gone."""
        return self._get()


@dataclass(slots=True)
class Fact:
    """What was found at one place, when it was looked at."""

    token: Token
    kind: str
    """function, class, value, opaque or missing: how to speak of it."""
    same: Same | None
    """The object itself; None where there was none."""
    codes: tuple[Token, ...] = ()
    """The content of the functions that it consists of."""
    content: tuple[int, ...] | None = None
    """What a mutable container held, by identity; None for everything else."""
    module: Same | None = None
    """The module object that held it."""
    state: bool = False
    """Whether it was set while the record was being taken, so that only the very same object will do."""
    ran: bool = False
    """Whether it is a function that ran meanwhile."""
    inherited: bool = False
    """Whether its module has run again since, so that what the call made belongs to an older one that is equal."""


def is_a(obj: object, kind: type | tuple[type, ...]) -> bool:
    """`isinstance` that runs no code of the object's: a lazy proxy would wake up, a watched module report a read."""
    return issubclass(type(obj), kind)


def lookup(place: Place) -> Any:
    """What is at a place now, or MISSING."""
    found: Any = sys.modules.get(place[0], MISSING)
    for name in place[1]:
        if is_a(found, ModuleType):
            found = namespace(found).get(name, MISSING)
        elif is_a(found, type):
            found = vars(found).get(name, MISSING)
        else:
            return MISSING
    return found


def functions_in(obj: Any, seen: set[int] | None = None) -> Iterator[FunctionType]:
    """The functions that calling `obj` may run at once: itself, what it wraps, what its closure and arguments hold."""
    seen = set() if seen is None else seen
    if id(obj) in seen:
        return
    seen.add(id(obj))
    inner: list[object] = []
    if is_a(obj, FunctionType):
        yield obj
        inner = [*closure(obj), vars(obj).get("__wrapped__")]
    elif is_a(obj, (staticmethod, classmethod, MethodType)):
        inner = [obj.__func__]
    elif is_a(obj, property):
        inner = [obj.fget, obj.fset, obj.fdel]
    elif is_a(obj, functools.partial):
        inner = [obj.func, *obj.args, *obj.keywords.values()]
    elif is_a(obj, _CACHE):
        inner = [vars(obj).get("__wrapped__")]
    for each in inner:
        yield from functions_in(each, seen)


def content(obj: Any) -> tuple[int, ...] | None:
    """The identities of all that a mutable container holds, through the containers inside it."""
    if type(obj) not in MUTABLE:
        return None
    found: list[int] = []
    todo: list[Any] = [obj]
    seen: set[int] = set()
    while todo and len(found) < BUDGET:
        each = todo.pop()
        found.append(id(each))
        if type(each) in MUTABLE and not is_a(each, bytearray) and id(each) not in seen:
            seen.add(id(each))
            todo += [*each.keys(), *each.values()] if is_a(each, dict) else each
    return tuple(found)


def closure(function: FunctionType) -> list[object]:
    """The values of a function's free variables, as far as they are set."""
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:
            values.append(MISSING)
    return values


class Look:
    """One look at places and all that they lead to through the names in first-party code.

    `owns` says of a source file whether it is first-party.
    """

    def __init__(self, owns: Callable[[str], bool]) -> None:
        self.owns = owns
        self.facts: dict[Place, Fact] = {}
        self.environment: set[str] = set()
        """Upper-case strings in the code: what it may read from `os.environ`."""
        self._todo: list[Place] = []
        self._open: set[int] = set()
        self._scanned: dict[int, CodeType] = {}
        self._left = BUDGET

    def add(self, place: Place) -> None:
        """Look at a place, and at what it leads to."""
        self._todo.append(place)
        self.drain()

    def describe(self, obj: Any) -> Token:
        """Describe an object that has no place; `drain` then looks at what it leads to."""
        return self._describe(obj, None)

    def fact(self, place: Place) -> Fact:
        """What is at a place now, without following it."""
        obj = lookup(place)
        module = sys.modules.get(place[0])
        holder = None if module is None else Same(module)
        if obj is MISSING:
            return Fact(("missing",), "missing", None, module=holder)
        token = self._named(place[1][-1], obj, place) if place[1] else self._describe(obj, place)
        codes = tuple(code_token(function.__code__) for function in functions_in(obj))
        return Fact(token, _kind(obj, token), Same(obj), codes, content(obj), holder)

    def scan(self, code: CodeType, module: str) -> None:
        """Look at the globals, and the attributes of first-party modules, that a piece of code names."""
        if id(code) in self._scanned:
            return
        self._scanned[id(code)] = code
        names: set[str] = set()
        for each in nested(code):
            names.update(each.co_names)
            self.environment.update(
                const for const in each.co_consts if isinstance(const, str) and _ENVIRONMENT_NAME.fullmatch(const)
            )
        globals_ = lookup((module, ()))
        here = namespace(globals_) if is_a(globals_, ModuleType) else {}
        global_, imported = names_in(code)
        for name in global_:
            self._todo.append((module, (name,)))
            self._note_module(here.get(name), names)
        for name in imported:
            self._note_import(name, names, str(here.get("__package__") or ""))

    def _note_import(self, name: str, names: set[str], package: str) -> None:
        candidates = [name]
        parts = package.split(".") if package else []
        candidates += [".".join((*parts[:depth], name)) for depth in range(1, len(parts) + 1)]
        for candidate in candidates:
            self._note_module(sys.modules.get(candidate), names)

    def _note_module(self, value: Any, names: set[str]) -> None:
        if not is_a(value, ModuleType) or not self._first_party(value):
            return
        inside = namespace(value)
        own = str(inside.get("__name__"))
        for name in names:
            place = (own, (name,))
            if name in inside and place not in self.facts and place not in self._todo:
                self._todo.append(place)
                self._note_module(inside[name], names)

    def _first_party(self, module: Any) -> bool:
        if not is_a(module, ModuleType):
            return False
        file = namespace(module).get("__file__")
        return isinstance(file, str) and self.owns(file)

    def drain(self) -> None:
        """Follow everything that has been noted and not looked at yet."""
        while self._todo:
            place = self._todo.pop()
            if place not in self.facts:
                self.facts[place] = Fact((), "open", None)  # breaks circles
                self.facts[place] = self.fact(place)

    def _named(self, name: str, obj: Any, place: Place) -> Token:
        if name in _BY_REPR and len(place[1]) > 1:
            return ("repr", _ADDRESS.sub("", repr(obj)))
        return self._describe(obj, place)

    def _describe(self, obj: Any, here: Place | None) -> Token:
        """The token of an object; `here` is the place that it is being described for."""
        if type(obj) in _ATOMS:
            return (type(obj).__name__, repr(obj))
        if type(obj).__module__ in _VALUE_MODULES:
            return (type(obj).__qualname__, repr(obj))
        self._left -= 1
        if id(obj) in self._open:
            return ("circle",)
        if self._left < 0:
            return ("object", Same(obj))
        self._open.add(id(obj))
        try:
            return self._describe_inside(obj, here)
        finally:
            self._open.discard(id(obj))

    def _describe_inside(self, obj: Any, here: Place | None) -> Token:
        kind = type(obj)
        if kind in _SEQUENCES:
            return (kind.__name__, *(self._describe(each, None) for each in obj))
        if kind in _SETS:
            return (kind.__name__, frozenset(self._describe(each, None) for each in obj))
        if kind in _MAPPINGS:
            pairs = ((self._describe(key, None), self._describe(value, None)) for key, value in list(obj.items()))
            return (kind.__name__, self._describe(getattr(obj, "default_factory", None), None), *pairs)
        if is_a(obj, ModuleType):
            return ("module", namespace(obj).get("__name__")) if self._first_party(obj) else ("object", Same(obj))
        if is_a(obj, type):
            return self._class(obj, here)
        if is_a(obj, Enum) and self._first_party(sys.modules.get(kind.__module__)):
            return ("enum", self._describe(kind, None), obj.name, self._describe(obj.value, None))
        return self._callable(obj, here)

    def _callable(self, obj: Any, here: Place | None) -> Token:
        kind = type(obj).__name__
        if is_a(obj, FunctionType):
            return self._function(obj, here)
        if is_a(obj, (staticmethod, classmethod)):
            return (kind, self._describe(obj.__func__, here))
        if is_a(obj, MethodType):
            return (kind, self._describe(obj.__func__, None), self._describe(obj.__self__, None))
        if is_a(obj, property):
            return (kind, *(self._describe(each, here) for each in (obj.fget, obj.fset, obj.fdel)))
        if is_a(obj, functools.partial):
            return (kind, *(self._describe(each, None) for each in (obj.func, obj.args, obj.keywords)))
        if is_a(obj, _CACHE):
            return (kind, self._describe(vars(obj).get("__wrapped__"), here))
        if is_a(obj, (MemberDescriptorType, GetSetDescriptorType)):
            return (kind, obj.__name__)
        return ("object", Same(obj))

    def _function(self, function: FunctionType, here: Place | None) -> Token:
        module = str(function.__module__)
        place = (module, tuple(function.__qualname__.split(".")))
        if place != here and _unwrapped(lookup(place)) is function:
            self._todo.append(place)
            return ("named", place)
        own = str(function.__globals__.get("__name__"))
        if self.owns(function.__code__.co_filename):
            loaded = sys.modules.get(own)
            if loaded is None or namespace(loaded) is not function.__globals__:
                return ("object", Same(function))  # of a module that is not the current one: nothing is known of it
            self.scan(function.__code__, own)
        return (
            "function",
            own,
            code_token(function.__code__),
            self._describe(function.__defaults__, None),
            self._describe(function.__kwdefaults__, None),
            *(self._describe(value, here) for value in closure(function)),
            self._describe(vars(function).get("__wrapped__"), here),
        )

    def _class(self, cls: type, here: Place | None) -> Token:
        if not self._first_party(sys.modules.get(cls.__module__)):
            return ("object", Same(cls))
        place = (cls.__module__, tuple(cls.__qualname__.split(".")))
        canonical = lookup(place) is cls
        if canonical and place != here:
            self._todo.append(place)
            return ("named", place)
        names = [name for name in vars(cls) if not _noise(name)]
        bases = tuple(self._describe(base, None) for base in (*cls.__bases__, type(cls)))
        if canonical:
            self._todo += [(place[0], (*place[1], name)) for name in names]
            return ("class", bases, *sorted(names))
        return ("class", bases, *((name, self._describe(vars(cls)[name], None)) for name in sorted(names)))


def _noise(name: str) -> bool:
    return name not in _BY_REPR and (name in _NOISE or _LIBRARY_PRIVATE.match(name) is not None)


def _unwrapped(obj: Any) -> object:
    return obj.__func__ if is_a(obj, (staticmethod, classmethod)) else obj


def _kind(obj: Any, token: Token) -> str:
    if is_a(obj, type):
        return "class"
    if next(functions_in(obj), None) is not None:
        return "function"
    return "opaque" if _is_opaque(token) else "value"


def _is_opaque(token: Token) -> bool:
    return any(isinstance(part, Same) or (isinstance(part, tuple) and _is_opaque(part)) for part in token)
