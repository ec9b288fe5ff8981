"""Code objects by their content: what they do, and which names they look up."""

import dis
import functools
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


@functools.lru_cache(maxsize=4096)
def global_names(code: CodeType) -> frozenset[str]:
    """The names that a code object, or one inside it, looks up or sets in its module (equal code objects name the same)."""
    return frozenset(
        instruction.argval
        for each in nested(code)
        for instruction in dis.get_instructions(each)
        if instruction.opname in _GLOBAL_NAMES
    )
