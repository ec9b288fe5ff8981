"""Trails: a walk over unchanged objects is cut short, one over changed objects never is."""

import functools
import itertools
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from fastapi_hmr.engine.state import Walker
from fastapi_hmr.engine.trail import Trail


class Plain:
    """A first-party class with attributes."""

    shared: list[int]

    def __init__(self) -> None:
        self.value: Any = [1]


class Slotted:
    """Its attributes lie in slots."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = [1]


def closure() -> Any:
    """A function with a cell, defaults and attributes."""
    held = [1]

    def function(a: Any = (1,), *, b: Any = None) -> Any:
        return held, a, b

    return function


class Partial(functools.partial[Any]):
    """What it stands for lies in no attribute of it."""


def hiding() -> tuple[Any, list[int]]:
    """A class that has its state in the closures of its methods only."""
    held: list[int] = []

    class Hiding:
        """Nothing of it is an attribute."""

        @staticmethod
        def add(value: int) -> None:
            held.append(value)

        def __len__(self) -> int:
            return len(held)

    return Hiding, held


def walked(value: Any, *, subclasses: bool = False) -> Trail:
    """The trail of a walk from one value."""
    walker = Walker(lambda name: name == __name__, lambda _: None)
    walker.subclasses = subclasses
    trail = Trail()
    walker.walk([value], direct=True, trail=trail)
    return trail


def change_class() -> tuple[Any, Callable[[], Any]]:
    """A class of its own for each test."""
    kind = type("Kind", (), {"__module__": __name__, "limit": 1})
    return kind, lambda: setattr(kind, "limit", 2)


def changes() -> list[tuple[str, Any, Callable[[], Any]]]:
    """An object of each kind, and something that changes it."""
    entries: dict[str, Any] = {"a": 1, "b": {"c": []}}
    renamed: dict[str, Any] = {"a": entries}
    items: list[Any] = [1, (2, [3])]
    ordered = OrderedDict[str, Any](a=None, b=None)
    queue, members = deque([1]), {1}
    plain, slotted, bag, attributed = Plain(), Slotted(), SimpleNamespace(x=1), closure()
    replaced, function, inner = Plain(), closure(), closure()
    hidden: dict[str, int] = {}
    variable: ContextVar[int] = ContextVar("variable", default=1)
    counter, partial = itertools.count(), functools.partial(print, end="")
    kind, set_limit = change_class()
    (methods, held), (method, below), (special, counted) = hiding(), hiding(), hiding()
    del special.add
    kept: list[int] = []
    return [
        ("entry", entries, lambda: entries.update(a=2)),
        ("entry below", entries, lambda: entries["b"]["c"].append(1)),
        ("other key", renamed, lambda: renamed.update(z=renamed.pop("a"))),
        ("order of its own", ordered, lambda: ordered.move_to_end("a")),
        ("item", items, lambda: items.append(1)),
        ("item in a tuple", items, lambda: items[1][1].append(1)),
        ("other order", queue, lambda: queue.appendleft(0)),
        ("member", members, lambda: members.add(2)),
        ("attribute", plain, lambda: setattr(plain, "value", 2)),
        ("new attribute", plain, lambda: setattr(plain, "other", 2)),
        ("other namespace", replaced, lambda: setattr(replaced, "__dict__", {"value": 1})),
        ("slot", slotted, lambda: setattr(slotted, "value", 2)),
        ("namespace", bag, lambda: setattr(bag, "x", 2)),
        ("class", kind, set_limit),
        ("cell", function, lambda: function()[0].append(2)),
        ("defaults", inner, lambda: setattr(inner, "__defaults__", (2,))),
        ("function attribute", [attributed], lambda: setattr(attributed, "limit", 1)),
        ("mapping proxy", MappingProxyType(hidden), lambda: hidden.update(a=1)),
        ("context variable", variable, lambda: variable.set(2)),
        ("counter", counter, lambda: next(counter)),
        ("method of a class", methods, lambda: held.append(1)),
        ("static method", vars(method)["add"], lambda: below.append(1)),
        ("special method", special, lambda: counted.append(1)),
        ("partial of our own", Partial(print, kept), lambda: kept.append(1)),
        ("partial", [partial], lambda: partial.keywords.update(sep="")),
    ]


@pytest.mark.parametrize("index", range(len(changes())), ids=[name for name, _, _ in changes()])
def test_trail_sees_each_kind_of_change(index: int) -> None:
    """After a change of anything that the walk came past, the trail does not stand for another walk."""
    _, value, change = changes()[index]
    trail = walked(value)
    change()
    assert not trail.same()


@pytest.mark.parametrize("name", ["entry", "item", "attribute", "class", "cell", "namespace", "mapping proxy"])
def test_trail_stands_while_nothing_changes(name: str) -> None:
    """Equal is not enough to be told apart: it is the very objects that count."""
    value = next(value for known, value, _ in changes() if known == name)
    trail = walked(value)
    assert trail.same()
    assert trail.same()


def test_trail_never_stands_where_subclasses_count() -> None:
    """A new subclass changes nothing in the class itself."""
    kind, _ = change_class()
    assert walked(kind).same()
    assert not walked(kind, subclasses=True).same()
