"""Code objects by their content: what they do, and which names they look up."""

import dis
import itertools
import weakref
from collections.abc import Iterator
from types import CodeType
from typing import Any

type Token = tuple[Any, ...]
"""A description that compares equal with that of something that behaves the same."""

_GLOBAL_NAMES = frozenset("LOAD_GLOBAL LOAD_NAME LOAD_FROM_DICT_OR_GLOBALS STORE_GLOBAL DELETE_GLOBAL".split())


def code_token(code: CodeType) -> Token:
    """The content of a code object: what it does, not where it stands."""
    return (
        code.co_qualname, code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars,
        code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_exceptiontable,
        tuple(map(_const, code.co_consts)),
    )  # fmt: skip


def _const(value: object) -> Token:
    if isinstance(value, CodeType):
        return code_token(value)
    if isinstance(value, tuple):
        return ("tuple", *map(_const, value))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(map(_const, value)))
    return (type(value).__name__, repr(value))


def nested(code: CodeType) -> Iterator[CodeType]:
    """A code object and all those inside it."""
    yield code
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from nested(const)


_names: weakref.WeakKeyDictionary[CodeType, tuple[frozenset[str], frozenset[str]]] = weakref.WeakKeyDictionary()
"""By code, which keeps nothing alive; equal code objects name the same."""


def names_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """What a code object, or one inside it, looks up or sets in its module; and what it imports."""
    known = _names.get(code)
    if known is None:
        known = _names[code] = _find_names(code)
    return known


def _find_names(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    instructions = [each for inner in nested(code) for each in dis.get_instructions(inner)]
    return (
        frozenset(each.argval for each in instructions if each.opname in _GLOBAL_NAMES),
        frozenset(each.argval for each in instructions if each.opname == "IMPORT_NAME"),
    )


def attributes_of(code: CodeType, variable: str) -> frozenset[str]:
    """The attributes that a code object, or one inside it, names on a local variable; all it names, if in doubt."""
    found: set[str] = set()
    for inner in nested(code):
        instructions = list(dis.get_instructions(inner))
        strings = {const for const in inner.co_consts if isinstance(const, str)}
        if "getattr" in inner.co_names:
            found |= strings
        for here, following in itertools.pairwise(instructions):
            loaded = here.argval if isinstance(here.argval, tuple) else (here.argval,)
            if not here.opname.startswith("LOAD_") or loaded[-1] != variable or here.opname == "LOAD_CONST":
                continue
            if following.opname.endswith(("_ATTR", "_METHOD")):
                found.add(following.argval)
            elif following.opname.startswith("STORE_"):  # another variable is the same object from now on
                found.update(inner.co_names)
    return frozenset(found)
