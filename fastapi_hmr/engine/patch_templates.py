"""Recognises functions that Jinja has called while it compiled templates: what they returned is in the templates.

Private names: none. `jinja2.filters.FILTERS` and `jinja2.tests.TESTS`, and `filters` and `tests` of an environment, are
documented; each environment starts with copies of the two.
"""

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

from fastapi_hmr.engine.patch_memos import reaching

type Table = dict[str, object]
type Namespaces = Iterable[Mapping[str, object]]


def rendered_by(changed: CodeType, called: Iterable[CodeType], namespaces: Namespaces = ()) -> str | None:
    """Return the name of a template filter or test that is, or reaches, the changed function.

    Jinja calls those for constants when it compiles a template, and keeps the results in the template. Environments are
    found by the names in `namespaces`, and where those don't lead to all by a search of the heap.
    """
    filters, tests = sys.modules.get("jinja2.filters"), sys.modules.get("jinja2.tests")
    if filters is None or tests is None:
        return None
    suspects = set(map(id, (changed, *reaching(changed.co_name, list(called)))))
    for table in _tables(filters, tests, namespaces):
        for name, value in list(table.items()):
            plain = getattr(value, "func", getattr(value, "__wrapped__", value))
            if id(getattr(plain, "__code__", None)) in suspects:
                return str(name)
    return None


def _tables(filters: ModuleType, tests: ModuleType, namespaces: Namespaces) -> list[Table]:
    """The tables of all environments: each has these two functions, so their reference counts tell if one was missed."""
    marks = filters.do_capitalize, tests.test_odd
    own: list[object] = [vars(filters), filters.FILTERS, vars(tests), tests.TESTS]
    of_environments = [table for each in _environments(namespaces) for table in (each.filters, each.tests)]
    found = {id(table): table for table in (*own, *of_environments) if type(table) is dict}
    explained = [sum(value is mark for table in found.values() for value in table.values()) for mark in marks]
    if [sys.getrefcount(mark) - _HELD for mark in marks] == explained:
        return list(found.values())
    return [table for table in gc.get_referrers(*marks) if type(table) is dict]  # takes milliseconds, with the heap


def _environments(namespaces: Namespaces) -> Iterator[Any]:
    """Yield those that modules have by name, as they are or in Starlette's wrapper."""
    environment = getattr(sys.modules.get("jinja2.environment"), "Environment", None)
    wrapper = getattr(sys.modules.get("starlette.templating"), "Jinja2Templates", None)
    if environment is None:
        return
    for namespace in namespaces:
        for value in list(namespace.values()):
            kind = type(value)
            if kind in _FREQUENT:
                continue
            if issubclass(kind, environment):
                yield value
            elif wrapper is not None and issubclass(kind, wrapper):
                yield value.env  # type: ignore[attr-defined]


_FREQUENT = frozenset({FunctionType, ModuleType, type, str, int, float, bool, tuple, list, dict, type(None)})


def _held() -> int:
    """What the count says, beyond the tables, of an object that is looked at as the marks are."""
    marks = object(), object()
    return min([sys.getrefcount(mark) for mark in marks])


_HELD = _held()
