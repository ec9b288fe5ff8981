"""Trail: what a walk came past, so that the next walk over the same objects is a comparison of identities.

Looking at state before and after each module runs is most of what an update costs over a cold start, and nearly always
nothing has changed.  What was reached is a function of the contents of what was come past; so where all of those are
the very same objects in the same places, a second walk would find what the first found.
"""

import functools
import gc
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sized
from itertools import chain
from operator import is_
from typing import Any, Final, Protocol


class View(Sized, Iterable[Any], Protocol):
    """Values in a fixed order."""


type Live = Callable[[Any], View]
"""Gets what an object holds at the moment."""


def _itself(value: Any) -> View:
    return value  # type: ignore[no-any-return]  # a list, a set, a deque


def _class_values(value: Any) -> View:
    return vars(value).values()  # type: ignore[no-any-return]


def _attribute_values(value: Any) -> View:
    try:
        return object.__getattribute__(value, "__dict__").values()  # type: ignore[no-any-return]
    except AttributeError:  # the class knows better than the object, or says so in vain: a TypeVar
        return ()


def _proxy_keys(value: Any) -> View:
    return value.keys()  # type: ignore[no-any-return]


def _proxy_values(value: Any) -> View:
    return value.values()  # type: ignore[no-any-return]


def _cells(value: Any) -> View:
    return [cell.cell_contents for cell in value.__closure__ or () if not empty(cell)]


def _defaults(value: Any) -> View:
    return (
        *(value.__defaults__ or ()),
        *(value.__kwdefaults__ or {}).values(),
        *value.__dict__,
        *value.__dict__.values(),
    )


def cached(value: Any) -> View:
    """The results that a functools cache keeps, and the arguments that belong to them: C code holds them."""
    endless = value.cache_info().maxsize is None
    found: list[Any] = []
    for held in gc.get_referents(value):
        if held is value.__dict__ or held is value.__wrapped__ or isinstance(held, type):
            continue
        if type(held) is not dict:
            found.append(held)
        elif endless:
            found += held.values()  # the table itself, by arguments
        elif type(next(iter(held.values()), None)).__name__ != LINK:
            found.append(held)  # a result: where there is an end to it, they hang on one another
    return found


def is_cached(value: object, code: types.CodeType) -> bool:
    """Whether a functools cache keeps what this very function returns."""
    return isinstance(value, CACHE) and getattr(value.__wrapped__, "__code__", None) is code


LINK: Final = "_lru_list_elem"
CACHE: Final = functools._lru_cache_wrapper  # noqa: SLF001 - the type has no public name
NEVER: Final[tuple[Live, ...]] = ()
"""Holds the same for as long as it lives."""
FIXED: Final = frozenset((types.MethodType, types.BuiltinFunctionType, staticmethod, classmethod, property))
DICT: Final[tuple[Live, ...]] = (dict.keys, dict.values)
ORDERED: Final[tuple[Live, ...]] = (OrderedDict.keys, OrderedDict.values)
PROXY: Final[tuple[Live, ...]] = (_proxy_keys, _proxy_values)
ITEMS: Final[tuple[Live, ...]] = (_itself,)
CLASS: Final[tuple[Live, ...]] = (_class_values,)
INSTANCE: Final[tuple[Live, ...]] = (_attribute_values,)
FUNCTION: Final[tuple[Live, ...]] = (_cells, _defaults)


def empty(cell: types.CellType) -> bool:
    """Whether a cell of a closure has not been filled yet."""
    try:
        cell.cell_contents  # noqa: B018 - asking is the only way to know
    except ValueError:
        return True
    return False


class Trail:
    """What one walk came past."""

    def __init__(self) -> None:
        self._steps: list[tuple[Live, Any]] = []
        self._sizes: list[int] = []
        self._then: list[Any] = []
        """What all steps showed, one after the other: a trail is compared as a whole, for it is compared often."""
        self._whole = True

    def add(self, value: Any, views: tuple[Live, ...] | None) -> None:
        """An object that was come past; without `views` nobody can tell at a glance whether it is the same."""
        if views is None:
            self._whole = False
        elif self._whole:
            for live in views:
                then = tuple(live(value))
                self._steps.append((live, value))
                self._sizes.append(len(then))
                self._then += then

    def same(self) -> bool:
        """Whether a walk would find now what it found then."""
        if not self._whole:
            return False
        now = [live(value) for live, value in self._steps]
        return list(map(len, now)) == self._sizes and all(map(is_, chain.from_iterable(now), self._then))


def own_dict(kind: type) -> type[dict[Any, Any]]:
    """Which of Python's own dicts looks after the entries of some class of dicts: one knows of an order besides."""
    return OrderedDict if issubclass(kind, OrderedDict) else dict


def views_of(kind: type, *, slots: bool) -> tuple[Live, ...] | None:
    """How to see at a glance whether an object of a type is as it was; None where that can't be seen.

    `slots`: whether attributes in slots count too.
    """
    if issubclass(kind, dict):
        return ORDERED if own_dict(kind) is OrderedDict else DICT
    if issubclass(kind, (tuple, frozenset)) or kind in FIXED:
        return NEVER
    if kind is types.MappingProxyType:
        return PROXY
    if issubclass(kind, (list, set, deque)):
        return ITEMS
    if issubclass(kind, type):
        return CLASS
    if kind is types.FunctionType:
        return FUNCTION
    if kind is CACHE:
        return (cached, *INSTANCE)
    if slots and any("__slots__" in vars(base) for base in kind.__mro__):
        return None
    return INSTANCE if kind.__dictoffset__ else NEVER
