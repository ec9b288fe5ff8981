"""Foreign: attributes set on, and entries put into, objects of libraries that no adapter knows.

What a module can reach is what its import statements named, and from there the names that its code mentions
(`json.JSONEncoder.default = ...`).  Libraries change their own objects all the time; so only such changes count
as come from first-party code: the value, or the key, is a first-party function, class or instance, or the name
or key stands literally in first-party code.
"""

import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from operator import is_
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

from fastapi_hmr.engine.hmr import MISSING
from fastapi_hmr.engine.identity import address
from fastapi_hmr.engine.record import Effect, Record, Records
from fastapi_hmr.engine.state import OPAQUE, dunder

UNTOUCHABLE: Final = frozenset(
    ("sys.modules", "sys.path", "sys.meta_path", "sys.path_importer_cache", "sys.path_hooks")
)
CONTAINERS: Final = 50
"""Per object: more are data, not registries."""


class Watched:
    """An object of a library that first-party code can reach, as last seen."""

    def __init__(self, obj: Any, name: str, attributes: dict[str, Any], containers: list[tuple[Any, Any]]) -> None:
        self.obj = obj
        self.name = name
        self.attributes = attributes
        self.containers = containers
        """Registries that hang on it, each with a copy."""

    def as_seen(self) -> bool:
        """Whether nothing has become of it."""
        old, new = self.attributes, vars(self.obj)
        return (
            len(new) == len(old)
            and all(map(is_, new.values(), old.values()))
            and all(unchanged(held, before) for held, before in self.containers)
        )


class Foreign:
    """What first-party modules reach in libraries, and what became of it while they ran."""

    def __init__(self, records: Records, adapted: frozenset[str]) -> None:
        self._records = records
        self._adapted = adapted
        """Libraries whose registries an adapter looks after: to undo an entry twice is to leave a half."""
        self._watched: dict[int, Watched] = {}
        self._reached: dict[str, dict[int, None]] = {}

    def imported(self, record: Record, module: ModuleType, fromlist: Sequence[str]) -> None:
        """A first-party module imported a library, or names from it."""
        names, _ = record.words()
        reached = self._reached.setdefault(record.name, {})
        todo: list[Any] = [module]
        for item in fromlist:
            value = vars(module).get(item, MISSING)
            if value is not MISSING:
                record.library.add(address(value))
                todo.append(value)
        while todo:
            obj = todo.pop()
            identity = address(obj)
            if identity in reached:
                continue
            if identity not in self._watched:  # which are worth it
                if not self._worth(obj):
                    continue
                self._watched[identity] = self._watch(obj)
            reached[identity] = None
            if isinstance(obj, ModuleType):
                held = vars(obj)
                todo += [held[name] for name in held.keys() & names]

    def _worth(self, obj: Any) -> bool:
        if obj is None or isinstance(obj, FunctionType):
            return False
        if isinstance(obj, ModuleType):
            return type(obj) is ModuleType
        if isinstance(obj, type):
            return not self._ours(obj)
        return not isinstance(obj, (*OPAQUE, FunctionType, MethodType, dict, list, set)) and (
            isinstance(getattr(obj, "__dict__", None), dict) and not self._ours(obj)
        )

    def _watch(self, obj: Any) -> Watched:
        name = getattr(obj, "__name__", None) or type(obj).__name__
        registries = [] if self._is_adapted(obj) else [(held, copied(held)) for held in containers(obj)]
        return Watched(obj, name, dict(vars(obj)), registries)

    def _is_adapted(self, obj: Any) -> bool:
        if isinstance(obj, ModuleType):
            home = obj.__name__
        else:
            home = str(getattr(obj if isinstance(obj, type) else type(obj), "__module__", ""))
        return any(home == library or home.startswith(f"{library}.") for library in self._adapted)

    def end(self, record: Record) -> Iterator[Effect]:
        """A first-party module has run: what it did."""
        for identity in self._reached.pop(record.name, ()):
            watched = self._watched[identity]
            if not watched.as_seen():  # nearly always it is
                yield from self._attributes(record, watched)
                yield from self._entries(record, watched)

    def _attributes(self, record: Record, watched: Watched) -> Iterator[Effect]:
        old, new = watched.attributes, vars(watched.obj)
        for name in {**old, **new}:
            before, now = old.get(name, MISSING), new.get(name, MISSING)
            if before is now or dunder(name) or isinstance(now, ModuleType):
                continue
            new_registry = isinstance(now, (dict, list, set)) and not self._is_adapted(watched.obj)
            if new_registry and not any(now is held for held, _ in watched.containers):
                watched.containers.append((now, copied(inherited(watched.obj, name, before, now))))
            if self._ours(now) or self._says(record, name):
                what = f"{watched.name}.{name}"
                undo = partial(self._put, watched, name, now, before)
                redo = partial(self._put, watched, name, before, now)
                slots: frozenset[Hashable] = frozenset((("attribute", id(watched.obj), name),))
                yield Effect(what, undo, redo, slots, shown={name: now} if self._says(record, name) else None)
        watched.attributes = dict(new)

    def _put(self, watched: Watched, name: str, expected: Any, value: Any) -> None:
        obj = watched.obj
        if vars(obj).get(name, MISSING) is not expected:
            return
        if value is MISSING:
            delattr(obj, name)
        else:
            setattr(obj, name, value)
        watched.attributes = dict(vars(obj))

    def _entries(self, record: Record, watched: Watched) -> Iterator[Effect]:
        for index, (held, before) in enumerate(watched.containers):
            if unchanged(held, before):
                continue
            watched.containers[index] = (held, copied(held))
            names = names_of(watched.obj, held)
            if isinstance(held, dict):
                yield from self._items(record, watched, index, before, names)
            else:
                known = set(map(id, before))
                added = [item for item in held if id(item) not in known and self._counts(record, item, item)]
                if added:
                    refresh = partial(self._refresh, watched, index)
                    undo = partial(_take_out, held, added, refresh)
                    redo = partial(_put_in, held, added, refresh)
                    order: frozenset[Hashable] = frozenset((("entries", id(held)),) if isinstance(held, list) else ())
                    shown = dict.fromkeys(names, tuple(added))
                    yield Effect(f"{watched.name}: {len(added)} entries", undo, redo, lists=order, shown=shown)

    def _items(
        self, record: Record, watched: Watched, index: int, before: dict[Any, Any], names: list[str]
    ) -> Iterator[Effect]:
        held = watched.containers[index][0]
        for key in {**before, **held}:
            old, new = before.get(key, MISSING), held.get(key, MISSING)
            if old is new or not self._counts(record, key, new):
                continue
            refresh = partial(self._refresh, watched, index)
            undo: Callable[[], None] = partial(_set_item, held, key, new, old, refresh)
            redo: Callable[[], None] = partial(_set_item, held, key, old, new, refresh)
            slots: frozenset[Hashable] = frozenset((("entry", id(held), key),))
            lists: frozenset[Hashable] = frozenset((("entries", id(held)),))
            shown = dict.fromkeys(names, (key, new))
            yield Effect(f"{watched.name}[{key!r}]", undo, redo, slots, lists=lists, shown=shown)

    @staticmethod
    def _refresh(watched: Watched, index: int) -> None:
        held = watched.containers[index][0]
        watched.containers[index] = (held, copied(held))

    def _counts(self, record: Record, key: Any, value: Any) -> bool:
        return self._ours(value) or self._ours(key) or self._says_constant(record, key)

    def _ours(self, value: Any) -> bool:
        if value is MISSING:
            return False
        if isinstance(value, partial):
            value = value.func
        if isinstance(value, MethodType):
            value = value.__func__
        owner = value if isinstance(value, (type, FunctionType)) else type(value)
        return getattr(owner, "__module__", None) in self._records

    def _says(self, record: Record, name: str) -> bool:
        names, constants = record.words()
        return (name in names or name in constants) and self._stores(record, name)

    def _says_constant(self, record: Record, key: Any) -> bool:
        return type(key) in {str, int, bytes} and key not in {"", 0, 1} and key in record.words()[1]

    @staticmethod
    def _stores(record: Record, name: str) -> bool:
        """Whether the module's code sets an attribute of this name: `x.name = ...`, setattr(x, "name", ...)."""
        todo = [record.code] if record.code is not None else []
        while todo:
            code = todo.pop()
            if name in code.co_consts and {"setattr", "delattr", "object", "patch"} & set(code.co_names):
                return True
            if name in code.co_names and stores_attribute(code, code.co_names.index(name)):
                return True
            todo += [const for const in code.co_consts if isinstance(const, CodeType)]
        return False


def stores_attribute(code: CodeType, index: int) -> bool:
    """Whether some code has STORE_ATTR or DELETE_ATTR of this name."""
    extended = 0
    for op, arg in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        if op == EXTENDED:
            extended = (extended | arg) << 8
            continue
        if op in STORES and (extended | arg) == index:
            return True
        extended = 0
    return False


def _opcodes() -> tuple[frozenset[int], int]:
    from opcode import EXTENDED_ARG, opmap

    return frozenset((opmap["STORE_ATTR"], opmap["DELETE_ATTR"])), EXTENDED_ARG


STORES, EXTENDED = _opcodes()


def containers(obj: Any) -> list[Any]:
    """Mutable containers that hang on an object, directly or on an object that it holds."""
    found: dict[int, Any] = {}
    module = obj is sys or getattr(obj, "__name__", "") == "sys"
    todo = [(value, 1) for name, value in list(vars(obj).items()) if not dunder(name)] if not module else []
    while todo and len(found) < CONTAINERS:
        value, depth = todo.pop(0)
        if isinstance(value, (dict, list, set)):
            found[id(value)] = value
        elif (
            depth
            and not isinstance(obj, ModuleType)
            and not isinstance(value, (type, FunctionType, ModuleType, *OPAQUE))
        ):
            inner = getattr(value, "__dict__", None)
            if isinstance(inner, dict):
                todo += [(item, depth - 1) for name, item in list(inner.items()) if not dunder(str(name))]
    return list(found.values())


def names_of(obj: Any, container: Any) -> list[str]:
    """By what names code gets at a container that hangs on an object, directly or on an object that it holds."""
    found = []
    for name, value in list(vars(obj).items()):
        inner = None if isinstance(obj, ModuleType) else getattr(value, "__dict__", None)
        held = {name: value, **inner} if isinstance(inner, dict) else {name: value}
        found += [name for name, item in held.items() if item is container]
    return found


def inherited(obj: Any, name: str, before: Any, now: Any) -> Any:
    """What stood in the place of a container: the one before, a base class's (copied on the first write), or none."""
    if type(before) is type(now):
        return before
    for base in obj.__mro__[1:] if isinstance(obj, type) else ():
        value = vars(base).get(name)
        if type(value) is type(now):
            return value
    return type(now)()


def copied(held: Any) -> Any:
    """A shallow copy: of a set, a list."""
    return dict(held) if isinstance(held, dict) else list(held)


def unchanged(held: Any, before: Any) -> bool:
    """Whether a container has the entries that its copy has."""
    if len(held) != len(before):
        return False
    if isinstance(held, dict):
        return all(map(is_, held.values(), before.values())) and all(map(is_, held, before))
    return all(map(is_, held, before))


def _take_out(held: Any, added: list[Any], refresh: Callable[[], None]) -> None:
    gone = set(map(id, added))
    if isinstance(held, list):
        held[:] = [item for item in held if id(item) not in gone]
    else:
        for item in [item for item in held if id(item) in gone]:
            held.discard(item)
    refresh()


def _put_in(held: Any, added: list[Any], refresh: Callable[[], None]) -> None:
    if isinstance(held, list):
        held += added
    else:
        held.update(added)
    refresh()


def _set_item(held: dict[Any, Any], key: Any, expected: Any, value: Any, refresh: Callable[[], None]) -> None:
    if dict.get(held, key, MISSING) is not expected:
        return
    if value is MISSING:
        dict.pop(held, key, None)
    else:
        dict.__setitem__(held, key, value)
    refresh()
