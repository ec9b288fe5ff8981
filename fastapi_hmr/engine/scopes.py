"""The code objects inside a code object, which of them are functions', and the words that occur in them."""

from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from types import CodeType
from typing import Any, NamedTuple

_INNER_SCOPES = frozenset({"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"})


def is_function(code: CodeType) -> bool:
    """True for the code of functions, methods and lambdas; False for modules, class bodies and comprehensions."""
    return bool(code.co_flags & CO_OPTIMIZED) and code.co_name not in _INNER_SCOPES


def nested(code: CodeType) -> list[CodeType]:
    """Return the code objects among a code object's constants."""
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def scopes_in(code: CodeType) -> Iterator[CodeType]:
    """Yield every code object at any depth below `code`."""
    waiting = nested(code)
    while waiting:
        inner = waiting.pop()
        waiting.extend(nested(inner))
        yield inner


def functions_in(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of every function at any depth below `code`."""
    return filter(is_function, scopes_in(code))


class Words(NamedTuple):
    """What some code, and all that is nested in it, can say."""

    names: frozenset[str]
    constants: frozenset[Any]
    """The plain ones."""


def words_in(code: CodeType) -> Words:
    """All names and plain constants in some code."""
    names: set[str] = set()
    constants: set[Any] = set()
    for scope in (code, *scopes_in(code)):
        names.update(scope.co_names)
        constants.update(const for const in scope.co_consts if type(const) in {str, int, bytes})
    return Words(frozenset(names), frozenset(constants))
