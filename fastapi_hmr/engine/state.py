"""State: the contents of everything a module holds, so that a change by somebody else can be seen."""

import contextlib
import functools
import itertools
import logging
import threading
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, Final

from fastapi_hmr.engine.hmr import MISSING, Module
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.trail import CACHE, Live, Trail, cached, empty, own_dict, views_of

ATOMIC: Final = frozenset(
    (
        *(int, str, bytes, float, bool, complex, range, type(None), type(...), type(NotImplemented)),
        *(types.ModuleType, types.CodeType, types.GenericAlias, types.UnionType, Module),
    )
)
PLAIN: Final = frozenset((int, str, float, bytes, bool))
SEQUENCES: Final = (list, tuple, set, frozenset, deque)
BAGS: Final = (types.SimpleNamespace, threading.local)
"""Objects of Python's own that hold nothing but what others put there."""
OPAQUE: Final = (logging.Logger, logging.Handler, logging.LoggerAdapter)
"""Libraries' bookkeeping, or state that is looked after elsewhere."""
PYDANTIC: Final = frozenset(("__pydantic_complete__", "__pydantic_core_schema__"))
"""Dunders that `model_rebuild()` sets: a model completed from outside has changed."""
NO_SLOTS: Final = frozenset(("__dict__", "__weakref__"))
OWN_CELLS: Final = frozenset(("__class__", "__classdict__", "__conditional_annotations__"))
"""What Python itself puts into the closure of a method: the class."""
LIMIT: Final = 4000
"""Objects looked at per walk, and items per container: big data is data, not a registry."""
DEPTH: Final = 2
"""How many objects of libraries are followed in a row; first-party structure is followed to its end."""

type Contents = tuple[Any, ...]
type Looker = Callable[["Walker", Any, bool], Look | None]
type Look = tuple[How, Contents, Iterable[Any], bool]
"""How to compare, the contents, what to follow, and whether the object is first-party structure."""


class How(Enum):
    """How the contents of an object are compared."""

    EXACT = auto()
    GLOBALS = auto()
    """The namespace of a module, less what Python itself puts there: exact."""
    LENIENT = auto()
    """An object of a library: what the library caches for itself does not count, first-party values do."""
    SEEN = auto()
    """Only passed on the way."""


type Found = dict[int, tuple[Any, How, Contents]]
"""Objects by their identity."""


class Seen:
    """An object and its contents: at first sight in this transaction, and when last looked at."""

    __slots__ = ("first", "how", "kept", "last", "obj")  # of which there are many thousands

    def __init__(self, obj: Any, how: How, first: Contents, last: Contents, kept: bool) -> None:
        self.obj = obj
        self.how = how
        self.first = first
        self.last = last
        self.kept = kept
        """Reached from a module that was not run again: to be restored if the transaction fails."""


class Walker:
    """Lists the stateful objects that can be reached from a value, with their contents."""

    def __init__(self, first_party: Callable[[object], bool], home: Callable[[str], types.ModuleType | None]) -> None:
        self.first_party = first_party
        """Is this the name of a first-party module?"""
        self.home = home
        """The module of that name, whoever it belongs to."""
        self.subclasses = False
        """Whether any first-party code asks for `__subclasses__`."""
        self._kinds: dict[type, Looker | None] = {}
        """How to look at the objects of a type: found once, for this is asked for every object."""
        self._views: dict[type, tuple[Live, ...] | None] = {}
        """How to see at a glance whether they are as they were."""

    def forget(self) -> None:
        """Other modules are first-party, and types have come and gone."""
        self._kinds.clear()
        self._views.clear()

    def walk(self, values: Iterable[Any], *, direct: bool, trail: Trail | None = None, depth: int = DEPTH) -> Found:
        """Everything stateful below `values`. `direct`: a module holds them itself. `trail` gets what is come past."""
        found: Found = {}
        kinds = self._kinds
        todo: list[tuple[Any, Looker, int, bool]] = []
        for value in values:
            looker = kinds[type(value)] if type(value) in kinds else self._classify(type(value))
            if looker is not None:
                todo.append((value, looker, depth, direct))
        while todo and len(found) <= LIMIT:
            value, looker, depth, held = todo.pop()
            key = address(value)
            if key in found:
                continue
            seen = looker(self, value, held)
            if trail is not None and (seen is not None or looker is not _function):
                trail.add(value, self._seen_by(type(value), looker))
            if seen is None:
                continue
            how, contents, below, ours = seen
            found[key] = (value, how, contents)
            for child in below:
                kind = type(child)
                looker = kinds[kind] if kind in kinds else self._classify(kind)
                if looker is None:
                    continue
                left = depth if ours else 0 if looker in CONTAINERS else depth - 1
                if left > 0 or looker is not _library:
                    todo.append((child, looker, left, False))
        return found

    def sight(self, found: Found) -> set[int]:
        """The identities of what was found, and of what attributes are looked up in too: the classes above.

        Not what libraries keep there: the tables of all models hang on their common base.
        """
        classes = [obj for obj, _, _ in found.values() if isinstance(obj, type)]
        above = {base for cls in classes for base in cls.__mro__[1:] if self.made_here(base)}
        return {*found, *self.walk(above, direct=False, depth=0)}

    def contents(self, value: Any, how: How) -> Contents | None:
        """The present contents of one object that was found before; None where they can't be had any more."""
        looker = self._classify(type(value))
        look = None if looker is None else looker(self, value, how is How.LENIENT)
        return None if look is None else look[1]

    def _seen_by(self, kind: type, looker: "Looker") -> tuple[Live, ...] | None:
        if kind not in self._views:
            unseen = looker is _special or issubclass(kind, functools.partial) or (looker is _class and self.subclasses)
            self._views[kind] = None if unseen else views_of(kind, slots=looker in {_own, _wrapper})
        return self._views[kind]

    def _classify(self, kind: type) -> "Looker | None":
        looker: Looker | None
        if kind in ATOMIC or issubclass(kind, OPAQUE) or kind.__name__.endswith("Logger"):
            looker = None
        elif issubclass(kind, (dict, types.MappingProxyType)):
            looker = _mapping
        elif issubclass(kind, SEQUENCES):
            looker = _sequence
        elif kind is types.FunctionType:
            looker = _function
        elif issubclass(kind, type):
            looker = _class
        elif kind is CACHE:
            looker = _cache
        elif kind in PASSING:
            looker = _passing
        elif kind in SPECIAL:
            looker = _special
        elif issubclass(kind, WRAPPERS):
            looker = _wrapper
        else:
            looker = _own if issubclass(kind, BAGS) or self.first_party(kind.__module__) else _library
        self._kinds[kind] = looker
        return looker

    def made_here(self, cls: type) -> bool:
        """A class of ours: its module is first-party, or a library's factory made it for one.

        declarative_base() or create_model() leave a `__module__` of their own, which does not lead to the class.
        """
        name = cls.__dict__.get("__module__", "")
        if self.first_party(name):
            return True
        here: Any = self.home(name) if isinstance(name, str) else None
        for part in cls.__qualname__.split("."):
            here = getattr(here, part, None)
        return here is not cls

    def ours(self, value: Any) -> bool:
        """Whether a value comes from first-party code: a class, function or instance of it."""
        if isinstance(value, types.MethodType):
            value = value.__func__
        owner = value if isinstance(value, (type, types.FunctionType)) else type(value)
        return self.first_party(getattr(owner, "__module__", None))

    def differs(self, obj: Any, how: How, before: Contents, now: Contents) -> bool:
        """Whether the contents of an object changed in a way that counts."""
        if how is How.SEEN:
            return False
        if len(before) == len(now) and all(map(same, before, now)):
            return False
        return how is not How.LENIENT or any(self.counting(obj, before, now))

    def counting(self, obj: Any, before: Contents, now: Contents) -> Iterator[str]:
        """The attributes of a library's object that changed in a way that counts."""
        old, new = unflat(before), unflat(now)
        for name in old | new:
            if self._counts(type(obj), name, old.get(name, MISSING), new.get(name, MISSING)):
                yield name

    def _counts(self, kind: type, name: str, old: Any, new: Any) -> bool:
        """Whether an attribute of a library's object was set by first-party code, and not by the library for itself.

        What a library caches stands under a private name, in the place of None, or under a cached property's name.
        """
        if old is MISSING or new is MISSING:
            return self.ours(new) or not (name.startswith("_") or hasattr(kind, name))
        if old is None:
            return new is not None and self.ours(new)
        return not same(old, new)


def _mapping(_: Walker, value: Any, _direct: bool) -> Look:
    contents = flat(value)
    return How.EXACT, contents, contents, True


def _sequence(_: Walker, value: Any, _direct: bool) -> Look:
    if len(value) > LIMIT:
        contents = tuple(itertools.islice(value, LIMIT))
        return How.EXACT, (len(value), *contents), contents, True
    contents = (len(value), *value)
    return How.EXACT, contents, contents, True


def _function(walker: Walker, value: types.FunctionType, _direct: bool) -> Look | None:
    if not (value.__closure__ or value.__dict__ or value.__defaults__ or value.__kwdefaults__):
        return None
    if not walker.first_party(value.__module__):
        return None
    cells = [MISSING if empty(cell) else cell.cell_contents for cell in value.__closure__ or ()]
    defaults = value.__defaults__ or ()
    contents = (len(cells), len(defaults), *cells, *defaults, *flat(value.__kwdefaults__ or {}), *flat(value.__dict__))
    return How.EXACT, contents, contents, True


def _class(walker: Walker, value: type, _direct: bool) -> Look | None:
    if not walker.made_here(value):
        return None
    heirs = " ".join(map(str, map(id, type.__subclasses__(value)))) if walker.subclasses else ""
    contents: list[Any] = [heirs]
    below: list[Any] = []
    for name, member in list(vars(value).items()):
        kind = type(member)
        if kind is types.FunctionType:
            contents += (name, member)
            if _holds(member):
                below.append(member)
        elif kind in METHODS:
            contents += (name, member)
            below += filter(_holds, PASSING[kind](member))
        elif name[:2] != "__" or name[-2:] != "__":
            contents += (name, member)
            below.append(member)
        elif name in PYDANTIC:
            contents += (name, member)  # made anew by a rebuild, and only then: what is in it does not count
    return How.EXACT, tuple(contents), below, True


def _holds(method: Any) -> bool:
    """Whether there may be anything in what is called as a method, of which nearly all hold nothing."""
    return type(method) is not types.FunctionType or bool(
        (method.__closure__ and not OWN_CELLS.issuperset(method.__code__.co_freevars))
        or method.__defaults__
        or method.__kwdefaults__
        or method.__dict__
    )


def _passing(_: Walker, value: Any, _direct: bool) -> Look:
    return How.SEEN, (), PASSING[type(value)](value), True


def _special(_: Walker, value: Any, _direct: bool) -> Look:
    return How.EXACT, SPECIAL[type(value)](value), (), True


def _own(_: Walker, value: Any, _direct: bool) -> Look:
    contents = flat(attributes(value, slots=True))
    return How.EXACT, contents, (*contents, type(value)), True  # `type(value).limit = 1`: its class may have no name


def _wrapper(walker: Walker, value: Any, direct: bool) -> Look:
    look = (_own if walker.first_party(type(value).__module__) else _library)(walker, value, direct)
    how, contents, below, ours = look or (How.SEEN, (), (), False)
    base = next(base for base in WRAPPERS if isinstance(value, base))
    return how, contents, (*below, *PASSING[base](value)), ours


def _library(_: Walker, value: Any, direct: bool) -> Look | None:
    items = attributes(value, slots=False)
    if not items:
        return None
    return (How.LENIENT if direct else How.SEEN), (flat(items) if direct else ()), items.values(), False


def _cache(walker: Walker, value: Any, direct: bool) -> Look:
    """That a result is kept is no change, for it would be the same: a change of what is kept is one."""
    how, contents, below, _ = _library(walker, value, direct) or (How.SEEN, (), (), False)
    ours = walker.first_party(value.__module__)
    return how, contents, (*below, *(itertools.islice(cached(value), LIMIT) if ours else ())), ours


CONTAINERS: Final = frozenset((_mapping, _sequence))


def _generator(value: Any) -> Contents:
    frame = value.gi_frame
    return ("ended",) if frame is None else (frame.f_lasti, *frame.f_locals.values())


SPECIAL: Final[dict[type, Callable[[Any], Contents]]] = {
    itertools.count: lambda value: (repr(value),),
    types.GeneratorType: _generator,
    ContextVar: lambda value: (value.get(MISSING),),
    bytearray: lambda value: (bytes(value),),
}
"""Objects of C whose state has to be asked for."""

PASSING: Final[dict[type, Callable[[Any], Contents]]] = {
    types.MethodType: lambda value: (value.__self__,),
    types.BuiltinFunctionType: lambda value: (value.__self__,),
    functools.partial: lambda value: (value.func, *value.args, *value.keywords.values()),
    staticmethod: lambda value: (value.__func__,),
    classmethod: lambda value: (value.__func__,),
    property: lambda value: (value.fget, value.fset, value.fdel),
}
"""What stands for the object behind it: `put = _store.put`, a method that has a registry in its closure."""
METHODS: Final = frozenset((staticmethod, classmethod, property))
WRAPPERS: Final = (functools.partial, *METHODS)
"""Those of which there may be subclasses: what they stand for is no attribute of theirs."""


def attributes(value: Any, *, slots: bool) -> dict[str, Any]:
    """The attributes of an instance, without asking its class's own `__getattribute__`."""
    try:
        found = dict(object.__getattribute__(value, "__dict__"))
    except AttributeError:
        found = {}
    for name in slots_of(type(value)) if slots else ():
        with contextlib.suppress(AttributeError):
            found[name] = object.__getattribute__(value, name)
    return found


def slots_of(kind: type) -> list[str]:
    """The names of the attributes for which the instances of a class have no dict."""
    found: list[str] = []
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__")
        if names:
            names = (names,) if isinstance(names, str) else names
            found += [private(name, base) for name in names if name not in NO_SLOTS]
    return found


def private(name: str, kind: type) -> str:
    """What Python makes of a name in the body of a class."""
    return f"_{kind.__name__.lstrip('_')}{name}" if name[:2] == "__" and name[-2:] != "__" else name


def flat(mapping: Any) -> Contents:
    """A mapping as key, value, key, value; the first LIMIT of them."""
    if isinstance(mapping, dict) and type(mapping) is not dict:  # past what the class makes of it
        items = list(own_dict(type(mapping)).items(mapping))
    else:
        items = list(mapping.items())
    return (len(items), *itertools.chain.from_iterable(items[:LIMIT]))


def unflat(contents: Contents) -> dict[Any, Any]:
    """What `flat` made flat."""
    return dict(zip(contents[1::2], contents[2::2], strict=True))


def same(before: Any, now: Any) -> bool:
    """One and the same object, or equal plain values of one type: equality of anything else may lie."""
    return before is now or (type(before) is type(now) and type(before) in PLAIN and before == now)


def dunder(name: str) -> bool:
    """Whether a name is Python's own."""
    return name[:2] == "__" == name[-2:]
