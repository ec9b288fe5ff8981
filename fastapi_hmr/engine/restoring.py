"""Restoring: puts the contents of one object back as they were at first sight, in place: others hold the very object."""

import contextlib
import types
from collections import deque
from contextvars import ContextVar
from itertools import chain
from operator import is_
from typing import Any

from fastapi_hmr.engine.hmr import MISSING
from fastapi_hmr.engine.state import (
    LIMIT,
    METHODS,
    SPECIAL,
    Contents,
    How,
    Seen,
    Walker,
    attributes,
    dunder,
    slots_of,
    unflat,
)
from fastapi_hmr.engine.trail import empty, own_dict


def restore(walker: Walker, seen: Seen, now: Contents) -> None:
    """Undo what made an object's contents `now`."""
    obj, first = seen.obj, seen.first
    with contextlib.suppress(Exception):  # an object that refuses keeps what it has
        if seen.how is How.LENIENT:
            _restore_attributes(obj, unflat(first), list(walker.counting(obj, first, now)))
        elif seen.how is How.EXACT and not (first and isinstance(first[0], int) and first[0] > LIMIT):
            _restore_exactly(obj, first)


def restore_globals(globals_: dict[str, Any], first: Contents, now: Contents) -> None:
    """Of a module: the names that came, went or stand for something else."""
    old, new = unflat(first), unflat(now)
    for name in [name for name in new if name not in old]:
        globals_.pop(name, None)
    globals_.update((name, value) for name, value in old.items() if new.get(name, MISSING) is not value)


def _restore_exactly(obj: Any, first: Contents) -> None:
    if isinstance(obj, dict):
        _restore_dict(obj, unflat(first))
    elif isinstance(obj, (list, deque)):
        obj.clear()
        obj.extend(first[1:])
    elif isinstance(obj, set):
        obj.clear()
        obj.update(first[1:])
    elif isinstance(obj, type):
        _restore_class(obj, unflat(first))
    elif isinstance(obj, bytearray):
        obj[:] = first[0]
    elif isinstance(obj, ContextVar):
        if first[0] is not MISSING:
            obj.set(first[0])
    elif isinstance(obj, types.FunctionType):
        _restore_function(obj, first)
    elif not isinstance(obj, (tuple, frozenset, types.MappingProxyType, *SPECIAL)):
        _restore_instance(obj, unflat(first))


def _restore_dict(obj: dict[Any, Any], old: dict[Any, Any]) -> None:
    own = own_dict(type(obj))
    if len(old) != len(obj) or not all(map(is_, chain(old, old.values()), chain(own.keys(obj), own.values(obj)))):
        own.clear(obj)
        own.update(obj, old)


def _restore_class(obj: type, old: dict[str, Any]) -> None:
    for name, value in list(vars(obj).items()):
        if name not in old and (type(value) in {types.FunctionType, *METHODS} or not dunder(name)):
            delattr(obj, name)
    for name, value in old.items():
        if vars(obj).get(name, MISSING) is not value:
            setattr(obj, name, value)


def _restore_function(obj: types.FunctionType, first: Contents) -> None:
    cells, defaults = first[2:][: first[0]], first[2 + first[0] :][: first[1]]
    for cell, value in zip(obj.__closure__ or (), cells, strict=True):
        if value is not MISSING:
            cell.cell_contents = value
        elif not empty(cell):
            del cell.cell_contents
    obj.__defaults__ = defaults or None
    rest = first[2 + first[0] + first[1] :]
    end = 1 + 2 * rest[0]
    _restore_dict(obj.__dict__, unflat(rest[end:]))
    if obj.__kwdefaults__ or rest[0]:
        obj.__kwdefaults__ = unflat(rest[:end])


def _restore_instance(obj: Any, old: dict[str, Any]) -> None:
    slots = slots_of(type(obj))
    for name in slots:
        if name in old:
            object.__setattr__(obj, name, old[name])
        else:
            with contextlib.suppress(AttributeError):
                object.__delattr__(obj, name)
    _restore_attributes(obj, old, [name for name in {*attributes(obj, slots=False), *old} if name not in slots])


def _restore_attributes(obj: Any, old: dict[str, Any], names: list[str]) -> None:
    """In the object's own namespace, past descriptors and `__setattr__`: that is where they were seen."""
    own = object.__getattribute__(obj, "__dict__") if names else {}
    for name in names:
        if name not in old:
            own.pop(name, None)
        elif own.get(name, MISSING) is not old[name]:
            own[name] = old[name]
